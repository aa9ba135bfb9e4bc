//! A connection of either side: octets in and out, plain or in TLS, with what was read and not yet used.
//!
//! Reads go through one scratch buffer a thread, so a connection that waits holds only what it was
//! given and did not use: ten thousand idle ones cost little. Every error is the connection's end.

mod tls;

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_lite::{AsyncRead, AsyncWriteExt};
use glommio::{GlommioError, net::TcpStream};
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};

pub use tls::{client_config, server_config};

use tls::Tls;

/// Octets that one read takes at most.
const READ_MAX: usize = 64 << 10;
/// A buffer that grew past this for one message is given back after it.
const KEPT_MAX: usize = 16 << 10;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_MAX]);
}

/// See the module.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    tls: Option<Box<Tls>>,
    input: Vec<u8>,
    used: usize,
}

impl Wire {
    /// Connects.
    ///
    /// # Errors
    /// Those of connect(2), or that `patience` ran out.
    pub async fn connect(to: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(to, patience).await.map_err(plain)?;
        Self::over(stream)
    }

    /// A connection that was accepted.
    ///
    /// # Errors
    /// The socket is gone already.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true).map_err(plain)?;
        Ok(Self { stream, tls: None, input: Vec::new(), used: 0 })
    }

    /// The peer.
    ///
    /// # Errors
    /// The socket is gone already.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr().map_err(plain)
    }

    /// Starts TLS as a client; what was read before it is dropped (RFC 3207 §6).
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn secure(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        self.drop_input();
        let mut tls = Tls::client(config, name)?;
        tls.shake_hands(&mut self.stream, &mut self.input).await?;
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// Starts TLS as a server; what was read before it is dropped (RFC 3207 §6).
    ///
    /// # Errors
    /// The handshake failed.
    pub async fn secure_as_server(&mut self, config: Arc<ServerConfig>) -> io::Result<()> {
        self.drop_input();
        let mut tls = Tls::server(config)?;
        tls.shake_hands(&mut self.stream, &mut self.input).await?;
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// Whether octets go through TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Sends all of it.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(octets).await,
            Some(tls) => tls.send(&mut self.stream, octets).await,
        }
    }

    /// Waits for more input; `Ok(0)` when the peer has ended it.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.compact();
        match &mut self.tls {
            None => read_into(&mut self.stream, &mut self.input).await,
            Some(tls) => tls.receive(&mut self.stream, &mut self.input).await,
        }
    }

    /// What was read and not yet used.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.input[self.used..]
    }

    /// Marks octets at the start of [`Self::input`] as used.
    pub fn consume(&mut self, octets: usize) {
        self.used = (self.used + octets).min(self.input.len());
        if self.used == self.input.len() {
            self.drop_input();
        }
    }

    fn drop_input(&mut self) {
        self.used = 0;
        self.input.clear();
        if self.input.capacity() > KEPT_MAX {
            self.input = Vec::new();
        }
    }

    /// Moves what is left to the front, when that costs less than it saves.
    fn compact(&mut self) {
        if self.used > self.input.len() / 2 {
            self.input.drain(..self.used);
            self.used = 0;
        }
    }
}

/// One read, appended to `input`.
async fn read_into(stream: &mut TcpStream, input: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|context| {
        poll_scratch(stream, context, |octets| {
            input.extend_from_slice(octets);
            Ok(())
        })
    })
    .await
}

/// One read into the thread's scratch buffer, handed to `take`.
fn poll_scratch(
    stream: &mut TcpStream,
    context: &mut Context<'_>,
    take: impl FnOnce(&[u8]) -> io::Result<()>,
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        Pin::new(stream).poll_read(context, scratch).map(|read| {
            let read = read?;
            take(&scratch[..read])?;
            Ok(read)
        })
    })
}

/// glommio's error as the system's.
pub fn plain<T>(error: GlommioError<T>) -> io::Error {
    io::Error::from(error)
}
