//! The client as it stands: who it is, how it is connected, and what it has used up.
//!
//! This is all that goes along when a client that has logged in moves to the shard that has its
//! maildrop: the machine stays, as its [`Profile`] belongs to one shard, and another is made of the same
//! client there. What must stay true: moving buys neither time nor attempts.

use std::rc::Rc;

use super::{Asked, Limits, Maildrop, Profile, Server, State};
use crate::{
    sasl::{Channel, Identity},
    types::Moment,
};

/// A client between two machines; it can be sent to another thread.
#[derive(Debug)]
pub struct Client {
    pub(super) tls: bool,
    /// RFC 6856.
    pub(super) utf8: bool,
    /// What TLS knows of the client, once the driver has told.
    pub(super) channel: Option<Box<Channel>>,
    /// Who has logged in.
    pub(super) identity: Option<Box<Identity>>,
    pub(super) errors: u32,
    pub(super) auth_failures: u32,
    /// Commands before there was a maildrop.
    pub(super) commands: u32,
    pub(super) login_deadline: Moment,
    pub(super) session_deadline: Moment,
    /// `QUIT` was said: the client expects the end.
    pub(super) has_quit: bool,
}

impl Client {
    pub(super) fn new(limits: &Limits, now: Moment) -> Self {
        Self {
            tls: false,
            utf8: false,
            channel: None,
            identity: None,
            errors: 0,
            auth_failures: 0,
            commands: 0,
            login_deadline: now.after(limits.login_timeout),
            session_deadline: now.after(limits.session_timeout),
            has_quit: false,
        }
    }

    /// Who has logged in.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_deref()
    }
}

impl<M: Maildrop> Server<M> {
    /// Takes the client out of a machine that asks [`super::Question::Open`], for
    /// [`Server::take_over`] elsewhere; the input that is left and everything in `out` go with it by
    /// other means.
    ///
    /// # Errors
    /// Nothing of the kind is being asked: here is the machine again.
    pub fn hand_over(self) -> Result<Client, Box<Self>> {
        match self.state {
            State::Asked(Asked::Open) => Ok(self.client),
            _ => Err(Box::new(self)),
        }
    }

    /// A machine that asks what the other asked, once it is fed, be it nothing.
    pub fn take_over(profile: Rc<Profile>, client: Client) -> Self {
        Self::with(profile, State::Asked(Asked::Open), client)
    }
}
