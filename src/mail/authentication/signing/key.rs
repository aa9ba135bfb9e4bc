//! One private key: made, read from PEM, written to PEM, and what it signs.
//!
//! RSA of 2048 to 4096 bits (RFC 8301 §3.2 asks verifiers for no more) and Ed25519 (RFC 8463). Making an
//! RSA key takes a tenth of a second and more: not on a shard.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::SignError;

/// Of an RSA key, when nothing else is said.
pub const BITS_DEFAULT: u32 = 2048;
/// The largest that receivers have to understand.
const RSA_OCTETS_MAX: usize = 512;
/// Octets of base64 in a line of PEM (RFC 7468 §2).
const PEM_LINE: usize = 64;
const PKCS1: &str = "RSA PRIVATE KEY";
const PKCS8: &str = "PRIVATE KEY";

/// With what is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// `rsa-sha256`: everybody understands it.
    Rsa,
    /// `ed25519-sha256`: small and fast; receivers that do not know it pass over it.
    Ed25519,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rsa, Self::Ed25519];

    /// As `a=` says it.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::Rsa => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }

    /// As `k=` says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A private key; shared by all shards.
pub(super) enum PrivateKey {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivateKey({})", self.algorithm())
    }
}

impl PrivateKey {
    /// Makes one; `bits` are those of RSA. Takes long.
    pub fn generate(algorithm: Algorithm, bits: u32) -> Result<Self, String> {
        let failed = |_| "the system could not make a key".to_owned();
        match algorithm {
            Algorithm::Ed25519 => {
                Ok(Self::Ed25519(Box::new(Ed25519KeyPair::generate().map_err(failed)?)))
            }
            Algorithm::Rsa => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    4096 => KeySize::Rsa4096,
                    _ => return Err(format!("RSA keys have 2048, 3072 or 4096 bits, not {bits}")),
                };
                Ok(Self::Rsa(Box::new(RsaKeyPair::generate(size).map_err(failed)?)))
            }
        }
    }

    /// Reads the first private key in `text`: PKCS#8 or PKCS#1 (RFC 7468 §10, RFC 8017 A.1.2).
    pub fn from_pem(text: &str) -> Result<Self, String> {
        if text.contains("ENCRYPTED") {
            let advice = "decrypt it first: openssl pkey -in FILE -out PLAIN";
            return Err(format!("the key is encrypted; {advice}"));
        }
        if let Some(der) = unwrapped(text, PKCS8)? {
            return Self::from_pkcs8(&der);
        }
        let Some(der) = unwrapped(text, PKCS1)? else {
            return Err(format!("there is no -----BEGIN {PKCS8}----- in it"));
        };
        Self::of_rsa(RsaKeyPair::from_der(&der))
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, String> {
        match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(pair) => Ok(Self::Ed25519(Box::new(pair))),
            Err(_) => Self::of_rsa(RsaKeyPair::from_pkcs8(der)),
        }
    }

    fn of_rsa(pair: Result<RsaKeyPair, aws_lc_rs::error::KeyRejected>) -> Result<Self, String> {
        let pair = pair.map_err(|error| {
            format!(
                "it is no key that mail can be signed with ({error}): an RSA key of 2048 to 4096 \
                 bits or an Ed25519 key is needed. Receivers no longer trust 1024 bits (RFC 8301)"
            )
        })?;
        if pair.public_modulus_len() > RSA_OCTETS_MAX {
            return Err("RSA keys of more than 4096 bits are not understood everywhere".into());
        }
        Ok(Self::Rsa(Box::new(pair)))
    }

    /// The key as PKCS#8 in PEM.
    pub fn to_pem(&self) -> Result<String, String> {
        let failed = |_| "the key cannot be written down".to_owned();
        let der: Pkcs8V1Der<'_> = match self {
            Self::Rsa(pair) => pair.as_der().map_err(failed)?,
            Self::Ed25519(pair) => pair.as_der().map_err(failed)?,
        };
        let base64 = BASE64.encode(der.as_ref());
        let mut pem = format!("-----BEGIN {PKCS8}-----\n");
        for line in base64.as_bytes().chunks(PEM_LINE) {
            pem.extend(line.iter().map(|octet| char::from(*octet)));
            pem.push('\n');
        }
        pem.push_str(&format!("-----END {PKCS8}-----\n"));
        Ok(pem)
    }

    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rsa,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// Bits of its modulus or curve.
    pub fn bits(&self) -> u32 {
        match self {
            Self::Rsa(pair) => u32::try_from(8 * pair.public_modulus_len()).unwrap_or(u32::MAX),
            Self::Ed25519(_) => 256,
        }
    }

    /// The public key as it is published (`p=`): a SubjectPublicKeyInfo for RSA, as everybody does
    /// (RFC 6376 erratum 3017), and the bare 32 octets for Ed25519 (RFC 8463 §4).
    pub fn public(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Ed25519(pair) => Ok(pair.public_key().as_ref().to_vec()),
            Self::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair
                    .public_key()
                    .as_der()
                    .map_err(|_| "the public key cannot be written down".to_owned())?;
                Ok(der.as_ref().to_vec())
            }
        }
    }

    /// Signs the SHA-256 of `text`, and hands the signature to `take`.
    pub fn sign(&self, text: &[u8], take: impl FnOnce(&[u8])) -> Result<(), SignError> {
        let digest = digest(&SHA256, text);
        match self {
            Self::Rsa(pair) => {
                let mut octets = [0; RSA_OCTETS_MAX];
                let signature = &mut octets[..pair.public_modulus_len().min(RSA_OCTETS_MAX)];
                pair.sign_digest(&RSA_PKCS1_SHA256, &digest, signature)
                    .map_err(|_| SignError::Key)?;
                take(signature);
            }
            Self::Ed25519(pair) => {
                let signature = pair.try_sign(digest.as_ref()).map_err(|_| SignError::Key)?;
                take(signature.as_ref());
            }
        }
        Ok(())
    }
}

/// What stands between the lines that say `label`; `None` when they are not there.
fn unwrapped(text: &str, label: &str) -> Result<Option<Vec<u8>>, String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let Some((_, rest)) = text.split_once(&begin) else { return Ok(None) };
    let Some((base64, _)) = rest.split_once(&end) else {
        return Err(format!("the key has no end: {end} is missing"));
    };
    let base64: String = base64.split_ascii_whitespace().collect();
    BASE64.decode(base64.as_bytes()).map(Some).map_err(|_| "the key is damaged: no base64".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_text() {
        for algorithm in Algorithm::ALL {
            let key = PrivateKey::generate(algorithm, BITS_DEFAULT).unwrap();
            let pem = key.to_pem().unwrap();
            assert!(pem.lines().all(|line| line.len() <= PEM_LINE));
            let again = PrivateKey::from_pem(&format!("a comment\n{pem}\nmore")).unwrap();
            assert_eq!(again.algorithm(), algorithm);
            assert_eq!(again.public().unwrap(), key.public().unwrap());
            assert_eq!(again.bits(), if algorithm == Algorithm::Rsa { 2048 } else { 256 });
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_advice() {
        let ed25519 = PrivateKey::generate(Algorithm::Ed25519, 0).unwrap().to_pem().unwrap();
        for (pem, part) in [
            (String::new(), "BEGIN PRIVATE KEY"),
            (ed25519.replace("-----END", "-----ENT"), "has no end"),
            (ed25519.replace("MC", "*C"), "no base64"),
            (ed25519.replace("MC4C", "MC4D"), "RFC 8301"),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----".into(), "openssl pkey"),
            ("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED".into(), "openssl pkey"),
        ] {
            let error = PrivateKey::from_pem(&pem).unwrap_err();
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(PrivateKey::generate(Algorithm::Rsa, 1024).unwrap_err().contains("not 1024"));
    }
}
