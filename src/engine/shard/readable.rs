//! Owns: waiting until a connection can be read, without reading. Must stay true: nothing is consumed, so
//! the wait may be dropped at any time (`select!`), and the kernel holds no buffer meanwhile; it ends for
//! whatever `recv` would have to tell. Fails: `io::Error` of the kernel.
//!
//! On the ring a read under way cannot be taken back (rule 1), so a driver that waits for two things,
//! IMAP's IDLE, waits here. The runtime has an epoll beside the ring, for timers and DNS; it is edge
//! triggered and knows nothing of what the ring has read, hence the look at the socket behind each event.

#![allow(unsafe_code)] // a descriptor that outlives its owner would be a mistake of ours

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
};

use rustix::net::{RecvFlags, recv};
use tokio::io::{Interest, unix::AsyncFd};

use super::{
    Stream,
    stream::{Socket, abandoned},
};

/// A descriptor in the runtime's epoll. It is the stream's, which drops this first.
pub(super) struct Watch(RawFd);

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

impl Stream {
    /// Waits until [`Stream::recv`] would not: octets have come, the peer has closed, or the deadline
    /// has passed. Nothing is read. May be dropped at any time.
    ///
    /// # Errors
    /// The kernel's, and when an operation was abandoned.
    pub async fn readable(&mut self) -> io::Result<()> {
        if self.busy {
            return Err(abandoned());
        }
        if self.tls.as_deref_mut().is_some_and(|channel| channel.holds_input()) {
            return Ok(());
        }
        if let Socket::Epoll(stream) = &self.socket {
            loop {
                stream.readable().await?;
                match stream.try_io(Interest::READABLE, || peek(stream.as_fd())) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    _ => return Ok(()),
                }
            }
        }
        let watch = match self.watch.take() {
            Some(watch) => watch,
            None => {
                let fd = Watch(self.registration.fd().as_raw_fd());
                // SAFETY: the stream keeps it and drops it before the socket is closed, and a stream has
                // one socket for good.
                Box::new(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
            }
        };
        let watch = self.watch.insert(watch);
        loop {
            let mut event = watch.readable().await?;
            match peek(self.registration.fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => event.clear_ready(),
                _ => return Ok(()),
            }
        }
    }
}

/// Whether there is anything to read; an end or an error is. `WouldBlock`: nothing.
fn peek(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut octet = [0_u8];
    recv(fd, &mut octet, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok(())
}
