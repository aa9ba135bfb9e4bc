//! The session around the commands: greeting, deadlines, counting errors, ending, and what the
//! driver may ask the machine.

use super::{Flow, Protocol, Server, State, Step, Transaction, command, command::Verb, replies};
use crate::{
    sasl::{Channel, Identity, Proof},
    smtp::server::line::Line,
    types::{Address, Enhanced, Envelope, Moment, Recipient, Reply, Severity, Timestamp},
};

impl Server {
    /// The greeting (RFC 5321 §4.2).
    pub fn greet(&mut self, now: Moment, out: &mut Vec<u8>) -> Step<'static> {
        let protocol: &[u8] = match self.profile.protocol {
            Protocol::Smtp => b" ESMTP ",
            Protocol::Lmtp => b" LMTP ",
        };
        out.extend_from_slice(b"220 ");
        out.extend_from_slice(self.profile.hostname.as_bytes());
        out.extend_from_slice(protocol);
        out.extend_from_slice(self.profile.banner_text.as_bytes());
        out.extend_from_slice(b"\r\n");
        self.state = State::Command;
        self.arm(now);
        Step::NeedInput
    }

    /// Turns the peer away, at connect or later: `reply` is 421 or 554 (RFC 5321 §3.1, §3.8).
    pub fn refuse(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Step<'static> {
        reply.write_to(out);
        self.end();
        Step::Close
    }

    /// The deadline has passed: 421 4.4.2. No lingering command or message is completed.
    pub fn expire(&mut self, _now: Moment, out: &mut Vec<u8>) -> Step<'static> {
        if !matches!(self.state, State::Closed) {
            self.close_saying(replies::TIMEOUT, out);
        }
        Step::Close
    }

    /// The server is stopping: 421 4.3.2 (RFC 5321 §3.8). The driver lets a message that is arriving
    /// come to its end first.
    pub fn stop(&mut self, out: &mut Vec<u8>) -> Step<'static> {
        if !matches!(self.state, State::Closed) {
            self.close_saying(replies::STOPPING, out);
        }
        Step::Close
    }

    /// Whether the peer has said `QUIT`, and so expects the end.
    pub const fn has_quit(&self) -> bool {
        self.quit
    }

    /// While a message arrives: swallow the rest, then say `reply` instead of asking to commit.
    /// The first reason stays.
    pub fn discard(&mut self, reply: Reply) {
        if let Some(body) = &mut self.body {
            body.fail(reply);
        }
    }

    /// TLS is up: what was said before is forgotten (RFC 3207 §4.2), and who said it (RFC 4954 §4);
    /// the counts are ours and stay. Before the greeting: TLS came first (RFC 8314 §3).
    pub fn upgraded(&mut self) {
        match self.state {
            State::Upgrading => self.state = State::Command,
            State::New => {}
            _ => return,
        }
        self.forget();
        self.helo = Box::default();
        self.extended = false;
        self.tls = true;
        self.channel = None;
        self.exchange = None;
        self.identity = None;
    }

    /// What TLS knows of the client's end and of ours; behind [`Server::upgraded`].
    pub fn set_channel(&mut self, channel: Channel) {
        if self.tls {
            self.channel = Some(Box::new(channel));
        }
    }

    /// What the time is: what depends on the date is offered from now on.
    pub fn set_clock(&mut self, now: Moment, at: Timestamp) {
        self.clock_ms = Some(at.0.saturating_sub(now.0));
    }

    /// Who has logged in, if somebody has.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }

    /// What [`super::Question::Authenticate`] is about.
    pub fn proof(&self) -> Option<&Proof> {
        self.exchange.as_ref().and_then(|exchange| exchange.proof())
    }

    /// When [`Server::expire`] is due; never while the driver owes an answer, or after the end.
    pub fn deadline(&self) -> Moment {
        match self.state {
            State::Asked(_) | State::Closed => Moment::NEVER,
            _ => self.deadline.min(self.message_deadline).min(self.session_deadline),
        }
    }

    /// Whether a message is arriving, and large reads pay.
    pub const fn in_body(&self) -> bool {
        matches!(self.state, State::Text | State::Chunk(_))
    }

    /// Whether a message has begun and not ended: also between `BDAT` chunks.
    pub const fn has_message(&self) -> bool {
        self.body.is_some()
    }

    /// What the peer calls itself; empty before `HELO`.
    pub fn helo(&self) -> &str {
        &self.helo
    }

    /// The `with` of a Received field (RFC 3848, RFC 6531 §4.3), for the current transaction.
    pub fn with(&self) -> &'static str {
        let utf8 = self.transaction.as_ref().is_some_and(|open| open.smtputf8);
        let (tls, authenticated) = (self.tls, self.identity.is_some());
        let names = match (self.profile.protocol, utf8) {
            (Protocol::Lmtp, true) => ["UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"],
            (Protocol::Lmtp, false) => ["LMTP", "LMTPA", "LMTPS", "LMTPSA"],
            (Protocol::Smtp, true) => ["UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"],
            (Protocol::Smtp, false) if self.extended || tls || authenticated => {
                ["ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"]
            }
            (Protocol::Smtp, false) => ["SMTP"; 4],
        };
        names[usize::from(tls) * 2 + usize::from(authenticated)]
    }

    /// Whether every recipient is told of its own fate (RFC 2033 §4.2): [`super::Answer::Each`] has a reply
    /// for each then, in the order of [`Server::recipients`].
    pub fn is_lmtp(&self) -> bool {
        self.profile.protocol == Protocol::Lmtp
    }

    /// The sender of the open transaction; `None` is `<>`, or that there is none.
    pub fn sender(&self) -> Option<&Address> {
        self.transaction.as_ref().and_then(|open| open.sender.as_ref())
    }

    /// The recipients accepted so far.
    pub fn recipients(&self) -> &[Recipient] {
        self.transaction.as_ref().map_or(&[], |open| &open.recipients)
    }

    /// The recipient that [`super::Question::Recipient`] is about.
    pub fn candidate(&self) -> Option<&Recipient> {
        self.transaction.as_ref().and_then(|open| open.candidate.as_ref())
    }

    /// What `SIZE=` said of the message (RFC 1870): a hint, the peer may exceed it.
    pub fn declared_size(&self) -> Option<u64> {
        self.transaction.as_ref().and_then(|open| open.size)
    }

    /// The envelope, to be taken once, on [`super::Question::Commit`]. Its `size` is that of the
    /// message as it was given out: the caller adds its own trace field.
    pub fn take_envelope(&mut self, at: Timestamp, origin: &str) -> Envelope {
        let size = self.body.as_ref().map_or(0, super::BodyReader::bytes);
        self.transaction.get_or_insert_with(Transaction::default).take_envelope(at, origin, size)
    }

    /// Reads and obeys one command.
    pub(super) fn command<'i>(
        &mut self,
        now: Moment,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let (used, line) = self.lines.next(input);
        let flow = match line {
            Line::Incomplete => return (used, Some(Step::NeedInput)),
            Line::Long => self.say(&replies::LINE_TOO_LONG, out),
            Line::BareLf => self.say(&replies::BARE_LF, out),
            Line::Command(line) => match command::split(line) {
                Ok((verb, argument)) => self.obey(now, verb, argument, used < input.len(), out),
                Err(reply) => self.say(&reply, out),
            },
        };
        self.arm(now);
        (used, flow)
    }

    /// `more`: input follows the command.
    fn obey(
        &mut self,
        now: Moment,
        verb: Verb,
        argument: &str,
        more: bool,
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        let outcome = match verb {
            Verb::Ehlo | Verb::Helo | Verb::Lhlo => self.hello(now, verb, argument, out),
            Verb::Mail => self.mail(now, argument, out),
            Verb::Rcpt => self.rcpt(argument),
            Verb::Data => self.data(argument),
            Verb::Bdat => self.bdat(now, argument, out),
            Verb::Auth => self.auth(argument, out),
            Verb::StartTls => self.starttls(argument, more, out),
            Verb::Rset => self.rset(argument, out),
            Verb::Noop => Ok(self.say(&replies::OK, out)),
            Verb::Help => Ok(self.say(&replies::HELP, out)),
            Verb::Vrfy => self.vrfy(argument, out),
            Verb::Expn => Err(replies::NOT_IMPLEMENTED),
            Verb::Quit => self.quit(argument, out),
            Verb::Foreign => Ok(Some(self.refuse(&replies::NOT_MAIL, out))),
            Verb::Unknown => Err(replies::UNKNOWN_COMMAND),
        };
        match outcome {
            Ok(flow) => flow,
            Err(reply) => self.say(&reply, out),
        }
    }

    /// Says `reply`, or 421 in its place when it is one error too many.
    pub(super) fn say(&mut self, reply: &Reply, out: &mut Vec<u8>) -> Flow<'static> {
        if reply.severity() == Severity::Permanent {
            if self.errors >= self.profile.limits.errors_max {
                return self.close_saying(replies::TOO_MANY_ERRORS, out);
            }
            self.errors += 1;
        }
        reply.write_to(out);
        None
    }

    /// 421, which may answer any command (RFC 5321 §3.8), and the end.
    pub(super) fn close_saying(
        &mut self,
        (enhanced, why): (Enhanced, &str),
        out: &mut Vec<u8>,
    ) -> Flow<'static> {
        let text = format!("{} {why}, closing connection", self.profile.hostname);
        Some(self.refuse(&Reply::made(421, enhanced, text), out))
    }

    fn end(&mut self) {
        self.forget();
        self.exchange = None;
        self.state = State::Closed;
    }

    /// Ends the transaction, whatever came of it.
    pub(super) fn forget(&mut self) {
        self.transaction = None;
        self.body = None;
        self.message_deadline = Moment::NEVER;
    }

    /// The peer has done something: it has time again. Octets that complete no command buy none.
    pub(super) fn arm(&mut self, now: Moment) {
        let limits = &self.profile.limits;
        self.deadline = match self.state {
            State::Text | State::Chunk(_) => now.after(limits.data_timeout),
            _ => now.after(limits.command_timeout),
        };
    }

    /// A message begins, unless it has begun already.
    pub(super) fn arm_message(&mut self, now: Moment) {
        if self.message_deadline == Moment::NEVER {
            self.message_deadline = now.after(self.profile.limits.message_timeout);
        }
    }
}
