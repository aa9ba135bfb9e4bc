//! The stages of a session, as source and sink name them.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where in a session something happens.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The 220 of a new connection.
    Greeting,
    /// HELO, EHLO, LHLO and all that is no part of a transaction.
    Hello,
    /// STARTTLS.
    Tls,
    /// AUTH.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, and BDAT before the last.
    Data,
    /// The end of the message.
    Done,
}

impl Stage {
    const NAMES: [(Self, &str); 8] = [
        (Self::Greeting, "greeting"),
        (Self::Hello, "hello"),
        (Self::Tls, "tls"),
        (Self::Auth, "auth"),
        (Self::Mail, "mail"),
        (Self::Rcpt, "rcpt"),
        (Self::Data, "data"),
        (Self::Done, "done"),
    ];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(stage, _)| stage == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().find(|(_, name)| *name == text);
        known.map(|(stage, _)| *stage).ok_or_else(|| {
            let names: Vec<&str> = Self::NAMES.iter().map(|(_, name)| *name).collect();
            format!("'{text}' is no stage; there are {}", names.join(", "))
        })
    }
}
