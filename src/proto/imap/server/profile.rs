//! What one listener's machines are made from: its bounds and its offers.

use std::time::Duration;

use crate::{
    imap::syntax::Bounds,
    sasl::{self, Mechanisms},
};

/// Every bound of one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command, all its lines and literals together but for messages, once somebody has
    /// logged in. RFC 7162 §4 wants lines of 8192 octets at least to be taken; clients that name
    /// many UIDs send longer ones.
    pub command_bytes_max: usize,
    /// Likewise before that. SASL answers are bounded by it too (RFC 9051 §6.2.2).
    pub login_command_bytes_max: usize,
    /// Octets of a literal that is kept, so not of a message.
    pub literal_bytes_max: usize,
    /// Likewise before login.
    pub login_literal_bytes_max: usize,
    /// Octets of a literal that the client does not wait to send, and that is refused: they are passed
    /// over up to this many, those of a message up to `append_bytes_max`, and with more the connection ends
    /// (RFC 7888 §4).
    pub refused_literal_bytes_max: u64,
    /// What one command may hold.
    pub bounds: Bounds,
    /// Octets of a message that is appended (RFC 7889).
    pub append_bytes_max: u64,
    /// Messages of one `APPEND` (RFC 3502).
    pub append_messages_max: u32,
    /// Commands that are `BAD`, after the last that was `OK` or before the login; with the next one the
    /// connection ends.
    pub errors_max: u32,
    /// Commands before login; with the next one the connection ends.
    pub login_commands_max: u32,
    /// Failed attempts to log in on one connection; the next one ends it.
    pub auth_failures_max: u32,
    /// Octets of names and passwords.
    pub sasl: sasl::Limits,
    /// From the greeting to a login.
    pub login_timeout: Duration,
    /// From the end of a command to that of the next, 30 minutes at least (RFC 9051 §5.4).
    pub idle_timeout: Duration,
    /// Between two pieces of a command that has begun, or of a message.
    pub data_timeout: Duration,
    /// A whole `APPEND`.
    pub append_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_bytes_max: 64 << 10,
            login_command_bytes_max: 12_288,
            literal_bytes_max: 32 << 10,
            login_literal_bytes_max: 2048,
            refused_literal_bytes_max: 1 << 20,
            bounds: Bounds { items_max: 10_000, depth_max: 32 },
            append_bytes_max: 64 << 20,
            append_messages_max: 1000,
            errors_max: 50,
            login_commands_max: 30,
            auth_failures_max: 3,
            sasl: sasl::Limits::default(),
            login_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(31 * 60),
            data_timeout: Duration::from_secs(300),
            append_timeout: Duration::from_secs(3600),
        }
    }
}

/// One listener as the machine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Our name in the greeting.
    pub hostname: Box<str>,
    /// What follows it, printable ASCII.
    pub banner_text: Box<str>,
    /// What `ID` tells of us (RFC 2971), field and value.
    pub id: Vec<(Box<str>, Box<str>)>,
    /// The bounds.
    pub limits: Limits,
    /// Whether `STARTTLS` is offered (RFC 9051 §6.2.1).
    pub starttls: bool,
    /// What `AUTHENTICATE` may be done with, each only where it makes sense: PLAIN and LOGIN under
    /// TLS, SCRAM-SHA-256-PLUS where the channel can be bound, EXTERNAL with a client certificate.
    pub mechanisms: Mechanisms,
    /// PLAIN and LOGIN, and the command `LOGIN`, without TLS too: for a network that nobody listens
    /// to.
    pub auth_in_the_clear: bool,
    /// Whether `COMPRESS=DEFLATE` is offered, behind a login (RFC 4978).
    pub compress: bool,
    /// Whether quotas are kept (RFC 9208).
    pub quota: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            hostname: "localhost".into(),
            banner_text: "Ringpost".into(),
            id: vec![("name".into(), "Ringpost".into())],
            limits: Limits::default(),
            starttls: false,
            mechanisms: Mechanisms::NONE,
            auth_in_the_clear: false,
            compress: false,
            quota: true,
        }
    }
}
