//! SASL (RFC 4422): the server's half of an exchange, and as much of the client's as we need.
//!
//! An [`Exchange`] is fed what the client answers, without the encoding of the protocol around it,
//! and says what comes next. It knows no account: whether a [`Proof`] does is the caller's to say,
//! who looks it up as long as that takes. What must stay true:
//! - success is said only behind [`Answer::Granted`] and, in SCRAM, a proof that is right;
//! - an exchange that has failed or succeeded says nothing more, whatever it is fed;
//! - nothing that a client sends is kept beyond [`Limits`], and passwords are wiped when dropped.
//!
//! How it fails: see [`Failure`]. Nothing here reads a clock, draws a random number or waits: the
//! caller gives the nonce together with the secrets it is asked for.
//!
//! Files: `mechanism` names what there is, `exchange` is the machine, `plain` and `scram` read and
//! write the messages, `prepare` makes two spellings of one password one, `client` is the other end.

mod client;
mod exchange;
mod mechanism;
mod plain;
mod prepare;
mod scram;
#[cfg(test)]
mod tests;

use std::fmt;

pub use client::{Binding, ScramClient, ScramEnd, plain_response};
pub use exchange::{Exchange, Setup};
pub use mechanism::{Mechanism, Mechanisms};
pub use prepare::{Password, prepare_password};
pub use scram::{Nonce, ScramSecrets};

/// What an exchange may take in, in octets of UTF-8 as sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of an identity: whom to be, or whom to act for.
    pub identity_octets_max: usize,
    /// Of a password.
    pub password_octets_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { identity_octets_max: 255, password_octets_max: 1024 }
    }
}

/// What TLS knows of the client's end and of its own; all empty without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    /// `tls-exporter` (RFC 9266): 32 octets under `EXPORTER-Channel-Binding` with an empty context.
    /// Under TLS 1.2 only with the extended master secret.
    pub exporter: Option<[u8; 32]>,
    /// `tls-server-end-point` (RFC 5929 §4): the hash of our certificate.
    pub end_point: Option<Box<[u8]>>,
    /// Whom the client's certificate names, when there is one and it was verified.
    pub certificate: Option<Box<str>>,
}

impl Channel {
    /// Whether SCRAM can be bound to this connection.
    #[must_use]
    pub const fn can_bind(&self) -> bool {
        self.exporter.is_some() || self.end_point.is_some()
    }

    /// The data of a binding by its registered name.
    fn binding(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_ref().map(|octets| &octets[..]),
            "tls-server-end-point" => self.end_point.as_deref(),
            _ => None,
        }
    }
}

/// Who somebody is, and who they want to act as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// How it was proved.
    pub mechanism: Mechanism,
    /// Whose password, secrets or certificate it is.
    pub authentication: Box<str>,
    /// Whom they act for: the same, unless the client asked for another.
    pub authorization: Box<str>,
}

impl Identity {
    fn new(
        mechanism: Mechanism,
        authentication: Box<str>,
        authorization: Option<Box<str>>,
    ) -> Self {
        let authorization = authorization.unwrap_or_else(|| authentication.clone());
        Self { mechanism, authentication, authorization }
    }
}

/// What the caller is to judge. In every case: may [`Identity::authentication`] log in, and act as
/// [`Identity::authorization`]?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Is this their password?
    Password {
        /// Who they say they are.
        identity: Identity,
        /// What they say to prove it.
        password: Password,
    },
    /// What are the SCRAM secrets of this identity? For one without any, or unknown, answer
    /// [`ScramSecrets::decoy`]: anything else tells a stranger who exists.
    Secrets {
        /// Who they say they are; nothing is proved yet.
        authentication: Box<str>,
    },
    /// They have answered the challenge, rightly or not; a wrong answer is asked about too, so that
    /// guessing is noticed, and fails whatever is answered.
    Scram {
        /// Who they say they are.
        identity: Identity,
        /// They know the password.
        right: bool,
    },
    /// The certificate was verified: may its owner log in?
    Certificate {
        /// Whom it names.
        identity: Identity,
    },
}

/// The caller's judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Granted,
    /// No; why is nobody's business.
    Denied,
    /// It cannot be known now.
    Unavailable,
    /// To [`Proof::Secrets`], and a nonce that was never used before.
    Secrets(Box<ScramSecrets>, Nonce),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this, empty or not, and feed what the client answers.
    Challenge(Vec<u8>),
    /// Judge [`Exchange::proof`], then [`Exchange::answer`].
    Ask,
    /// They are who they say. There is nothing more to send.
    Success(Identity),
    /// It is over.
    Failure(Failure),
}

/// Why an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A message breaks the mechanism's grammar, or came out of turn.
    #[error("malformed message")]
    Malformed,
    /// Not proved, or not allowed.
    #[error("invalid credentials")]
    Wrong,
    /// The channel binding is missing, of another connection, or the offer was tampered with.
    #[error("channel binding does not match")]
    Binding,
    /// The caller could not tell.
    #[error("temporarily unavailable")]
    Unavailable,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authentication)?;
        if self.authorization != self.authentication {
            write!(f, " as {}", self.authorization)?;
        }
        Ok(())
    }
}
