//! Owns: fetching one small page over HTTPS, for policies (RFC 8461 §3.3).
//!
//! What must stay true: the certificate is for the host and vouched for by the roots; no redirect
//! is followed; what comes is bounded, and so is the time it takes; where the host is, is said by
//! the caller, so that the one resolver of the house is asked. How it fails: [`HttpsError`].

use std::{future::Future, io, net::SocketAddr, path::Path, pin::pin, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Fault, TlsError, connect::roots, provider::provider};

/// How much of a head is read before it is called nonsense.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Fetches pages; clones share the roots. May be used on any thread with a tokio runtime.
#[derive(Clone)]
pub struct Https {
    config: Arc<ClientConfig>,
}

/// How much patience and room a page gets.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For all of it.
    pub timeout: Duration,
    /// Octets of the body.
    pub body_bytes_max: usize,
}

/// What a server said with status 200.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// As it was given, with its parameters; empty if it was not.
    pub content_type: String,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The handshake failed, mostly for the certificate.
    #[error("TLS: {text}")]
    Tls {
        /// What is wrong with the certificate.
        fault: Fault,
        /// In words.
        text: String,
    },
    /// Not 200; redirects are not followed.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// More than was allowed.
    #[error("the page is larger than {0} octets")]
    Large(usize),
    /// It took too long.
    #[error("no whole answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// No HTTP, or broken off.
    #[error("HTTP: {0}")]
    Http(String),
}

impl Https {
    /// Trusts the authorities of `ca_file`, or the system's when it is empty.
    ///
    /// # Errors
    /// There are none.
    pub fn new(ca_file: &Path) -> Result<Self, TlsError> {
        let roots = roots(ca_file)?;
        if roots.is_empty() {
            return Err(TlsError::NoAuthority);
        }
        let provider = Arc::new(provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { config: Arc::new(config) })
    }

    /// Gets `path` of `host`, which is at one of `addresses`; they are tried in turn.
    ///
    /// # Errors
    /// See [`HttpsError`].
    pub async fn get(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        path: &str,
        bounds: Bounds,
    ) -> Result<Page, HttpsError> {
        let fetched = self.fetch(host, addresses, path, bounds.body_bytes_max);
        let fetched = tokio::time::timeout(bounds.timeout, fetched).await;
        fetched.unwrap_or(Err(HttpsError::Timeout(bounds.timeout)))
    }

    async fn fetch(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        path: &str,
        body_bytes_max: usize,
    ) -> Result<Page, HttpsError> {
        let stream = self.connect(host, addresses).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpsError::Http(error.to_string()))?;
        let request = Request::get(path)
            .header(HOST, host)
            .header(USER_AGENT, concat!("ringpost/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, "text/plain")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| HttpsError::Http(error.to_string()))?;
        let answer = async move {
            let response = sender.send_request(request).await;
            let response = response.map_err(|error| HttpsError::Http(error.to_string()))?;
            read(response, body_bytes_max).await
        };
        beside(connection, answer).await
    }

    async fn connect(
        &self,
        host: &str,
        addresses: &[SocketAddr],
    ) -> Result<TlsStream<TcpStream>, HttpsError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| HttpsError::Http(error.to_string()))?;
        // Connects to the first that answers.
        let stream = TcpStream::connect(addresses).await.map_err(HttpsError::Connect)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector
            .connect(name, stream)
            .await
            .map_err(|error| HttpsError::Tls { fault: Fault::of(&error), text: error.to_string() })
    }
}

async fn read(
    response: hyper::Response<Incoming>,
    body_bytes_max: usize,
) -> Result<Page, HttpsError> {
    if response.status() != StatusCode::OK {
        return Err(HttpsError::Status(response.status().as_u16()));
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.to_owned();
    let body = Limited::new(response.into_body(), body_bytes_max).collect().await;
    let body = body.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            return HttpsError::Large(body_bytes_max);
        }
        HttpsError::Http(error.to_string())
    })?;
    Ok(Page { content_type, body: body.to_bytes().to_vec() })
}

/// Runs `work` while `other`, which it needs, runs too.
async fn beside<T>(other: impl Future, work: impl Future<Output = T>) -> T {
    let (mut other, mut work) = (pin!(other), pin!(work));
    let mut runs = true;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = &mut other, if runs => runs = false,
        }
    }
}
