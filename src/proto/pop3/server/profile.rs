//! What one listener promises: its name, its extensions and its limits.
//!
//! Values are fixed while a connection lasts; the driver builds one [`Profile`] a listener and shard
//! when settings are loaded, and every machine of that shard shares it without a lock.

use std::time::Duration;

use crate::sasl::{self, Mechanisms};

/// How long messages stay on the server when nobody deletes them (RFC 2449 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// They stay.
    #[default]
    Never,
    /// So many days at least.
    Days(u32),
}

/// Every bound of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line with its CRLF. RFC 2449 §4 has 255; clients break that with `AUTH PLAIN`
    /// and its initial response, and a password may be as long as [`sasl::Limits`] allow.
    pub command_bytes_max: usize,
    /// Refused commands since the last message was sent or the maildrop was opened; the next one ends
    /// the connection. What is refused through no fault of the client does not count.
    pub errors_max: u32,
    /// Failed attempts to log in on one connection; the next one ends it.
    pub auth_failures_max: u32,
    /// Commands before somebody has logged in; the next one ends the connection.
    pub commands_before_login_max: u32,
    /// Octets of names and passwords.
    pub sasl: sasl::Limits,
    /// Octets of replies that are gathered before they are sent. A single reply may go beyond it.
    pub out_bytes_max: usize,
    /// From the connection to a maildrop, whatever is said on the way.
    pub login_timeout: Duration,
    /// From a reply to the end of the next command; 10 minutes or more (RFC 1939 §3).
    pub command_timeout: Duration,
    /// Until the client has taken what was sent last of a message or list.
    pub send_timeout: Duration,
    /// The whole connection, for nobody else gets the maildrop meanwhile.
    pub session_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_bytes_max: 2048,
            errors_max: 20,
            auth_failures_max: 3,
            commands_before_login_max: 50,
            sasl: sasl::Limits::default(),
            out_bytes_max: 16 << 10,
            login_timeout: Duration::from_secs(180),
            command_timeout: Duration::from_secs(600),
            send_timeout: Duration::from_secs(300),
            session_timeout: Duration::from_secs(4 * 3600),
        }
    }
}

/// One listener as the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Our name in the greeting and behind `QUIT`.
    pub hostname: Box<str>,
    /// What follows the name in the greeting, and is told as IMPLEMENTATION unless it is empty; printable
    /// ASCII without angle brackets, which would promise `APOP` (RFC 1939 §7).
    pub banner_text: Box<str>,
    /// The bounds.
    pub limits: Limits,
    /// Whether `STLS` is offered (RFC 2595).
    pub starttls: bool,
    /// What `AUTH` may be done with (RFC 5034). Each is offered only where it makes sense: PLAIN and
    /// LOGIN under TLS, SCRAM-SHA-256-PLUS where the channel can be bound, EXTERNAL with a client
    /// certificate. `USER` and `PASS` are offered where PLAIN or LOGIN is.
    pub mechanisms: Mechanisms,
    /// PLAIN, LOGIN and `USER` without TLS too: for a network that nobody listens to.
    pub auth_in_the_clear: bool,
    /// What is told as EXPIRE; `None`: nothing.
    pub expire: Option<Expiry>,
    /// What is told as LOGIN-DELAY, in seconds; 0: nothing. The driver keeps count, and answers
    /// [`super::Question::Open`] with [`super::Code::LoginDelay`].
    pub login_delay_s: u32,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            banner_text: "Ringpost".into(),
            limits: Limits::default(),
            starttls: false,
            mechanisms: Mechanisms::NONE,
            auth_in_the_clear: false,
            expire: Some(Expiry::Never),
            login_delay_s: 0,
        }
    }
}
