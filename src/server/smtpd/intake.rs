//! A message on its way in: its octets, its trace field, and the memory that it takes.
//!
//! What must stay true: the octets are written once, behind our Received field (RFC 5321 §4.4), into
//! the buffer that the queue stores; fields that are known only at its end have room before it; the
//! digest of the body is made while it arrives; the buffer never has room that the shard's budget has
//! not given. How it fails: 452 4.3.1, and the rest of the message is swallowed.

use std::iter;

use engine::shard::{Budget, Permit};
use mail::authentication::signing::BodyDigest;
use mail::queue::MessageId;
use memchr::memmem;
use proto::text::{Mending, Missing, Trace, mend_header, write_received};
use proto::types::{Enhanced, Reply, Timestamp};

use super::{arrived::Arrived, door::BLOCK_BYTES};

/// What a client hears when the shard's memory is spent.
pub(super) const MEMORY_SPENT: Reply =
    Reply::new(452, Enhanced(4, 3, 1), "Too much mail at once, try again later");

/// Room for a message whose size was not announced.
const BYTES_FIRST: usize = 8 << 10;
/// Room given on the word of a client: memory is for those who send, not for those who promise.
const BYTES_PROMISED_MAX: usize = 256 << 10;
/// Room for the trace field.
const TRACE_BYTES: usize = 512;
/// Room before it, for results of checks and signatures; more of them cost a copy of the message.
const FRONT_BYTES: u32 = 2 << 10;
/// What ends a header.
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

/// What will be asked of a message when it is whole.
#[derive(Clone, Copy, Default)]
pub(super) struct Plans {
    /// Fields may be put before it.
    pub amended: bool,
    /// The digest of its body.
    pub signed: bool,
}

/// The message.
pub(super) struct Intake {
    pub id: MessageId,
    /// Room, our Received field, what the client sends.
    message: Vec<u8>,
    permit: Permit,
    /// For the block that the connection reads through meanwhile.
    _block: Permit,
    /// Where our Received field begins. Small numbers, for every connection keeps room for them.
    front: u32,
    /// Where what the client sends begins.
    text_at: u32,
    /// Boxed: connections that wait would keep room for it.
    body: Option<Box<Body>>,
    /// It could not be kept whole: what still comes is of no use.
    spoilt: bool,
}

/// The body, as a signature sees it.
#[derive(Default)]
struct Body {
    digest: BodyDigest,
    /// Where it begins.
    at: Option<usize>,
}

impl Intake {
    /// Makes room for a message and writes its Received field. `declared` is what `SIZE=` said.
    pub fn begin(
        id: MessageId,
        trace: &Trace<'_>,
        declared: Option<u64>,
        plans: Plans,
        budget: &Budget,
    ) -> Result<Self, Reply> {
        let promised = declared.and_then(|size| usize::try_from(size).ok());
        let body = promised.map_or(BYTES_FIRST, |size| size.min(BYTES_PROMISED_MAX));
        let front = if plans.amended || plans.signed { FRONT_BYTES } else { 0 };
        let room = body.saturating_add(front as usize + TRACE_BYTES);
        let block = budget.try_take(BLOCK_BYTES).ok_or(MEMORY_SPENT)?;
        let permit = budget.try_take(room).ok_or(MEMORY_SPENT)?;
        let mut message = Vec::with_capacity(room);
        message.resize(front as usize, 0);
        write_received(trace, &mut message);
        // A trace field has some hundred octets.
        let text_at = u32::try_from(message.len()).map_err(|_| MEMORY_SPENT)?;
        let body = plans.signed.then(Box::default);
        Ok(Self { id, message, permit, _block: block, front, text_at, body, spoilt: false })
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
        let from = self.message.len();
        self.message.extend_from_slice(piece);
        if let Some(body) = &mut self.body {
            body.take(&self.message, self.text_at as usize, from);
        }
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
        let (before, text) = self.message.split_at(self.text_at as usize);
        let mending = mend_header(text, missing);
        permits(&mending)?;
        if mending.is_nothing() {
            return Ok(());
        }
        let pieces = || iter::once(before).chain(mending.pieces(text));
        let room = pieces().map(<[u8]>::len).sum::<usize>() + b"\r\n".len();
        // Both are there for a moment.
        if !self.permit.grow(room) {
            return Err(MEMORY_SPENT);
        }
        let mut mended = Vec::with_capacity(room);
        pieces().for_each(|piece| mended.extend_from_slice(piece));
        let before_bytes = std::mem::replace(&mut self.message, mended).len();
        self.permit.shrink_to(room);
        if let Some(body) = &mut self.body {
            body.move_to(&self.message, self.text_at as usize, before_bytes);
        }
        Ok(())
    }

    /// The message when it has come whole. BDAT may end without CRLF (RFC 3030), which the next hop's
    /// DATA could not express.
    pub fn finish(mut self) -> Result<Arrived, Reply> {
        if !self.message.ends_with(b"\r\n") {
            self.append(b"\r\n")?;
        }
        let Self { message, permit, front, text_at, body, .. } = self;
        let digest = body.map(|body| body.digest.finish());
        Ok(Arrived::new(message, front as usize..text_at as usize, digest, permit))
    }
}

impl Body {
    /// Digests what came of it: `message[from..]` is new.
    fn take(&mut self, message: &[u8], text_at: usize, from: usize) {
        if self.at.is_some() {
            return self.digest.update(&message[from..]);
        }
        // The trace field's line end counts: the header may be empty. The end may be cut anywhere.
        let seen = (text_at - b"\r\n".len()).max(from.saturating_sub(EMPTY_LINE.len() - 1));
        if let Some(found) = memmem::find(&message[seen..], EMPTY_LINE) {
            let at = seen + found + EMPTY_LINE.len();
            self.at = Some(at);
            self.digest.update(&message[at..]);
        }
    }

    /// The header has changed; the body has not, if it still is where it should be.
    fn move_to(&mut self, message: &[u8], text_at: usize, before_bytes: usize) {
        let at = self.at.map(|at| message.len().saturating_sub(before_bytes - at));
        match at.filter(|at| *at > text_at && message[..*at].ends_with(EMPTY_LINE)) {
            Some(at) => self.at = Some(at),
            None => {
                *self = Self::default();
                self.take(message, text_at, text_at);
            }
        }
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
        begin_for(Plans::default(), declared, budget)
    }

    fn begin_for(plans: Plans, declared: Option<u64>, budget: &Budget) -> Result<Intake, Reply> {
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
        Intake::begin(MessageId(1), &trace, declared, plans, budget)
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
        let arrived = intake.finish().unwrap();
        assert_eq!(arrived.hops, 1, "our own is not counted");
        let (message, permit) = arrived.into_message();
        let text = std::str::from_utf8(&message).unwrap();
        assert!(text.starts_with("Received: from client.test") && text.contains("from a by b"));
        assert!(text.ends_with("789\r\n"), "the last line is ended");
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

    const BOTH: Plans = Plans { amended: true, signed: true };

    fn digest_of(body: &[u8]) -> [u8; 32] {
        let mut digest = BodyDigest::new();
        digest.update(body);
        digest.finish()
    }

    /// With these pieces; the message, its header, and whether its digest is that of `body`.
    fn arrive(pieces: &[&[u8]], body: &[u8]) -> Arrived {
        let budget = Budget::new(1 << 20);
        let mut intake = begin_for(BOTH, None, &budget).unwrap();
        pieces.iter().for_each(|piece| intake.append(piece).unwrap());
        let arrived = intake.finish().unwrap();
        assert_eq!(arrived.digest(), Some(&digest_of(body)), "{pieces:?}");
        arrived
    }

    #[test]
    fn the_body_is_digested_however_it_is_cut() {
        let (header, body) = (&b"Subject: x\r\nFrom: a@b.test\r\n"[..], b"one\r\n\r\n two \r\n");
        let text = [header, b"\r\n", body].concat();
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(arrive(&pieces, body).header(), header);
            }
        }
        // No header, no body, and a body that wants its last line end.
        assert_eq!(arrive(&[b"\r", b"\nbody\r\n"], b"body\r\n").header(), b"");
        assert_eq!(arrive(&[b"Subject: x\r\n"], b"").header(), b"Subject: x\r\n");
        arrive(&[b"A: b\r\n\r\nbody"], b"body\r\n");
    }

    #[test]
    fn mending_leaves_the_digest_right() {
        let budget = Budget::new(1 << 20);
        let missing = Missing { date: Timestamp(0), id: "1", domain: "mx.test", from: None };
        for text in ["Subject: x\r\nBcc: y@z.test\r\n\r\nbody\r\n", "body\r\nof three\r\nlines\r\n"]
        {
            let mut intake = begin_for(BOTH, None, &budget).unwrap();
            intake.append(text.as_bytes()).unwrap();
            intake.mend(&missing, |_| Ok(())).unwrap();
            let arrived = intake.finish().unwrap();
            let whole = arrived.text();
            let body = memmem::find(&whole, EMPTY_LINE).unwrap() + EMPTY_LINE.len();
            assert!(!arrived.header().is_empty() && whole[body..].starts_with(b"body"));
            assert_eq!(arrived.digest(), Some(&digest_of(&whole[body..])));
        }
    }
}
