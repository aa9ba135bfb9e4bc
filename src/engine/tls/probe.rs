//! Owns: trying a server's TLS to tell a person about it. Must stay true: nothing that is sent over
//! such a connection is secret, for it is made whatever the certificate; what the certificate is
//! worth is told beside it. Fails: in words, when there is no handshake at all.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::{
    TlsError,
    connect::{Named, web},
    dane,
    provider::provider,
};
use crate::dns::Tlsa;

/// The names in a certificate that are shown.
const NAMES_MAX: usize = 100;

/// What a certificate is judged by.
pub enum Expectation {
    /// Any will do.
    Any,
    /// The authorities of this file (the system's when it is empty) vouch for it, and it is for one
    /// of the names.
    Names(PathBuf, Vec<Box<str>>),
    /// One of the records is about it; the names are for DANE-TA.
    Dane(Vec<Tlsa>, Vec<Box<str>>),
}

/// What a handshake came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// `TLSv1.3` …
    pub protocol: String,
    /// The cipher suite.
    pub cipher: String,
    /// The key exchange.
    pub group: String,
    /// What the server's certificate says, when it can be read.
    pub certificate: Option<Facts>,
    /// Why it does not meet what was expected of it, in words.
    pub fault: Option<String>,
}

/// Makes a handshake over `stream` with a server that calls itself `name`. The stream is handed back
/// for what comes next.
///
/// # Errors
/// In words.
pub async fn probe(
    stream: TcpStream,
    name: &str,
    expectation: Expectation,
) -> Result<(Probe, TlsStream<TcpStream>), String> {
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let witness = Arc::new(Witness::new(expectation)?);
    let provider = Arc::new(provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let stream = connected.map_err(|error| error.to_string())?;
    let (_, session) = stream.get_ref();
    let shown = |what: Option<String>| what.unwrap_or_else(|| "?".to_owned());
    let protocol = session.protocol_version().map(|it| format!("{it:?}").replace("_", "."));
    let cipher = session.negotiated_cipher_suite().map(|it| format!("{:?}", it.suite()));
    let group = session.negotiated_key_exchange_group().map(|it| format!("{:?}", it.name()));
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    let probe = Probe {
        protocol: shown(protocol),
        cipher: shown(cipher),
        group: shown(group),
        certificate: leaf.and_then(|leaf| Facts::of(leaf)),
        fault: witness.fault.lock().unwrap_or_else(PoisonError::into_inner).take(),
    };
    Ok((probe, stream))
}

/// Lets every certificate pass, and remembers what is wrong with it.
#[derive(Debug)]
struct Witness {
    judge: Option<Arc<dyn ServerCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    fault: Mutex<Option<String>>,
}

impl Witness {
    /// With the judge that a delivery has.
    fn new(expectation: Expectation) -> Result<Self, String> {
        let provider = Arc::new(provider());
        let judge: Option<Arc<dyn ServerCertVerifier>> = match expectation {
            Expectation::Any => None,
            Expectation::Names(ca_file, names) => {
                let web = web(&ca_file, &provider).and_then(|web| web.ok_or(TlsError::NoAuthority));
                Some(Arc::new(Named::new(web.map_err(|error| error.to_string())?, names)))
            }
            Expectation::Dane(records, names) => {
                Some(Arc::new(dane::Verifier::new(&records, &names)))
            }
        };
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { judge, algorithms, fault: Mutex::default() })
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(judge) = &self.judge else { return Ok(ServerCertVerified::assertion()) };
        let judged = judge.verify_server_cert(leaf, intermediates, server_name, ocsp, now);
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) =
            judged.err().map(|error| error.to_string());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What a certificate says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The host names that it is for, at most a hundred.
    pub names: Vec<String>,
    /// Since when and until when it is valid, in seconds since 1970.
    pub valid_s: (i64, i64),
}

impl Facts {
    /// Reads a certificate in DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.map(|extension| &extension.value.general_names);
        let name = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        };
        let validity = certificate.validity();
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            names: names.into_iter().flatten().filter_map(name).take(NAMES_MAX).collect(),
            valid_s: (validity.not_before.timestamp(), validity.not_after.timestamp()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_dates_are_read() {
        let mut params =
            rcgen::CertificateParams::new(vec!["mx.test".into(), "*.mx.test".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let facts = Facts::of(certificate.der()).unwrap();
        assert_eq!(facts.names, ["mx.test", "*.mx.test"]);
        assert_eq!(facts.valid_s, (1_577_836_800, 1_609_459_200));
        assert_eq!(facts.subject, facts.issuer);
        assert_eq!(Facts::of(b"nonsense"), None);
    }
}
