//! `STLS` (RFC 2595 §4): the seam where a driver swaps the stream.
//!
//! Octets that follow the command in the clear would be read as if they came through TLS
//! (CVE-2011-0411), so the connection ends when there are any.

use super::{Maildrop, Outcome, Server, State, Step, command, replies};

impl<M: Maildrop> Server<M> {
    pub(super) fn stls(&mut self, argument: &str, more: bool, out: &mut Vec<u8>) -> Outcome {
        if !self.profile.starttls {
            return Err(replies::UNKNOWN_COMMAND);
        }
        if self.client.tls {
            return Err(replies::TLS_ACTIVE);
        }
        self.authorization()?;
        if self.client.utf8 {
            return Err(replies::TLS_BEHIND_UTF8);
        }
        command::none(argument)?;
        if more {
            return Ok(Some(self.close_saying(&replies::NOT_EMPTY_BEFORE_TLS, out)));
        }
        self.exchange = None;
        self.state = State::Upgrading;
        replies::ok("Begin TLS negotiation", out);
        Ok(Some(Step::Upgrade))
    }
}
