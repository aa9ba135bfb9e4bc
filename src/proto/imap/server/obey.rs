//! What is done with a whole command: the machine's own, and what is put to the driver.

use super::{Answer, Asked, Flow, Question, Server, State, Step, replies};
use crate::imap::{
    command::{Command, Enabled, Needs, Request, Verb},
    respond::{Completion, Condition, write_untagged},
};

impl Server {
    /// Whether a command is valid in this state (RFC 9051 §3).
    pub(super) fn permitted(&self, verb: Verb) -> Result<(), Completion> {
        let logged_in = self.identity.is_some();
        match verb.needs() {
            Needs::NoLogin if logged_in => Err(replies::LOGGED_IN),
            Needs::Login | Needs::Mailbox if !logged_in => Err(replies::LOG_IN_FIRST),
            Needs::Mailbox if !self.selected => Err(replies::NO_MAILBOX),
            _ => Ok(()),
        }
    }

    /// Obeys the command `text`, whose tag is known; `more`: input follows it.
    pub(super) fn obey(&mut self, text: &[u8], more: bool, out: &mut Vec<u8>) -> Flow<'static> {
        match self.request(text) {
            Ok(request) => self.run(request, more, out),
            Err(reply) => self.complete(&reply, out),
        }
    }

    fn request(&self, text: &[u8]) -> Result<Request, Completion> {
        let mut cursor = self.cursor(text.get(self.tag.len()..).unwrap_or_default());
        let (verb, uid) = self.verb(&mut cursor)?;
        Ok(verb.arguments(uid, &mut cursor)?)
    }

    fn run(&mut self, request: Request, more: bool, out: &mut Vec<u8>) -> Flow<'static> {
        match request {
            Request::Capability => self.capability(out),
            Request::Logout => {
                write_untagged(&replies::GOOD_BYE, out);
                self.complete(&replies::LOGGED_OUT, out);
                self.end();
                Some(Step::Close)
            }
            Request::StartTls => self.starttls(more, out),
            Request::Authenticate(mechanism) => self.authenticate(&mechanism, out),
            Request::Login(login) => self.login(&login, out),
            Request::Id(client) => self.id(client, out),
            Request::Enable(wanted) => self.enable(wanted, out),
            Request::Idle => {
                out.extend_from_slice(b"+ idling\r\n");
                self.state = State::Idle;
                None
            }
            Request::Compress => self.compress(more, out),
            Request::Driver(Command::Noop) if self.identity.is_none() => {
                self.complete(&replies::DONE, out)
            }
            Request::Driver(command) => self.put(command, out),
        }
    }

    /// Puts a command to the driver.
    fn put(&mut self, command: Command, out: &mut Vec<u8>) -> Flow<'static> {
        let resyncs = match &command {
            Command::Select(select) => select.resync.is_some(),
            Command::Fetch(fetch) => fetch.vanished,
            _ => false,
        };
        // RFC 7162 §3.2.5, §3.2.6.
        if resyncs && !self.enabled.contains(Enabled::QRESYNC) {
            return self.complete(&replies::ENABLE_QRESYNC, out);
        }
        if command.enables_condstore() {
            self.enabled = self.enabled.with(Enabled::CONDSTORE);
        }
        self.selects = match command {
            Command::Select(_) => {
                // What follows is of another mailbox, or of none (RFC 7162 §3.2.11).
                if self.selected {
                    write_untagged(&replies::PREVIOUS_CLOSED, out);
                    self.selected = false;
                }
                true
            }
            Command::Close | Command::Unselect => false,
            _ => self.selected,
        };
        self.command = Some(command);
        self.state = State::Asked(Asked::Command);
        Some(Step::Ask(Question::Command))
    }

    /// The driver has executed a command.
    pub(super) fn executed(&mut self, completion: &Completion, out: &mut Vec<u8>) -> Flow<'static> {
        if completion.condition == Condition::Ok {
            self.selected = self.selects;
        }
        self.complete(completion, out)
    }

    /// Octets behind the command, sent in the clear, would be read as if they came through TLS
    /// (CVE-2011-0411), so the connection ends when there are any.
    fn starttls(&mut self, more: bool, out: &mut Vec<u8>) -> Flow<'static> {
        if self.tls {
            return self.complete(&replies::TLS_ACTIVE, out);
        }
        if !self.profile.starttls {
            return self.complete(&replies::NO_TLS, out);
        }
        if more {
            return self.close_saying(&replies::NOT_EMPTY, out);
        }
        self.complete(&replies::READY_FOR_TLS, out);
        self.state = State::Upgrading;
        Some(Step::Upgrade)
    }

    /// `COMPRESS` (RFC 4978); what follows it before the answer is not compressed, nor allowed.
    fn compress(&mut self, more: bool, out: &mut Vec<u8>) -> Flow<'static> {
        if self.compressed {
            return self.complete(&replies::COMPRESSION_ACTIVE, out);
        }
        if !self.profile.compress {
            return self.complete(&replies::NO_COMPRESSION, out);
        }
        if more {
            return self.close_saying(&replies::NOT_EMPTY, out);
        }
        self.state = State::Asked(Asked::Compress);
        Some(Step::Ask(Question::Compress))
    }

    pub(super) fn compress_answered(&mut self, answer: Answer, out: &mut Vec<u8>) -> Flow<'static> {
        match answer {
            Answer::Accept => {
                self.complete(&replies::READY_TO_COMPRESS, out);
                self.state = State::Compressing;
                Some(Step::Compress)
            }
            Answer::Refuse(reply) => self.complete(&reply, out),
            Answer::Proof(_) => self.close_saying(&replies::OUT_OF_STEP, out),
        }
    }

    /// While idling, a line ends it; only `DONE` does so well (RFC 9051 §6.3.13).
    pub(super) fn idle_line<'i>(
        &mut self,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Flow<'i>) {
        let (line, used) = match self.line(input, out) {
            Ok(found) => found,
            Err((used, Some(Step::NeedInput))) => return (used, Some(Step::Idle)),
            Err(end) => return end,
        };
        let done = line.trim_ascii_end().eq_ignore_ascii_case(b"DONE");
        let reply = if done { &replies::IDLE_ENDED } else { &replies::DONE_EXPECTED };
        (used, self.complete(reply, out))
    }

    /// Answers the command under way, and is ready for the next; the end, if that was one error too
    /// many.
    pub(super) fn complete(&mut self, completion: &Completion, out: &mut Vec<u8>) -> Flow<'static> {
        completion.write(&self.tag, out);
        self.forget();
        self.state = State::Command;
        if completion.condition == Condition::Bad {
            if self.errors >= self.profile.limits.errors_max {
                return self.close_saying(&replies::TOO_MANY_ERRORS, out);
            }
            self.errors += 1;
        } else if completion.condition == Condition::Ok && self.identity.is_some() {
            // A client that works is no nuisance, however long it stays.
            self.errors = 0;
        }
        None
    }
}
