//! Owns: a connection between two shards. Must stay true: no operation is under way on it (rule 1);
//! whatever TLS holds goes along. Fails: `io::Error`, with the connection given back.

use std::{io, net::SocketAddr};

use super::{
    Backend, Shard, Stream,
    stream::{Socket, abandoned},
};
use crate::tls::Channel;

/// A connection that belongs to no shard; dropping it closes it.
pub struct Detached {
    socket: std::net::TcpStream,
    peer: SocketAddr,
    tls: Option<Box<Channel>>,
}

impl Stream {
    /// Takes the connection off this shard.
    ///
    /// # Errors
    /// An operation was abandoned on it, its deadline has passed, or there are no descriptors left: here
    /// it is again.
    #[allow(clippy::result_large_err)]
    pub fn detach(mut self) -> Result<Detached, (io::Error, Self)> {
        if self.busy {
            return Err((abandoned(), self));
        }
        if self.deadline().expired() {
            return Err((io::ErrorKind::TimedOut.into(), self));
        }
        let socket = match self.registration.duplicate() {
            Ok(socket) => socket,
            Err(error) => return Err((error, self)),
        };
        Ok(Detached { socket, peer: self.peer, tls: self.tls.take() })
    }
}

impl Shard {
    /// Takes a connection in. Its deadline is never, until it is set.
    ///
    /// # Errors
    /// The kernel's.
    pub fn attach(&self, detached: Detached) -> io::Result<Stream> {
        let Detached { socket, peer, tls } = detached;
        let socket = match self.backend() {
            Backend::Uring => Socket::Uring(tokio_uring::net::TcpStream::from_std(socket)),
            Backend::Epoll => Socket::Epoll(tokio::net::TcpStream::from_std(socket)?),
        };
        let mut stream = Stream::new(self.registry(), socket, peer);
        stream.tls = tls;
        Ok(stream)
    }
}
