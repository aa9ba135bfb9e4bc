//! Owns: one certificate with its key, as read from PEM files. Must stay true: the key belongs to
//! the certificate; the names are lower-case. Fails: [`TlsError`] with the file's path.

use std::{path::Path, sync::Arc};

use rustls::{
    SignatureAlgorithm,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{CertificateSettings, TlsError, provider::provider};

/// A certificate that can be shown to peers.
#[derive(Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    names: Vec<Box<str>>,
    expires_s: i64,
}

impl Certificate {
    /// Reads it.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, or the key is another certificate's.
    pub fn load(settings: &CertificateSettings) -> Result<Self, TlsError> {
        let chain = read_chain(&settings.chain)?;
        let key = PrivateKeyDer::from_pem_file(&settings.key)
            .map_err(|error| content(&settings.key, error, "a private key in PEM"))?;
        Self::new(chain, key, &provider())
            .map_err(|what| TlsError::Content { path: settings.chain.clone(), what })
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        provider: &CryptoProvider,
    ) -> Result<Self, String> {
        let first = chain.first().ok_or("it holds no certificate")?;
        let (names, expires_s) = {
            let (_, parsed) = X509Certificate::from_der(first)
                .map_err(|error| format!("its first certificate cannot be read: {error}"))?;
            (dns_names(&parsed), parsed.validity().not_after.timestamp())
        };
        let key = CertifiedKey::from_der(chain, key, provider)
            .map_err(|error| format!("certificate and key do not go together: {error}"))?;
        Ok(Self { key: Arc::new(key), names, expires_s })
    }

    /// The names it is for; `*.` stands for one label.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// When it is no longer valid, in seconds since 1970.
    #[must_use]
    pub fn expires_s(&self) -> i64 {
        self.expires_s
    }

    /// The smaller, the cheaper it is to prove.
    pub(super) fn cost(&self) -> u8 {
        match self.key.key.algorithm() {
            SignatureAlgorithm::ECDSA => 0,
            SignatureAlgorithm::ED25519 => 1,
            _ => 2,
        }
    }
}

/// All certificates of a PEM file, in its order.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| content(path, error, "certificates in PEM");
    let chain: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(wrong)?
        .collect::<Result<_, _>>()
        .map_err(wrong)?;
    if chain.is_empty() {
        return Err(wrong(pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn content(path: &Path, error: pem::Error, expected: &str) -> TlsError {
    match error {
        pem::Error::Io(error) => TlsError::File { path: path.into(), error },
        pem::Error::NoItemsFound => {
            TlsError::Content { path: path.into(), what: format!("no {expected} is in it") }
        }
        other => TlsError::Content { path: path.into(), what: other.to_string() },
    }
}

/// The names of a server's certificate (RFC 9525 §6.3: the common name counts no more).
fn dns_names(certificate: &X509Certificate<'_>) -> Vec<Box<str>> {
    alternative_names(certificate, |name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
        _ => None,
    })
}

/// The mail addresses that a client's certificate is for (RFC 8398, RFC 5280 §4.2.1.6).
pub(super) fn mail_addresses(der: &CertificateDer<'_>) -> Vec<Box<str>> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Vec::new() };
    alternative_names(&certificate, |name| match name {
        GeneralName::RFC822Name(name) => Some((*name).into()),
        _ => None,
    })
}

fn alternative_names(
    certificate: &X509Certificate<'_>,
    choose: impl Fn(&GeneralName<'_>) -> Option<Box<str>>,
) -> Vec<Box<str>> {
    match certificate.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().filter_map(choose).collect(),
        _ => Vec::new(),
    }
}
