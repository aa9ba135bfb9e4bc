//! The mail transaction: from an accepted `MAIL` to the end of its message (RFC 5321 §3.3).

use crate::types::{Address, BodyKind, Envelope, Recipient, Ret, Timestamp};

/// What `MAIL` and `RCPT` have said so far.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub sender: Option<Address>,
    pub size: Option<u64>,
    pub body: BodyKind,
    pub smtputf8: bool,
    pub ret: Option<Ret>,
    pub envid: Option<Box<str>>,
    /// RFC 8689.
    pub require_tls: bool,
    /// RFC 4865.
    pub hold_until: Option<Timestamp>,
    pub recipients: Vec<Recipient>,
    /// How many were accepted; it stays when the envelope has taken them (LMTP owes each a reply).
    pub accepted: u32,
    /// Some `RCPT` was refused.
    pub refused: bool,
    /// The one the driver is asked about.
    pub candidate: Option<Recipient>,
}

impl Transaction {
    pub(super) fn take_envelope(&mut self, at: Timestamp, origin: &str, size: u64) -> Envelope {
        Envelope {
            sender: self.sender.take(),
            recipients: std::mem::take(&mut self.recipients),
            body: self.body,
            smtputf8: self.smtputf8,
            ret: self.ret,
            envid: self.envid.take(),
            arrived: at,
            size,
            origin: origin.into(),
            require_tls: self.require_tls,
            hold_until: self.hold_until,
            authenticity: None,
        }
    }
}
