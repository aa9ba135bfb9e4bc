//! Where commands about keys are handed in: the running server, or, while there is none, the data
//! directory itself, as for the directory.

use std::fs::File;
use std::sync::Arc;

use mail::authentication::signing::{Answer, Command, Keys};
use mail::directory::Store;

use crate::boot;
use crate::cli::arguments::Arguments;
use crate::cli::client::{self, Client};
use crate::cli::directory::desk;
use crate::cli::{Failure, SOCKET_VARIABLE, config_path, variable, words};

/// Takes commands.
pub(super) enum Office {
    Server(Client),
    /// The store has the audit log.
    Folder {
        keys: Arc<Keys>,
        store: Box<Store>,
        who: String,
        _lock: File,
    },
}

impl Office {
    /// Finds the server, or opens the data directory.
    pub fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let is_placed = arguments.socket.is_some() || variable(SOCKET_VARIABLE).is_some();
        let nobody = match crate::cli::client(arguments) {
            Ok(client) => return Ok(Self::Server(client)),
            Err(Failure::Unreachable(nobody)) if !is_placed => nobody,
            Err(failure) => return Err(failure),
        };
        let settings =
            boot::settings::load(&config_path(arguments)).map_err(crate::cli::of_boot)?;
        let (store, who, lock) = desk::store(&settings, settings.passwords.parameters(), nobody)?;
        let keys = Keys::open(&settings.server.data_dir, &settings.dkim).map_err(failed)?;
        Ok(Self::Folder { keys, store: Box::new(store), who, _lock: lock })
    }

    /// Has a command carried out.
    pub fn ask(&mut self, command: Command) -> Result<Answer, Failure> {
        match self {
            Self::Server(client) => client::read(client.ask(&command)?),
            Self::Folder { keys, store, who, .. } => {
                let mut unwritten = None;
                let mut audit = |what: &str, on: &str| {
                    unwritten = store.record(who, what, on).err().or(unwritten.take());
                };
                let answer = keys.command(command, &mut audit).map_err(failed)?;
                match unwritten {
                    None => Ok(answer),
                    Some(error) => Err(Failure::Failed(format!(
                        "it was done, but is not in the audit log: {error}"
                    ))),
                }
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(words::clean_lines(&error.to_string()))
}
