//! What shards sign with: one unchanging picture of all keys that are in force.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;
use proto::text::scan_header;
use proto::types::{Domain, Timestamp};

use super::{BodyDigest, SignError, Signer, author_domain};

/// The signers of one domain.
#[derive(Debug)]
pub(super) struct Ring {
    pub signers: Box<[Signer]>,
    /// Whether they sign for subdomains, too.
    pub subdomains: bool,
}

/// The signers of all domains.
#[derive(Debug, Default)]
pub struct Keyring {
    rings: HashMap<Box<str>, Ring, RandomState>,
}

impl Keyring {
    pub(super) fn new(rings: impl Iterator<Item = (Domain, Ring)>) -> Arc<Self> {
        let rings = rings.filter(|(_, ring)| !ring.signers.is_empty());
        Arc::new(Self {
            rings: rings.map(|(domain, ring)| (domain.as_str().into(), ring)).collect(),
        })
    }

    /// Whether nothing is ever signed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }

    /// The signers for mail of this author: the domain's own, else those of the nearest domain above
    /// it that sign for subdomains. One for each algorithm.
    #[must_use]
    pub fn signers(&self, author: &Domain) -> Option<&[Signer]> {
        if self.is_empty() {
            return None;
        }
        let mut name = author.as_str();
        if let Some(own) = self.rings.get(name) {
            return Some(&own.signers);
        }
        while let Some((_, parent)) = name.split_once('.') {
            if let Some(ring) = self.rings.get(parent).filter(|ring| ring.subdomains) {
                return Some(&ring.signers);
            }
            name = parent;
        }
        None
    }

    /// Appends the signatures of a whole message to `out`: none when its author's domain has no keys.
    /// All at once where it is called: for mail that the server writes itself.
    ///
    /// # Errors
    /// See [`SignError`]; `out` is as it was then.
    pub fn sign(&self, message: &[u8], now: Timestamp, out: &mut Vec<u8>) -> Result<(), SignError> {
        let (header, rest) = message.split_at(scan_header(message).header_bytes);
        let Some(signers) = author_domain(header).and_then(|author| self.signers(&author)) else {
            return Ok(());
        };
        let body = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        let mut digest = BodyDigest::new();
        digest.update(body);
        let (digest, begin) = (digest.finish(), out.len());
        let signed = signers.iter().try_for_each(|signer| signer.sign(header, &digest, now, out));
        if signed.is_err() {
            out.truncate(begin);
        }
        signed
    }
}
