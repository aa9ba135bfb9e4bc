//! The stages of a session, as source and sink name them.

use std::{fmt, str::FromStr};

use clap::ValueEnum;
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
    ValueEnum,
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

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No variant is hidden from the command line, so every one has a name.
        self.to_possible_value().map_or(Ok(()), |value| f.pad(value.get_name()))
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false).map_err(|_| {
            let names: Vec<String> = Self::value_variants().iter().map(Self::to_string).collect();
            format!("'{text}' is no stage; there are {}", names.join(", "))
        })
    }
}
