//! From one shard to another: behind its login a connection moves to where the account's mail is, and
//! what the machine knows of it goes along.
//!
//! What must stay true: nothing was said of the login yet, so where the client arrives it can still be
//! refused, and is then where it was before it tried.

use std::rc::Rc;

use super::{Asked, Profile, Server, State};
use crate::{
    imap::command::ClientId,
    sasl::{Channel, Identity},
    types::Moment,
};

/// What a machine knows of a client that has just proved who it is; may go to another thread.
#[derive(Debug)]
pub struct Passage {
    identity: Box<Identity>,
    tag: Vec<u8>,
    client: Option<ClientId>,
    channel: Option<Box<Channel>>,
    tls: bool,
    errors: u32,
    auth_failures: u32,
    commands: u32,
    login_deadline: Moment,
}

impl Passage {
    /// Who wants to come in.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Server {
    /// Takes the machine apart; `None` unless it asks [`super::Question::Enter`]. Input that was not
    /// consumed, and `out`, are the driver's to take along.
    #[must_use]
    pub fn depart(self) -> Option<Passage> {
        if self.state != State::Asked(Asked::Enter) {
            return None;
        }
        Some(Passage {
            identity: self.identity?,
            tag: self.tag,
            client: self.client,
            channel: self.channel,
            tls: self.tls,
            errors: self.errors,
            auth_failures: self.auth_failures,
            commands: self.commands,
            login_deadline: self.login_deadline,
        })
    }

    /// Puts it together again, with the same listener's profile: it asks [`super::Question::Enter`] once
    /// more.
    #[must_use]
    pub fn arrive(profile: Rc<Profile>, passage: Passage) -> Self {
        let mut server = Self::new(profile, Moment::NEVER);
        server.state = State::Asked(Asked::Enter);
        server.identity = Some(passage.identity);
        server.tag = passage.tag;
        server.client = passage.client;
        server.channel = passage.channel;
        server.tls = passage.tls;
        server.errors = passage.errors;
        server.auth_failures = passage.auth_failures;
        server.commands = passage.commands;
        server.login_deadline = passage.login_deadline;
        server
    }
}
