//! What one listener promises: its name, its protocol and its limits.
//!
//! Values are fixed while a connection lasts; the driver builds one [`Profile`] a listener and
//! shard when settings are loaded, and every machine of that shard shares it without a lock.

use std::time::Duration;

use crate::sasl::{self, Mechanisms};

/// Which dialect a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 5321.
    #[default]
    Smtp,
    /// RFC 2033: `LHLO`, and one reply for each accepted recipient after the data.
    Lmtp,
}

/// What becomes of a CR or LF that is not part of a CRLF, and of a NUL.
///
/// Only CRLF.CRLF ends a message in either case, so neither lets commands be smuggled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEndings {
    /// The message is read to its real end and refused with 550 5.6.11; a command is refused.
    #[default]
    Refuse,
    /// Each becomes CRLF and a NUL is dropped; a command may end with LF.
    Fix,
}

/// Every bound of one connection. The defaults are those of RFC 5321 §4.5.3, where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message, without dot-stuffing (RFC 1870).
    pub message_bytes_max: u64,
    /// Accepted recipients of one message; the next is told 452 (RFC 5321 §4.5.3.1.8).
    pub recipients_max: u32,
    /// `MAIL` commands on one connection; the next is told 421 (RFC 9422 §4.1).
    pub messages_max: u32,
    /// Refused commands since the last accepted message; the next one is told 421.
    pub errors_max: u32,
    /// Failed attempts to log in on one connection; the next one is told 421.
    pub auth_failures_max: u32,
    /// Octets of names and passwords.
    pub sasl: sasl::Limits,
    /// Octets of a command line with its CRLF. RFC 5321 §4.5.3.1.4 has 512, and the parameters
    /// of the extensions lengthen it (RFC 3461 §4 alone by 500).
    pub command_bytes_max: usize,
    /// Octets of a line of text with its CRLF, stuffed dot not counted (RFC 5321 §4.5.3.1.6).
    pub text_line_bytes_max: usize,
    /// Octets of a message's header.
    pub header_bytes_max: usize,
    /// From a reply to the end of the next command (RFC 5321 §4.5.3.2.7).
    pub command_timeout: Duration,
    /// Between two blocks of a message.
    pub data_timeout: Duration,
    /// From 354 or the first `BDAT` to the end of the message.
    pub message_timeout: Duration,
    /// The whole connection.
    pub session_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 64 << 20,
            recipients_max: 100,
            messages_max: 1000,
            errors_max: 20,
            auth_failures_max: 3,
            sasl: sasl::Limits::default(),
            command_bytes_max: 2048,
            text_line_bytes_max: 1000,
            header_bytes_max: 128 << 10,
            command_timeout: Duration::from_secs(300),
            data_timeout: Duration::from_secs(300),
            message_timeout: Duration::from_secs(3600),
            session_timeout: Duration::from_secs(4 * 3600),
        }
    }
}

/// One listener as the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Our name in the greeting, in `EHLO` and behind a bare `Postmaster` (RFC 5321 §4.1.3).
    pub hostname: Box<str>,
    /// What follows hostname and protocol in the greeting, printable ASCII.
    pub banner_text: Box<str>,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Bare CR, bare LF, NUL.
    pub line_endings: LineEndings,
    /// The bounds.
    pub limits: Limits,
    /// Whether `STARTTLS` is offered (RFC 3207).
    pub starttls: bool,
    /// What `AUTH` may be done with (RFC 4954). Each is offered only where it makes sense: PLAIN and
    /// LOGIN under TLS, SCRAM-SHA-256-PLUS where the channel can be bound, EXTERNAL with a client
    /// certificate.
    pub mechanisms: Mechanisms,
    /// PLAIN and LOGIN without TLS too: for a network that nobody listens to.
    pub auth_in_the_clear: bool,
    /// Nobody sends without `AUTH` (RFC 6409 §4.3).
    pub auth_required: bool,
    /// Whether `REQUIRETLS` is offered, under TLS (RFC 8689).
    pub require_tls: bool,
    /// How long a message may be held before it is released (RFC 4865); `None`: not offered. Needs
    /// [`Server::set_clock`](super::Server::set_clock).
    pub future_release_max: Option<Duration>,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            banner_text: "Ringpost".into(),
            protocol: Protocol::Smtp,
            line_endings: LineEndings::Refuse,
            limits: Limits::default(),
            starttls: false,
            mechanisms: Mechanisms::NONE,
            auth_in_the_clear: false,
            auth_required: false,
            require_tls: false,
            future_release_max: None,
        }
    }
}
