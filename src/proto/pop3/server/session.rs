//! The session around the commands: greeting, deadlines, counting errors, ending, and what the driver
//! may ask the machine.

use super::{
    Code, Flow, Maildrop, Opened, Outcome, Refusal, Server, State, Step,
    command::{self, Verb},
    line::Line,
    replies,
};
use crate::{
    sasl::{Channel, Identity, Proof},
    types::Moment,
};

impl<M: Maildrop> Server<M> {
    /// The greeting (RFC 1939 §4).
    pub fn greet(&mut self, now: Moment, out: &mut Vec<u8>) -> Step {
        out.extend_from_slice(b"+OK ");
        out.extend_from_slice(self.profile.hostname.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.profile.banner_text.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.state = State::Command;
        self.arm(now);
        Step::NeedInput
    }

    /// Turns the client away, at connect or later.
    pub fn refuse(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Step {
        self.close_saying(refusal, out)
    }

    /// The deadline has passed. Nothing is said and nothing deleted (RFC 1939 §3).
    pub fn expire(&mut self, _now: Moment) -> Step {
        self.end()
    }

    /// The server is stopping; nothing is deleted. What was begun, a list or a message, is left as it
    /// is, so that nobody takes these words for a part of it.
    pub fn stop(&mut self, out: &mut Vec<u8>) -> Step {
        match self.state {
            State::Closed | State::Listing(_) | State::Body(_) | State::Upgrading => self.end(),
            _ => self.close_saying(&replies::STOPPING, out),
        }
    }

    /// Whether the client has said `QUIT`, and so expects the end.
    pub const fn has_quit(&self) -> bool {
        self.client.has_quit
    }

    /// TLS is up: what was said before is forgotten (RFC 2595 §4); the counts are ours and stay.
    /// Before the greeting: TLS came first (RFC 8314 §3).
    pub fn upgraded(&mut self) {
        match self.state {
            State::Upgrading => self.state = State::Command,
            State::New => {}
            _ => return,
        }
        self.client.tls = true;
        self.client.channel = None;
        self.exchange = None;
    }

    /// What TLS knows of the client's end and of ours; behind [`Server::upgraded`].
    pub fn set_channel(&mut self, channel: Channel) {
        if self.client.tls {
            self.client.channel = Some(Box::new(channel));
        }
    }

    /// Who has logged in, if somebody has.
    pub fn identity(&self) -> Option<&Identity> {
        self.client.identity()
    }

    /// What [`super::Question::Authenticate`] is about.
    pub fn proof(&self) -> Option<&Proof> {
        self.exchange.as_ref().and_then(|exchange| exchange.proof())
    }

    /// The messages, once the maildrop is open.
    pub fn maildrop(&self) -> Option<&M> {
        self.opened.as_ref().map(Opened::messages)
    }

    /// The messages that are marked as deleted, from 0 on: what [`super::Question::Commit`] is about.
    pub fn marked(&self) -> impl Iterator<Item = u32> {
        self.opened.iter().flat_map(Opened::marked)
    }

    /// Whether the client understands UTF-8 in headers (RFC 6856 §2). To one that does not, a message
    /// that has it may be refused with [`Code::Utf8`].
    pub const fn is_utf8(&self) -> bool {
        self.client.utf8
    }

    /// When [`Server::expire`] is due; never while the driver owes an answer, or after the end.
    pub fn deadline(&self) -> Moment {
        match self.state {
            State::Asked(_) | State::Closed => Moment::NEVER,
            _ if self.opened.is_none() => {
                self.client.login_deadline.min(self.client.session_deadline)
            }
            _ => self.deadline.min(self.client.session_deadline),
        }
    }

    /// Reads and obeys one command.
    pub(super) fn command(
        &mut self,
        now: Moment,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow) {
        let (used, line) = self.lines.command(input);
        let outcome = match line {
            Line::Incomplete => return (used, Some(Step::NeedInput)),
            Line::Long => Err(replies::LINE_TOO_LONG),
            Line::Whole(line) => match command::split(line) {
                Ok((verb, argument)) => self.obey(verb, argument, used < input.len(), out),
                Err(refusal) => Err(refusal),
            },
        };
        let flow = outcome.unwrap_or_else(|mistake| self.mistaken(&mistake, out));
        self.arm(now);
        (used, flow)
    }

    /// `more`: input follows the command.
    fn obey(&mut self, verb: Verb, argument: &str, more: bool, out: &mut Vec<u8>) -> Outcome {
        if self.opened.is_none() {
            if self.client.commands >= self.profile.limits.commands_before_login_max {
                return Ok(Some(self.close_saying(&replies::TOO_MANY_COMMANDS, out)));
            }
            self.client.commands += 1;
        }
        let words = argument.trim_matches(' ');
        match verb {
            Verb::Retr => self.retr(words),
            Verb::Top => self.top(words),
            Verb::Dele => self.dele(words, out),
            Verb::Uidl => self.uidl(words, out),
            Verb::List => self.list(words, out),
            Verb::Stat => self.stat(words, out),
            Verb::Noop => self.noop(words, out),
            Verb::Rset => self.rset(words, out),
            Verb::Quit => self.quit(words, out),
            Verb::Capa => self.capa(words, out),
            Verb::User => self.user(words, out),
            Verb::Pass => self.pass(argument, out),
            Verb::Auth => self.auth(words, out),
            Verb::Stls => self.stls(words, more, out),
            Verb::Utf8 => self.utf8(words, out),
            Verb::Lang => self.lang(words, out),
            Verb::Foreign => Ok(Some(self.close_saying(&replies::NOT_MAIL, out))),
            Verb::Unknown => Err(replies::UNKNOWN_COMMAND),
        }
    }

    /// Says what is wrong with what the client said, and closes when it is one error too many.
    pub(super) fn mistaken(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Flow {
        if self.client.errors >= self.profile.limits.errors_max {
            return Some(self.close_saying(&replies::TOO_MANY_ERRORS, out));
        }
        self.client.errors += 1;
        refusal.write_to(out);
        None
    }

    /// Says that somebody could not log in, and closes when that was one attempt too many.
    pub(super) fn auth_refused(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Flow {
        if refusal.code() == Some(Code::Auth) {
            if self.client.auth_failures >= self.profile.limits.auth_failures_max {
                return Some(self.close_saying(&replies::TOO_MANY_AUTH_FAILURES, out));
            }
            self.client.auth_failures += 1;
        }
        refusal.write_to(out);
        None
    }

    pub(super) fn close_saying(&mut self, refusal: &Refusal, out: &mut Vec<u8>) -> Step {
        if !matches!(self.state, State::Closed) {
            refusal.write_to(out);
        }
        self.end()
    }

    /// The end; what was marked stays where it is.
    pub(super) fn end(&mut self) -> Step {
        self.exchange = None;
        self.opened = None;
        self.state = State::Closed;
        Step::Close
    }

    /// The maildrop, or what is in the way of it.
    pub(super) fn transaction(&mut self) -> Result<&mut Opened<M>, Refusal> {
        self.opened.as_mut().ok_or(replies::LOG_IN_FIRST)
    }

    /// For what can only be said before logging in.
    pub(super) fn authorization(&self) -> Result<(), Refusal> {
        if self.opened.is_none() { Ok(()) } else { Err(replies::LOGGED_IN) }
    }

    /// The client has done something: it has time again. Octets that complete no command buy none.
    pub(super) fn arm(&mut self, now: Moment) {
        let limits = &self.profile.limits;
        self.deadline = now.after(match self.state {
            State::Listing(_) | State::Body(_) => limits.send_timeout,
            _ => limits.command_timeout,
        });
    }
}
