//! Why a mailbox cannot do what it was asked.

use engine::storage::StorageError;
use proto::types::{Enhanced, Reply};

/// See the variants. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailboxError {
    /// No room on the disk.
    #[error("the disk is full")]
    Full,
    /// The store fails.
    #[error("the store fails: {0}")]
    Failing(Box<str>),
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// A write of this account failed: what the session has seen of it may not be so. It must end;
    /// the next one reads what is on the disk.
    #[error("a write failed, the mailbox must be opened again")]
    Lost,
    /// The account or its domain has no room for this.
    #[error("over quota")]
    OverQuota,
    /// There is no folder of that name.
    #[error("no such folder")]
    NoFolder,
    /// There is one of that name.
    #[error("the folder exists")]
    Exists,
    /// Not a name that a folder can have.
    #[error("not a name for a folder: {0}")]
    BadName(&'static str),
    /// INBOX cannot be deleted, and nothing renamed to it.
    #[error("INBOX is always there")]
    Inbox,
    /// More than a limit allows of what is named.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// The message was expunged.
    #[error("the message is gone")]
    Gone,
    /// A row on the disk cannot be read. It is kept; `verify` tells more.
    #[error("a row cannot be read: {0}")]
    Unreadable(&'static str),
    /// Another shard owns the store.
    #[error("the account's mail is on another shard")]
    Elsewhere,
    /// The layout of the data directory is not one that this program made.
    #[error("{0}")]
    Layout(Box<str>),
}

impl MailboxError {
    /// What a client hears over SMTP or LMTP (RFC 3463: X.2.2 mailbox full, X.3.1 system full, X.3.0
    /// other). Over quota is final, as with Dovecot: who sends shall hear of it today and not when their
    /// queue gives up after days; a folder that has too many messages is for the administrator to mend.
    #[must_use]
    pub const fn reply(&self) -> Reply {
        match self {
            Self::Full => Reply::new(452, Enhanced(4, 3, 1), "Insufficient system storage"),
            Self::OverQuota => Reply::new(552, Enhanced(5, 2, 2), "Mailbox full"),
            Self::TooMany(_) => Reply::new(452, Enhanced(4, 2, 2), "Folder full"),
            Self::Closed => Reply::new(421, Enhanced(4, 3, 2), "Shutting down"),
            _ => Reply::new(451, Enhanced(4, 3, 0), "Local storage error, try again later"),
        }
    }
}

impl From<StorageError> for MailboxError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::Full,
            StorageError::Closed => Self::Closed,
            StorageError::Failing(text) | StorageError::Open(text) => Self::Failing(text),
        }
    }
}
