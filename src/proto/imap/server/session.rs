//! The session around the commands: greeting, deadlines, ending, and what the driver may ask the
//! machine or tell it.

use super::{Flow, Server, State, Step, replies};
use crate::{
    imap::{
        command::{ClientId, Command, Enabled, Message},
        respond::{Completion, Condition, write_untagged},
    },
    sasl::{Channel, Identity, Proof},
    types::Moment,
};

impl Server {
    /// The greeting, with what is offered (RFC 9051 §7.1.1).
    pub fn greet(&mut self, now: Moment, out: &mut Vec<u8>) -> Step<'static> {
        out.extend_from_slice(b"* OK [CAPABILITY ");
        self.list_capabilities(out);
        out.extend_from_slice(b"] ");
        out.extend_from_slice(self.profile.hostname.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.profile.banner_text.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.state = State::Command;
        self.arm(now);
        Step::NeedInput
    }

    /// Turns the client away with `BYE`, at connect or later, whatever the condition says.
    pub fn refuse(&mut self, why: &Completion, out: &mut Vec<u8>) -> Step<'static> {
        let why = Completion { condition: Condition::Bye, ..why.clone() };
        write_untagged(&why, out);
        self.end();
        Step::Close
    }

    /// The deadline has passed: `BYE`. No lingering command or message is completed.
    pub fn expire(&mut self, _now: Moment, out: &mut Vec<u8>) -> Step<'static> {
        if self.state != State::Closed {
            self.close_saying(&replies::TIMEOUT, out);
        }
        Step::Close
    }

    /// The server is stopping: `BYE`. The driver lets a command that it executes come to its end.
    pub fn stop(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        if self.state != State::Closed {
            self.close_saying(&replies::STOPPING, out);
        }
        Step::Close
    }

    /// TLS is up: what was said before is forgotten (RFC 9051 §6.2.1); the counts are ours and stay.
    /// Before the greeting: TLS came first (RFC 8314 §3).
    pub fn upgraded(&mut self) {
        match self.state {
            State::Upgrading => self.state = State::Command,
            State::New => {}
            _ => return,
        }
        self.tls = true;
        self.client = None;
        self.channel = None;
    }

    /// What TLS knows of the client's end and of ours; behind [`Server::upgraded`].
    pub fn set_channel(&mut self, channel: Channel) {
        if self.tls {
            self.channel = Some(Box::new(channel));
        }
    }

    /// Compression is on.
    pub fn compressed(&mut self) {
        if self.state == State::Compressing {
            self.state = State::Command;
            self.compressed = true;
        }
    }

    /// The selected mailbox is no more: nothing is selected. The driver tells the client, or ends the
    /// connection.
    pub const fn deselect(&mut self) {
        self.selected = false;
        self.selects = false;
    }

    /// Who has logged in, or wants to come in, if somebody has.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// What [`super::Question::Authenticate`] is about.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.exchange.as_ref().and_then(|exchange| exchange.proof())
    }

    /// What [`super::Question::Command`] is about, once.
    pub const fn take_command(&mut self) -> Option<Command> {
        self.command.take()
    }

    /// What [`super::Question::Message`] is about, and whose octets arrive behind it.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        self.message.as_deref()
    }

    /// Whether an `APPEND` has begun and neither ended nor failed.
    #[must_use]
    pub const fn is_appending(&self) -> bool {
        self.message.is_some()
    }

    /// Whether a literal is arriving, and large reads pay.
    #[must_use]
    pub const fn in_literal(&self) -> bool {
        matches!(self.state, State::Message(_) | State::Literal(_) | State::Skip(_))
    }

    /// Whether the client idles.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Whether a mailbox is selected.
    #[must_use]
    pub const fn is_selected(&self) -> bool {
        self.selected
    }

    /// Whether what is said is encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The tag of the command under way, for `ESEARCH`.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        &self.tag
    }

    /// What the client has enabled, by `ENABLE` or by using it. When CONDSTORE was not among it before
    /// a command, and a mailbox is selected, its HIGHESTMODSEQ is told now (RFC 7162 §3.1).
    #[must_use]
    pub const fn enabled(&self) -> Enabled {
        self.enabled
    }

    /// `name version` of the client, as it says, printable: for a log.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_ref().map(ClientId::as_str)
    }

    /// When [`Server::expire`] is due; never while the driver owes an answer, or after the end.
    #[must_use]
    pub fn deadline(&self) -> Moment {
        match self.state {
            State::Asked(_) | State::Closed => Moment::NEVER,
            _ if self.identity.is_none() => self.deadline.min(self.login_deadline),
            _ => self.deadline.min(self.append_deadline),
        }
    }

    /// The last words, and the end.
    pub(super) fn close_saying(&mut self, why: &Completion, out: &mut Vec<u8>) -> Flow<'static> {
        write_untagged(why, out);
        self.end();
        Some(Step::Close)
    }

    pub(super) fn end(&mut self) {
        self.forget();
        self.state = State::Closed;
    }

    /// No command is under way.
    pub(super) fn forget(&mut self) {
        self.tag.clear();
        self.gathered = Default::default();
        self.refused = None;
        self.skips_message = false;
        self.command = None;
        self.message = None;
        self.messages = 0;
        self.selects = false;
        self.exchange = None;
        self.append_deadline = Moment::NEVER;
    }

    /// The client has done something: it has time again. Octets that complete no line buy none, but
    /// for those of a literal, which is bounded.
    pub(super) fn arm(&mut self, now: Moment) {
        let limits = &self.profile.limits;
        self.deadline = match self.state {
            State::Command if self.gathered.is_empty() => now.after(limits.idle_timeout),
            State::Idle | State::Response => now.after(limits.idle_timeout),
            _ => now.after(limits.data_timeout),
        };
    }
}
