//! Why a server could not be started or stopped, in words for the person at the terminal.

use std::{io, path::PathBuf};

use thiserror::Error;

/// What went wrong with a recipe or its server.
#[derive(Debug, Error)]
pub enum Error {
    /// The recipe's file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The recipe.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The recipe is not what a recipe must be; the text says which key on which line.
    #[error("{path}: {source}", path = path.display())]
    Recipe {
        /// The recipe.
        path: PathBuf,
        /// Why.
        source: Box<toml::de::Error>,
    },
    /// The recipe contradicts itself.
    #[error("{path}: {reason}", path = path.display())]
    Senseless {
        /// The recipe.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A `{name}` that there is not.
    #[error("{{{name}}} is not a variable of recipes; these are: {known}")]
    Variable {
        /// The name.
        name: String,
        /// All names.
        known: String,
    },
    /// Something must be installed first, or this program must be root.
    #[error("{0}")]
    Missing(String),
    /// Something else listens where the server should.
    #[error("{name}: port {port} of 127.0.0.1 cannot be had: {source}")]
    Port {
        /// The server.
        name: String,
        /// The port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// A file or folder of the server could not be made.
    #[error("{path}: {source}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program that keeps servers (`sh`, `setsid`, `unshare`) could not be started.
    #[error("cannot start the keeper of {name}: {source}")]
    Keeper {
        /// The server.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The server ended before it greeted.
    #[error("{name} ended before it greeted on port {port}; its last words:\n{output}")]
    Ended {
        /// The server.
        name: String,
        /// The port.
        port: u16,
        /// The end of what it wrote.
        output: String,
    },
    /// The server did not greet in time.
    #[error("{name} did not greet on port {port} within {seconds} s; its last words:\n{output}")]
    Silent {
        /// The server.
        name: String,
        /// The port.
        port: u16,
        /// How long we waited.
        seconds: u64,
        /// The end of what it wrote.
        output: String,
    },
    /// The server did not stop when it was asked to and was killed.
    #[error("{name} did not stop within {seconds} s and was killed")]
    Killed {
        /// The server.
        name: String,
        /// How long it was waited for.
        seconds: u64,
    },
}
