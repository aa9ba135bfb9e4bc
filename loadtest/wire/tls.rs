//! TLS over a connection: rustls with aws-lc-rs, as the server under test may use it.
//!
//! A load test asks what a server can do, not who it is: certificates are taken as they come.

use std::{
    fmt,
    future::poll_fn,
    io::{self, Read, Write},
    sync::Arc,
};

use futures_lite::AsyncWriteExt;
use glommio::net::TcpStream;
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, ServerConfig,
    ServerConnection, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};

/// Plaintext that is encrypted and sent in one go.
const SEND_MAX: usize = 64 << 10;

/// One end of a TLS connection.
pub struct Tls {
    connection: Connection,
    /// Records on their way out; kept between sends.
    out: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.connection.protocol_version())
    }
}

impl Tls {
    pub fn client(config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        Ok(Self::over(connection.into()))
    }

    pub fn server(config: Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Self::over(connection.into()))
    }

    fn over(mut connection: Connection) -> Self {
        connection.set_buffer_limit(None);
        Self { connection, out: Vec::new() }
    }

    /// Plaintext that comes right behind the peer's last record of the handshake goes into `input`.
    pub async fn shake_hands(
        &mut self,
        stream: &mut TcpStream,
        input: &mut Vec<u8>,
    ) -> io::Result<()> {
        while self.connection.is_handshaking() {
            self.flush(stream).await?;
            if self.connection.is_handshaking() && self.read_records(stream, input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.flush(stream).await
    }

    pub async fn send(&mut self, stream: &mut TcpStream, octets: &[u8]) -> io::Result<()> {
        for piece in octets.chunks(SEND_MAX) {
            self.connection.writer().write_all(piece)?;
            self.flush(stream).await?;
        }
        Ok(())
    }

    /// Waits for plaintext; `Ok(0)` at the end.
    pub async fn receive(
        &mut self,
        stream: &mut TcpStream,
        input: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let before = input.len();
        loop {
            // Records may ask for an answer (key update, tickets).
            self.flush(stream).await?;
            let read = self.read_records(stream, input).await?;
            if read == 0 || input.len() > before {
                return Ok(input.len() - before);
            }
        }
    }

    async fn flush(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.out.clear();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.out)?;
        }
        if self.out.is_empty() { Ok(()) } else { stream.write_all(&self.out).await }
    }

    /// One read of the socket, decrypted into `input`; the octets that were read.
    async fn read_records(
        &mut self,
        stream: &mut TcpStream,
        input: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let connection = &mut self.connection;
        poll_fn(|context| {
            super::poll_scratch(stream, context, |octets| decrypt(connection, octets, input))
        })
        .await
    }
}

fn decrypt(connection: &mut Connection, mut records: &[u8], input: &mut Vec<u8>) -> io::Result<()> {
    while !records.is_empty() {
        connection.read_tls(&mut records)?;
        let state = connection.process_new_packets().map_err(io::Error::other)?;
        let from = input.len();
        input.resize(from + state.plaintext_bytes_to_read(), 0);
        connection.reader().read_exact(&mut input[from..])?;
    }
    Ok(())
}

/// For connections to a server, with or without the resumption of sessions.
///
/// # Errors
/// The crypto provider cannot do TLS 1.2 and 1.3 (it can).
pub fn client_config(resume: bool) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(Arc::new(config))
}

/// For a sink: this certificate.
///
/// # Errors
/// Certificate and key do not fit.
pub fn server_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}

/// Takes any certificate whose key signed the handshake.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
