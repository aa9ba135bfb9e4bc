//! The server half of POP3 (RFC 1939): octets in, replies and steps out.
//!
//! A driver greets, feeds what arrives, sends `out`, and acts on each [`Step`]. One machine serves one
//! connection; it owns the session and what is marked as deleted, but no input and no message. What must
//! stay true, and is tested by splitting input at every octet:
//! - the dialogue does not depend on how the input was split;
//! - every command gets one reply, in order, whatever is pipelined (RFC 2449 §6.6);
//! - nobody has a maildrop who was not granted it, and no password is taken in the clear unless the
//!   listener says so;
//! - messages are deleted by the driver's answer to [`Question::Commit`] only, and that is asked only
//!   behind `QUIT`: a connection that ends in any other way deletes nothing (RFC 1939 §6);
//! - `out` does not grow beyond `Limits::out_bytes_max` and one reply, however many messages there are.
//!
//! How it fails: what the client gets wrong becomes `-ERR` and, too often, the end of the connection; a
//! driver that answers what was not asked loses the connection, never mail.
//!
//! Files: `line` and `command` read commands, one file for each verb or two acts on them, `maildrop` is
//! what was opened, `transfer` stuffs and cuts messages, `client` what travels between shards, `refusal`
//! and `replies` are all that is said.
//!
//! Besides: CAPA, RESP-CODES and more (RFC 2449), STLS (RFC 2595), AUTH (RFC 5034), AUTH-RESP-CODE
//! (RFC 3206), UTF8 and LANG (RFC 6856). Not here: APOP, which needs passwords in the clear on our side.

mod auth;
mod capa;
mod client;
mod command;
mod dele;
mod line;
mod list;
mod maildrop;
mod profile;
mod quit;
mod refusal;
mod replies;
mod retr;
mod session;
mod stls;
#[cfg(test)]
mod tests;
mod transfer;
mod user;
mod utf8;

use std::rc::Rc;

pub use client::Client;
pub use maildrop::Maildrop;
pub use profile::{Expiry, Limits, Profile};
pub use refusal::{Code, Refusal};
pub use retr::Retrieval;
pub use transfer::Portion;

use self::{line::Lines, list::Listing, maildrop::Opened, transfer::Transfer};
use crate::{
    sasl::{self, Exchange},
    types::Moment,
};

/// What the driver does next. Whatever is in `out` is sent before waiting for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read more, then feed what is left and what came.
    NeedInput,
    /// Send `out` and clear it, then feed what is left, be it nothing: there is more to say.
    Send,
    /// Decide, then call [`Server::answer`], then feed what is left, be it nothing.
    Ask(Question),
    /// Give the message of [`Server::retrieval`] to [`Server::body`], piece by piece, then call
    /// [`Server::body_ended`], then feed what is left, be it nothing.
    Body,
    /// Send `out`, do the TLS handshake, then call [`Server::upgraded`] and, if something is known of
    /// the channel, [`Server::set_channel`]. The input is empty.
    Upgrade,
    /// Send `out`, then close.
    Close,
}

/// What the machine cannot decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Does [`Server::proof`] do?
    Authenticate,
    /// May [`Server::identity`] have its maildrop, and what is in it? It is theirs alone until the
    /// connection ends (RFC 1939 §4). Here a driver may [`Server::hand_over`] the client.
    Open,
    /// Can the message of [`Server::retrieval`] be sent?
    Retrieve,
    /// Are the messages of [`Server::marked`] deleted, on stable storage?
    Commit,
}

/// The driver's decision.
#[derive(Debug)]
pub enum Answer<M> {
    /// Yes: to [`Question::Retrieve`] and [`Question::Commit`].
    Accept,
    /// To [`Question::Open`]: yes, and this is in it.
    Opened(M),
    /// To [`Question::Authenticate`]. A [`Answer::Refuse`] with a text of its own will do too, and does
    /// not count as a failed attempt unless its code is [`Code::Auth`].
    Proof(sasl::Answer),
    /// No, and what to say.
    Refuse(Refusal),
}

/// The machine: one a connection. `M` is how the driver knows the messages of a maildrop.
#[derive(Debug)]
pub struct Server<M> {
    profile: Rc<Profile>,
    state: State,
    lines: Lines,
    client: Client,
    /// The attempt to log in that is under way: a `USER` that waits for its `PASS`, or an `AUTH`.
    exchange: Option<Box<Exchange>>,
    /// The maildrop, in the states TRANSACTION and UPDATE; none in AUTHORIZATION.
    opened: Option<Opened<M>>,
    /// Of what the client is doing, once it has its maildrop.
    deadline: Moment,
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
    /// Whatever comes waits for the rest of a list.
    Listing(Listing),
    /// Whatever comes waits for the rest of a message.
    Body(Transfer),
    /// TLS, none of ours.
    Upgrading,
    /// Nothing.
    Closed,
}

/// A question and what it is about.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Authenticate,
    Open,
    Retrieve(Retrieval),
    Commit,
}

/// `None`: go on with the input.
type Flow = Option<Step>;
/// What a verb comes to: go on, a step, or the client's mistake, which is yet to be said and counted.
type Outcome = Result<Flow, Refusal>;

impl<M: Maildrop> Server<M> {
    /// A machine that waits to greet.
    pub fn new(profile: Rc<Profile>, now: Moment) -> Self {
        let client = Client::new(&profile.limits, now);
        Self::with(profile, State::New, client)
    }

    fn with(profile: Rc<Profile>, state: State, client: Client) -> Self {
        let lines = Lines::new(profile.limits.command_bytes_max);
        let deadline = client.login_deadline;
        Self { profile, state, lines, client, exchange: None, opened: None, deadline }
    }

    /// Consumes from the front of `input`; returns how much, and what to do. Replies are appended to
    /// `out`, so that those to pipelined commands leave together.
    ///
    /// Is called again with what is left until it says [`Step::NeedInput`]. An incomplete command is
    /// left too: the caller's buffer has room for `command_bytes_max` octets or more, and for 12,288
    /// when `AUTH` is offered.
    pub fn feed(&mut self, now: Moment, input: &[u8], out: &mut Vec<u8>) -> (usize, Step) {
        let mut used = 0;
        loop {
            let rest = &input[used..];
            let is_full = out.len() >= self.profile.limits.out_bytes_max;
            let (consumed, flow) = match &self.state {
                State::New => return (used, Step::NeedInput),
                State::Command | State::Response | State::Listing(_) if is_full => {
                    return (used, Step::Send);
                }
                State::Command => self.command(now, rest, out),
                State::Response => self.response(now, rest, out),
                State::Asked(asked) => return (used, Step::Ask(asked.question())),
                State::Listing(_) => (0, self.list_on(now, out)),
                State::Body(_) => return (used, Step::Body),
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
    pub fn answer(&mut self, now: Moment, answer: Answer<M>, out: &mut Vec<u8>) -> Step {
        let flow = match std::mem::replace(&mut self.state, State::Command) {
            State::Asked(Asked::Authenticate) => self.proof_answered(answer, out),
            State::Asked(Asked::Open) => self.open_answered(answer, out),
            State::Asked(Asked::Retrieve(retrieval)) => {
                self.retrieve_answered(retrieval, answer, out)
            }
            State::Asked(Asked::Commit) => Some(self.commit_answered(answer, out)),
            State::Closed => {
                self.state = State::Closed;
                Some(Step::Close)
            }
            _ => Some(self.close_saying(&replies::OUT_OF_STEP, out)),
        };
        self.arm(now);
        flow.unwrap_or(Step::NeedInput)
    }
}

impl Asked {
    const fn question(self) -> Question {
        match self {
            Self::Authenticate => Question::Authenticate,
            Self::Open => Question::Open,
            Self::Retrieve(_) => Question::Retrieve,
            Self::Commit => Question::Commit,
        }
    }
}
