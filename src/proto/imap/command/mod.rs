//! Commands (RFC 9051 §6): what a client may ask for, typed, owned and bounded.
//!
//! [`Command`] is what a driver executes; what the machine does alone stays inside. A command is read
//! whole or not at all, and nothing of one that is malformed is obeyed. Numbers and UIDs have one type
//! each command, with [`Fetch::uid`] and its like saying which they are.
//!
//! Files: one for each command, or for each family whose members differ in little.

mod append;
mod copy;
mod enable;
mod fetch;
mod folder;
mod id;
mod list;
mod login;
mod quota;
mod search;
mod section;
mod select;
mod sort;
mod status;
mod store;
#[cfg(test)]
mod tests;

pub use append::Message;
pub(in crate::imap) use append::{Preface, next_message, preface};
pub use copy::Copy;
pub use enable::Enabled;
pub use fetch::{Attributes, Binary, Body, Fetch};
pub use folder::Create;
pub(in crate::imap) use id::ClientId;
pub use list::{List, SpecialUse};
pub(in crate::imap) use login::{Login, Mechanism};
pub use quota::SetQuota;
pub use search::{Returns, Search, SearchKey, SearchModSeq};
pub use section::{Partial, Section, SectionText};
pub use select::{Resync, Select};
pub use sort::{Sort, SortKey, Thread, ThreadAlgorithm};
pub use status::StatusItems;
pub use store::{Change, Store};

use crate::imap::syntax::{Cursor, Fault, MailboxName, Messages, Parsed};

/// What the driver is asked to do. Where nothing else is said, the mailbox is the selected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `NOOP`: tell what has changed.
    Noop,
    /// `CHECK` (RFC 3501 §6.4.1): likewise.
    Check,
    /// `SELECT` or `EXAMINE`. Whatever it comes to, the mailbox selected before is no more.
    Select(Select),
    /// `CREATE`
    Create(Create),
    /// `DELETE`
    Delete(MailboxName),
    /// `RENAME`
    Rename {
        /// What it is called.
        from: MailboxName,
        /// What it is to be called.
        to: MailboxName,
    },
    /// `SUBSCRIBE`
    Subscribe(MailboxName),
    /// `UNSUBSCRIBE`
    Unsubscribe(MailboxName),
    /// `LIST`, and `LSUB` with [`List::lsub`].
    List(List),
    /// `NAMESPACE` (RFC 2342)
    Namespace,
    /// `STATUS`
    Status {
        /// Of which mailbox.
        mailbox: MailboxName,
        /// What of it.
        items: StatusItems,
    },
    /// `CLOSE`: expunge, telling nothing, and deselect.
    Close,
    /// `UNSELECT` (RFC 3691): deselect.
    Unselect,
    /// `EXPUNGE`; with UIDs, only of these (RFC 4315).
    Expunge(Option<Messages>),
    /// `SEARCH`
    Search(Search),
    /// `SORT` (RFC 5256)
    Sort(Sort),
    /// `THREAD` (RFC 5256)
    Thread(Thread),
    /// `FETCH`
    Fetch(Fetch),
    /// `STORE`
    Store(Store),
    /// `COPY`
    Copy(Copy),
    /// `MOVE` (RFC 6851)
    Move(Copy),
    /// `GETQUOTA` (RFC 9208) of this root.
    GetQuota(Box<str>),
    /// `GETQUOTAROOT` (RFC 9208) of this mailbox.
    GetQuotaRoot(MailboxName),
    /// `SETQUOTA` (RFC 9208)
    SetQuota(SetQuota),
}

impl Command {
    /// Whether `EXPUNGE` may be sent while it is answered: not while sequence numbers that the client
    /// has in mind would change under it (RFC 9051 §7.5.1). `VANISHED` is `EXPUNGE` here.
    #[must_use]
    pub const fn allows_expunge(&self) -> bool {
        match self {
            Self::Fetch(fetch) => fetch.uid,
            Self::Store(store) => store.uid,
            Self::Search(search) => search.uid,
            Self::Sort(sort) => sort.search.uid,
            Self::Thread(thread) => thread.search.uid,
            _ => true,
        }
    }

    /// Whether it shows that the client knows of CONDSTORE (RFC 7162 §3.1).
    #[must_use]
    pub fn enables_condstore(&self) -> bool {
        match self {
            Self::Select(select) => select.condstore,
            Self::Status { items, .. } => items.contains(StatusItems::HIGHEST_MODSEQ),
            Self::Fetch(fetch) => {
                fetch.changed_since.is_some() || fetch.attributes.contains(Attributes::MODSEQ)
            }
            Self::Store(store) => store.unchanged_since.is_some(),
            Self::Search(search) => search.key.names_modseq(),
            Self::Sort(sort) => sort.search.key.names_modseq(),
            Self::Thread(thread) => thread.search.key.names_modseq(),
            _ => false,
        }
    }
}

/// In which state a command is valid (RFC 9051 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::imap) enum Needs {
    Nothing,
    /// That nobody has logged in.
    NoLogin,
    Login,
    Mailbox,
}

/// One command, as it was read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::imap) enum Request {
    Capability,
    Logout,
    StartTls,
    Authenticate(Mechanism),
    Login(Login),
    Id(Option<ClientId>),
    Enable(Enabled),
    Idle,
    Compress,
    Driver(Command),
}

/// The verbs, and what each needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) enum Verb {
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Authenticate,
    Login,
    Enable,
    Idle,
    Compress,
    Select,
    Examine,
    Create,
    Delete,
    Rename,
    Subscribe,
    Unsubscribe,
    List,
    Lsub,
    Namespace,
    Status,
    Append,
    GetQuota,
    GetQuotaRoot,
    SetQuota,
    Check,
    Close,
    Unselect,
    Expunge,
    Search,
    Sort,
    Thread,
    Fetch,
    Store,
    Copy,
    Move,
}

impl Verb {
    /// Reads a verb; `true`: it is the `UID` form.
    pub(in crate::imap) fn read(cursor: &mut Cursor<'_>) -> Parsed<(Self, bool)> {
        let first = cursor.word();
        if first.as_bytes() != b"UID" {
            return Self::named(first.as_bytes()).map(|verb| (verb, false));
        }
        cursor.space()?;
        match Self::named(cursor.word().as_bytes())? {
            verb @ (Self::Expunge
            | Self::Search
            | Self::Sort
            | Self::Thread
            | Self::Fetch
            | Self::Store
            | Self::Copy
            | Self::Move) => Ok((verb, true)),
            _ => Err(Fault::Syntax("This command has no UID form")),
        }
    }

    fn named(word: &[u8]) -> Parsed<Self> {
        Ok(match word {
            b"FETCH" => Self::Fetch,
            b"NOOP" => Self::Noop,
            b"STORE" => Self::Store,
            b"SEARCH" => Self::Search,
            b"SELECT" => Self::Select,
            b"IDLE" => Self::Idle,
            b"STATUS" => Self::Status,
            b"LIST" => Self::List,
            b"CAPABILITY" => Self::Capability,
            b"LOGOUT" => Self::Logout,
            b"ID" => Self::Id,
            b"STARTTLS" => Self::StartTls,
            b"AUTHENTICATE" => Self::Authenticate,
            b"LOGIN" => Self::Login,
            b"ENABLE" => Self::Enable,
            b"COMPRESS" => Self::Compress,
            b"EXAMINE" => Self::Examine,
            b"CREATE" => Self::Create,
            b"DELETE" => Self::Delete,
            b"RENAME" => Self::Rename,
            b"SUBSCRIBE" => Self::Subscribe,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            b"LSUB" => Self::Lsub,
            b"NAMESPACE" => Self::Namespace,
            b"APPEND" => Self::Append,
            b"GETQUOTA" => Self::GetQuota,
            b"GETQUOTAROOT" => Self::GetQuotaRoot,
            b"SETQUOTA" => Self::SetQuota,
            b"CHECK" => Self::Check,
            b"CLOSE" => Self::Close,
            b"UNSELECT" => Self::Unselect,
            b"EXPUNGE" => Self::Expunge,
            b"SORT" => Self::Sort,
            b"THREAD" => Self::Thread,
            b"COPY" => Self::Copy,
            b"MOVE" => Self::Move,
            _ => return Err(Fault::Syntax("Unknown command")),
        })
    }

    pub(in crate::imap) const fn needs(self) -> Needs {
        match self {
            Self::Capability | Self::Noop | Self::Logout | Self::Id => Needs::Nothing,
            Self::StartTls | Self::Authenticate | Self::Login => Needs::NoLogin,
            Self::Check
            | Self::Close
            | Self::Unselect
            | Self::Expunge
            | Self::Search
            | Self::Sort
            | Self::Thread
            | Self::Fetch
            | Self::Store
            | Self::Copy
            | Self::Move => Needs::Mailbox,
            _ => Needs::Login,
        }
    }

    /// Reads what follows the verb, to the end of the command.
    pub(in crate::imap) fn arguments(self, uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Request> {
        let request = match self {
            Self::Capability => Request::Capability,
            Self::Logout => Request::Logout,
            Self::StartTls => Request::StartTls,
            Self::Idle => Request::Idle,
            Self::Id => Request::Id(ClientId::read(cursor)?),
            Self::Authenticate => Request::Authenticate(Mechanism::read(cursor)?),
            Self::Login => Request::Login(Login::read(cursor)?),
            Self::Enable => Request::Enable(Enabled::read(cursor)?),
            Self::Compress => {
                cursor.space()?;
                if !cursor.eat_word("DEFLATE") {
                    return Err(Fault::Syntax("Unknown compression"));
                }
                Request::Compress
            }
            _ => Request::Driver(self.command(uid, cursor)?),
        };
        cursor.end()?;
        Ok(request)
    }

    fn command(self, uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Command> {
        Ok(match self {
            Self::Noop => Command::Noop,
            Self::Check => Command::Check,
            Self::Close => Command::Close,
            Self::Unselect => Command::Unselect,
            Self::Namespace => Command::Namespace,
            Self::Expunge if !uid => Command::Expunge(None),
            _ => {
                cursor.space()?;
                self.argued(uid, cursor)?
            }
        })
    }

    /// Commands that take arguments.
    fn argued(self, uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Command> {
        Ok(match self {
            Self::Select => Command::Select(Select::read(cursor, false)?),
            Self::Examine => Command::Select(Select::read(cursor, true)?),
            Self::Create => Command::Create(Create::read(cursor)?),
            Self::Delete => Command::Delete(MailboxName::read(cursor)?),
            Self::Rename => folder::rename(cursor)?,
            Self::Subscribe => Command::Subscribe(MailboxName::read(cursor)?),
            Self::Unsubscribe => Command::Unsubscribe(MailboxName::read(cursor)?),
            Self::List => Command::List(List::read(cursor)?),
            Self::Lsub => Command::List(List::read_lsub(cursor)?),
            Self::Status => status::read(cursor)?,
            Self::GetQuota => Command::GetQuota(cursor.text()?),
            Self::GetQuotaRoot => Command::GetQuotaRoot(MailboxName::read(cursor)?),
            Self::SetQuota => Command::SetQuota(SetQuota::read(cursor)?),
            Self::Expunge => Command::Expunge(Some(Messages::read(cursor)?)),
            Self::Search => Command::Search(Search::read(uid, cursor)?),
            Self::Sort => Command::Sort(Sort::read(uid, cursor)?),
            Self::Thread => Command::Thread(Thread::read(uid, cursor)?),
            Self::Fetch => Command::Fetch(Fetch::read(uid, cursor)?),
            Self::Store => Command::Store(Store::read(uid, cursor)?),
            Self::Copy => Command::Copy(Copy::read(uid, cursor)?),
            Self::Move => Command::Move(Copy::read(uid, cursor)?),
            // A message is a literal, and this command had none.
            Self::Append => return Err(Fault::Syntax("A message is missing")),
            _ => return Err(Fault::Syntax("Unexpected arguments")),
        })
    }
}
