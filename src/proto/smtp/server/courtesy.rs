//! The verbs that move no mail: `RSET`, `VRFY`, `QUIT` (RFC 5321 §4.1.1.5 – §4.1.1.10).
//!
//! `NOOP` and `HELP` take any argument and are one reply each; `EXPN` is not implemented. Who
//! exists here is told to nobody (RFC 5321 §7.3), so `VRFY` says 252.

use super::{Outcome, Server, Step, command, replies};

impl Server {
    pub(super) fn rset(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        command::none(argument)?;
        self.forget();
        Ok(self.say(&replies::OK, out))
    }

    pub(super) fn vrfy(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        if argument.is_empty() {
            return Err(replies::ARGUMENT_MISSING);
        }
        Ok(self.say(&replies::CANNOT_VERIFY, out))
    }

    pub(super) fn quit(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        command::none(argument)?;
        self.quit = true;
        let step: Step<'static> = self.refuse(&replies::BYE, out);
        Ok(Some(step))
    }
}
