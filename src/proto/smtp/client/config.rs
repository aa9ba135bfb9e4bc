//! What the client is told once: its name, its protocol, its patience (RFC 5321 §4.5.3.2).

use std::time::Duration;

/// How long to wait for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection itself; kept by the driver.
    pub connect: Duration,
    /// For the 220 (§4.5.3.2.1).
    pub greeting: Duration,
    /// For the answer to EHLO, HELO, LHLO or STARTTLS.
    pub helo: Duration,
    /// For the answer to MAIL (§4.5.3.2.2) or RSET.
    pub mail: Duration,
    /// For the answer to each RCPT (§4.5.3.2.3).
    pub rcpt: Duration,
    /// For the 354 (§4.5.3.2.4).
    pub data_init: Duration,
    /// For sending a block of the message (§4.5.3.2.5).
    pub data_block: Duration,
    /// For the answer after the message (§4.5.3.2.6): shorter than a server's work means duplicates.
    pub data_done: Duration,
    /// For the answer to QUIT; nothing depends on it.
    pub quit: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        Self {
            connect: Duration::from_secs(30),
            greeting: minutes(5),
            helo: minutes(5),
            mail: minutes(5),
            rcpt: minutes(5),
            data_init: minutes(2),
            data_block: minutes(3),
            data_done: minutes(10),
            quit: Duration::from_secs(10),
        }
    }
}

/// What all connections of one kind share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The name we say in EHLO: ours, fully qualified, or an address literal.
    pub helo: Box<str>,
    /// Speak LMTP (RFC 2033).
    pub lmtp: bool,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Octets of one reply, all its lines; a longer one is hostile.
    pub reply_bytes_max: usize,
}

impl Config {
    /// SMTP with the times of the RFC.
    pub fn new(helo: &str) -> Self {
        Self {
            helo: helo.into(),
            lmtp: false,
            timeouts: Timeouts::default(),
            reply_bytes_max: 16 * 1024,
        }
    }
}
