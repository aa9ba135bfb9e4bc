//! `BDAT` (RFC 3030 §2): a message in counted chunks.
//!
//! The octets of a chunk follow its command without waiting, so they are always read, whatever is
//! wrong, and the reply comes behind them. A `BDAT` whose count cannot be read ends the connection:
//! what follows may be a message or commands, and guessing is how smuggling works.

use super::{Answer, Asked, Flow, Outcome, Question, Server, State, Step, body::Part, replies};
use crate::types::{Enhanced, Moment, Reply};

/// A chunk that is being read.
#[derive(Debug)]
pub(super) struct Chunk {
    octets: u64,
    left: u64,
    last: bool,
    /// Why its octets are thrown away.
    refusal: Option<Reply>,
}

impl Server {
    pub(super) fn bdat(&mut self, now: Moment, argument: &str, out: &mut Vec<u8>) -> Outcome {
        let Some((octets, last)) = parse(argument) else {
            return Ok(Some(self.refuse(&replies::BDAT_SYNTAX, out)));
        };
        let mut chunk = Chunk { octets, left: octets, last, refusal: None };
        if let Err(reply) = self.ready_for_message() {
            chunk.refusal = Some(reply);
        }
        if chunk.refusal.is_none() && self.body.is_none() {
            self.state = State::Asked(Asked::FirstChunk(chunk));
            return Ok(Some(Step::Ask(Question::Data)));
        }
        self.begin_chunk(now, chunk);
        Ok(None)
    }

    fn begin_chunk(&mut self, now: Moment, chunk: Chunk) {
        self.arm_message(now);
        if let Some(body) = &mut self.body {
            let size = body.bytes().saturating_add(chunk.octets);
            if size > self.profile.limits.message_bytes_max {
                body.fail(replies::MESSAGE_TOO_BIG);
            }
        }
        self.state = State::Chunk(chunk);
    }

    pub(super) fn first_chunk_answered(
        &mut self,
        now: Moment,
        mut chunk: Chunk,
        answer: Answer,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        match answer.verdict() {
            Ok(()) => self.begin_message(now, false),
            Err(reply) => {
                self.forget();
                chunk.refusal = Some(reply);
            }
        }
        let empty = chunk.octets == 0;
        self.begin_chunk(now, chunk);
        // No input will come to end an empty chunk.
        if empty { self.chunk(now, b"", out).1 } else { None }
    }

    pub(super) fn chunk<'i>(
        &mut self,
        now: Moment,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let State::Chunk(chunk) = &mut self.state else {
            return (0, self.close_saying(replies::OUT_OF_STEP, out));
        };
        let octets = usize::try_from(chunk.left).unwrap_or(usize::MAX).min(input.len());
        let (used, part) = match &mut self.body {
            Some(body) if chunk.refusal.is_none() => body.read(&input[..octets]),
            _ => (octets, Part::More),
        };
        chunk.left -= used as u64;
        let flow = match part {
            Part::Piece(piece) => Some(Step::Body(piece)),
            Part::More | Part::End if chunk.left > 0 => Some(Step::NeedInput),
            Part::More | Part::End => self.chunk_ended(out),
        };
        if used > 0 {
            self.arm(now);
        }
        (used, flow)
    }

    fn chunk_ended(&mut self, out: &mut Vec<u8>) -> Flow<'static> {
        let State::Chunk(chunk) = &mut self.state else { return None };
        let (octets, last) = (chunk.octets, chunk.last);
        if let Some(reply) = chunk.refusal.take() {
            self.state = State::Command;
            if self.body.is_none() {
                self.message_deadline = Moment::NEVER;
            }
            return self.say(&reply, out);
        }
        if last {
            let end = self.body.as_mut().map_or(&b""[..], super::BodyReader::finish);
            return if end.is_empty() {
                self.message_ended(true, out)
            } else {
                // Then there is nothing left to finish, and the chunk ends again.
                Some(Step::Body(end))
            };
        }
        if self.body.as_ref().is_some_and(super::BodyReader::failed) {
            return self.message_ended(false, out);
        }
        self.state = State::Command;
        let text = format!("{octets} octets received");
        self.say(&Reply::made(250, Enhanced(2, 0, 0), text), out)
    }
}

/// `octets [LAST]`.
fn parse(argument: &str) -> Option<(u64, bool)> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let digits = words.next().filter(|word| word.bytes().all(|octet| octet.is_ascii_digit()))?;
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return None,
    };
    if words.next().is_some() {
        return None;
    }
    Some((digits.parse().ok()?, last))
}
