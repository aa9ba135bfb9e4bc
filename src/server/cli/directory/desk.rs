//! Where commands about the directory are handed in: the running server, or, while there is none,
//! the store itself.
//!
//! What must stay true: the store is opened only under the data directory's lock, only when it is
//! there already, and only by the user that it belongs to, so that the server can read afterwards
//! what was written.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use mail::directory::{Answer, Command, Parameters, Store};

use crate::admin::described;
use crate::boot;
use crate::boot::settings::Settings;
use crate::cli::arguments::Arguments;
use crate::cli::client::{self, Client};
use crate::cli::{Failure, SOCKET_VARIABLE, config_path, variable};

/// Takes commands.
pub(super) struct Desk {
    way: Way,
    /// What new hashes cost.
    pub parameters: Parameters,
}

enum Way {
    Server(Client),
    Store { store: Box<Store>, who: String, _lock: File },
}

impl Desk {
    /// Finds the server, or opens the store.
    pub fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let is_placed = arguments.socket.is_some() || variable(SOCKET_VARIABLE).is_some();
        // A socket that was named needs no settings; those that are there say what hashes cost.
        let settings = boot::settings::load(&config_path(arguments)).ok();
        let parameters =
            settings.as_ref().map(|settings| settings.passwords.parameters()).unwrap_or_default();
        let way = match (crate::cli::client(arguments), settings) {
            (Ok(client), _) => Way::Server(client),
            (Err(Failure::Unreachable(nobody)), Some(settings)) if !is_placed => {
                let (store, who, lock) = store(&settings, parameters, nobody)?;
                Way::Store { store: Box::new(store), who, _lock: lock }
            }
            (Err(failure), _) => return Err(failure),
        };
        Ok(Self { way, parameters })
    }

    /// Has a command carried out.
    pub fn ask(&mut self, command: &Command) -> Result<Answer, Failure> {
        match &mut self.way {
            Way::Server(client) => client::read(client.ask(command)?),
            Way::Store { store, who, .. } => {
                let answer = store.command(who, command.clone()).map_err(failed)?;
                if store.is_long() {
                    store.compact().map_err(failed)?;
                }
                Ok(answer)
            }
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn failed(error: mail::directory::StoreError) -> Failure {
    Failure::Failed(crate::cli::words::clean_lines(&error.to_string()))
}

/// Opens the store of a server that does not run; says who does so, and holds the data directory.
pub(in crate::cli) fn store(
    settings: &Settings,
    parameters: Parameters,
    nobody: String,
) -> Result<(Store, String, File), Failure> {
    let folder = &settings.server.data_dir;
    let Ok(found) = fs::metadata(folder) else {
        return Err(Failure::Unreachable(format!(
            "{nobody}\nringpost: without a server its data directory would be changed, but {} is not there \
             yet: start the server once, or make the folder as its user",
            folder.display()
        )));
    };
    let uid = rustix::process::geteuid().as_raw();
    if found.uid() != uid {
        let owner = described(found.uid());
        return Err(Failure::Unreachable(format!(
            "{nobody}\nringpost: the data directory {} can be changed without a server, but only by \
             its owner, {owner}",
            folder.display()
        )));
    }
    let lock = boot::lock(folder).map_err(|error| match error {
        // It is starting or stopping.
        boot::BootError::Taken(_) => Failure::Unreachable(nobody),
        other => Failure::Failed(other.to_string()),
    })?;
    let store = Store::open(folder, parameters).map_err(failed)?;
    let who = format!("{}, without a server", described(rustix::process::getuid().as_raw()));
    Ok((store, who, lock))
}
