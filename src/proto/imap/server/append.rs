//! `APPEND`: messages pass through in pieces (RFC 9051 §6.3.12, RFC 3502).
//!
//! The driver says before each message whether it may come, so that a client that waits is refused
//! before it sends, and puts them all into the mailbox at the end, or none. What must stay true: as
//! many octets are passed on as were announced, or `is_appending` ends without the question.

use super::{Answer, Asked, Flow, Question, Server, State, Step, replies};
use crate::{
    imap::{
        command::{Message, next_message},
        respond::Completion,
        syntax::{Fault, LiteralMark},
    },
    types::Moment,
};

impl Server {
    /// While a message arrives: pass over the rest, then say `completion` instead of asking to append.
    pub fn discard(&mut self, completion: Completion) {
        let left = match self.state {
            State::Message(left) => left,
            State::MessageEnd => 0,
            _ => return,
        };
        self.message = None;
        self.refused = Some(Box::new(completion));
        self.state = State::Skip(left);
    }

    /// A message is announced, the first or a further one.
    pub(super) fn message_announced(
        &mut self,
        message: Message,
        waits: bool,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        let limits = &self.profile.limits;
        let refusal = if message.octets == 0 {
            // So a client takes back what it began (RFC 3502 §6.3.11).
            Some(replies::APPEND_CANCELLED)
        } else if message.octets > limits.append_bytes_max {
            Some(replies::MESSAGE_TOO_BIG)
        } else if self.messages >= limits.append_messages_max {
            Some(replies::TOO_MANY_MESSAGES)
        } else {
            None
        };
        if let Some(reply) = refusal {
            return self.refuse_literal(reply, message.octets, waits, out);
        }
        self.gathered = Default::default();
        self.messages += 1;
        self.message = Some(Box::new(message));
        self.state = State::Asked(Asked::Message { waits });
        Some(Step::Ask(Question::Message))
    }

    pub(super) fn message_answered(
        &mut self,
        now: Moment,
        answer: Answer,
        waits: bool,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        let octets = self.message.as_ref().map_or(0, |message| message.octets);
        match answer {
            Answer::Accept => {}
            Answer::Refuse(reply) => return self.refuse_literal(reply, octets, waits, out),
            Answer::Proof(_) => {
                return self.refuse_literal(replies::UNANSWERED, octets, waits, out);
            }
        }
        if waits {
            out.extend_from_slice(b"+ OK\r\n");
        }
        if self.append_deadline == Moment::NEVER {
            self.append_deadline = now.after(self.profile.limits.append_timeout);
        }
        self.state = State::Message(octets);
        None
    }

    pub(super) fn message_piece<'i>(&mut self, left: u64, input: &'i [u8]) -> (usize, Flow<'i>) {
        let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        if taken == 0 {
            return (0, Some(Step::NeedInput));
        }
        let left = left - taken as u64;
        self.state = if left == 0 { State::MessageEnd } else { State::Message(left) };
        (taken, Some(Step::Literal(&input[..taken])))
    }

    /// What follows a message: the end of the command, or another message.
    pub(super) fn message_end<'i>(
        &mut self,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let (line, used) = match self.line(input, out) {
            Ok(found) => found,
            Err(end) => return end,
        };
        let mark = LiteralMark::find(line);
        let flow = match (self.behind_message(line, mark), mark) {
            (Ok(None), _) => {
                self.state = State::Asked(Asked::Append);
                Some(Step::Ask(Question::Append))
            }
            (Ok(Some(message)), mark) => {
                self.message_announced(message, mark.is_some_and(|mark| mark.waits), out)
            }
            (Err(reply), Some(mark)) => self.refuse_literal(reply, mark.octets, mark.waits, out),
            (Err(reply), None) => self.complete(&reply, out),
        };
        (used, flow)
    }

    /// The message that `line` announces; `None` at the end.
    fn behind_message(
        &self,
        line: &[u8],
        mark: Option<LiteralMark>,
    ) -> Result<Option<Message>, Completion> {
        let before = self.message.as_ref().ok_or(replies::UNANSWERED)?;
        let mut cursor = self.cursor(line);
        if before.utf8 {
            cursor.expect(b')', "A list does not end")?;
        }
        match mark {
            Some(mark) => Ok(Some(next_message(cursor, before, mark)?)),
            None if cursor.end().is_ok() => Ok(None),
            None => Err(Fault::Syntax("A message is missing").into()),
        }
    }
}
