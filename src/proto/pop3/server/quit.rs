//! `QUIT` and the state UPDATE (RFC 1939 §6): the only way to delete messages.
//!
//! What must stay true: `+OK` behind marks means that they are deleted, and that is on stable storage.

use super::{Answer, Asked, Maildrop, Outcome, Server, Step, command, replies};

impl<M: Maildrop> Server<M> {
    pub(super) fn quit(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        command::none(argument)?;
        self.client.has_quit = true;
        if self.opened.as_ref().is_some_and(super::Opened::has_marks) {
            return Ok(Some(self.ask(Asked::Commit)));
        }
        Ok(Some(self.sign_off(out)))
    }

    pub(super) fn commit_answered(&mut self, answer: Answer<M>, out: &mut Vec<u8>) -> Step {
        match answer {
            Answer::Accept => self.sign_off(out),
            Answer::Refuse(refusal) => self.close_saying(&refusal, out),
            Answer::Opened(_) | Answer::Proof(_) => self.close_saying(&replies::NOT_DELETED, out),
        }
    }

    fn sign_off(&mut self, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(b"+OK ");
        out.extend_from_slice(self.profile.hostname.as_bytes());
        out.extend_from_slice(b" signing off");
        match self.opened.as_ref().map(super::Opened::left) {
            None => {}
            Some(0) => out.extend_from_slice(b" (maildrop empty)"),
            Some(left) => {
                out.extend_from_slice(b" (");
                replies::decimal(u64::from(left), out);
                out.extend_from_slice(b" messages left)");
            }
        }
        out.extend_from_slice(b"\r\n");
        self.end()
    }
}
