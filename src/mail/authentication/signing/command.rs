//! What an admin can ask about keys, and what is answered: the lines of the admin socket.
//!
//! `{"dkim":"generate","domain":"x.example"}`. Unknown keys are refused. The DNS is asked by whoever
//! types, not by the server: only that one knows which resolver is meant.

use serde::{Deserialize, Serialize};

use super::key::Algorithm;

/// Asked about keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "dkim", rename_all = "lowercase", deny_unknown_fields)]
pub enum Command {
    /// Makes keys for a domain.
    Generate {
        /// Whose.
        domain: String,
        /// Its name in the DNS; with several algorithms, the beginning of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        selector: Option<String>,
        /// Not given: one of each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        algorithm: Option<Algorithm>,
        /// Of RSA.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bits: Option<u32>,
        /// They do not sign before [`Command::Switch`].
        #[serde(default)]
        pending: bool,
        /// Whether the domain's keys sign for its subdomains; not given: as it was, at first as the
        /// settings say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subdomains: Option<bool>,
    },
    /// Takes a key that was made elsewhere.
    Import {
        /// Whose.
        domain: String,
        /// Its name in the DNS.
        selector: String,
        /// The private key: PKCS#8 or PKCS#1.
        pem: String,
        /// It does not sign before [`Command::Switch`].
        #[serde(default)]
        pending: bool,
        /// As for [`Command::Generate`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subdomains: Option<bool>,
    },
    /// All keys, or those of a domain.
    List {
        /// Only its keys.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        domain: Option<String>,
    },
    /// Makes a pending key for each that signs.
    Prepare {
        /// Whose.
        domain: String,
    },
    /// Signs with the pending keys from now on; those they replace retire.
    Switch {
        /// Whose.
        domain: String,
    },
    /// Removes the keys that have been retired for long enough.
    Sweep {
        /// Whose.
        domain: String,
    },
    /// Removes a key for good.
    Remove {
        /// Whose.
        domain: String,
        /// Which.
        selector: String,
    },
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Mail is signed with it.
    Active,
    /// It is to be published, and signs later.
    Pending,
    /// It signs no more; its record is still needed for mail under way.
    Retired,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Retired => "retired",
        })
    }
}

/// The keys that a command made, changed or removed, or that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// By domain, state, algorithm.
    pub keys: Vec<KeyInfo>,
}

/// One key, without its secret. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// Whose.
    pub domain: String,
    /// Under which name.
    pub selector: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its size.
    pub bits: u32,
    /// What it is for.
    pub state: State,
    /// When it came.
    pub made: u64,
    /// When it began to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated: Option<u64>,
    /// When it ceased to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<u64>,
    /// From when on a retired key and its record may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removable: Option<u64>,
    /// Whether the domain's keys sign for its subdomains.
    pub subdomains: bool,
    /// The name of its record.
    pub name: String,
    /// What its record says.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = r#"{"dkim":"generate","domain":"x.test","algorithm":"rsa","pending":true}"#;
        let command: Command = serde_json::from_str(line).unwrap();
        let expected = Command::Generate {
            domain: "x.test".into(),
            selector: None,
            algorithm: Some(Algorithm::Rsa),
            bits: None,
            pending: true,
            subdomains: None,
        };
        assert_eq!(command, expected);
        let text = serde_json::to_string(&expected).unwrap();
        assert_eq!(serde_json::from_str::<Command>(&text).unwrap(), expected);
        for line in [
            r#"{"dkim":"dance","domain":"x.test"}"#,
            r#"{"dkim":"remove","domain":"x.test"}"#,
            r#"{"dkim":"switch","domain":"x.test","force":true}"#,
            r#"{"dkim":"generate","domain":"x.test","pendign":true}"#,
        ] {
            assert!(serde_json::from_str::<Command>(line).is_err(), "{line}");
        }
    }
}
