//! `RETR` and `TOP` (RFC 1939 §5, §7): a message passes from the driver's hands to the client's.
//!
//! What must stay true: `+OK` is said when the driver has the message, not before; what began with it
//! either ends with the last line `.` or with the connection, so that half a message is never taken for
//! a whole one.

use super::{
    Answer, Asked, Flow, Maildrop, Outcome, Portion, Refusal, Server, State, Step, command,
    replies, transfer::Transfer,
};
use crate::types::Moment;

/// Which message is sent, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retrieval {
    /// From 0 on.
    pub index: u32,
    /// The header and so many lines of what follows it (`TOP`); `None`: everything (`RETR`).
    pub lines: Option<u32>,
}

impl<M: Maildrop> Server<M> {
    pub(super) fn retr(&mut self, argument: &str) -> Outcome {
        let index = self.transaction()?.find(argument)?;
        Ok(Some(self.ask(Asked::Retrieve(Retrieval { index, lines: None }))))
    }

    pub(super) fn top(&mut self, argument: &str) -> Outcome {
        let opened = self.transaction()?;
        let (message, lines) = argument.split_once(' ').ok_or(replies::TOP_SYNTAX)?;
        let index = opened.find(message)?;
        let lines = command::number(lines.trim_start_matches(' ')).or(Err(replies::TOP_SYNTAX))?;
        Ok(Some(self.ask(Asked::Retrieve(Retrieval { index, lines: Some(lines) }))))
    }

    /// What is asked for, or being sent.
    pub const fn retrieval(&self) -> Option<Retrieval> {
        match &self.state {
            State::Asked(Asked::Retrieve(retrieval)) => Some(*retrieval),
            State::Body(transfer) => Some(transfer.retrieval()),
            _ => None,
        }
    }

    pub(super) fn retrieve_answered(
        &mut self,
        retrieval: Retrieval,
        answer: Answer<M>,
        out: &mut Vec<u8>,
    ) -> Flow {
        let refusal = match (answer, &self.opened) {
            (Answer::Accept, Some(opened)) => {
                out.extend_from_slice(b"+OK ");
                if retrieval.lines.is_none() {
                    replies::decimal(opened.messages().octets(retrieval.index), out);
                    out.extend_from_slice(b" octets\r\n");
                } else {
                    out.extend_from_slice(b"Top follows\r\n");
                }
                self.state = State::Body(Transfer::new(retrieval));
                return Some(Step::Body);
            }
            (Answer::Refuse(refusal), _) => refusal,
            _ => Refusal::UNAVAILABLE,
        };
        refusal.write_to(out);
        None
    }

    /// Takes a piece of the message, from where the last one was used up: what is to be sent of it, and
    /// how. In one go it appends no more to `out` than `Limits::out_bytes_max` octets and one run.
    ///
    /// Outside [`Step::Body`] it takes the piece and sends nothing.
    pub fn body(&mut self, now: Moment, piece: &[u8], out: &mut Vec<u8>) -> Portion {
        let out_bytes_max = self.profile.limits.out_bytes_max;
        let State::Body(transfer) = &mut self.state else { return Portion::nothing(piece) };
        let portion = transfer.next(piece, out_bytes_max, out);
        self.arm(now);
        portion
    }

    /// That was all of the message, or all that `TOP` wants. Then feed what is left, be it nothing.
    pub fn body_ended(&mut self, now: Moment, out: &mut Vec<u8>) -> Step {
        let State::Body(transfer) = &self.state else {
            return self.close_saying(&replies::OUT_OF_STEP, out);
        };
        out.extend_from_slice(transfer.end());
        self.state = State::Command;
        self.client.errors = 0;
        self.arm(now);
        Step::NeedInput
    }

    /// The rest of the message cannot be had: the connection ends in the middle of it.
    pub fn body_lost(&mut self) -> Step {
        self.end()
    }
}
