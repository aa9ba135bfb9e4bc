//! Delivery status notifications (RFC 3464, RFC 6522, RFC 6533).
//!
//! What must stay true: a report is a whole message with CRLF lines of at most 998 octets (the
//! returned original apart, which is passed on as it came), its boundary occurs nowhere in the
//! original, and nothing that a peer said can add a header line. Writing cannot fail.

#[cfg(test)]
mod tests;
mod write;
mod xtext;

pub use write::write;
pub use xtext::{decode_xtext, encode_xtext};

use crate::types::{Address, Enhanced, Envelope, Recipient, Reply, Timestamp};

/// What a report tells about its recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The message was not delivered and will not be.
    Failed,
    /// Not delivered yet.
    Delayed {
        /// When the queue gives up.
        until: Timestamp,
    },
    /// Delivered, and the sender asked to be told.
    Delivered,
    /// Handed to a server that reports no successes (RFC 3461 §5.2.2).
    Relayed,
    /// Delivered to the members of a list (RFC 3461 §5.2.7.3).
    Expanded,
}

/// One report.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What happened.
    pub kind: Kind,
    /// Our own name.
    pub reporting_mta: &'a str,
    /// Who is told: the envelope's sender.
    pub to: &'a Address,
    /// The original's envelope.
    pub envelope: &'a Envelope,
    /// The original's queue id.
    pub id: &'a str,
    /// The report's own queue id: seed of its Message-ID and its boundary.
    pub new_id: &'a str,
    /// When the report is made.
    pub at: Timestamp,
    /// The recipients it is about.
    pub recipients: &'a [Entry<'a>],
    /// The original message, whole.
    pub original: &'a [u8],
}

/// What became of one recipient.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Who.
    pub recipient: &'a Recipient,
    /// The server that said it, by name.
    pub remote_mta: Option<&'a str>,
    /// The outcome.
    pub status: Enhanced,
    /// What the server said.
    pub diagnostic: Option<&'a Reply>,
    /// When it was tried last.
    pub last_attempt: Timestamp,
    /// When the queue gives up (delays only).
    pub will_retry_until: Option<Timestamp>,
}
