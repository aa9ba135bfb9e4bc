//! The mail of accounts: stores on disk, folders in memory, and sessions that look at them.
//!
//! What must stay true:
//! * What is answered Ok is on stable storage. Nobody sees anything before it is.
//! * A body is stored once a store; it goes with the last entry that refers to it.
//! * Counts, quota use and modseqs are written in the group that changes what they count: after a
//!   crash they are right without being counted again ([`Store::verify`] counts all the same).
//! * Nothing that was read for one account ever comes out for another.
//! * Memory is bounded: bodies, digests, and accounts that no session looks at.
//!
//! How it fails: a full disk refuses new mail ([`MailboxError::reply`]) while flags and expunges still
//! work as long as they can; a lost write loses all that was computed from it, the accounts leave memory
//! and their sessions end ([`MailboxError::Lost`]). A row that cannot be read is an error for whoever
//! needs it, is told and counted, and never removed.
//!
//! `layout` says which store an account is in, `stores` reaches it from any shard, `record` what lies on the disk, `plan` writes;
//! `account`, `folder`, `index` and `feed` are how it is in memory, `share` counts who refers to a body;
//! `deliver` takes mail in, `view` is what a session sees, `change` what it does, `read` what it reads,
//! `folders` and `names` are about folders themselves, `sweep` removes deleted ones, `removal` whole accounts; `census` says which
//! accounts there are; `cache`, `quota`, `digest` and `verify` are what they are called. docs/decisions/0015-mailbox-store.md tells why.

mod account;
mod cache;
mod census;
mod change;
mod deliver;
mod digest;
mod error;
mod feed;
mod folder;
mod folders;
mod index;
mod layout;
mod message;
mod metrics;
mod names;
mod plan;
mod quota;
mod ranges;
mod read;
mod record;
mod removal;
mod settings;
mod share;
mod stores;
mod sweep;
#[cfg(test)]
mod tests;
mod verify;
mod view;

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    rc::Rc,
    sync::Arc,
};

use engine::storage::{self, Health};
use engine::telemetry::{Level, note};
use proto::types::Timestamp;
use tokio::sync::Notify;

pub use cache::Caches;
pub use change::{COPY_MAX, Copied, Expunged, How, Stored};
pub use deliver::{Appended, Delivery, Parcel, Placed};
pub use digest::{Digest, digest};
pub use error::MailboxError;
pub use folders::FolderInfo;
pub use layout::Layout;
pub use message::{EmailId, Entry, Flags, KEYWORD_OCTETS_MAX, KEYWORDS_MAX, Marks, ThreadId};
pub use metrics::Metrics;
pub use names::{INBOX, SEPARATOR, SpecialUse, folder_name};
pub use quota::{DomainUse, Limits};
pub use ranges::Ranges;
pub use record::{Counts, Usage};
pub use settings::Settings;
pub use stores::{Errand, Stores, Ways};
pub use verify::Report;
pub use view::{Event, View};

use account::{Account, Accounts};
use plan::Plan;
use quota::DomainPart;
use record::{ACCOUNT, FOLDER, MARKS};
use share::Shares;

/// Message numbers that are reserved at a time.
const RESERVE: u64 = 1 << 16;

/// One store. Clones share it; all live on the thread of the shard that owns it.
#[derive(Clone)]
pub struct Store(Rc<Inner>);

/// What the stores of a shard are opened with.
#[derive(Clone)]
pub struct Parts {
    /// Limits and sizes.
    pub settings: Arc<Settings>,
    /// Of each store's database; see [`Settings::storage`].
    pub storage: storage::Settings,
    /// One for all stores of the shard.
    pub caches: Rc<Caches>,
    /// One for all stores.
    pub domains: Arc<DomainUse>,
    /// The shard's numbers.
    pub metrics: Arc<Metrics>,
    /// The shard's numbers of the stores' databases.
    pub storage_metrics: Arc<storage::Metrics>,
    /// Stores that the shard owns: they share what it may keep in memory.
    pub own: u16,
}

/// The mailbox of one account. Clones share it.
#[derive(Clone)]
pub struct Mailbox {
    store: Store,
    account: Rc<Account>,
}

struct Inner {
    number: u16,
    disk: storage::Store,
    settings: RefCell<Rc<Settings>>,
    own: u16,
    accounts: Accounts,
    shares: Rc<Shares>,
    caches: Rc<Caches>,
    domains: Arc<DomainUse>,
    /// This store's parts of what domains use.
    domain_parts: RefCell<HashMap<Box<str>, DomainPart>>,
    metrics: Arc<Metrics>,
    /// The next message's number, and the first that is not reserved on the disk.
    next_message: Cell<u64>,
    reserved: Cell<u64>,
    next_account: Cell<u32>,
    next_session: Cell<u32>,
    /// Folders that are being swept.
    sweeping: RefCell<HashSet<(u32, u32)>>,
    /// A sweep has ended.
    swept: Notify,
    /// Octets of accounts in memory, as this store last added them to the shard's gauge.
    noted: Cell<u64>,
}

impl Store {
    /// Opens or makes a store. Blocks; call it at start, inside the shard's local runtime.
    ///
    /// # Errors
    /// The disk's, and [`MailboxError::Unreadable`].
    pub fn open(layout: &Layout, number: u16, parts: Parts) -> Result<Self, MailboxError> {
        let disk = storage::Store::open(
            &layout.dir(number),
            &parts.storage,
            &record::FAMILIES,
            layout.stores(),
            parts.storage_metrics,
        )?;
        // What is written is computed from what was written before.
        disk.chain();
        let next_message = read_mark::<u64>(&disk, record::MARK_MESSAGES)?.unwrap_or(1);
        let next_account = read_mark::<u32>(&disk, record::MARK_ACCOUNTS)?.unwrap_or(1);
        let own = parts.own.max(1);
        let account_bytes = parts.settings.account_cache.as_usize() / usize::from(own);
        let inner = Inner {
            number,
            disk,
            settings: RefCell::new(Rc::new(Settings::clone(&parts.settings))),
            own,
            accounts: Accounts::new(account_bytes),
            shares: Rc::default(),
            caches: parts.caches,
            domains: parts.domains,
            domain_parts: RefCell::default(),
            metrics: parts.metrics,
            next_message: Cell::new(next_message),
            reserved: Cell::new(next_message),
            next_account: Cell::new(next_account),
            next_session: Cell::new(1),
            sweeping: RefCell::default(),
            swept: Notify::new(),
            noted: Cell::new(0),
        };
        inner.count_domains()?;
        let inner = Rc::new(inner);
        inner.sweep_removed()?;
        Ok(Self(inner))
    }

    /// The mailbox of an account of this store, by the name that the directory knows it by; it is made
    /// at first use.
    ///
    /// # Errors
    /// The disk's, and [`MailboxError::Unreadable`].
    pub async fn mailbox(&self, account: &str) -> Result<Mailbox, MailboxError> {
        let account = self.0.account(account).await?;
        Ok(Mailbox { store: self.clone(), account })
    }

    /// Which store this is.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.0.number
    }

    /// How the disk is.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.disk.health()
    }

    /// Takes new limits and sizes; the caches are the shard's to reload.
    pub fn reload(&self, settings: &Settings) {
        let bytes = settings.account_cache.as_usize() / usize::from(self.0.own);
        self.0.accounts.set_bytes_max(bytes);
        self.0.settings.replace(Rc::new(settings.clone()));
    }

    /// Waits until nothing that was deleted is being swept.
    pub async fn swept(&self) {
        loop {
            let ended = self.0.swept.notified();
            if self.0.sweeping.borrow().is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// Writes what waits and closes the database. True if everything was written.
    pub async fn close(&self) -> bool {
        self.0.disk.close().await
    }

    fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.0.settings.borrow())
    }
}

impl Mailbox {
    /// What the account uses, as it is on stable storage.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.account.shown.get()
    }

    /// The account's name.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account.name
    }

    /// The store that it is in.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        Timestamp(engine::shard::wall_ms())
    }

    /// Whether the disk takes new data.
    fn has_room(&self) -> Result<(), MailboxError> {
        match self.disk.health() {
            Health::Healthy => Ok(()),
            Health::Full { .. } => Err(MailboxError::Full),
            Health::Failing(text) => Err(MailboxError::Failing(text)),
        }
    }

    /// A number for a message. Numbers are reserved on the disk in the group that uses the first of
    /// them, so none is ever given twice.
    fn new_message(&self, plan: &mut Plan) -> EmailId {
        let number = self.next_message.get();
        if number >= self.reserved.get() {
            let reserved = number + RESERVE;
            self.reserved.set(reserved);
            plan.put(MARKS, record::MARK_MESSAGES.into(), &reserved);
        }
        self.next_message.set(number + 1);
        EmailId(number)
    }

    /// What was reserved may not be on the disk.
    fn reserve_messages_again(&self) {
        self.reserved.set(self.next_message.get());
    }

    fn new_session(&self) -> u32 {
        let session = self.next_session.get();
        // Nobody is session 0; a session of four billion sessions ago is gone.
        self.next_session.set(session.wrapping_add(1).max(1));
        session
    }

    /// Counts and tells of a row that cannot be read.
    fn seen<T>(&self, result: Result<T, MailboxError>) -> Result<T, MailboxError> {
        if let Err(MailboxError::Unreadable(what)) = &result {
            self.metrics.unreadable.inc();
            let number = self.number;
            note(
                Level::Error,
                format_args!("mailbox store {number}: a row cannot be read: {what}"),
            );
        }
        result
    }

    /// Keeps the shard's gauge of accounts in memory.
    fn note_accounts(&self) {
        let bytes = self.accounts.bytes() as u64;
        let before = self.noted.replace(bytes);
        self.metrics.account_bytes.add(bytes.saturating_sub(before));
        self.metrics.account_bytes.sub(before.saturating_sub(bytes));
    }

    fn domain_part(&self, domain: &str) -> DomainPart {
        let mut parts = self.domain_parts.borrow_mut();
        if let Some(part) = parts.get(domain) {
            return part.clone();
        }
        let part = self.domains.part(domain);
        parts.insert(domain.into(), part.clone());
        part
    }

    /// Counts what each domain uses.
    fn count_domains(&self) -> Result<(), MailboxError> {
        let mut result = Ok(());
        self.disk.scan(ACCOUNT, &[], |name, row| {
            result = self.count_account(name, row);
            result.is_ok()
        })?;
        result
    }

    fn count_account(&self, name: &[u8], row: &[u8]) -> Result<(), MailboxError> {
        // Names and rows that cannot be read are for `verify`; the others shall still have mail.
        let Ok(row) = self.seen(record::read::<record::AccountRow>("account", row)) else {
            return Ok(());
        };
        let domain = quota::domain_of(std::str::from_utf8(name).unwrap_or_default());
        let key = record::usage_key(row.number);
        self.disk.scan(FOLDER, &key, |found, row| {
            if *found == key[..]
                && let Ok(usage) = self.seen(record::read::<Usage>("usage", row))
            {
                self.domain_part(domain).gauge.add(usage.bytes);
            }
            false
        })?;
        Ok(())
    }
}

fn read_mark<T: serde::de::DeserializeOwned>(
    disk: &storage::Store,
    mark: &[u8],
) -> Result<Option<T>, MailboxError> {
    let mut value = Ok(None);
    disk.scan(MARKS, mark, |found, row| {
        if found == mark {
            value = record::read("mark", row).map(Some);
        }
        false
    })?;
    value
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.metrics.account_bytes.sub(self.noted.get());
        let parts: Vec<DomainPart> = self.domain_parts.take().into_values().collect();
        self.domains.give_back(&parts);
    }
}
