//! A message on its way in: its octets, its trace field, and the memory that it takes.
//!
//! What must stay true: the octets are written once, behind our Received field (RFC 5321 §4.4), into
//! the buffer that the queue stores; the buffer never has room that the shard's budget has not
//! given. How it fails: 452 4.3.1, and the rest of the message is swallowed.

use std::iter;

use bytes::Bytes;
use engine::shard::{Budget, Permit};
use mail::queue::MessageId;
use proto::text::{Mending, Missing, Trace, mend_header, scan_header, write_received};
use proto::types::{Enhanced, Reply, Timestamp};

use super::door::BLOCK_BYTES;

/// What a client hears when the shard's memory is spent.
pub(super) const MEMORY_SPENT: Reply =
    Reply::new(452, Enhanced(4, 3, 1), "Too much mail at once, try again later");

/// Room for a message whose size was not announced.
const BYTES_FIRST: usize = 8 << 10;
/// Room given on the word of a client: memory is for those who send, not for those who promise.
const BYTES_PROMISED_MAX: usize = 256 << 10;
/// Room for the trace field.
const TRACE_BYTES: usize = 512;

/// The message.
pub(super) struct Intake {
    pub id: MessageId,
    message: Vec<u8>,
    permit: Permit,
    /// For the block that the connection reads through meanwhile.
    _block: Permit,
    /// Octets of our Received field.
    trace_bytes: usize,
    /// It could not be kept whole: what still comes is of no use.
    spoilt: bool,
}

impl Intake {
    /// Makes room for a message and writes its Received field. `declared` is what `SIZE=` said.
    pub fn begin(
        id: MessageId,
        trace: &Trace<'_>,
        declared: Option<u64>,
        budget: &Budget,
    ) -> Result<Self, Reply> {
        let promised = declared.and_then(|size| usize::try_from(size).ok());
        let body = promised.map_or(BYTES_FIRST, |size| size.min(BYTES_PROMISED_MAX));
        let room = body.saturating_add(TRACE_BYTES);
        let block = budget.try_take(BLOCK_BYTES).ok_or(MEMORY_SPENT)?;
        let permit = budget.try_take(room).ok_or(MEMORY_SPENT)?;
        let mut message = Vec::with_capacity(room);
        write_received(trace, &mut message);
        let trace_bytes = message.len();
        Ok(Self { id, message, permit, _block: block, trace_bytes, spoilt: false })
    }

    /// Adds a piece. An error is told once; the message is given up then, and its memory with it.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), Reply> {
        if self.spoilt {
            return Ok(());
        }
        let needed = self.message.len() + piece.len();
        if needed > self.message.capacity()
            && let Err(reply) = self.grow(needed)
        {
            self.spoilt = true;
            self.message = Vec::new();
            self.permit.shrink_to(0);
            return Err(reply);
        }
        self.message.extend_from_slice(piece);
        Ok(())
    }

    /// By half, so that growing stays cheap; by what is needed when memory is short.
    fn grow(&mut self, needed: usize) -> Result<(), Reply> {
        let roomy = needed.saturating_add(needed / 2);
        let room = [roomy, needed]
            .into_iter()
            .find(|room| self.permit.grow(room.saturating_sub(self.permit.bytes())))
            .ok_or(MEMORY_SPENT)?;
        self.message.reserve_exact(room - self.message.len());
        Ok(())
    }

    /// Mends what a mail program left to us (RFC 6409 §8), if `permits` finds nothing in the header
    /// that forbids it.
    pub fn mend(
        &mut self,
        missing: &Missing<'_>,
        permits: impl FnOnce(&Mending) -> Result<(), Reply>,
    ) -> Result<(), Reply> {
        let (trace, text) = self.message.split_at(self.trace_bytes);
        let mending = mend_header(text, missing);
        permits(&mending)?;
        if mending.is_nothing() {
            return Ok(());
        }
        let pieces = || iter::once(trace).chain(mending.pieces(text));
        let room = pieces().map(<[u8]>::len).sum::<usize>() + b"\r\n".len();
        // Both are there for a moment.
        if !self.permit.grow(room) {
            return Err(MEMORY_SPENT);
        }
        let mut mended = Vec::with_capacity(room);
        pieces().for_each(|piece| mended.extend_from_slice(piece));
        self.message = mended;
        self.permit.shrink_to(room);
        Ok(())
    }

    /// The message as it is stored, the permit that covers it, and how many Received fields it came
    /// with. BDAT may end without CRLF (RFC 3030), which the next hop's DATA could not express.
    pub fn finish(mut self) -> Result<(Bytes, Permit, u32), Reply> {
        if !self.message.ends_with(b"\r\n") {
            self.append(b"\r\n")?;
        }
        let hops = scan_header(&self.message).received_count.saturating_sub(1);
        Ok((Bytes::from(self.message), self.permit, hops))
    }
}

/// The trace field of a message that arrives now.
pub(super) fn trace<'a>(
    by: &'a str,
    id: &'a str,
    peer: Option<std::net::IpAddr>,
    machine: &'a proto::smtp::server::Server,
    tls: Option<&'a str>,
    at: Timestamp,
) -> Trace<'a> {
    let for_ = match machine.recipients() {
        [only] => Some(&only.address),
        _ => None,
    };
    Trace {
        helo: if peer.is_some() { machine.helo() } else { by },
        peer,
        peer_name: None,
        by,
        with: machine.with(),
        tls,
        id,
        for_,
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(declared: Option<u64>, budget: &Budget) -> Result<Intake, Reply> {
        let trace = Trace {
            helo: "client.test",
            peer: Some([192, 0, 2, 7].into()),
            peer_name: None,
            by: "mx.test",
            with: "ESMTP",
            tls: None,
            id: "0000000000001",
            for_: None,
            at: Timestamp(0),
        };
        Intake::begin(MessageId(1), &trace, declared, budget)
    }

    #[test]
    fn a_message_is_its_trace_field_and_its_pieces() {
        let budget = Budget::new(1 << 20);
        let mut intake = begin(None, &budget).unwrap();
        let line = b"Received: from a by b; now\r\n";
        intake.append(line).unwrap();
        for _ in 0..5000 {
            intake.append(b"0123456789").unwrap();
        }
        assert!(budget.used() >= 50_000);
        let (message, permit, hops) = intake.finish().unwrap();
        let text = std::str::from_utf8(&message).unwrap();
        assert!(text.starts_with("Received: from client.test") && text.contains("from a by b"));
        assert!(text.ends_with("789\r\n"), "the last line is ended");
        assert_eq!(hops, 1, "our own is not counted");
        drop(permit);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn spent_memory_refuses_and_comes_back() {
        let budget = Budget::new(20_000 + 2 * BLOCK_BYTES);
        assert_eq!(begin(Some(90_000), &budget).err(), Some(MEMORY_SPENT));
        let mut first = begin(None, &budget).unwrap();
        let mut second = begin(None, &budget).unwrap();
        first.append(&[b'x'; 8000]).unwrap();
        second.append(&[b'x'; 8000]).unwrap();
        assert_eq!(first.append(&[b'x'; 8000]), Err(MEMORY_SPENT));
        assert_eq!(first.append(&[b'x'; 8000]), Ok(()), "told once");
        second.append(&[b'x'; 8000]).unwrap();
        assert!(second.message.capacity() <= budget.used());
    }
}
