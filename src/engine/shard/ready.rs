//! Owns: waiting until a read would not wait, without reading. Must stay true: nothing is consumed and
//! the kernel holds none of our memory, so that the wait may be dropped at any time (rule 1 does not
//! concern it), and a connection that waits so has no buffer at all (rule 4). Fails as a read would.
//!
//! For whoever waits for two things at once, as IDLE does (RFC 2177): a read under way could not be given
//! up, and would keep anything from being sent.
//!
//! On the ring this is the work of tokio's epoll driver, which is there anyway, for timers and for the
//! ring itself. It tells of what has arrived, and knows nothing of what the ring has read since; nor is
//! what the ring left told again. So the word of epoll is only a reason to look, and nothing but a look
//! that finds nothing takes it back.
#![allow(unsafe_code)]

use std::{
    io,
    os::fd::{AsRawFd, RawFd},
};

use tokio::io::{Interest, unix::AsyncFd};

use super::stream::{Socket, Stream, abandoned};

/// A place in the epoll driver for a socket of the ring; dropped before the socket.
pub(super) type Watch = AsyncFd<Watched>;

/// The socket that is watched. The descriptor is the stream's, which outlives it.
pub(super) struct Watched(RawFd);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Stream {
    /// Waits until [`Stream::recv`] has something to say: octets, the end, or that the deadline passed.
    /// Reads nothing, and may be dropped while it waits (`select!`).
    ///
    /// Under TLS it can speak too early: the rest of a record may still be on its way, and `recv` waits
    /// for that. It is never too late.
    ///
    /// # Errors
    /// What the connection died of, which `recv` then tells no more; or an operation was abandoned on it.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.busy {
            return Err(abandoned());
        }
        if let Some(channel) = &mut self.tls
            && (channel.has_plain() || channel.has_records())
        {
            return Ok(());
        }
        match &self.socket {
            Socket::Epoll(stream) => stream.peek(&mut [0; 1]).await.map(drop),
            Socket::Uring(_) => self.watched().await,
        }
    }

    async fn watched(&mut self) -> io::Result<()> {
        let watch = match &mut self.watch {
            Some(watch) => watch,
            none => none.insert(Box::new(watch(&self.socket)?)),
        };
        loop {
            let mut word = watch.readable().await?;
            if let Ok(looked) = word.try_io(|_| self.registration.peek()) {
                return looked;
            }
        }
    }
}

/// For a stream to keep beside `socket`, in front of it.
fn watch(socket: &Socket) -> io::Result<Watch> {
    let watched = Watched(socket.as_raw_fd());
    // SAFETY: a stream drops what watches its socket before the socket, which alone closes the
    // descriptor, and replaces neither.
    Ok(unsafe { AsyncFd::register_with_interest(watched, Interest::READABLE) }?)
}
