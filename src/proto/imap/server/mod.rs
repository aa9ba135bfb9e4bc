//! The server half of IMAP: bytes in, replies and steps out.
//!
//! A driver greets, feeds what arrives, sends `out`, and acts on each [`Step`]. One machine serves one
//! connection; it owns the session, and of the input only a command that has literals: what it does
//! not consume stays with the driver. Commands are obeyed one by one, however many were sent at once,
//! so that none is answered out of order or sees half of another (RFC 9051 §5.5). What must stay true:
//! - every command gets one tagged response, and the machine writes it;
//! - a refused literal that comes anyway is passed over, and a command too long, or a line that ends
//!   with LF alone, ends the connection: what follows cannot be told from data;
//! - a message is acknowledged only by the driver's [`Server::finish`] to [`Question::Append`].
//!
//! How it fails: what a client gets wrong is `BAD` or `NO` and, too often, `BYE`; a driver that answers
//! what was not asked loses the connection with `BYE [SERVERBUG]`, never mail.
//!
//! Files: `line` finds lines, `gather` puts a command together, `obey` has the commands that need no
//! driver, `login` and `append` those that take more than one line, `session` what is around them.

mod append;
mod capability;
mod gather;
mod line;
mod login;
mod obey;
mod passage;
mod profile;
mod replies;
mod session;
#[cfg(test)]
mod tests;

use std::rc::Rc;

pub use passage::Passage;
pub use profile::{Limits, Profile};
use zeroize::Zeroizing;

use super::{
    command::{ClientId, Command, Enabled, Message},
    respond::Completion,
};
use crate::{
    sasl::{self, Channel, Exchange, Identity},
    types::Moment,
};

/// What the driver does next. Whatever is in `out` is sent before waiting for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'i> {
    /// Read more, then feed what is left and what came.
    NeedInput,
    /// Likewise; and until then whatever happens in the mailbox may be told at once (RFC 2177).
    Idle,
    /// Decide or execute, then call [`Server::answer`] or [`Server::finish`], then feed what is left,
    /// be it nothing.
    Ask(Question),
    /// A piece of the message [`Server::message`]: keep it, then feed what is left, be it nothing.
    /// What was kept counts once [`Question::Append`] is asked, and is thrown away when
    /// [`Server::is_appending`] ends without it.
    Literal(&'i [u8]),
    /// Send `out`, do the TLS handshake, then call [`Server::upgraded`] and, if something is known of
    /// the channel, [`Server::set_channel`]. The input is empty.
    Upgrade,
    /// Send `out`, compress from here on, both ways, then call [`Server::compressed`]. The input is
    /// empty.
    Compress,
    /// Send `out`, then close.
    Close,
}

/// What the machine cannot decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Does [`Server::proof`] do? [`Server::answer`].
    Authenticate,
    /// May [`Server::identity`], who has proved who they are, come in? [`Server::answer`]; nothing was said
    /// yet. Until then the machine can be taken to another shard: [`Server::depart`].
    Enter,
    /// May what is said be compressed from now on? [`Server::answer`].
    Compress,
    /// Execute [`Server::take_command`], write what it tells, and [`Server::finish`].
    Command,
    /// May [`Server::message`] come? [`Server::answer`].
    Message,
    /// All messages of an `APPEND` are here: put them into the mailbox, every one or none (RFC 3502),
    /// and [`Server::finish`].
    Append,
}

/// The driver's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Yes.
    Accept,
    /// No, and what to say.
    Refuse(Completion),
    /// To [`Question::Authenticate`]. An [`Answer::Refuse`] with words of its own will do too.
    Proof(sasl::Answer),
}

/// The machine: one a connection.
#[derive(Debug)]
pub struct Server {
    profile: Rc<Profile>,
    state: State,
    /// Of the command that is under way; `*` when it has none that can be read.
    tag: Vec<u8>,
    /// What has come of a command that has literals.
    gathered: Zeroizing<Vec<u8>>,
    /// What will be said of a command that is refused, once the rest of it has gone by.
    refused: Option<Box<Completion>>,
    /// It is an `APPEND`: its literals are long.
    skips_message: bool,
    /// What the driver is to execute.
    command: Option<Command>,
    /// The message that is being appended.
    message: Option<Box<Message>>,
    /// Messages of the `APPEND` under way.
    messages: u32,
    /// Whether a mailbox is selected once the command under way has succeeded.
    selects: bool,
    selected: bool,
    tls: bool,
    compressed: bool,
    enabled: Enabled,
    /// What the client calls itself.
    client: Option<ClientId>,
    /// What TLS knows of the client, once the driver has told.
    channel: Option<Box<Channel>>,
    /// The attempt to log in that is under way.
    exchange: Option<Box<Exchange>>,
    /// Who has logged in.
    identity: Option<Box<Identity>>,
    errors: u32,
    auth_failures: u32,
    /// Commands before login.
    commands: u32,
    deadline: Moment,
    login_deadline: Moment,
    append_deadline: Moment,
}

/// What the next octet of input is, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing before the greeting.
    New,
    /// A line of a command: its first, unless some of it was gathered.
    Command,
    /// So many octets of a literal that is gathered.
    Literal(usize),
    /// The answer to a challenge of `AUTHENTICATE`.
    Response,
    /// `DONE`.
    Idle,
    /// So many octets of a message.
    Message(u64),
    /// The line behind a message.
    MessageEnd,
    /// So many octets of a literal of a refused command.
    Skip(u64),
    /// The line behind such a literal.
    SkipLine,
    /// Whatever comes waits for the driver's answer.
    Asked(Asked),
    /// TLS, none of ours.
    Upgrading,
    /// Compressed data, none of ours.
    Compressing,
    /// Nothing.
    Closed,
}

/// A question and what it interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Authenticate,
    Enter,
    Compress,
    Command,
    /// `waits`: the client sends the message when it is told to.
    Message {
        waits: bool,
    },
    Append,
}

/// `None`: go on with the input.
type Flow<'i> = Option<Step<'i>>;

impl Server {
    /// A machine that waits to greet.
    #[must_use]
    pub fn new(profile: Rc<Profile>, now: Moment) -> Self {
        Self {
            state: State::New,
            tag: Vec::new(),
            gathered: Zeroizing::default(),
            refused: None,
            skips_message: false,
            command: None,
            message: None,
            messages: 0,
            selects: false,
            selected: false,
            tls: false,
            compressed: false,
            enabled: Enabled::NONE,
            client: None,
            channel: None,
            exchange: None,
            identity: None,
            errors: 0,
            auth_failures: 0,
            commands: 0,
            deadline: Moment::NEVER,
            login_deadline: now.after(profile.limits.login_timeout),
            append_deadline: Moment::NEVER,
            profile,
        }
    }

    /// Consumes from the front of `input`; returns how much, and what to do. Replies are appended to
    /// `out`, so that those to pipelined commands leave together.
    ///
    /// Is called again with what is left until it says [`Step::NeedInput`] or [`Step::Idle`]. An
    /// incomplete line is left too: the caller's buffer can grow to [`Limits::command_bytes_max`].
    pub fn feed<'i>(
        &mut self,
        now: Moment,
        input: &'i [u8],
        out: &mut Vec<u8>,
    ) -> (usize, Step<'i>) {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let (consumed, flow) = match self.state {
                State::New => return (used, Step::NeedInput),
                State::Command => self.command_line(rest, out),
                State::Literal(left) => self.literal(left, rest),
                State::Response => self.response(rest, out),
                State::Idle => self.idle_line(rest, out),
                State::Message(left) => self.message_piece(left, rest),
                State::MessageEnd => self.message_end(rest, out),
                State::Skip(left) => self.skip(left, rest),
                State::SkipLine => self.skip_line(rest, out),
                State::Asked(asked) => return (used, Step::Ask(asked.question())),
                State::Upgrading => return (used, Step::Upgrade),
                State::Compressing => return (used, Step::Compress),
                State::Closed => return (input.len(), Step::Close),
            };
            used += consumed;
            if consumed > 0 {
                self.arm(now);
            }
            if let Some(step) = flow {
                return (used, step);
            }
        }
    }

    /// The driver's decision on what was asked; then feed what is left, be it nothing.
    pub fn answer(&mut self, now: Moment, answer: Answer, out: &mut Vec<u8>) -> Step<'static> {
        let flow = match self.state {
            State::Asked(Asked::Authenticate) => self.proof_answered(answer, out),
            State::Asked(Asked::Enter) => self.enter_answered(answer, out),
            State::Asked(Asked::Compress) => self.compress_answered(answer, out),
            State::Asked(Asked::Message { waits }) => {
                self.message_answered(now, answer, waits, out)
            }
            State::Closed => Some(Step::Close),
            _ => self.close_saying(&replies::OUT_OF_STEP, out),
        };
        self.arm(now);
        flow.unwrap_or(Step::NeedInput)
    }

    /// The command is executed, and this came of it; then feed what is left, be it nothing.
    pub fn finish(
        &mut self,
        now: Moment,
        completion: &Completion,
        out: &mut Vec<u8>,
    ) -> Step<'static> {
        let flow = match self.state {
            State::Asked(Asked::Command) => self.executed(completion, out),
            State::Asked(Asked::Append) => self.complete(completion, out),
            State::Closed => Some(Step::Close),
            _ => self.close_saying(&replies::OUT_OF_STEP, out),
        };
        self.arm(now);
        flow.unwrap_or(Step::NeedInput)
    }
}

impl Asked {
    const fn question(self) -> Question {
        match self {
            Self::Authenticate => Question::Authenticate,
            Self::Enter => Question::Enter,
            Self::Compress => Question::Compress,
            Self::Command => Question::Command,
            Self::Message { .. } => Question::Message,
            Self::Append => Question::Append,
        }
    }
}
