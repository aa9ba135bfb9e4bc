//! The envelope: who sent a message, to whom, and what was asked for (RFC 5321, RFC 3461).
//!
//! Immutable once accepted. What became of each recipient is the queue's own state and lives
//! beside it, so that an envelope is written once.

use serde::{Deserialize, Serialize};

use super::{Address, Authenticity, Timestamp};

/// What `BODY=` said (RFC 6152).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyKind {
    /// Only ASCII, or nothing was said.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME`.
    EightBit,
}

/// How much of the message a failure report returns (`RET=`, RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header only.
    Headers,
}

/// When a recipient's sender wants a report (`NOTIFY=`, RFC 3461 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// On successful delivery.
    pub success: bool,
    /// On failure.
    pub failure: bool,
    /// On delay.
    pub delay: bool,
}

impl Notify {
    /// `NOTIFY=NEVER`.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };
}

/// What holds when nothing was said: failure and delay are reported (RFC 3461 §4.1).
impl Default for Notify {
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

/// One recipient as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Where the mail goes.
    pub address: Address,
    /// `NOTIFY=`, when it was given: it is passed on only then.
    pub notify: Option<Notify>,
    /// `ORCPT=` as it was written, still in xtext (RFC 3461 §4.2), e.g. `rfc822;a+2Bb@x.org`.
    pub orcpt: Option<Box<str>>,
}

/// Everything that was said before the message itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The reverse-path; `None` is the null sender `<>`.
    pub sender: Option<Address>,
    /// The recipients, in the order they were given; never empty in the queue.
    pub recipients: Vec<Recipient>,
    /// `BODY=`.
    pub body: BodyKind,
    /// `SMTPUTF8` was given (RFC 6531): the header may hold UTF-8.
    pub smtputf8: bool,
    /// `RET=`.
    pub ret: Option<Ret>,
    /// `ENVID=` as it was written, still in xtext (RFC 3461 §4.4).
    pub envid: Option<Box<str>>,
    /// When the message was accepted.
    pub arrived: Timestamp,
    /// Octets of the stored message, Received line included.
    pub size: u64,
    /// How it came: `203.0.113.7`, `local`, `bounce` … for logs and lists.
    pub origin: Box<str>,
    /// `REQUIRETLS` was given (RFC 8689): to be passed on only to hosts that promise it too.
    pub require_tls: bool,
    /// Not to be delivered before (RFC 4865).
    pub hold_until: Option<Timestamp>,
    /// What checks of its origin found; `None` when nobody looked.
    pub authenticity: Option<Authenticity>,
}

impl Envelope {
    /// Policy would have it kept apart until somebody decides.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        self.authenticity.is_some_and(|found| found.is_quarantined)
    }

    /// When its delivery begins, and the time that it has for that (RFC 4865 §6).
    #[must_use]
    pub fn released(&self) -> Timestamp {
        self.hold_until.map_or(self.arrived, |until| until.max(self.arrived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The queue completes envelopes of its earlier forms with the last octets of these.
    #[test]
    fn what_was_added_last_is_stored_last() {
        let envelope = Envelope {
            sender: Address::parse("a@x.test").ok(),
            recipients: Vec::new(),
            body: BodyKind::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            arrived: Timestamp(7),
            size: 9,
            origin: "o".into(),
            require_tls: false,
            hold_until: None,
            authenticity: None,
        };
        let stored = b"\x01\x01a\x00\x06x.test\x00\x00\x00\x00\x00\x07\x09\x01o\x00\x00\x00";
        assert_eq!(postcard::to_stdvec(&envelope).unwrap(), stored);
        assert_eq!(postcard::from_bytes::<Envelope>(stored).unwrap(), envelope);
    }
}
