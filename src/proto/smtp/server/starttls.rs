//! `STARTTLS` (RFC 3207): the seam where a driver swaps the stream.
//!
//! Octets that follow the command in the clear would be read as if they came through TLS
//! (CVE-2011-0411), so the connection ends when there are any.

use super::{Outcome, Server, State, Step, command, replies};

impl Server {
    pub(super) fn starttls(&mut self, argument: &str, more: bool, out: &mut Vec<u8>) -> Outcome {
        if !self.profile.starttls {
            return Err(replies::NOT_IMPLEMENTED);
        }
        if self.tls {
            return Err(replies::TLS_ACTIVE);
        }
        command::none(argument)?;
        if more {
            return Ok(Some(self.refuse(&replies::NOT_EMPTY_BEFORE_TLS, out)));
        }
        self.forget();
        self.state = State::Upgrading;
        let flow = self.say(&replies::READY_FOR_TLS, out);
        Ok(flow.or(Some(Step::Upgrade)))
    }
}
