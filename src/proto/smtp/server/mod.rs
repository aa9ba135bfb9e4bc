//! The server half of SMTP (RFC 5321) and LMTP (RFC 2033): bytes in, replies and steps out.
//!
//! A driver greets, feeds what arrives, sends `out`, and acts on each [`Step`]. One machine serves
//! one connection; it owns the session and the transaction, but no input: what it does not consume
//! stays with the driver. What must stay true, and is tested by splitting input at every byte:
//! - the dialogue does not depend on how the input was split;
//! - nothing in a message or behind a bare LF is ever taken for a command (SMTP smuggling);
//! - every command gets one reply, in order, whatever is pipelined (RFC 2920);
//! - a message is acknowledged only by the driver's answer to [`Question::Commit`].
//!
//! How it fails: what a peer gets wrong becomes a reply and, too often, 421; a driver that answers
//! what was not asked loses the connection with 421 4.3.0, never mail.
//!
//! Files: `line` and `command` read commands, `path` and `parameter` their arguments, one file for
//! each verb acts on them, `body` reads messages, `commit` ends them, `replies` is all that is said.

mod auth;
mod bdat;
mod body;
mod command;
mod commit;
mod courtesy;
mod data;
mod helo;
mod line;
mod mail;
mod parameter;
mod path;
mod profile;
mod rcpt;
mod replies;
mod session;
mod starttls;
#[cfg(test)]
mod tests;
mod transaction;

use std::rc::Rc;

pub use profile::{Limits, LineEndings, Profile, Protocol};

use self::{bdat::Chunk, body::BodyReader, line::Lines, transaction::Transaction};
use crate::{
    sasl::{self, Channel, Exchange, Identity},
    types::{Moment, Reply},
};

/// What the driver does next. Whatever is in `out` is sent before waiting for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'i> {
    /// Read more, then feed what is left and what came.
    NeedInput,
    /// Decide, then call [`Server::answer`], then feed what is left, be it nothing.
    Ask(Question),
    /// A piece of the message, without stuffed dots: keep it, then feed what is left, be it
    /// nothing. What was kept is the message once [`Question::Commit`] is asked, and is thrown
    /// away when [`Question::Data`] is asked or [`Server::has_message`] ends without it.
    Body(&'i [u8]),
    /// Send `out`, do the TLS handshake, then call [`Server::upgraded`] and, if something is known of
    /// the channel, [`Server::set_channel`]. The input is empty.
    Upgrade,
    /// Send `out`, then close.
    Close,
}

/// What the machine cannot decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// May [`Server::sender`] send here, and [`Server::declared_size`] octets?
    Sender,
    /// May [`Server::candidate`] be a recipient?
    Recipient,
    /// May the message come now (before 354, or before the first `BDAT` chunk is read)?
    Data,
    /// Is the message on stable storage?
    Commit,
    /// Does [`Server::proof`] do?
    Authenticate,
}

/// The driver's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Accept,
    /// No, and what to say.
    Refuse(Reply),
    /// To [`Question::Commit`]: stored under this id.
    Queued(String),
    /// To [`Question::Commit`]: in LMTP a reply for each recipient, in order (RFC 2033 §4.2); in SMTP one.
    Each(Vec<Reply>),
    /// To [`Question::Authenticate`]. A [`Answer::Refuse`] with a reply of its own will do too.
    Proof(sasl::Answer),
}

/// The machine: one a connection.
#[derive(Debug)]
pub struct Server {
    profile: Rc<Profile>,
    state: State,
    lines: Lines,
    helo: Box<str>,
    /// `EHLO` or `LHLO` was said, not `HELO`.
    extended: bool,
    tls: bool,
    transaction: Option<Transaction>,
    /// The message being read; it stays between `BDAT` chunks.
    body: Option<BodyReader>,
    messages: u32,
    errors: u32,
    /// What TLS knows of the client, once the driver has told.
    channel: Option<Box<Channel>>,
    /// The attempt to log in that is under way.
    exchange: Option<Box<Exchange>>,
    /// Who has logged in.
    identity: Option<Box<Identity>>,
    auth_failures: u32,
    /// Milliseconds since 1970 at [`Moment`] zero; what is dated is not offered without.
    clock_ms: Option<u64>,
    /// `QUIT` was said: the peer expects the end.
    quit: bool,
    deadline: Moment,
    message_deadline: Moment,
    session_deadline: Moment,
}

/// What the next octet of input is, or why there is none.
#[derive(Debug)]
enum State {
    /// Nothing before the greeting.
    New,
    /// A command.
    Command,
    /// The answer to a challenge of `AUTH`.
    Response,
    /// Whatever comes waits for the driver's answer.
    Asked(Asked),
    /// The text behind 354.
    Text,
    /// The octets of a `BDAT` chunk.
    Chunk(Chunk),
    /// TLS, none of ours.
    Upgrading,
    /// Nothing.
    Closed,
}

/// A question and what it interrupted.
#[derive(Debug)]
enum Asked {
    Sender,
    Recipient,
    Data,
    FirstChunk(Chunk),
    Commit,
    Authenticate,
}

/// `None`: go on with the input.
type Flow<'i> = Option<Step<'i>>;
/// What a verb comes to: go on, a step, or a refusal that is yet to be said.
type Outcome = Result<Flow<'static>, Reply>;

impl Server {
    /// A machine that waits to greet.
    pub fn new(profile: Rc<Profile>, now: Moment) -> Self {
        let lines = Lines::new(profile.limits.command_bytes_max, profile.line_endings);
        Self {
            state: State::New,
            lines,
            helo: Box::default(),
            extended: false,
            tls: false,
            transaction: None,
            body: None,
            messages: 0,
            errors: 0,
            channel: None,
            exchange: None,
            identity: None,
            auth_failures: 0,
            clock_ms: None,
            quit: false,
            deadline: now.after(profile.limits.command_timeout),
            message_deadline: Moment::NEVER,
            session_deadline: now.after(profile.limits.session_timeout),
            profile,
        }
    }

    /// Consumes from the front of `input`; returns how much, and what to do. Replies are appended
    /// to `out`, so that those to pipelined commands leave together.
    ///
    /// Is called again with what is left until it says [`Step::NeedInput`]. An incomplete command
    /// is left too: the caller's buffer has room for `command_bytes_max` octets or more, and for
    /// 12,288 when `AUTH` is offered.
    pub fn feed<'i>(
        &mut self,
        now: Moment,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Step<'i>) {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let (consumed, flow) = match &self.state {
                State::New => return (used, Step::NeedInput),
                State::Command => self.command(now, rest, out),
                State::Response => self.response(now, rest, out),
                State::Asked(asked) => return (used, Step::Ask(asked.question())),
                State::Text => self.text(now, rest, out),
                State::Chunk(_) => self.chunk(now, rest, out),
                State::Upgrading => return (used, Step::Upgrade),
                State::Closed => return (input.len(), Step::Close),
            };
            used += consumed;
            if let Some(step) = flow {
                return (used, step);
            }
        }
    }

    /// The driver's decision on what was asked; then feed what is left, be it nothing.
    pub fn answer(&mut self, now: Moment, answer: Answer, out: &mut Vec<u8>) -> Step<'static> {
        let flow = match std::mem::replace(&mut self.state, State::Command) {
            State::Asked(Asked::Sender) => self.sender_answered(answer, out),
            State::Asked(Asked::Recipient) => self.recipient_answered(answer, out),
            State::Asked(Asked::Data) => self.data_answered(now, answer, out),
            State::Asked(Asked::FirstChunk(chunk)) => {
                self.first_chunk_answered(now, chunk, answer, out)
            }
            State::Asked(Asked::Commit) => self.committed(answer, out),
            State::Asked(Asked::Authenticate) => self.proof_answered(answer, out),
            State::Closed => {
                self.state = State::Closed;
                Some(Step::Close)
            }
            State::New
            | State::Command
            | State::Response
            | State::Text
            | State::Chunk(_)
            | State::Upgrading => self.close_saying(replies::OUT_OF_STEP, out),
        };
        self.arm(now);
        flow.unwrap_or(Step::NeedInput)
    }
}

impl Asked {
    const fn question(&self) -> Question {
        match self {
            Self::Sender => Question::Sender,
            Self::Recipient => Question::Recipient,
            Self::Data | Self::FirstChunk(_) => Question::Data,
            Self::Commit => Question::Commit,
            Self::Authenticate => Question::Authenticate,
        }
    }
}

impl Answer {
    /// For questions that are answered with yes or no.
    fn verdict(self) -> Result<(), Reply> {
        match self {
            Self::Accept => Ok(()),
            Self::Refuse(reply) => Err(reply),
            Self::Queued(_) | Self::Each(_) | Self::Proof(_) => Err(replies::UNANSWERED),
        }
    }
}
