//! What a server keeps for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): enough to verify, not to log in.
//!
//! As a text it is Dovecot's: `iterations,salt,stored-key,server-key`, each in base64.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use aws_lc_rs::{digest, hmac, pbkdf2};
use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Octets of a salt at most.
const SALT_OCTETS_MAX: usize = 64;
const ITERATIONS_MAX: u32 = 5_000_000;
const PREFIX: &str = "{SCRAM-SHA-256}";

/// The secrets of one account.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramSecrets {
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// Its salt.
    pub salt: Vec<u8>,
    /// SHA-256 of the client key.
    pub stored_key: [u8; 32],
    /// The server key.
    pub server_key: [u8; 32],
}

impl ScramSecrets {
    /// Derives them from a password that needs no preparation.
    #[must_use]
    pub fn derive(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        let mut salted = [0; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password, &mut salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        Self {
            iterations: rounds.get(),
            salt: salt.to_vec(),
            stored_key: array(stored_key.as_ref()),
            server_key: array(server_key.as_ref()),
        }
    }
}

/// SHA-256 has 32 octets.
fn array(octets: &[u8]) -> [u8; 32] {
    octets.try_into().unwrap_or_default()
}

/// Without the secrets.
impl fmt::Debug for ScramSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramSecrets").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl fmt::Display for ScramSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [salt, stored, server] = [&self.salt[..], &self.stored_key, &self.server_key]
            .map(|octets| BASE64.encode(octets));
        write!(f, "{PREFIX}{},{salt},{stored},{server}", self.iterations)
    }
}

impl FromStr for ScramSecrets {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const MALFORMED: &str = "SCRAM secrets are `iterations,salt,stored key,server key`, \
                                 with 1 to 5000000 iterations and the rest in base64";
        let text = text.strip_prefix(PREFIX).unwrap_or(text);
        let mut parts = text.split(',');
        let iterations: u32 = parts.next().and_then(|part| part.parse().ok()).ok_or(MALFORMED)?;
        let mut octets = || BASE64.decode(parts.next()?.as_bytes()).ok();
        let (salt, stored, server) = (octets(), octets(), octets());
        let (Some(salt), Some(stored), Some(server), None) = (salt, stored, server, parts.next())
        else {
            return Err(MALFORMED);
        };
        let is_sound = (1..=ITERATIONS_MAX).contains(&iterations)
            && (1..=SALT_OCTETS_MAX).contains(&salt.len());
        let (Ok(stored_key), Ok(server_key), true) =
            (stored.try_into(), server.try_into(), is_sound)
        else {
            return Err(MALFORMED);
        };
        Ok(Self { iterations, salt, stored_key, server_key })
    }
}

impl Serialize for ScramSecrets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScramSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
