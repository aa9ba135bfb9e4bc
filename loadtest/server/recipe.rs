//! How to run a mail server, as a TOML file.
//!
//! ```toml
//! name = "Postfix"
//! durability = "fsync of the queue file"      # what is on disk before its 250
//! tuning = "…"                                # in words
//! needs_root = true
//! version = ["postconf", "-h", "mail_version"]  # first line of what it prints
//! needs = [{ program = "/usr/sbin/postfix", install = "apt-get install postfix" }]
//! logs = ["{folder}/maillog"]                 # shown when it fails
//! prepare = [["cp", "a", "b"]]                # after the files, before the start
//! [[folder]]                                  # path, mode = 0o755, owner = "postfix"
//! [[file]]                                    # the same, and its text
//! [start]
//! command = ["postfix", "-c", "{folder}/etc", "start"]
//! pid_file = "{folder}/pid"                   # a daemon; without it the command stays in the foreground
//! ready_s = 30                                # for a 220 on 127.0.0.1:{port}
//! [stop]
//! command = ["postfix", "-c", "{folder}/etc", "stop"]  # or: signal = "TERM"
//! seconds = 20                                # then it is killed
//! ```
//!
//! All of it may use the variables of [`super::Place`]. Prepare, start and stop run as process 2 and on of a process
//! and mount namespace of their own when this program is root, so they may mount what the server
//! wants to see. Unknown keys are errors that name the key and its line.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use super::{Error, Place, Running, variables::Variables};
use crate::result::Server;

/// How to run a mail server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name in tables.
    pub name: String,
    /// What is on stable storage before its 250, in words.
    pub durability: String,
    /// How it is tuned, in words.
    pub tuning: Option<String>,
    /// Whether only root can start it.
    #[serde(default)]
    pub needs_root: bool,
    /// A command that prints its version.
    #[serde(default)]
    pub version: Vec<String>,
    /// What must be installed.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Log files to show when it fails.
    #[serde(default)]
    pub logs: Vec<String>,
    /// Folders to make.
    #[serde(default, rename = "folder")]
    pub folders: Vec<Folder>,
    /// Files to write.
    #[serde(default, rename = "file")]
    pub files: Vec<File>,
    /// Commands before the start.
    #[serde(default)]
    pub prepare: Vec<Vec<String>>,
    /// How it starts.
    pub start: Start,
    /// How it stops.
    #[serde(default)]
    pub stop: Stop,
}

/// Something that must be installed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// A file.
    pub program: Option<String>,
    /// A system user.
    pub user: Option<String>,
    /// What to do to have it, in words.
    pub install: String,
}

/// A folder of the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Where.
    pub path: String,
    /// Permissions.
    #[serde(default = "folder_mode")]
    pub mode: u32,
    /// Its user; this program's without it.
    pub owner: Option<String>,
}

/// A file of the server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where; its folder is made when it is missing.
    pub path: String,
    /// What is in it.
    pub text: String,
    /// Permissions.
    #[serde(default = "file_mode")]
    pub mode: u32,
    /// Its user; this program's without it.
    pub owner: Option<String>,
}

/// How a server starts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The command.
    pub command: Vec<String>,
    /// Where a daemon writes its number.
    pub pid_file: Option<String>,
    /// Seconds until it must greet.
    #[serde(default = "ready_s")]
    pub ready_s: u64,
}

/// How a server stops.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// A command that asks it to stop.
    pub command: Vec<String>,
    /// The signal when there is no command. Not `INT`: what shells start in the background ignores it.
    pub signal: String,
    /// How long it may take.
    pub seconds: u64,
}

impl Default for Stop {
    fn default() -> Self {
        Self { command: Vec::new(), signal: "TERM".to_owned(), seconds: 30 }
    }
}

fn folder_mode() -> u32 {
    0o755
}

fn file_mode() -> u32 {
    0o644
}

fn ready_s() -> u64 {
    30
}

impl Recipe {
    /// Reads a recipe.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Recipe`] with key and line, [`Error::Senseless`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path)
            .map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads a recipe's text; `path` is where it stands, for errors.
    ///
    /// # Errors
    /// [`Error::Recipe`] with key and line, [`Error::Senseless`].
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Result<Self, Error> {
        let path = path.as_ref();
        let recipe: Self = toml::from_str(text)
            .map_err(|source| Error::Recipe { path: path.to_owned(), source: Box::new(source) })?;
        let reason = if recipe.start.command.is_empty() {
            "start.command is empty"
        } else if !recipe.stop.signal.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        {
            "stop.signal is a name without SIG, such as TERM"
        } else if recipe.needs.iter().any(|need| need.program.is_some() == need.user.is_some()) {
            "every one of needs names either a program or a user"
        } else {
            return Ok(recipe);
        };
        Err(Error::Senseless { path: path.to_owned(), reason: reason.to_owned() })
    }

    /// What must be done before it can be started here, in words; `None` when it can.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let name = &self.name;
        if self.needs_root && !rustix::process::geteuid().is_root() {
            return Some(format!("{name} can only be started by root"));
        }
        let here = Variables::new(vec![("peers", peers().display().to_string())]);
        self.needs.iter().find_map(|need| {
            let install = here.fill(&need.install);
            match (&need.program, &need.user) {
                (Some(program), _) => {
                    let program = here.fill(program);
                    let lacks = !Path::new(&program).exists();
                    lacks.then(|| format!("{name} needs {program}: {install}"))
                }
                (None, Some(user)) => id_of(user)
                    .is_none()
                    .then(|| format!("{name} needs the user {user}: {install}")),
                (None, None) => None,
            }
        })
    }

    /// Starts the server and waits until it greets.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Port`], [`Error::Write`], [`Error::Keeper`], [`Error::Variable`];
    /// [`Error::Ended`] and [`Error::Silent`] with the end of what it wrote.
    pub fn start(&self, place: &Place) -> Result<Running, Error> {
        Running::start(self, place)
    }

    /// For tables: its version too, when it says one.
    pub(super) fn describe(&self, variables: &Variables) -> Result<Server, Error> {
        Ok(Server {
            name: self.name.clone(),
            version: version(&self.version, variables)?,
            durability: variables.fill(&self.durability),
            tuning: self.tuning.as_ref().map(|text| variables.fill(text)),
        })
    }
}

fn version(command: &[String], variables: &Variables) -> Result<Option<String>, Error> {
    let words: Result<Vec<String>, Error> = command.iter().map(|w| variables.word(w)).collect();
    let words = words?;
    let Some((program, arguments)) = words.split_first() else { return Ok(None) };
    let Ok(output) = Command::new(program).args(arguments).output() else { return Ok(None) };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned))
}

/// Where `scripts/peers` puts servers that are not installed: `$RINGPOST_CACHE/peers`, else
/// `~/.cache/ringpost/peers`.
#[must_use]
pub fn peers() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let cache = std::env::var_os("RINGPOST_CACHE").map(PathBuf::from);
    cache.unwrap_or_else(|| home().join(".cache/ringpost")).join("peers")
}

/// User and group number of a local user.
pub(super) fn id_of(user: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != user {
            return None;
        }
        let mut numbers = fields.skip(1);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}
