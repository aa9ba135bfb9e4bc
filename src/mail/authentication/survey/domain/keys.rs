//! DKIM key records (RFC 6376 §3.6.1, RFC 8463) and how long the key in one is. Must stay true: nothing is
//! trusted of a length that the octets do not bear out. Fails: in words.

use data_encoding::BASE64;
use serde::Serialize;

use super::super::tags::Tags;

/// A longer record is nonsense.
const RECORD_BYTES_MAX: usize = 16 << 10;
const TAG_INTEGER: u8 = 2;
const TAG_BIT_STRING: u8 = 3;
const TAG_SEQUENCE: u8 = 0x30;

/// What a key record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Key {
    /// The algorithm.
    pub kind: KeyKind,
    /// Of an RSA modulus, or of an Ed25519 key; 0 when the key is withdrawn.
    pub bits: usize,
    /// The key is withdrawn (`p=` is empty).
    pub is_revoked: bool,
    /// The domain only tries DKIM out (`t=y`).
    pub is_testing: bool,
    /// Only SHA-1 may be used with it (`h=`), which nobody accepts any more (RFC 8301).
    pub is_sha1_only: bool,
    /// It is not for mail (`s=`).
    pub is_for_others: bool,
}

/// An algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// Ed25519 (RFC 8463).
    Ed25519,
}

impl KeyKind {
    /// The word in the record.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// Whether a TXT record is meant to be a key; a wildcard answers with anything.
pub(super) fn is_key(text: &str) -> bool {
    Tags::parse(text).is_some_and(|tags| {
        tags.get("p").is_some() && tags.get("v").is_none_or(|version| version == "DKIM1")
    })
}

pub(super) fn parse(text: &str) -> Result<Key, String> {
    if text.len() > RECORD_BYTES_MAX {
        return Err("the record is too long".to_owned());
    }
    let tags = Tags::parse(text).ok_or("it is no list of tags")?;
    match tags.get("v") {
        None => {}
        Some("DKIM1") if text.trim_start().starts_with('v') => {}
        Some("DKIM1") => return Err("v=DKIM1 must come first".to_owned()),
        Some(other) => return Err(format!("v={other} is no version that there is")),
    }
    let kind = match tags.get("k") {
        None | Some("rsa") => KeyKind::Rsa,
        Some("ed25519") => KeyKind::Ed25519,
        Some(other) => return Err(format!("k={other} is no algorithm that receivers know")),
    };
    let text: String = tags.get("p").ok_or("it has no p=")?.split_whitespace().collect();
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| "p= is no base64".to_owned())?;
    let bits = match kind {
        _ if bytes.is_empty() => 0,
        KeyKind::Rsa => modulus_bits(&bytes).ok_or("p= is no RSA key")?,
        KeyKind::Ed25519 if bytes.len() == 32 => 256,
        KeyKind::Ed25519 => return Err("p= is no Ed25519 key, which has 32 octets".to_owned()),
    };
    let is_for_mail = tags.get("s").is_none() || tags.has("s", "*") || tags.has("s", "email");
    Ok(Key {
        kind,
        bits,
        is_revoked: bytes.is_empty(),
        is_testing: tags.has("t", "y"),
        is_sha1_only: tags.get("h").is_some() && !tags.has("h", "sha256"),
        is_for_others: !is_for_mail,
    })
}

/// Of a SubjectPublicKeyInfo, as everybody publishes it, or of the RSAPublicKey that RFC 6376 names.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let (outer, _) = element(der, TAG_SEQUENCE)?;
    let inner = match element(outer, TAG_SEQUENCE) {
        None => outer,
        Some((_algorithm, rest)) => {
            let (bits, _) = element(rest, TAG_BIT_STRING)?;
            let (unused, key) = bits.split_first()?;
            (*unused == 0).then_some(())?;
            element(key, TAG_SEQUENCE)?.0
        }
    };
    let (modulus, _exponent) = element(inner, TAG_INTEGER)?;
    let leading = modulus.iter().take_while(|byte| **byte == 0).count();
    let digits = modulus.get(leading..)?;
    let first = *digits.first()?;
    Some(digits.len() * 8 - first.leading_zeros() as usize)
}

/// The contents of the DER element at the start, if it has this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    (*first == tag).then_some(())?;
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match *short {
        short @ ..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}
