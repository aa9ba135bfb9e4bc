//! The directory as the whole process has it: look-ups, forwarding, limits, and what logins need.
//!
//! One for all shards. What they touch for each message (the view, the rules) is swapped as a
//! whole and never locked; what only logins touch may be.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use engine::shard::wall_ms;
use proto::types::{Address, Domain};

use super::allowance::{Allowances, Limits};
use super::error::StoreError;
use super::guess::Guesses;
use super::password::{self, Parameters, Scratch};
use super::pool::{Bounds, Pool};
use super::proofs::Proofs;
use super::resolve::Resolver;
use super::secret::Secret;
use super::{
    Directory, DomainEntry, Embedded, GuessSettings, PasswordSettings, Resolution, Settings, Srs,
    Store, Writer,
};

/// The directory of the running server.
pub struct Accounts {
    pub(super) directory: Box<dyn Directory>,
    pub(super) rules: ArcSwap<Rules>,
    pub(super) allowances: Allowances,
    pub(super) guesses: Arc<Guesses>,
    pub(super) proofs: Proofs,
    pub(super) pool: Pool,
    pub(super) secret: Secret,
    /// What logins to accounts that do not exist are verified against.
    pub(super) dummy_hash: Arc<str>,
}

/// What a reload changes.
pub(super) struct Rules {
    pub srs: Srs,
    pub postmaster: Option<Address>,
    pub settings: Settings,
    pub guess: GuessSettings,
    pub parameters: Parameters,
}

/// What [`Accounts`] are made of.
#[derive(Debug)]
pub struct Parts {
    /// `[directory]`.
    pub settings: Settings,
    /// `[passwords]`.
    pub passwords: PasswordSettings,
    /// `[guessing]`.
    pub guessing: GuessSettings,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// Opens the embedded directory in the data directory, and starts the threads that change it
    /// and that verify passwords.
    ///
    /// # Errors
    /// When a file is damaged or the disk fails, a setting makes no sense, or there is no thread to
    /// be had.
    pub fn open(data_dir: &Path, parts: Parts) -> Result<(Arc<Self>, Writer), StoreError> {
        let store = Store::open(data_dir, parts.passwords.parameters())?;
        let secret = Secret::open(store.folder())?;
        let shared = store.shared();
        let writer = Writer::start(store)?;
        let directory = Embedded::new(shared, Some(writer.clone()));
        let accounts = Self::new(Box::new(directory), secret, parts)?;
        Ok((Arc::new(accounts), writer))
    }

    pub(super) fn new(
        directory: Box<dyn Directory>,
        secret: Secret,
        parts: Parts,
    ) -> Result<Self, StoreError> {
        let passwords = &parts.passwords;
        let bounds = Bounds {
            all: passwords.waiting_max as usize,
            each: passwords.waiting_per_client_max as usize,
        };
        let parameters = passwords.parameters();
        let key: [u8; 32] = password::random().map_err(io::Error::other)?;
        let dummy = password::random::<16>().map_err(io::Error::other)?;
        let dummy_hash = password::hash(&dummy, &parameters, &mut Scratch::default());
        let remember_max = passwords.remember_max as usize;
        Ok(Self {
            directory,
            proofs: Proofs::new(&key, remember_max, passwords.remember.as_ms()),
            pool: Pool::start(passwords.threads(), bounds)?,
            dummy_hash: dummy_hash.map_err(StoreError::Refused)?.into(),
            rules: ArcSwap::from_pointee(rules(&secret, parts).map_err(StoreError::Refused)?),
            allowances: Allowances::default(),
            guesses: Arc::default(),
            secret,
        })
    }

    /// Takes new settings. Threads, queues and what is remembered stay as they are until a restart.
    ///
    /// # Errors
    /// When they make no sense; nothing is changed then.
    pub fn reload(&self, parts: Parts) -> Result<(), String> {
        self.rules.store(Arc::new(rules(&self.secret, parts)?));
        Ok(())
    }

    /// What becomes of mail for `address`.
    pub async fn resolve(&self, address: &Address) -> Resolution {
        let rules = self.rules.load();
        let resolver = Resolver {
            directory: &*self.directory,
            srs: &rules.srs,
            postmaster: rules.postmaster.as_ref(),
            now_ms: wall_ms(),
        };
        resolver.resolve(address).await
    }

    /// The sender with which mail from `sender` goes on in the name of `by`
    /// ([`Target::Forward`](super::Target::Forward)); the null sender stays.
    #[must_use]
    pub fn forwarded_sender(&self, sender: Option<&Address>, by: &Domain) -> Option<Address> {
        Some(self.rules.load().srs.forward(sender?, by, wall_ms()))
    }

    /// What an account may send.
    pub(super) fn limits(&self, account: &super::Account, domain: &DomainEntry) -> [Limits; 2] {
        let rules = self.rules.load();
        let settings = &rules.settings;
        let messages = account.messages_per_hour.unwrap_or(settings.messages_per_hour);
        let recipients = account.recipients_per_hour.unwrap_or(settings.recipients_per_hour);
        let all_messages = domain.messages_per_hour.unwrap_or(settings.domain_messages_per_hour);
        let all_recipients =
            domain.recipients_per_hour.unwrap_or(settings.domain_recipients_per_hour);
        [
            Limits { messages, recipients },
            Limits { messages: all_messages, recipients: all_recipients },
        ]
    }
}

fn rules(secret: &Secret, parts: Parts) -> Result<Rules, String> {
    Ok(Rules {
        srs: Srs::new(&secret.derived("srs", b""), parts.settings.srs()?),
        postmaster: parts.settings.postmaster()?,
        parameters: parts.passwords.parameters(),
        settings: parts.settings,
        guess: parts.guessing,
    })
}
