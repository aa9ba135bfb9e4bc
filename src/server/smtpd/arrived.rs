//! A message that has come whole, and what is still done to it before it is stored: fields are put on its
//! top, fields that lie are left out.
//!
//! What must stay true: what the client sent is not changed but for that; the message is not copied as
//! long as nothing is left out and the fields have the room that was kept for them. How it fails:
//! 452 4.3.1 when there is no memory for a copy.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use engine::shard::Permit;
use proto::text::scan_header;
use proto::types::Reply;

use super::intake::MEMORY_SPENT;

/// A message that has come whole, and may still get fields on its top.
pub(super) struct Arrived {
    octets: Bytes,
    front: usize,
    text_at: usize,
    header_end: usize,
    /// Received fields that it came with.
    pub hops: u32,
    digest: Option<[u8; 32]>,
    permit: Permit,
}

impl Arrived {
    /// `trace`: where our Received field stands; before it is room, behind it what the client sent.
    pub fn new(
        message: Vec<u8>,
        trace: Range<usize>,
        digest: Option<[u8; 32]>,
        permit: Permit,
    ) -> Self {
        let Range { start: front, end: text_at } = trace;
        let facts = scan_header(&message[text_at..]);
        Self {
            octets: Bytes::from(message),
            front,
            text_at,
            header_end: text_at + facts.header_bytes,
            hops: facts.received_count,
            digest,
            permit,
        }
    }

    /// What the client sent.
    pub fn text(&self) -> Bytes {
        self.octets.slice(self.text_at..)
    }

    /// Of that, the fields of the header, without the empty line.
    pub fn header(&self) -> &[u8] {
        &self.octets[self.text_at..self.header_end]
    }

    /// The digest of the body, if that was planned.
    pub fn digest(&self) -> Option<&[u8; 32]> {
        self.digest.as_ref()
    }

    /// Puts whole fields before the message, and leaves out these places of its header. Nothing is
    /// copied but the fields, as long as they have room and nothing is left out.
    pub fn amend(&mut self, fields: &[u8], leave_out: &[Range<usize>]) -> Result<(), Reply> {
        if !leave_out.is_empty() || fields.len() > self.front {
            return self.rebuild(fields, leave_out);
        }
        // Nobody else has it: unless a check that ran out of time still looks at it.
        let mut octets = std::mem::take(&mut self.octets)
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        let front = self.front - fields.len();
        octets[front..self.front].copy_from_slice(fields);
        self.front = front;
        self.octets = octets.freeze();
        Ok(())
    }

    fn rebuild(&mut self, fields: &[u8], leave_out: &[Range<usize>]) -> Result<(), Reply> {
        let (text_at, octets) = (self.text_at, &self.octets);
        let dropped: usize = leave_out.iter().map(Range::len).sum();
        let room = fields.len() + octets.len() - self.front - dropped;
        // Both are there for a moment.
        if !self.permit.grow(room) {
            return Err(MEMORY_SPENT);
        }
        let mut message = Vec::with_capacity(room);
        message.extend_from_slice(fields);
        let mut at = self.front;
        for place in leave_out {
            message.extend_from_slice(&octets[at..text_at + place.start]);
            at = text_at + place.end;
        }
        message.extend_from_slice(&octets[at..]);
        self.text_at = fields.len() + text_at - self.front;
        self.header_end = fields.len() + self.header_end - self.front - dropped;
        self.front = 0;
        self.octets = message.into();
        self.permit.shrink_to(room);
        Ok(())
    }

    /// The message as it is stored, and the permit that covers it.
    pub fn into_message(self) -> (Bytes, Permit) {
        (self.octets.slice(self.front..), self.permit)
    }
}

#[cfg(test)]
mod tests {
    use engine::shard::Budget;

    use super::*;

    const TRACE: &[u8] = b"Received: from client.test\r\n";
    const FRONT: usize = 100;

    fn arrive(text: &[u8]) -> Arrived {
        let message = [&[0; FRONT][..], TRACE, text].concat();
        let permit = Budget::new(1 << 20).try_take(message.len()).unwrap();
        Arrived::new(message, FRONT..FRONT + TRACE.len(), None, permit)
    }

    #[test]
    fn fields_are_put_on_top_and_places_left_out() {
        let text: &[u8] = b"A: 1\r\nB: 2\r\nC: 3\r\n\r\nbody\r\n";
        let field = |octets: usize| [b"X: ", &vec![b'x'; octets][..], b"\r\n"].concat();
        let none: &[(usize, usize)] = &[];
        for (octets, places) in
            [(10, none), (10, &[(6, 12)]), (2 * FRONT, none), (2 * FRONT, &[(0, 6), (12, 18)])]
        {
            let leave_out: Vec<_> = places.iter().map(|(from, to)| *from..*to).collect();
            let mut arrived = arrive(text);
            let held = (octets == 10).then(|| arrived.text());
            let field = field(octets);
            arrived.amend(&field, &leave_out).unwrap();
            arrived.amend(b"Y: last\r\n", &[]).unwrap();
            let kept: Vec<u8> = text
                .iter()
                .enumerate()
                .filter(|(at, _)| !leave_out.iter().any(|place: &Range<usize>| place.contains(at)))
                .map(|(_, octet)| *octet)
                .collect();
            assert_eq!(arrived.text(), kept);
            assert_eq!(arrived.header(), &kept[..kept.len() - b"\r\nbody\r\n".len()]);
            assert!(held.is_none_or(|held| held == text), "whoever looks at it sees it as it was");
            let (message, permit) = arrived.into_message();
            assert!(permit.bytes() >= message.len());
            let top = [&b"Y: last\r\n"[..], &field, b"Received: from client.test"].concat();
            assert!(message.starts_with(&top) && message.ends_with(&kept));
        }
    }
}
