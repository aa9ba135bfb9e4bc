//! Owns: one TCP connection. Must stay true: one operation at a time; none is ever abandoned
//! (rule 1), so never put `recv` or `send` into `select!` or `timeout`: set the deadline instead, or
//! wait for [`Stream::readable`] there, which is no operation.
//! Fails: `io::Error` of the kernel; [`abandoned`] when the rule was broken, rather than losing
//! data in silence. TLS lies between the socket and whoever reads and sends, once [`Stream::secure`]
//! has put it there; how it does that is in `secure`.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    os::fd::{AsRawFd, RawFd},
    rc::Rc,
};

use bytes::{Buf, BufMut, Bytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    buffer::{Filling, InFlight, Part, Sending, Stable},
    clock,
    ready::Watch,
    sweep::{Brake, Deadline, Registration, Registry},
};
use crate::tls::Channel;

/// Read in one piece while lingering.
const LINGER_READ_BYTES: usize = 4096;

/// A connection on the shard that opened or accepted it. Dropping it closes it.
pub struct Stream {
    // Before the socket: fields drop in this order, and the sweep must forget it first.
    pub(super) registration: Registration,
    // Before the socket, too: the epoll driver must not look at a descriptor that is closed.
    pub(super) watch: Option<Box<Watch>>,
    pub(super) socket: Socket,
    pub(super) peer: SocketAddr,
    pub(super) busy: bool,
    pub(super) tls: Option<Box<Channel>>,
}

/// Static dispatch between the backends.
pub(super) enum Socket {
    /// A blocking descriptor: on the ring a nonblocking one answers EAGAIN instead of waiting.
    Uring(tokio_uring::net::TcpStream),
    Epoll(tokio::net::TcpStream),
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Uring(stream) => stream.as_raw_fd(),
            Self::Epoll(stream) => stream.as_raw_fd(),
        }
    }
}

impl Stream {
    pub(super) fn new(registry: &Rc<Registry>, socket: Socket, peer: SocketAddr) -> Self {
        let registration = registry.enter(socket.as_raw_fd());
        Self { registration, watch: None, socket, peer, busy: false, tls: None }
    }

    /// Reads once, into the spare capacity of `buf` behind what it holds; 0 is the end: the peer
    /// closed, or the deadline passed ([`Deadline::expired`]). A `buf` without spare capacity is an
    /// error, for 0 would be a lie. The kernel holds `buf` while nothing arrives: keep it small for
    /// idle connections (rule 4).
    pub async fn recv(&mut self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        if buf.capacity() == buf.len() {
            return (Err(io::Error::new(io::ErrorKind::InvalidInput, "no room to read into")), buf);
        }
        if self.tls.is_some() {
            // Boxed: a connection in the clear has no room for it in its future.
            return Box::pin(self.recv_secure(buf)).await;
        }
        self.read(buf).await
    }

    /// Reads what the socket has.
    pub(super) async fn read(&mut self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        if self.busy {
            return (Err(abandoned()), buf);
        }
        self.busy = true;
        let done = match &mut self.socket {
            Socket::Uring(stream) => ring_read(stream, buf, self.registration.in_flight()).await,
            Socket::Epoll(stream) => epoll_read(stream, buf).await,
        };
        self.busy = false;
        done
    }

    /// Sends all of `buf` and gives it back, cleared.
    pub async fn send(&mut self, mut buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        if self.tls.is_some() {
            let done = Box::pin(self.send_secure([&buf, &[]])).await;
            buf.clear();
            return (done, buf);
        }
        self.write(buf).await
    }

    /// Writes to the socket.
    pub(super) async fn write(&mut self, mut buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        if self.busy {
            buf.clear();
            return (Err(abandoned()), buf);
        }
        self.busy = true;
        let (done, mut buf) = match &mut self.socket {
            Socket::Uring(stream) => {
                let (done, sending) =
                    ring_write(stream, Sending::new(buf, self.registration.in_flight())).await;
                (done, sending.into_inner())
            }
            Socket::Epoll(stream) => (stream.write_all(&buf).await, buf),
        };
        self.busy = false;
        buf.clear();
        (done, buf)
    }

    /// Sends all of `bytes`, without copying them.
    pub async fn send_bytes(&mut self, bytes: Bytes) -> io::Result<()> {
        if self.tls.is_some() {
            return Box::pin(self.send_secure([&bytes, &[]])).await;
        }
        if self.busy {
            return Err(abandoned());
        }
        self.busy = true;
        let done = match &mut self.socket {
            Socket::Uring(stream) => {
                ring_write(stream, Sending::new(bytes, self.registration.in_flight())).await.0
            }
            Socket::Epoll(stream) => stream.write_all(&bytes).await,
        };
        self.busy = false;
        done
    }

    /// Sends `head` and then `body` in one system call where the socket takes it, without copying
    /// either; gives `head` back, cleared. For a command and its message: BDAT (RFC 3030).
    pub async fn send_both(&mut self, mut head: Vec<u8>, body: Bytes) -> (io::Result<()>, Vec<u8>) {
        if self.tls.is_some() {
            let done = Box::pin(self.send_secure([&head, &body])).await;
            head.clear();
            return (done, head);
        }
        if self.busy {
            return (Err(abandoned()), Vec::new());
        }
        self.busy = true;
        let (done, mut head) = match &mut self.socket {
            Socket::Uring(stream) => {
                ring_write_both(stream, head, body, &self.registration.in_flight()).await
            }
            Socket::Epoll(stream) => epoll_write_both(stream, head, body).await,
        };
        self.busy = false;
        head.clear();
        (done, head)
    }

    /// When this connection must have made progress; never, until it is set.
    #[must_use]
    pub fn deadline(&self) -> &Deadline {
        &self.registration.live.deadline
    }

    /// For whoever may have to end this connection's wait.
    #[must_use]
    pub fn brake(&self) -> Brake {
        Brake::of(&self.registration.live)
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Our end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.registration.local_addr()
    }

    #[cfg(test)]
    pub(super) fn nodelay(&self) -> bool {
        self.registration.nodelay()
    }

    /// Closes at once. What the peer has sent and nobody has read makes the kernel reset the
    /// connection, which can overtake our last reply: after a refusal use [`Stream::linger`].
    pub fn close(self) {}

    /// Closes so that the last reply arrives: says we are done, then swallows what the peer still
    /// sends until it closes too, `ms_max` passes or `bytes_max` have come (RFC 9293 §3.6.1).
    pub async fn linger(mut self, ms_max: u64, bytes_max: usize) {
        self.deadline().set(clock::now_ms().saturating_add(ms_max));
        self.say_goodbye().await;
        self.registration.shutdown(Shutdown::Write);
        let mut buf = Vec::with_capacity(LINGER_READ_BYTES);
        let mut swallowed = 0_usize;
        while swallowed < bytes_max {
            let (read, back) = self.read(buf).await;
            match read {
                Ok(bytes @ 1..) => swallowed = swallowed.saturating_add(bytes),
                _ => return,
            }
            buf = back;
            buf.clear();
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // An operation that was abandoned keeps the descriptor open: without this the peer would
        // never see the close (rule 2). Otherwise closing the descriptor says it all.
        if self.busy {
            self.registration.shutdown(Shutdown::Both);
        }
    }
}

pub(super) fn abandoned() -> io::Error {
    io::Error::other("an earlier operation on this stream was dropped before it ended")
}

async fn ring_read(
    stream: &tokio_uring::net::TcpStream,
    mut buf: Vec<u8>,
    held: InFlight,
) -> (io::Result<usize>, Vec<u8>) {
    loop {
        let (read, filling) = stream.read(Filling::new(buf, held.clone())).await;
        buf = filling.into_vec();
        if !interrupted(&read) {
            return (read, buf);
        }
    }
}

async fn ring_write<T: Stable>(
    stream: &tokio_uring::net::TcpStream,
    mut sending: Sending<T>,
) -> (io::Result<()>, Sending<T>) {
    while sending.rest() > 0 {
        let (sent, back) = stream.write(sending).submit().await;
        sending = back;
        match sent {
            Ok(0) => return (Err(io::ErrorKind::WriteZero.into()), sending),
            Ok(bytes) => _ = sending.advance(bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), sending),
        }
    }
    (Ok(()), sending)
}

async fn ring_write_both(
    stream: &tokio_uring::net::TcpStream,
    head: Vec<u8>,
    body: Bytes,
    held: &InFlight,
) -> (io::Result<()>, Vec<u8>) {
    let mut parts = vec![
        Sending::new(Part::Head(head), held.clone()),
        Sending::new(Part::Body(body), held.clone()),
    ];
    let done = loop {
        if parts.iter().all(|part| part.rest() == 0) {
            break Ok(());
        }
        let (sent, back) = stream.writev(parts).await;
        parts = back;
        match sent {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(bytes) => _ = parts.iter_mut().fold(bytes, |left, part| part.advance(left)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    let head = match parts.into_iter().next().map(Sending::into_inner) {
        Some(Part::Head(head)) => head,
        _ => Vec::new(),
    };
    (done, head)
}

async fn epoll_read(
    stream: &mut tokio::net::TcpStream,
    mut buf: Vec<u8>,
) -> (io::Result<usize>, Vec<u8>) {
    // Without the limit a `Vec` would offer to grow.
    let spare = buf.capacity() - buf.len();
    let read = stream.read_buf(&mut (&mut buf).limit(spare)).await;
    (read, buf)
}

async fn epoll_write_both(
    stream: &mut tokio::net::TcpStream,
    head: Vec<u8>,
    body: Bytes,
) -> (io::Result<()>, Vec<u8>) {
    let mut both = Buf::chain(&head[..], body);
    let done = stream.write_all_buf(&mut both).await;
    (done, head)
}

fn interrupted(done: &io::Result<usize>) -> bool {
    matches!(done, Err(error) if error.kind() == io::ErrorKind::Interrupted)
}
