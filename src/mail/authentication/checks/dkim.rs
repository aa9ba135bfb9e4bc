//! DKIM signatures (RFC 6376, 8301, 8463), verified by `mail-auth` one at a time.
//!
//! What must stay true: those of the author's domain come first, so that no flood of others hides
//! them; no more than the settings say are looked at; a key is asked for only where the body's hash
//! is right; a signature that does not cover From, a weak one, or one of a part of the body never
//! passes; between two pieces of computing others have their turn.

use std::{borrow::Borrow, hash::Hash, sync::Arc, time::Instant};

use data_encoding::BASE64;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DnsCache, DnsError, Error, NoCache, Parameters,
    ResolverCache, TxtRecord,
    crypto::{Algorithm, CryptoError},
    dkim::{DkimError, DomainKey, Signature},
    dns::ToFqdn,
};
use proto::types::{AuthResult, Domain};
use smallvec::SmallVec;

use super::{
    Dkim,
    desk::{Inquiry, Lack},
    report::kept,
    scan::Scan,
};

/// Octets of an RSA signature by a key of 1024 bits: it is as long as the modulus (RFC 8017 §8.2.2),
/// and shorter ones are not to be believed (RFC 8301 §3.2).
const RSA_OCTETS_MIN: usize = 128;
/// Fields of the message times names in `h=`: each is looked for among all of them.
const COMPARISONS_MAX: usize = 250_000;

/// Keys that are handed to a verifier, which asks for nothing else.
#[derive(Default)]
pub(super) struct Handed(SmallVec<[(Box<str>, TxtRecord); 2]>);

/// Verifies the signatures of a message. Those that are not looked at leave `message`.
pub(super) async fn check(
    inquiry: Inquiry<'_>,
    message: Option<&mut AuthenticatedMessage<'_>>,
    scan: &Scan,
    authors: &[Domain],
    signatures_max: usize,
) -> Vec<Dkim> {
    let Some(message) = message else {
        return match scan.signatures {
            0 => Vec::new(),
            count => vec![unseen(count, "the header is too large")],
        };
    };
    let malformed = malformed(message, signatures_max);
    let sound = message.dkim_signatures().len();
    let mut order = choose(message, authors, signatures_max);
    let mut found = Vec::with_capacity(order.len() + malformed.len());
    for index in order.drain(..) {
        found.push(check_one(inquiry, message, index).await);
        tokio::task::yield_now().await;
    }
    let looked_at = found.len() + malformed.len();
    found.extend(malformed);
    let rest = scan.signatures.max(sound).saturating_sub(looked_at);
    if rest > 0 {
        found.push(unseen(rest, "too many signatures"));
    }
    found
}

fn unseen(count: usize, why: &str) -> Dkim {
    let reason = format!("{count} not looked at: {why}").into();
    Dkim { result: AuthResult::Policy, reason, ..Dkim::default() }
}

/// Those that cannot be read, and those of a part of the body (`l=`, RFC 6376 §8.2).
fn malformed(message: &AuthenticatedMessage<'_>, max: usize) -> Vec<Dkim> {
    let is_dkim = |name: &[u8]| name.eq_ignore_ascii_case(b"dkim-signature");
    let errors = message.errors().iter().filter(|header| is_dkim(header.name));
    let judged = errors.take(max).map(|header| {
        let result = match &header.header {
            Error::Dkim(DkimError::BodyLengthTag) => AuthResult::Policy,
            _ => AuthResult::Neutral,
        };
        Dkim { result, reason: header.header.to_string().into(), ..Dkim::default() }
    });
    judged.collect()
}

/// Keeps the signatures that are looked at; their places, in the order in which they are.
fn choose(message: &mut AuthenticatedMessage<'_>, authors: &[Domain], max: usize) -> Vec<usize> {
    let kinship = |message: &AuthenticatedMessage<'_>, index: usize| {
        let signatures = message.dkim_signatures();
        signatures.get(index).map_or(u8::MAX, |found| distance(&found.header.d, authors))
    };
    let count = message.dkim_signatures().len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|index| (kinship(message, *index), *index));
    if count > max {
        order.truncate(max);
        let mut at = 0;
        message.retain_dkim_signatures(|_| {
            at += 1;
            if order.contains(&(at - 1)) { Ok(()) } else { Err(DkimError::UnsupportedVersion) }
        });
        order = (0..max).collect();
        order.sort_by_cached_key(|index| (kinship(message, *index), *index));
    }
    order
}

/// 0: an author's own domain; 1: above or below it; 2: any other.
fn distance(domain: &str, authors: &[Domain]) -> u8 {
    let is_below = |inner: &str, outer: &str| {
        inner.len() > outer.len()
            && inner.as_bytes()[..inner.len() - outer.len()].ends_with(b".")
            && inner.as_bytes()[inner.len() - outer.len()..].eq_ignore_ascii_case(outer.as_bytes())
    };
    let of = |author: &Domain| {
        let author = author.as_str();
        match domain {
            _ if domain.eq_ignore_ascii_case(author) => 0,
            _ if is_below(domain, author) || is_below(author, domain) => 1,
            _ => 2,
        }
    };
    authors.iter().map(of).min().unwrap_or(2)
}

async fn check_one(inquiry: Inquiry<'_>, message: &AuthenticatedMessage<'_>, index: usize) -> Dkim {
    let Some(header) = message.dkim_signatures().get(index) else { return Dkim::default() };
    let signature = &header.header;
    let mut found = described(signature);
    let fields = message.headers().len();
    if let Some((result, why)) = weakness(signature.a, &signature.b, &signature.h, fields) {
        (found.result, found.reason) = (result, why.into());
        return found;
    }
    let alone;
    let message = if message.dkim_signatures().len() == 1 && message.errors().is_empty() {
        message
    } else {
        alone = only(message, index);
        &alone
    };
    // Without a key first: a wrong hash, or one that is too old, costs no question.
    let mut output = verify(inquiry, message, &Handed::default()).await;
    if lacks_key(&output) {
        output = match inquiry.key(&signature.s, &signature.d).await {
            Ok(key) => {
                let mut handed = Handed::default();
                handed.add(&signature.s, &signature.d, key);
                verify(inquiry, message, &handed).await
            }
            Err(lack) => {
                (found.result, found.reason) = absent(lack);
                return found;
            }
        };
    }
    (found.result, found.reason) = judged(&output);
    found
}

/// The result of the only signature of `message`.
async fn verify(
    inquiry: Inquiry<'_>,
    message: &AuthenticatedMessage<'_>,
    keys: &Handed,
) -> DkimResult {
    let parameters = Parameters::new(message).with_cache(keys);
    let outputs = inquiry.desk.verifier.verify_dkim(parameters).await;
    // Those that were rejected before come first.
    outputs.last().map_or(DkimResult::None, |output| output.result().clone())
}

/// The message as if it had but this signature.
fn only<'a>(message: &AuthenticatedMessage<'a>, index: usize) -> AuthenticatedMessage<'a> {
    let (mut alone, mut at) = (message.clone(), 0);
    alone.retain_dkim_signatures(|_| {
        at += 1;
        if at == index + 1 { Ok(()) } else { Err(DkimError::UnsupportedVersion) }
    });
    alone
}

/// Why a signature is not to be believed whatever its key says.
pub(super) fn weakness(
    algorithm: Algorithm,
    signature: &[u8],
    names: &[String],
    fields: usize,
) -> Option<(AuthResult, &'static str)> {
    if is_weak(algorithm, signature) {
        return Some((AuthResult::Policy, "too weak: rsa-sha1, or an RSA key under 1024 bits"));
    }
    if !names.iter().any(|name| name.trim().eq_ignore_ascii_case("from")) {
        return Some((AuthResult::PermError, "From is not signed"));
    }
    if names.len().saturating_mul(fields) > COMPARISONS_MAX {
        return Some((AuthResult::Policy, "too many signed fields"));
    }
    None
}

/// By RFC 8301 §3.
pub(super) fn is_weak(algorithm: Algorithm, signature: &[u8]) -> bool {
    match algorithm {
        Algorithm::RsaSha1 => true,
        Algorithm::RsaSha256 => signature.len() < RSA_OCTETS_MIN,
        Algorithm::Ed25519Sha256 | Algorithm::MlDsa44 => false,
    }
}

/// Whether all that is missing is the key.
pub(super) fn lacks_key(result: &DkimResult) -> bool {
    matches!(result, DkimResult::PermError(Error::Dns(DnsError::RecordNotFound(_))))
}

fn absent(lack: Lack) -> (AuthResult, Box<str>) {
    match lack {
        Lack::NoName | Lack::NoRecords => (AuthResult::PermError, "no such key".into()),
        Lack::Unusable(why) => (AuthResult::PermError, why.into()),
        Lack::Temporary(why) => (AuthResult::TempError, why.into()),
    }
}

fn judged(result: &DkimResult) -> (AuthResult, Box<str>) {
    let text = |error: &Error| told(error).into();
    match result {
        DkimResult::Pass => (AuthResult::Pass, "".into()),
        DkimResult::Neutral(error @ Error::Dkim(DkimError::BodyHashMismatch))
        | DkimResult::Fail(error) => (AuthResult::Fail, text(error)),
        DkimResult::Neutral(error) => (AuthResult::Neutral, text(error)),
        DkimResult::PermError(error) => (AuthResult::PermError, text(error)),
        DkimResult::TempError(error) => (AuthResult::TempError, text(error)),
        DkimResult::None => (AuthResult::None, "".into()),
    }
}

/// An error in words.
pub(super) fn told(error: &Error) -> String {
    match error {
        Error::Crypto(CryptoError::FailedVerification | CryptoError::Library(_)) => {
            "the signature does not verify".to_owned()
        }
        Error::Dkim(DkimError::BodyHashMismatch) => "the body has been changed".to_owned(),
        Error::Dns(_) => "no such key".to_owned(),
        other => other.to_string(),
    }
}

fn described(signature: &Signature) -> Dkim {
    Dkim {
        domain: kept(&signature.d),
        selector: kept(&signature.s),
        identity: kept(&signature.i),
        algorithm: match signature.a {
            Algorithm::RsaSha1 => "rsa-sha1",
            Algorithm::RsaSha256 => "rsa-sha256",
            Algorithm::Ed25519Sha256 => "ed25519-sha256",
            Algorithm::MlDsa44 => "mldsa44",
        },
        signature: BASE64.encode(&signature.b[..signature.b.len().min(6)]).into(),
        ..Dkim::default()
    }
}

impl Handed {
    pub fn add(&mut self, selector: &str, domain: &str, key: Arc<DomainKey>) {
        let name = format!("{selector}._domainkey.{domain}.").to_fqdn().into_owned();
        self.0.push((name.into(), TxtRecord::DomainKey(key)));
    }
}

/// "Not found" for whatever was not handed over, so that nothing is ever asked.
impl ResolverCache<Box<str>, TxtRecord> for Handed {
    fn get<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let is_it = |entry: &&(Box<str>, TxtRecord)| {
            let known: &Q = entry.0.borrow();
            known == name
        };
        let handed = self.0.iter().find(is_it).map(|(_, record)| record.clone());
        let nothing = || TxtRecord::Error(Error::Dns(DnsError::RecordNotFound(Default::default())));
        Some(handed.unwrap_or_else(nothing))
    }

    fn remove<Q>(&self, _: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: TxtRecord, _: Instant) {}
}

impl DnsCache for Handed {
    type Txt = Self;
    type Mx = NoCache;
    type Ipv4 = NoCache;
    type Ipv6 = NoCache;
    type Ptr = NoCache;

    fn txt(&self) -> Option<&Self> {
        Some(self)
    }

    fn mx(&self) -> Option<&NoCache> {
        None
    }

    fn ipv4(&self) -> Option<&NoCache> {
        None
    }

    fn ipv6(&self) -> Option<&NoCache> {
        None
    }

    fn ptr(&self) -> Option<&NoCache> {
        None
    }
}
