//! SCRAM secrets as a text: Dovecot's, `iterations,salt,stored-key,server-key`, each but the first in
//! base64. What is read is bounded, since it may come from a file that somebody else wrote.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ScramSecrets;

/// Octets of a salt at most.
const SALT_OCTETS_MAX: usize = 64;
const ITERATIONS_MAX: u32 = 5_000_000;
const PREFIX: &str = "{SCRAM-SHA-256}";

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
        Ok(Self { iterations, salt: salt.into(), stored_key, server_key })
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
