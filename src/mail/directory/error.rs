//! Why the directory could not do something.

use std::io;
use std::path::PathBuf;

use super::packed;
use super::table::TableError;

/// Why the store did not do what it was told. The texts are for administrators.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It makes no sense, or contradicts what is there; nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// A file is damaged.
    #[error("{} is damaged at octet {at}: restore the folder from a backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where.
        at: u64,
    },
    /// The disk.
    #[error("the directory cannot be written or read: {0}")]
    Io(#[from] io::Error),
    /// What is in memory.
    #[error(transparent)]
    Table(#[from] TableError),
    /// One record.
    #[error(transparent)]
    Record(#[from] packed::Damaged),
    /// A sync failed, and nothing is written until the next start.
    #[error("the directory is closed for changes since its disk failed: see the log, and restart")]
    Closed,
    /// Too much is waiting, or the server is stopping.
    #[error("the directory is busy: try again")]
    Busy,
}

impl StoreError {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }
}

/// The directory does not answer now: 451, never 550.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the directory does not answer: {0}")]
pub struct Down(pub String);

impl From<packed::Damaged> for Down {
    fn from(error: packed::Damaged) -> Self {
        Self(error.to_string())
    }
}
