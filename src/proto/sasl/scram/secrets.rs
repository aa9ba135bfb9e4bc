//! What a server keeps instead of a password (RFC 5802 §3), and how it is made.

use std::fmt;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{CLIENT_KEY, SERVER_KEY};
use crate::sasl::prepare_password;

/// Octets of a salt that is made here; any length is read.
const SALT_OCTETS: usize = 16;

/// The secrets of one account. Who has them can check a password and play the server, but cannot
/// log in; guessing the password from them costs `iterations` hashes a guess.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramSecrets {
    /// Rounds of PBKDF2; RFC 7677 §4 asks for 4096 at least. The client pays for them too.
    pub iterations: u32,
    /// At least 16 random octets.
    pub salt: Box<[u8]>,
    /// `H(ClientKey)`.
    pub stored_key: [u8; 32],
    /// `ServerKey`.
    pub server_key: [u8; 32],
}

impl ScramSecrets {
    /// Makes the secrets of `password`; `None` when nobody can have such a password
    /// ([`prepare_password`]). Takes as long as `iterations` ask: not for a shard's thread.
    #[must_use]
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Option<Self> {
        let password = prepare_password(password)?;
        let salted = salted_password(password.as_str(), salt, iterations);
        let client_key = Zeroizing::new(hmac(&*salted, &[CLIENT_KEY]));
        Some(Self {
            iterations,
            salt: salt.into(),
            stored_key: Sha256::digest(&client_key[..]).into(),
            server_key: hmac(&*salted, &[SERVER_KEY]),
        })
    }

    /// Secrets that no password fits, for somebody who has none or does not exist: the same ones
    /// whenever asked, as of a real account, so that nobody learns who is real. `secret` is the
    /// server's own and lasts as long as salts do; `iterations` are those of real accounts.
    #[must_use]
    pub fn decoy(secret: &[u8], authentication: &str, iterations: u32) -> Self {
        // A directory finds one account however its name is written; so does this.
        let name = authentication.to_lowercase();
        let made = |what: &[u8]| hmac(secret, &[what, name.as_bytes()]);
        Self {
            iterations,
            salt: made(b"salt\0")[..SALT_OCTETS].into(),
            stored_key: made(b"stored\0"),
            server_key: made(b"server\0"),
        }
    }
}

impl fmt::Debug for ScramSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSecrets").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// The server's half of a nonce: printable, without commas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(Box<str>);

impl Nonce {
    /// Of octets that nobody can foresee and that were never used before.
    #[must_use]
    pub fn new(random: &[u8; 18]) -> Self {
        Self(BASE64.encode(random).into())
    }

    pub(in crate::sasl) fn as_str(&self) -> &str {
        &self.0
    }

    /// One that an RFC prints.
    #[cfg(test)]
    pub(in crate::sasl) fn printed(text: &str) -> Self {
        Self(text.into())
    }
}

/// HMAC-SHA-256 of all `parts`, one behind the other.
pub(in crate::sasl) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The key as a block, by RFC 2104 §2: then there is no length that could be wrong.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    <Hmac<Sha256> as KeyInit>::new((&*block).into())
}

/// `Hi` of RFC 5802 §2.2: PBKDF2 with one block of output.
pub(in crate::sasl) fn salted_password(
    password: &str,
    salt: &[u8],
    iterations: u32,
) -> Zeroizing<[u8; 32]> {
    let keyed = keyed(password.as_bytes());
    let mut round: [u8; 32] =
        keyed.clone().chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes().into();
    let mut sum = Zeroizing::new(round);
    for _ in 1..iterations {
        round = keyed.clone().chain_update(round).finalize().into_bytes().into();
        sum.iter_mut().zip(round).for_each(|(sum, octet)| *sum ^= octet);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(octets: &[u8]) -> String {
        data_encoding::HEXLOWER.encode(octets)
    }

    #[test]
    fn hmac_of_rfc_4231() {
        assert_eq!(
            hex(&hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"])),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    /// RFC 7914 §11.
    #[test]
    fn pbkdf2_of_rfc_7914() {
        assert_eq!(
            hex(&*salted_password("passwd", b"salt", 1)),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        );
        assert_eq!(
            hex(&*salted_password("Password", b"NaCl", 80000)),
            "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
        );
    }

    #[test]
    fn decoys_are_stable_and_tell_nobody_apart() {
        let decoy = |name| ScramSecrets::decoy(b"server", name, 4096);
        assert_eq!(decoy("Bob@x.org"), decoy("bob@x.org"));
        assert_ne!(decoy("bob@x.org").salt, decoy("eve@x.org").salt);
        assert_ne!(decoy("bob@x.org"), ScramSecrets::decoy(b"other", "bob@x.org", 4096));
        assert_eq!(decoy("bob@x.org").salt.len(), SALT_OCTETS);
        assert_eq!(ScramSecrets::derive("", b"salt", 1), None);
        assert_eq!(format!("{:?}", decoy("x")), "ScramSecrets { iterations: 4096, .. }");
    }
}
