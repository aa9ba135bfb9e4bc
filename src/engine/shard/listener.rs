//! Owns: a listening socket of one shard. Must stay true: every shard listens on the same address
//! with SO_REUSEPORT and the kernel deals connections out; dropping a pending `accept` loses no
//! connection. Fails: `io::Error`; what concerns only the connection that was about to be accepted
//! is skipped, what concerns the process (EMFILE, ENOBUFS) goes to the caller, who waits a moment.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    os::fd::AsRawFd,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use socket2::{Domain, Protocol, Socket as RawSocket, Type};

use super::{
    Backend,
    stream::{Socket, Stream},
    sweep::{Registration, Registry},
};

type Accepted = io::Result<(tokio_uring::net::TcpStream, SocketAddr)>;

/// A listening socket; one task at a time accepts from it.
pub struct Listener {
    // Before the socket: the sweep must forget it first.
    registration: Registration,
    door: Door,
    local: SocketAddr,
}

enum Door {
    Uring {
        socket: Rc<tokio_uring::net::TcpListener>,
        /// The accept under way. It outlives the future of [`Listener::accept`]: the descriptor of
        /// a connection that arrives for a dropped operation would be lost, open, for ever.
        pending: RefCell<Option<Pin<Box<dyn Future<Output = Accepted>>>>>,
    },
    Epoll(tokio::net::TcpListener),
}

impl Listener {
    pub(super) fn open(
        registry: &Rc<Registry>,
        backend: Backend,
        addr: SocketAddr,
        backlog: i32,
    ) -> io::Result<Self> {
        let socket = bind(addr, backlog)?;
        let fd = socket.as_raw_fd();
        let listener = std::net::TcpListener::from(socket);
        let local = listener.local_addr()?;
        let door = match backend {
            Backend::Uring => Door::Uring {
                socket: Rc::new(tokio_uring::net::TcpListener::from_std(listener)),
                pending: RefCell::new(None),
            },
            Backend::Epoll => {
                listener.set_nonblocking(true)?;
                Door::Epoll(tokio::net::TcpListener::from_std(listener)?)
            }
        };
        Ok(Self { registration: registry.enter(fd), door, local })
    }

    /// The next connection and who is at its other end. May be dropped while it waits (`select!`).
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        loop {
            if self.registration.registry().stopping() {
                return Err(io::Error::other("the shard is stopping"));
            }
            let accepted = match &self.door {
                Door::Uring { .. } => poll_fn(|cx| self.poll_ring(cx))
                    .await
                    .map(|(stream, peer)| (Socket::Uring(stream), peer)),
                Door::Epoll(listener) => {
                    listener.accept().await.map(|(stream, peer)| (Socket::Epoll(stream), peer))
                }
            };
            match accepted {
                Ok((socket, peer)) => {
                    let stream = Stream::new(self.registration.registry(), socket, peer);
                    return Ok((stream, peer));
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The address it listens on, with the port that the kernel chose if it was asked to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_ring(&self, cx: &mut Context<'_>) -> Poll<Accepted> {
        let Door::Uring { socket, pending } = &self.door else {
            return Poll::Pending;
        };
        let mut pending = pending.borrow_mut();
        let accept = pending.get_or_insert_with(|| {
            let (socket, held) = (Rc::clone(socket), self.registration.in_flight());
            Box::pin(async move {
                let _held = held;
                socket.accept().await
            })
        });
        let accepted = accept.as_mut().poll(cx);
        if accepted.is_ready() {
            *pending = None;
        }
        accepted
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Door::Uring { pending, .. } = &self.door else { return };
        let Some(accept) = pending.take() else { return };
        // Shutting down ends the accept under way, with an error or with a connection that came in
        // this very moment; the sweep waits for either, and the connection is closed.
        self.registration.shutdown(std::net::Shutdown::Both);
        self.registration.registry().adopt(Box::pin(async move { drop(accept.await) }));
    }
}

fn bind(addr: SocketAddr, backlog: i32) -> io::Result<RawSocket> {
    let socket = RawSocket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if addr.is_ipv6() {
        // One socket, one family: peers never show up as ::ffff:192.0.2.1, and 0.0.0.0 and [::]
        // can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    // Accepted sockets inherit it, which saves a system call a connection.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

/// The peer was gone before we came (accept(2) lists these): the next one may be there.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::WouldBlock
    )
}
