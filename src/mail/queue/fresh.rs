//! Mail that has just come, kept in memory so that its first attempt reads nothing from the disk.
//!
//! What must stay true: it never holds more octets than it may. When it is full, newcomers are not
//! kept: those that are kept already are due sooner. (Were the oldest thrown out instead, a backlog
//! longer than the memory would find each message gone just when it is due.)

use std::{collections::HashMap, rc::Rc};

use bytes::Bytes;
use foldhash::fast::RandomState;
use proto::types::Envelope;

use super::MessageId;

/// About what an entry costs beside its body and its recipients.
const ENTRY_BYTES: usize = 512;
/// About what a recipient costs.
const RECIPIENT_BYTES: usize = 128;

/// Envelopes and bodies by id.
#[derive(Debug)]
pub(super) struct Fresh {
    kept: HashMap<MessageId, (Rc<Envelope>, Bytes), RandomState>,
    bytes: usize,
    bytes_max: usize,
}

impl Fresh {
    pub fn new(bytes_max: usize) -> Self {
        Self { kept: HashMap::default(), bytes: 0, bytes_max }
    }

    pub fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    pub fn insert(&mut self, id: MessageId, envelope: Envelope, body: Bytes) {
        let cost = cost(&envelope, &body);
        if self.bytes.saturating_add(cost) <= self.bytes_max {
            self.bytes += cost;
            self.kept.insert(id, (Rc::new(envelope), body));
        }
    }

    pub fn envelope(&self, id: MessageId) -> Option<Rc<Envelope>> {
        self.kept.get(&id).map(|(envelope, _)| Rc::clone(envelope))
    }

    pub fn body(&self, id: MessageId) -> Option<Bytes> {
        self.kept.get(&id).map(|(_, body)| body.clone())
    }

    pub fn remove(&mut self, id: MessageId) {
        if let Some((envelope, body)) = self.kept.remove(&id) {
            self.bytes -= cost(&envelope, &body);
        }
    }
}

fn cost(envelope: &Envelope, body: &Bytes) -> usize {
    body.len() + ENTRY_BYTES + envelope.recipients.len() * RECIPIENT_BYTES
}

#[cfg(test)]
mod tests {
    use proto::types::{BodyKind, Timestamp};

    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_the_oldest() {
        let envelope = Envelope {
            sender: None,
            recipients: Vec::new(),
            body: BodyKind::SevenBit,
            smtputf8: false,
            ret: None,
            envid: None,
            arrived: Timestamp(0),
            size: 0,
            origin: "test".into(),
            require_tls: false,
            hold_until: None,
            authenticity: None,
        };
        let mut fresh = Fresh::new(3000);
        let body = Bytes::from(vec![b'x'; 800]);
        for id in 1..=3 {
            fresh.insert(MessageId(id), envelope.clone(), body.clone());
        }
        let kept = |fresh: &Fresh, id| fresh.body(MessageId(id)).is_some();
        assert!(kept(&fresh, 1) && kept(&fresh, 2) && !kept(&fresh, 3));
        fresh.remove(MessageId(1));
        fresh.remove(MessageId(1));
        fresh.insert(MessageId(4), envelope, body);
        assert!(fresh.envelope(MessageId(4)).is_some() && fresh.bytes == 2 * (800 + ENTRY_BYTES));
    }
}
