//! Owns: a connection between two shards. Must stay true: no operation is under way on it, for that
//! belongs to its ring, and its octets would be lost with it (rule 1); whatever TLS holds goes along, as
//! it is: records not opened yet, text not read yet, records that wait to leave (rule 6). The peer notices
//! nothing. Fails by giving the stream back where it can still be told why, with its shard unchanged.
//!
//! For connections that turn out to be another shard's business only after they were accepted: those of an
//! account whose mailbox lives there, from the login on. What travels is the socket, by a descriptor of
//! its own: the old one belongs to the old ring, and is closed with all that knew it, the sweep's entry
//! first. What is in the kernel stays there, as no read is under way that could have taken it. Deadlines
//! and brakes stay behind: the new shard sets its own.

use std::{
    io,
    net::{SocketAddr, TcpStream},
};

use super::{
    Backend, Shard, clock,
    stream::{Socket, Stream, abandoned},
};
use crate::tls::Channel;

/// A connection that belongs to no shard. Dropping it closes it.
#[derive(Debug)]
pub struct Detached {
    /// Blocking or not, as the backend needs it: both shards have the same.
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<Box<Channel>>,
}

const _: () = {
    const fn travels<T: Send>() {}
    travels::<Detached>();
};

impl Stream {
    /// Takes the connection off this shard; [`Shard::attach`] takes it in on another. Whatever was to be
    /// sent has been sent before.
    ///
    /// # Errors
    /// And here it is again: an operation was abandoned on it; its deadline has come (`TimedOut`), so that
    /// its end is this shard's; or there are no descriptors left.
    pub fn detach(mut self) -> Result<Detached, (io::Error, Self)> {
        if self.busy {
            return Err((abandoned(), self));
        }
        if self.deadline().has_come(clock::now_ms()) {
            // A brake that was pulled and not seen yet would be forgotten otherwise.
            return Err((io::ErrorKind::TimedOut.into(), self));
        }
        match self.registration.duplicate() {
            Ok(socket) => Ok(Detached { socket, peer: self.peer, tls: self.tls.take() }),
            Err(error) => Err((error, self)),
        }
    }
}

impl Shard {
    /// Takes a connection in. Its deadline is never, until it is set.
    ///
    /// # Errors
    /// The shard is stopping, or the kernel watches no more sockets; the connection is closed then.
    pub fn attach(&self, detached: Detached) -> io::Result<Stream> {
        if self.registry().stopping() {
            return Err(io::Error::other("the shard is stopping"));
        }
        let Detached { socket, peer, tls } = detached;
        let socket = match self.backend() {
            Backend::Epoll => Socket::Epoll(tokio::net::TcpStream::from_std(socket)?),
            Backend::Uring => Socket::Uring(tokio_uring::net::TcpStream::from_std(socket)),
        };
        let mut stream = Stream::new(self.registry(), socket, peer);
        stream.tls = tls;
        Ok(stream)
    }
}
