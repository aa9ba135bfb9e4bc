//! A server that runs.
//!
//! Owns the order of things: the port is free, the folder is made, files are written, the keeper is
//! started, the greeting came. What must stay true: from the first file on, whatever fails or panics, dropping
//! removes all of it; and a started server is this recipe's, not one that was already on the port.

use std::{
    fs,
    io::{self, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use super::{
    Error, Recipe,
    keeper::{Keeper, Orders, has_namespaces, pause},
    recipe::{id_of, peers},
    variables::{Variables, quoted},
};
use crate::{
    cost::{Cgroup, Watch},
    message::{RSA_KEY, key_record},
    result::Server,
};

/// More than the server's own time to stop: for the shells and the namespace to end.
const GRACE: Duration = Duration::from_secs(10);

/// Where a server runs and for how much. These are the variables of recipes, with `{here}`, the
/// folder in which the load test was called, and `{peers}`, where
/// `scripts/peers` puts what it fetches, and `{dkim_key}`, the private key in PEM of source.test, and
/// `{dkim_record}`, what the sink's DNS says of it at `rsa._domainkey` and `relay._domainkey`; `{folder}` is the server's own, below this one.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder in which each server gets a folder of its own: `{folder}`. Other users must be able to enter it.
    pub folder: PathBuf,
    /// `{port}` of 127.0.0.1 on which it takes mail.
    pub port: u16,
    /// `{sink_port}` of 127.0.0.1 to which it relays all of it.
    pub sink_port: u16,
    /// `{imap_port}` of 127.0.0.1, of a server with mailboxes; `{port}` is its LMTP then.
    pub imap_port: u16,
    /// `{pop_port}`, the same.
    pub pop3_port: u16,
    /// `{users}`: accounts that it must have, `u0@load.test` and on.
    pub users: u32,
    /// `{dns_port}` of 127.0.0.1 at which the sink answers questions about names, when it does.
    pub dns_port: u16,
    /// `{out}`: connections to the sink at most.
    pub out: u32,
    /// `{sessions}`: connections from the source at most.
    pub sessions: u32,
    /// `{shards}`: worker threads or processes, for servers that have such a number.
    pub shards: u32,
    /// `{program}`: the server's program, for recipes that do not know where it is.
    pub program: Option<PathBuf>,
}

/// A server that runs; dropping it stops it.
#[derive(Debug)]
pub struct Running {
    // Before the group: what is in a cgroup must end before it can go.
    keeper: Keeper,
    group: Option<Arc<Cgroup>>,
    server: Server,
    folder: PathBuf,
    stop_s: u64,
}

impl Running {
    pub(super) fn start(recipe: &Recipe, place: &Place) -> Result<Self, Error> {
        if let Some(what) = recipe.missing().or_else(|| lacks_program(recipe, place)) {
            return Err(Error::Missing(what));
        }
        // Whoever listens there already would greet in the server's place.
        TcpListener::bind((Ipv4Addr::LOCALHOST, place.port)).map_err(|source| Error::Port {
            name: recipe.name.clone(),
            port: place.port,
            source,
        })?;
        let folder = own_folder(recipe, &place.folder)?;
        let variables = variables(place, folder.path());
        write_all(recipe, &variables)?;
        let orders = orders(recipe, &variables)?;
        let server = recipe.describe(&variables)?;
        let group = Cgroup::create().map(Arc::new);
        if recipe.start.pid_file.is_some() && group.is_none() && !has_namespaces() {
            return Err(Error::Missing(escapes(&recipe.name)));
        }
        let group_path = group.as_ref().map(|group| group.path());
        let keeper = Keeper::start(folder.path(), group_path, &orders)
            .map_err(|source| Error::Keeper { name: recipe.name.clone(), source })?;
        let folder = folder.keep();
        let mut running = Self { keeper, group, server, folder, stop_s: recipe.stop.seconds };
        running.wait_for_greeting(place.port, recipe.start.ready_s)?;
        Ok(running)
    }

    fn wait_for_greeting(&mut self, port: u16, seconds: u64) -> Result<(), Error> {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let name = || self.server.name.clone();
            if greets(port) {
                return Ok(());
            }
            if self.keeper.ended().is_some() {
                let name = name();
                return Err(Error::Ended { name, port, output: self.keeper.last_words() });
            }
            if Instant::now() > end {
                let name = name();
                return Err(Error::Silent {
                    name,
                    port,
                    seconds,
                    output: self.keeper.last_words(),
                });
            }
            pause();
        }
    }

    /// The root of the process tree that holds all its processes (and the shells that keep it).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.keeper.pid()
    }

    /// The cgroup that holds exactly its processes, where one could be made.
    #[must_use]
    pub fn group(&self) -> Option<&Arc<Cgroup>> {
        self.group.as_ref()
    }

    /// Watches it in the best way there is here.
    #[must_use]
    pub fn watch(&self) -> Watch {
        match &self.group {
            Some(group) => Watch::cgroup(Arc::clone(group)),
            None => Watch::of(self.pid()),
        }
    }

    /// What it is, for results.
    #[must_use]
    pub fn describe(&self) -> Server {
        self.server.clone()
    }

    /// Its folder: queue, configuration, logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it has ended by itself (a daemon's end is not seen here, but by who talks to it).
    pub fn has_ended(&mut self) -> bool {
        self.keeper.ended().is_some()
    }

    /// The end of what it wrote to its terminal.
    pub fn last_words(&mut self) -> String {
        self.keeper.last_words()
    }

    /// Asks it to stop, kills what does not, and removes its folder.
    ///
    /// # Errors
    /// [`Error::Killed`] when it had to be killed; it is gone then, too.
    pub fn stop(mut self) -> Result<(), Error> {
        let patience = Duration::from_secs(self.stop_s) + GRACE;
        if self.keeper.stop(patience) {
            return Ok(());
        }
        Err(Error::Killed { name: self.server.name.clone(), seconds: self.stop_s })
    }
}

/// In words: a daemon leaves its process group, and nothing else would hold it.
fn escapes(name: &str) -> String {
    format!(
        "{name} is a daemon: to be sure of its end this program needs root, or unshare(1) and user namespaces"
    )
}

/// In words: the program that the recipe leaves to its caller.
fn lacks_program(recipe: &Recipe, place: &Place) -> Option<String> {
    let name = &recipe.name;
    let wanted = recipe.start.command.iter().any(|word| word.contains("{program}"));
    match &place.program {
        None if wanted => Some(format!("{name} needs to be told where its program is")),
        Some(program) if wanted && !program.exists() => {
            Some(format!("{name}'s program {} is missing", program.display()))
        }
        _ => None,
    }
}

fn variables(place: &Place, folder: &Path) -> Variables {
    let mut values = vec![
        ("folder", folder.display().to_string()),
        ("port", place.port.to_string()),
        ("sink_port", place.sink_port.to_string()),
        ("imap_port", place.imap_port.to_string()),
        ("pop_port", place.pop3_port.to_string()),
        ("users", place.users.to_string()),
        ("dns_port", place.dns_port.to_string()),
        ("out", place.out.to_string()),
        ("sessions", place.sessions.to_string()),
        ("shards", place.shards.to_string()),
        ("cpus", thread::available_parallelism().map_or(1, usize::from).to_string()),
        ("peers", peers().display().to_string()),
        ("dkim_key", RSA_KEY.to_owned()),
        ("dkim_record", key_record("rsa").unwrap_or_default()),
        // A server runs in its own folder: this is where the load test was called.
        ("here", std::env::current_dir().unwrap_or_default().display().to_string()),
    ];
    if let Some(program) = &place.program {
        values.push(("program", program.display().to_string()));
    }
    Variables::new(values)
}

fn own_folder(recipe: &Recipe, parent: &Path) -> Result<tempfile::TempDir, Error> {
    let failed = |source| Error::Write { path: parent.to_owned(), source };
    fs::create_dir_all(parent).map_err(failed)?;
    let name: String = recipe.name.chars().filter(char::is_ascii_alphanumeric).collect();
    let prefix = format!("{}-", name.to_lowercase());
    let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).map_err(failed)?;
    // Servers change to users of their own.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).map_err(failed)?;
    Ok(folder)
}

fn write_all(recipe: &Recipe, variables: &Variables) -> Result<(), Error> {
    for folder in &recipe.folders {
        let path = PathBuf::from(variables.word(&folder.path)?);
        let made = fs::create_dir_all(&path);
        finish(&path, made, folder.mode, folder.owner.as_deref())?;
    }
    for file in &recipe.files {
        let path = PathBuf::from(variables.word(&file.path)?);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        let written = parent.and_then(|()| fs::write(&path, variables.fill(&file.text)));
        finish(&path, written, file.mode, file.owner.as_deref())?;
    }
    Ok(())
}

/// Permissions and owner of what was made, or why it was not.
fn finish(path: &Path, made: io::Result<()>, mode: u32, owner: Option<&str>) -> Result<(), Error> {
    let owned = |()| match owner.map(|user| (user, id_of(user))) {
        None => Ok(()),
        Some((_, Some((user, group)))) => chown(path, Some(user), Some(group)),
        Some((user, None)) => Err(io::Error::other(format!("there is no user {user}"))),
    };
    made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .and_then(owned)
        .map_err(|source| Error::Write { path: path.to_owned(), source })
}

fn orders(recipe: &Recipe, variables: &Variables) -> Result<Orders, Error> {
    let prepare: Result<Vec<String>, Error> =
        recipe.prepare.iter().map(|command| variables.command(command)).collect();
    let logs: Result<Vec<String>, Error> =
        recipe.logs.iter().map(|path| Ok(quoted(&variables.word(path)?))).collect();
    let prepare = prepare?;
    let stop = if recipe.stop.command.is_empty() {
        format!("kill -{} \"$server\"", recipe.stop.signal)
    } else {
        variables.command(&recipe.stop.command)?
    };
    let pid_file = recipe.start.pid_file.as_ref().map(|path| variables.word(path)).transpose()?;
    Ok(Orders {
        pid_file: pid_file.unwrap_or_default(),
        logs: logs?.join(" "),
        prepare: if prepare.is_empty() { ":".to_owned() } else { prepare.join(" && ") },
        start: variables.command(&recipe.start.command)?,
        stop,
        stop_s: recipe.stop.seconds,
    })
}

/// Whether something says 220 there, RFC 5321 §4.2.
fn greets(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let mut start = [0; 4];
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.read_exact(&mut start).is_ok()
        && start.starts_with(b"220")
}
