//! Why the store cannot do what it was asked.

/// See the variants. Cheap to clone: one failed commit tells everybody who waits for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// No room on the disk. Nothing was written; what rides is kept and tried again.
    #[error("no space left on the disk")]
    Full,
    /// The disk or RocksDB fails; it may recover.
    #[error("{0}")]
    Failing(Box<str>),
    /// The store cannot be opened.
    #[error("cannot open the store: {0}")]
    Open(Box<str>),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StorageError {
    /// RocksDB names errors in words only.
    pub(super) fn of(error: &rocksdb::Error) -> Self {
        let text = error.to_string();
        let is_full = ["No space left", "NoSpace", "Max allowed space", "Disk quota"]
            .iter()
            .any(|words| text.contains(words));
        if is_full { Self::Full } else { Self::Failing(text.into()) }
    }

    pub(super) fn open(reason: impl std::fmt::Display) -> Self {
        Self::Open(reason.to_string().into())
    }
}

/// How the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Writes go through and there is room.
    Healthy,
    /// Too little room for new data; removals may still go through.
    Full {
        /// Bytes free on the disk.
        free: u64,
    },
    /// The last write failed.
    Failing(Box<str>),
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Full { free } => write!(f, "full: {free} bytes free"),
            Self::Failing(text) => write!(f, "failing: {text}"),
        }
    }
}
