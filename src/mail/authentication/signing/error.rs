//! Why something was not signed, or a key not made, kept or used. The texts are for administrators.

use std::io;
use std::path::{Path, PathBuf};

/// Why a message was not signed; it goes without a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// There is no `From`, which a signature has to cover (RFC 6376 §5.4).
    #[error("the message has no From field")]
    NoAuthor,
    /// More fields than a signature shall name.
    #[error("the message has too many fields to sign them all")]
    Fields,
    /// The key does not sign.
    #[error("the key does not sign")]
    Key,
}

/// Why keys cannot be used or changed. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It makes no sense, or contradicts what is there.
    #[error("{0}")]
    Refused(String),
    /// Others than the server's user may read a private key.
    #[error(
        "{} is readable by others (mode {mode:04o}): run chmod 600 on it, and if somebody else may \
         have read it, replace the key: ringpost dkim rotate {domain}",
        path.display()
    )]
    Exposed {
        /// The key.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Whose it is.
        domain: String,
    },
    /// A file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what helps.
        reason: String,
    },
    /// The disk.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

impl KeyError {
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    pub(super) fn unfit(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unfit { path: path.into(), reason: reason.into() }
    }

    /// For `map_err`.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}
