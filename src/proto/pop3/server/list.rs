//! `STAT`, `LIST` and `UIDL` (RFC 1939 §5, §7).
//!
//! A list is said in pieces, however long it is: after `out_bytes_max` octets the client has to take
//! what there is before more is made.

use super::{Flow, Maildrop, Opened, Outcome, Server, State, Step, command, replies};
use crate::types::Moment;

/// A list that is being said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    kind: Kind,
    /// The message whose line comes next.
    next: u32,
}

/// What is said of each message.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Octets,
    Uids,
}

impl Kind {
    /// One line: the number of the message and what is said of it.
    fn write<M: Maildrop>(self, opened: &Opened<M>, index: u32, out: &mut Vec<u8>) {
        let messages = opened.messages();
        replies::decimal(u64::from(index) + 1, out);
        out.push(b' ');
        match self {
            Self::Octets => replies::decimal(messages.octets(index), out),
            Self::Uids => messages.write_uid(index, out),
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl<M: Maildrop> Server<M> {
    pub(super) fn stat(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        let opened = self.transaction()?;
        command::none(argument)?;
        out.extend_from_slice(b"+OK ");
        replies::decimal(u64::from(opened.left()), out);
        out.push(b' ');
        replies::decimal(opened.left_octets(), out);
        out.extend_from_slice(b"\r\n");
        Ok(None)
    }

    pub(super) fn list(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        self.say_of(Kind::Octets, argument, out)
    }

    pub(super) fn uidl(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        self.say_of(Kind::Uids, argument, out)
    }

    fn say_of(&mut self, kind: Kind, argument: &str, out: &mut Vec<u8>) -> Outcome {
        let opened = self.transaction()?;
        if !argument.is_empty() {
            let index = opened.find(argument)?;
            out.extend_from_slice(b"+OK ");
            kind.write(opened, index, out);
            return Ok(None);
        }
        out.extend_from_slice(b"+OK ");
        opened.write_contents(out);
        out.extend_from_slice(b"\r\n");
        self.state = State::Listing(Listing { kind, next: 0 });
        Ok(None)
    }

    /// Goes on with the list.
    pub(super) fn list_on(&mut self, now: Moment, out: &mut Vec<u8>) -> Flow {
        let (State::Listing(listing), Some(opened)) = (&mut self.state, &self.opened) else {
            return Some(self.close_saying(&replies::OUT_OF_STEP, out));
        };
        let count = opened.messages().len();
        while listing.next < count && out.len() < self.profile.limits.out_bytes_max {
            if !opened.is_marked(listing.next) {
                listing.kind.write(opened, listing.next, out);
            }
            listing.next += 1;
        }
        let is_whole = listing.next >= count;
        if is_whole {
            out.extend_from_slice(b".\r\n");
            self.state = State::Command;
        }
        self.arm(now);
        if is_whole { None } else { Some(Step::Send) }
    }
}
