//! From one shard to another: behind its login a connection moves to where the account's mail is, and
//! what the machine knows of it goes along.

use std::rc::Rc;

use super::{Profile, Server, State};
use crate::{
    imap::command::{ClientId, Enabled},
    sasl::Identity,
    types::Moment,
};

/// What a machine knows of a client that has just logged in; may go to another thread.
#[derive(Debug)]
pub struct Passage {
    identity: Box<Identity>,
    enabled: Enabled,
    client: Option<ClientId>,
    tls: bool,
    compressed: bool,
    errors: u32,
}

impl Passage {
    /// Who has logged in.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }
}

impl Server {
    /// Takes the machine apart; `None` unless somebody has logged in, no mailbox is selected and no
    /// command is under way. Input that was not consumed, and `out`, are the driver's to take along.
    #[must_use]
    pub fn depart(self) -> Option<Passage> {
        let between = self.state == State::Command && self.gathered.is_empty() && !self.selected;
        if !between {
            return None;
        }
        Some(Passage {
            identity: self.identity?,
            enabled: self.enabled,
            client: self.client,
            tls: self.tls,
            compressed: self.compressed,
            errors: self.errors,
        })
    }

    /// Puts it together again, with the same listener's profile; nothing is greeted.
    #[must_use]
    pub fn arrive(profile: Rc<Profile>, passage: Passage, now: Moment) -> Self {
        let mut server = Self::new(profile, now);
        server.state = State::Command;
        server.identity = Some(passage.identity);
        server.enabled = passage.enabled;
        server.client = passage.client;
        server.tls = passage.tls;
        server.compressed = passage.compressed;
        server.errors = passage.errors;
        server.arm(now);
        server
    }
}
