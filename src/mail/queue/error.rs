//! Why the queue cannot take or give a message.

use engine::storage::StorageError;
use proto::types::{Enhanced, Reply};

/// See the variants. [`reply`](QueueError::reply) is what a client hears.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No room on the disk.
    #[error("the disk is full")]
    Full,
    /// As many messages as `queue.messages_max` allows.
    #[error("the queue holds as many messages as it may")]
    Many,
    /// The store fails.
    #[error("the store fails: {0}")]
    Failing(Box<str>),
    /// The queue is closed.
    #[error("the queue is closed")]
    Closed,
    /// The message is not there any more (deleted while leased), or its body is lost.
    #[error("the message is gone")]
    Gone,
}

impl QueueError {
    /// What a client hears: always temporary, since the client keeps the message (RFC 3463: 4.3.1
    /// mail system full, 4.3.0 other, 4.3.2 not accepting).
    #[must_use]
    pub const fn reply(&self) -> Reply {
        match self {
            Self::Full => Reply::new(452, Enhanced(4, 3, 1), "Insufficient system storage"),
            Self::Many => Reply::new(452, Enhanced(4, 3, 1), "Queue is full, try again later"),
            Self::Failing(_) | Self::Gone => {
                Reply::new(451, Enhanced(4, 3, 0), "Local storage error, try again later")
            }
            Self::Closed => Reply::new(421, Enhanced(4, 3, 2), "Shutting down"),
        }
    }
}

impl From<StorageError> for QueueError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::Full,
            StorageError::Closed => Self::Closed,
            StorageError::Failing(text) | StorageError::Open(text) => Self::Failing(text),
        }
    }
}
