//! Owns: certificates that clients show. Must stay true: where one is only asked for, one that nobody
//! vouches for does not end the handshake, but proves nothing either. Fails: [`TlsError`].

use std::{path::Path, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{ClientCertificates, TlsError, certificate};

/// How a listener judges them.
#[derive(Clone, Debug)]
pub(super) struct Clients {
    strict: Arc<dyn ClientCertVerifier>,
    is_required: bool,
    demand: Arc<[u8]>,
}

/// `None` when nothing is asked for.
pub(super) fn of(
    wanted: ClientCertificates,
    ca_file: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Clients>, TlsError> {
    if wanted == ClientCertificates::Ignore {
        return Ok(None);
    }
    let authorities = certificate::read_chain(ca_file)?;
    let mut demand = format!("{wanted:?}").into_bytes();
    authorities.iter().for_each(|one| demand.extend_from_slice(one));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(authorities);
    let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsError::Content {
            path: ca_file.into(),
            what: format!("no client can be verified with it: {error}"),
        })?;
    let is_required = wanted == ClientCertificates::Require;
    Ok(Some(Clients { strict, is_required, demand: demand.into() }))
}

impl Clients {
    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        if self.is_required { Arc::clone(&self.strict) } else { Arc::new(Lenient(self.clone())) }
    }

    /// What is demanded and who is believed: sessions are taken up again only where both are the same.
    pub fn demand(&self) -> &[u8] {
        &self.demand
    }

    /// The mail addresses that `chain` is for, if somebody we believe vouches for it.
    pub fn addresses(&self, chain: &[CertificateDer<'_>]) -> Vec<Box<str>> {
        match chain.split_first() {
            Some((own, between))
                if self.strict.verify_client_cert(own, between, UnixTime::now()).is_ok() =>
            {
                certificate::mail_addresses(own)
            }
            _ => Vec::new(),
        }
    }
}

/// Takes any certificate; that the client has its key is proved all the same.
#[derive(Debug)]
struct Lenient(Clients);

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.strict.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.strict.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.strict.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.strict.supported_verify_schemes()
    }
}
