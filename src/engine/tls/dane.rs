//! Owns: judging a server's certificate by TLSA records (RFC 6698, 7671, 7672).
//!
//! What must stay true: only DANE-EE(3) and DANE-TA(2) count, PKIX-TA and PKIX-EE are unusable for
//! SMTP (RFC 7672 §3.1.3); DANE-EE binds the key alone, so that names and dates are not looked at
//! (RFC 7671 §5.1); DANE-TA needs a chain up to the anchor, valid now, for one of the names
//! (RFC 7671 §5.2); whatever the certificate, its key has signed this handshake. The records come
//! from a secure answer of the DNS: nothing here can tell.
//!
//! How it fails: the handshake fails, and [`super::Fault::of`] says what for.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::provider::provider;
use crate::dns::Tlsa;

const DANE_TA: u8 = 2;
const DANE_EE: u8 = 3;
const WHOLE: u8 = 0;
const KEY: u8 = 1;
const EXACT: u8 = 0;
const SHA_256: u8 = 1;
const SHA_512: u8 = 2;

/// Whether a record can authenticate a mail server at all. What it can be used for but is wrong
/// (a digest of another server) is usable, and then fails.
#[must_use]
pub fn is_usable(record: &Tlsa) -> bool {
    let length_is_right = match record.matching {
        EXACT => !record.data.is_empty(),
        SHA_256 => record.data.len() == 32,
        SHA_512 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, DANE_TA | DANE_EE)
        && matches!(record.selector, WHOLE | KEY)
        && length_is_right
}

/// A server's certificate is right when a TLSA record says so. One for each connection.
pub struct Verifier {
    records: Vec<Tlsa>,
    names: Vec<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("records", &self.records).finish_non_exhaustive()
    }
}

impl Verifier {
    /// `records` are those of the host; the unusable ones are passed over, and without usable ones
    /// every certificate is refused. `names`, for DANE-TA: the TLSA base domain, and whatever else
    /// the server may call itself (RFC 7672 §3.2.2).
    #[must_use]
    pub fn new(records: &[Tlsa], names: &[Box<str>]) -> Self {
        Self {
            records: strongest(records),
            names: server_names(names),
            algorithms: provider().signature_verification_algorithms,
        }
    }

    fn of_usage(&self, usage: u8) -> impl Iterator<Item = &Tlsa> {
        self.records.iter().filter(move |record| record.usage == usage)
    }

    /// The anchors among the certificates that the server sent, or in the records themselves.
    fn anchors<'a>(&'a self, sent: &'a [CertificateDer<'a>]) -> Vec<TrustAnchor<'a>> {
        let sent = sent.iter().filter(|certificate| {
            self.of_usage(DANE_TA).any(|record| matches(record, certificate))
        });
        let known = sent.filter_map(|certificate| anchor_from_trusted_cert(certificate).ok());
        let whole = |record: &&Tlsa| record.selector == WHOLE && record.matching == EXACT;
        let mut anchors: Vec<TrustAnchor<'a>> = known.collect();
        for record in self.of_usage(DANE_TA).filter(whole) {
            let certificate = CertificateDer::from(&*record.data);
            let anchor = anchor_from_trusted_cert(&certificate).map(|anchor| anchor.to_owned());
            anchors.extend(anchor.ok());
        }
        anchors
    }

    fn by_anchor(
        &self,
        leaf: &CertificateDer<'_>,
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let anchors = self.anchors(sent);
        if anchors.is_empty() {
            return Err(DaneError::NoMatch.into());
        }
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
        leaf.verify_for_usage(
            self.algorithms.all,
            &anchors,
            sent,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map_err(of_chain)?;
        let is_valid = |name| leaf.verify_is_valid_for_subject_name(name).is_ok();
        if self.names.iter().any(is_valid) {
            return Ok(());
        }
        Err(CertificateError::NotValidForName.into())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.of_usage(DANE_EE).any(|record| matches(record, leaf)) {
            return Ok(ServerCertVerified::assertion());
        }
        if self.of_usage(DANE_TA).next().is_none() {
            return Err(DaneError::NoMatch.into());
        }
        self.by_anchor(leaf, intermediates, now)?;
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

/// Those of the names that a certificate can be for.
fn server_names(names: &[Box<str>]) -> Vec<ServerName<'static>> {
    names.iter().filter_map(|name| ServerName::try_from(name.to_string()).ok()).collect()
}

/// The usable records, of each usage and selector only those with the strongest digest, so that a
/// weak one cannot be attacked while a strong one stands beside it (RFC 7671 §9).
fn strongest(records: &[Tlsa]) -> Vec<Tlsa> {
    let usable: Vec<&Tlsa> = records.iter().filter(|record| is_usable(record)).collect();
    let is_outdone = |record: &Tlsa| {
        let same =
            |other: &&&Tlsa| (other.usage, other.selector) == (record.usage, record.selector);
        record.matching == SHA_256
            && usable.iter().filter(same).any(|other| other.matching == SHA_512)
    };
    usable.iter().filter(|record| !is_outdone(record)).map(|record| (*record).clone()).collect()
}

/// Whether `record` is about this certificate.
fn matches(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    if record.selector == WHOLE {
        return is_data(record, certificate);
    }
    let parsed = EndEntityCert::try_from(certificate);
    parsed.is_ok_and(|parsed| is_data(record, &parsed.subject_public_key_info()))
}

fn is_data(record: &Tlsa, octets: &[u8]) -> bool {
    match record.matching {
        EXACT => *record.data == *octets,
        SHA_256 => *record.data == *digest(&SHA256, octets).as_ref(),
        SHA_512 => *record.data == *digest(&SHA512, octets).as_ref(),
        _ => false,
    }
}

fn of_chain(error: webpki::Error) -> Error {
    use webpki::Error as Chain;
    let error = match error {
        Chain::CertExpired { time, not_after } => {
            CertificateError::ExpiredContext { time, not_after }
        }
        Chain::CertNotValidYet { time, not_before } => {
            CertificateError::NotValidYetContext { time, not_before }
        }
        Chain::UnknownIssuer => CertificateError::UnknownIssuer,
        Chain::BadDer | Chain::BadDerTime => CertificateError::BadEncoding,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    };
    error.into()
}

/// Why TLSA records and a certificate do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DaneError {
    /// No record is about any certificate of the server.
    #[error("no TLSA record matches the server's certificate")]
    NoMatch,
}

impl From<DaneError> for Error {
    fn from(error: DaneError) -> Self {
        CertificateError::Other(OtherError(Arc::new(error))).into()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    use super::{super::Fault, *};

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    struct Chain {
        root: Vec<u8>,
        leaf: CertificateDer<'static>,
        sent: Vec<CertificateDer<'static>>,
    }

    fn chain(name: &str, last_year: i32) -> Chain {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let leaf = params.signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
        let root = root.der().clone();
        Chain { root: root.to_vec(), leaf: leaf.der().clone(), sent: vec![root] }
    }

    fn record(usage: u8, selector: u8, matching: u8, of: &[u8]) -> Tlsa {
        let certificate = CertificateDer::from(of);
        let octets = match selector {
            WHOLE => of.to_vec(),
            _ => EndEntityCert::try_from(&certificate).unwrap().subject_public_key_info().to_vec(),
        };
        let data: Box<[u8]> = match matching {
            SHA_256 => digest(&SHA256, &octets).as_ref().into(),
            SHA_512 => digest(&SHA512, &octets).as_ref().into(),
            _ => octets.into(),
        };
        Tlsa { usage, selector, matching, data }
    }

    fn judge(records: &[Tlsa], chain: &Chain) -> Result<(), Fault> {
        let verifier = Verifier::new(records, &["mx.test".into()]);
        let name = ServerName::try_from("mx.test").unwrap();
        let now = UnixTime::since_unix_epoch(NOW);
        verifier
            .verify_server_cert(&chain.leaf, &chain.sent, &name, &[], now)
            .map(drop)
            .map_err(|error| Fault::of(&std::io::Error::other(error)))
    }

    #[test]
    fn an_end_entity_matches_by_each_selector_and_digest() {
        let (chain, other) = (chain("mx.test", 2100), chain("mx.test", 2100));
        for selector in [WHOLE, KEY] {
            for matching in [EXACT, SHA_256, SHA_512] {
                let right = record(DANE_EE, selector, matching, &chain.leaf);
                let wrong = record(DANE_EE, selector, matching, &other.leaf);
                assert_eq!(judge(&[wrong.clone(), right], &chain), Ok(()));
                assert_eq!(judge(&[wrong], &chain), Err(Fault::Untrusted));
            }
        }
    }

    #[test]
    fn an_end_entity_needs_no_name_and_no_date() {
        let chain = chain("other.test", 2020);
        assert_eq!(judge(&[record(DANE_EE, KEY, SHA_256, &chain.leaf)], &chain), Ok(()));
    }

    #[test]
    fn an_anchor_vouches_for_name_and_date() {
        for selector in [WHOLE, KEY] {
            for matching in [EXACT, SHA_256, SHA_512] {
                let good = chain("mx.test", 2100);
                assert_eq!(
                    judge(&[record(DANE_TA, selector, matching, &good.root)], &good),
                    Ok(())
                );
            }
        }
        let named = chain("other.test", 2100);
        let fault = judge(&[record(DANE_TA, WHOLE, SHA_256, &named.root)], &named);
        assert_eq!(fault, Err(Fault::Name));
        let late = chain("mx.test", 2020);
        let fault = judge(&[record(DANE_TA, WHOLE, SHA_256, &late.root)], &late);
        assert_eq!(fault, Err(Fault::Expired));
        let (one, other) = (chain("mx.test", 2100), chain("mx.test", 2100));
        let fault = judge(&[record(DANE_TA, WHOLE, SHA_256, &other.root)], &one);
        assert_eq!(fault, Err(Fault::Untrusted));
    }

    #[test]
    fn an_anchor_may_stand_in_the_record_alone() {
        let mut chain = chain("mx.test", 2100);
        chain.sent.clear();
        assert_eq!(judge(&[record(DANE_TA, WHOLE, EXACT, &chain.root)], &chain), Ok(()));
        let hashed = record(DANE_TA, WHOLE, SHA_256, &chain.root);
        assert_eq!(judge(&[hashed], &chain), Err(Fault::Untrusted));
    }

    #[test]
    fn an_anchor_that_did_not_sign_the_leaf_is_none() {
        let (mut one, other) = (chain("mx.test", 2100), chain("mx.test", 2100));
        one.sent = other.sent;
        let fault = judge(&[record(DANE_TA, WHOLE, SHA_256, &other.root)], &one);
        assert_eq!(fault, Err(Fault::Untrusted));
    }

    #[test]
    fn what_is_unusable_is_nothing() {
        let chain = chain("mx.test", 2100);
        for (usage, selector, matching) in [(0, 0, 1), (1, 1, 1), (4, 0, 1), (3, 2, 1), (3, 0, 3)] {
            let mut record = record(usage, selector.min(1), matching.min(2), &chain.leaf);
            (record.selector, record.matching) = (selector, matching);
            assert!(!is_usable(&record), "{record}");
            assert_eq!(judge(&[record], &chain), Err(Fault::Untrusted));
        }
        let mut short = record(DANE_EE, KEY, SHA_256, &chain.leaf);
        short.data = short.data[..31].into();
        assert!(!is_usable(&short));
    }

    #[test]
    fn a_strong_digest_outdoes_a_weak_one_of_its_kind() {
        let (one, other) = (chain("mx.test", 2100), chain("mx.test", 2100));
        let weak = record(DANE_EE, KEY, SHA_256, &one.leaf);
        let strong = record(DANE_EE, KEY, SHA_512, &other.leaf);
        assert_eq!(judge(&[weak.clone(), strong], &one), Err(Fault::Untrusted));
        let elsewhere = record(DANE_EE, WHOLE, SHA_512, &other.leaf);
        assert_eq!(judge(&[weak, elsewhere], &one), Ok(()));
    }
}
