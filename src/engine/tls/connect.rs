//! Owns: what a client opens TLS connections with. Must stay true: a session that was agreed on
//! without looking at the certificate is never taken up again where it must be looked at. Fails:
//! [`TlsError`] when it is made; by connection `io::Error`.

use std::{io, path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{Channel, TlsError, certificate, error::broken, provider::provider};

/// Sessions that are remembered, so that the next connection to a host is cheap.
const SESSIONS_MAX: usize = 1024;

/// The client's side; one a process.
pub struct Connector {
    provider: Arc<CryptoProvider>,
    any: Arc<ClientConfig>,
    web: Option<Arc<WebPkiServerVerifier>>,
}

/// What the peer's certificate must prove.
#[derive(Clone, Debug)]
pub enum Trust {
    /// Nothing: only those who just listen are kept out (RFC 7435).
    Anyone,
    /// By an authority that we believe, that it is one of these names; `*.example.com` stands for
    /// one label more (RFC 8461 §4.1).
    Names(Vec<Box<str>>),
    /// What the verifier demands.
    Verifier(Arc<dyn ServerCertVerifier>),
}

impl Connector {
    /// Reads the authorities of `ca_file`, or the system's when it is empty.
    ///
    /// # Errors
    /// The file cannot be read. That the system has none is an error only for whoever needs one.
    pub fn new(ca_file: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let anyone = Arc::new(Anyone(provider.signature_verification_algorithms));
        let mut any = config(&provider, anyone)?;
        any.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
        let web = web(ca_file, &provider)?;
        Ok(Self { provider, any: Arc::new(any), web })
    }

    /// A channel to `host`, a name or an address.
    ///
    /// # Errors
    /// `host` is neither, or nobody is believed who could vouch for it.
    pub fn channel(&self, host: &str, trust: &Trust) -> io::Result<Channel> {
        let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let config = match trust {
            Trust::Anyone => Arc::clone(&self.any),
            Trust::Names(names) => {
                let web =
                    self.web.clone().ok_or(TlsError::NoAuthority).map_err(io::Error::other)?;
                Arc::new(self.strict(Arc::new(Named::new(web, names.clone())))?)
            }
            Trust::Verifier(verifier) => Arc::new(self.strict(Arc::clone(verifier))?),
        };
        let connection = ClientConnection::new(config, name).map_err(broken)?;
        Ok(Channel::new(connection.into(), None))
    }

    /// The same, that remembers no session: for checks, and to measure whole handshakes.
    #[must_use]
    pub fn forgetful(&self) -> Self {
        let mut any = ClientConfig::clone(&self.any);
        any.resumption = Resumption::disabled();
        Self { provider: Arc::clone(&self.provider), any: Arc::new(any), web: self.web.clone() }
    }

    /// One that knows nothing newer than TLS 1.2 and believes anyone.
    #[cfg(test)]
    pub(crate) fn of_1_2(&self) -> Self {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap();
        let anyone = Arc::new(Anyone(self.provider.signature_verification_algorithms));
        let any =
            builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth();
        Self { provider: Arc::clone(&self.provider), any: Arc::new(any), web: self.web.clone() }
    }

    fn strict(&self, verifier: Arc<dyn ServerCertVerifier>) -> io::Result<ClientConfig> {
        let mut config = config(&self.provider, verifier).map_err(io::Error::other)?;
        // A resumed session shows no certificate.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The authorities of `ca_file`, or the system's when it is empty.
pub(super) fn roots(ca_file: &Path) -> Result<RootCertStore, TlsError> {
    let certificates = if ca_file.as_os_str().is_empty() {
        rustls_native_certs::load_native_certs().certs
    } else {
        certificate::read_chain(ca_file)?
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    Ok(roots)
}

/// Verifies by the authorities of `ca_file`, or the system's; `None` when there are none.
pub(super) fn web(
    ca_file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, TlsError> {
    let roots = roots(ca_file)?;
    if roots.is_empty() {
        return Ok(None);
    }
    let builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.build().map(Some).map_err(|_| TlsError::NoAuthority)
}

/// Looks at no certificate; that the peer has its key is proved all the same.
#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// WebPKI, for any of several names.
#[derive(Debug)]
pub(super) struct Named {
    web: Arc<WebPkiServerVerifier>,
    names: Vec<Box<str>>,
}

impl Named {
    pub fn new(web: Arc<WebPkiServerVerifier>, names: Vec<Box<str>>) -> Self {
        Self { web, names }
    }

    /// The names to look for: a pattern stands for the host's own name, if that is below it.
    fn wanted(&self, host: &ServerName<'_>) -> Vec<ServerName<'static>> {
        let host = host.to_str();
        let is_below = |pattern: &str| {
            let parent = host.split_once('.').map(|(_, parent)| parent);
            parent.is_some_and(|parent| parent.eq_ignore_ascii_case(pattern))
        };
        self.names
            .iter()
            .filter_map(|name| match name.strip_prefix("*.") {
                Some(pattern) => is_below(pattern).then(|| host.to_string()),
                None => Some(name.to_string()),
            })
            .filter_map(|name| ServerName::try_from(name).ok())
            .collect()
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut fault = Error::InvalidCertificate(CertificateError::NotValidForName);
        for name in self.wanted(host) {
            match self.web.verify_server_cert(own, between, &name, ocsp, now) {
                Ok(verified) => return Ok(verified),
                Err(error) => fault = error,
            }
        }
        Err(fault)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.web.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.web.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web.supported_verify_schemes()
    }
}

/// A client that shows a certificate, for tests of servers.
#[cfg(test)]
pub(super) fn with_certificate(own: CertificateDer<'static>, key: Vec<u8>) -> Arc<ClientConfig> {
    let provider = Arc::new(provider());
    let anyone = Arc::new(Anyone(provider.signature_verification_algorithms));
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key).into();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(anyone)
        .with_client_auth_cert(vec![own], key)
        .unwrap();
    Arc::new(config)
}

#[cfg(test)]
pub(super) fn channel_of(config: Arc<ClientConfig>, host: &str) -> Channel {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    Channel::new(ClientConnection::new(config, name).unwrap().into(), None)
}
