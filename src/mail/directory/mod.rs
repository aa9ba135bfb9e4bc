//! The directory: whose addresses are ours, where their mail goes, and who may log in.
//!
//! It owns domains, accounts, aliases, groups and forwarding ([`Record`]), how they are kept
//! ([`Store`]), what becomes of an address ([`Resolution`]), passwords and those who guess them
//! ([`Login`]), and what an account may send in an hour ([`Allowance`]).
//!
//! What must stay true: a look-up on a shard takes no lock and makes no system call; a directory
//! that does not answer is a 451, never a 550; nothing here blocks a shard: passwords are hashed by
//! threads of their own, changes are written by one.
//!
//! `name` compares, `record` says what there is, `packed` how it lies in memory, `table` and `view`
//! hold it, `changelog`, `snapshot` and `audit` are the files, `draft` and `store` change them,
//! `writer` is the thread that does; `embedded` answers look-ups, `resolve` and `srs` follow
//! addresses; `password` hashes, `pool` on its threads, `proofs` remembers, `guess` slows and
//! blocks, `login` puts these together; `allowance` counts what is sent.

mod accounts;
mod allowance;
mod audit;
mod changelog;
mod command;
mod draft;
mod embedded;
mod error;
mod guess;
mod login;
mod name;
mod packed;
pub mod password;
mod pool;
mod proofs;
mod record;
mod resolve;
mod secret;
mod settings;
mod snapshot;
mod soon;
mod srs;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use proto::types::{Address, Domain};

pub use accounts::{Accounts, Parts};
pub use allowance::{Allowance, Allowances, Refusal};
pub use audit::{AUDIT_LINES_MAX, AuditLine};
pub use command::{Answer, Change, Command, Fault, IMPORT_RECORDS_MAX, LIST_RECORDS_MAX};
pub use embedded::Embedded;
pub use error::{Down, StoreError};
pub use login::{Admission, Identity, Login, Verdict, nonce};
pub use name::{fold, folded};
pub use password::{Parameters, ScramSecrets};
pub use record::{Account, Alias, Group, Kind, LIST_MAX, LocalDomain, Record};
pub use resolve::{Detail, Resolution, Target};
pub use settings::{GuessSettings, PasswordSettings, Settings};
pub use soon::Soon;
pub use srs::Srs;
pub use store::{Shared, Store, Upgrade};
pub use writer::Writer;

/// Where look-ups are answered: the embedded store, and later PostgreSQL or LDAP.
///
/// Domains are compared as they are, local parts are given folded ([`fold`]).
pub trait Directory: Send + Sync + 'static {
    /// What is set about a domain; `None` when it is not ours.
    fn domain<'a>(&'a self, domain: &'a Domain) -> Soon<'a, Result<Option<DomainEntry>, Down>>;

    /// What an address of ours is; `None` when there is no such address.
    fn entry<'a>(
        &'a self,
        domain: &'a Domain,
        local: &'a str,
    ) -> Soon<'a, Result<Option<Entry>, Down>>;

    /// What the login of an account needs; `None` when there is no such account.
    fn account<'a>(
        &'a self,
        domain: &'a Domain,
        local: &'a str,
    ) -> Soon<'a, Result<Option<Account>, Down>>;

    /// Takes a better hash of a password, sooner or later or not at all. Called on any thread; does
    /// not block.
    fn upgrade(&self, upgrade: Upgrade);
}

/// What mail for a domain needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainEntry {
    /// Where mail for addresses goes that do not exist.
    pub catch_all: Option<Address>,
    /// What divides an address from its detail.
    pub separator: Option<char>,
    /// Messages an hour that its accounts may submit; `None`: the settings' default.
    pub messages_per_hour: Option<u32>,
    /// Recipients an hour, the same.
    pub recipients_per_hour: Option<u32>,
}

/// What mail for an address needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A mailbox.
    Mailbox {
        /// What it may keep, in octets; `None`: the settings' default.
        quota_bytes: Option<u64>,
    },
    /// An account that takes no mail.
    Disabled,
    /// An account whose mail goes on.
    Forward {
        /// Where to.
        to: Vec<Address>,
        /// The mailbox keeps a copy.
        keep: bool,
        /// What it may keep, in octets; `None`: the settings' default.
        quota_bytes: Option<u64>,
    },
    /// Another name for these: an alias or a group.
    List(Vec<Address>),
}
