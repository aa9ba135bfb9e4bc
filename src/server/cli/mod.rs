//! What people type: `ringpost serve`, `config`, `check`, `queue`, `domain`, `account`, `alias`, `group`,
//! `import`, `export`, `audit`, `dkim`, `mailbox`, `status`, `reload`, `stop`.
//!
//! It owns the command line, the tables that people read and the JSON that programs read (`--json`).
//! All but `serve`, `config`, `check` and `mailbox` talk to a running server through its admin socket, found by
//! `--socket`, `$RINGPOST_SOCKET` or the settings file.
//!
//! What must stay true: results go to standard output, complaints to standard error; a complaint
//! says what to do; what strangers wrote (addresses, replies) is shown without control
//! characters. Exit codes: 0 done, 1 not done, 2 wrong usage, 3 no server answers.
//!
//! Of boot it needs `serve(&Path)`, `settings::load(&Path)`, `settings::reference()` and
//! `Settings::admin_socket()`, and `explain_tls` and `on_a_shard` for `check`; errors of boot need only be `Display` (`{:#}` may be coloured).

mod arguments;
mod check;
mod client;
mod config;
mod directory;
mod dkim;
mod mailbox;
mod queue;
mod status;
mod words;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use serde::Serialize;
use serde_json::Value;

use crate::admin::{AdminRequest, AdminVerb, Reloaded};
use crate::boot;
use arguments::{Arguments, ConfigVerb, Verb};
use client::Client;

/// Where settings are when nothing says otherwise.
const CONFIG_DEFAULT: &str = "/etc/ringpost/ringpost.toml";
/// Instead of `--config`.
const CONFIG_VARIABLE: &str = "RINGPOST_CONFIG";
/// Instead of `--socket`.
const SOCKET_VARIABLE: &str = "RINGPOST_SOCKET";

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The server or the settings said no.
    #[error("{0}")]
    Failed(String),
    /// The settings are wrong: each line begins with its place, for editors to jump to.
    #[error("{0}")]
    Settings(String),
    /// No server answers.
    #[error("{0}")]
    Unreachable(String),
    /// Nobody reads what we write.
    #[error("{0}")]
    Output(#[from] io::Error),
}

/// Does what the arguments say (the first is the program's name) and says how it went.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way, too; a closed pipe is all that can go wrong.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // Not locked: `serve` may log to standard output from another thread.
    let result = act(&arguments, &mut io::stdout());
    let code = match &result {
        Ok(()) => return ExitCode::SUCCESS,
        // `ringpost queue list | head` is no failure.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return ExitCode::SUCCESS;
        }
        Err(Failure::Unreachable(_)) => 3,
        Err(Failure::Failed(_) | Failure::Settings(_) | Failure::Output(_)) => 1,
    };
    if let Err(failure) = result {
        let name = if matches!(failure, Failure::Settings(_)) { "" } else { "ringpost: " };
        let _ = writeln!(io::stderr(), "{name}{failure}");
    }
    ExitCode::from(code)
}

fn act(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    match &arguments.verb {
        Verb::Serve => boot::serve(&config_path(arguments)).map_err(of_boot),
        Verb::Config { verb: ConfigVerb::Check { file } } => {
            let path = file.clone().unwrap_or_else(|| config_path(arguments));
            config::check(&path, arguments.json, out)
        }
        Verb::Config { verb: ConfigVerb::Reference } => config::reference(out),
        Verb::Check { verb } => check::act(arguments, verb, out),
        Verb::Queue { verb } => queue::act(verb, &mut client(arguments)?, arguments.json, out),
        Verb::Domain { .. }
        | Verb::Account { .. }
        | Verb::Alias { .. }
        | Verb::Group { .. }
        | Verb::Import(_)
        | Verb::Export(_)
        | Verb::Audit(_) => directory::act(arguments, out),
        Verb::Dkim { verb } => dkim::act(verb, arguments, out),
        Verb::Mailbox { verb } => mailbox::act(verb, arguments, out),
        Verb::Status { watch } => status::act(*watch, &mut client(arguments)?, arguments.json, out),
        Verb::Reload => reload(&mut client(arguments)?, arguments.json, out),
        Verb::Stop => stop(&mut client(arguments)?, arguments.json, out),
        Verb::Completions { shell } => {
            clap_complete::generate(*shell, &mut Arguments::command(), "ringpost", &mut &mut *out);
            Ok(())
        }
        Verb::Man => Ok(clap_mangen::Man::new(Arguments::command()).render(&mut &mut *out)?),
    }
}

fn reload(client: &mut Client, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let answer = client.ask(&AdminRequest { admin: AdminVerb::Reload })?;
    if json {
        return write_json(&answer, out);
    }
    let reloaded: Reloaded = client::read(answer)?;
    if reloaded.applied.is_empty() && reloaded.restart.is_empty() {
        writeln!(out, "Nothing changed.")?;
    }
    for (title, paths) in [("Applied:", &reloaded.applied), ("Needs a restart:", &reloaded.restart)]
    {
        if !paths.is_empty() {
            writeln!(out, "{title}")?;
        }
        for path in paths {
            writeln!(out, "  {}", words::clean(path))?;
        }
    }
    Ok(())
}

fn stop(client: &mut Client, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let answer = client.ask(&AdminRequest { admin: AdminVerb::Stop })?;
    if json {
        return write_json(&answer, out);
    }
    Ok(writeln!(out, "Ringpost finishes what is under way and stops.")?)
}

/// The answer as the server gave it, less `ok`, on one line.
fn write_json(answer: &Value, out: &mut dyn Write) -> Result<(), Failure> {
    let mut answer = answer.clone();
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("ok");
    }
    write_line(&answer, out)
}

fn write_line(value: &impl Serialize, out: &mut dyn Write) -> Result<(), Failure> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

/// `--config`, the variable, or the usual place.
fn config_path(arguments: &Arguments) -> PathBuf {
    let given = arguments.config.clone().or_else(|| variable(CONFIG_VARIABLE));
    given.unwrap_or_else(|| CONFIG_DEFAULT.into())
}

/// A connection to the running server.
fn client(arguments: &Arguments) -> Result<Client, Failure> {
    if let Some(path) = arguments.socket.clone().or_else(|| variable(SOCKET_VARIABLE)) {
        return Client::connect(&path);
    }
    let config = config_path(arguments);
    let settings = boot::settings::load(&config).map_err(|error| {
        let error = shown(&error);
        let advice =
            "the settings tell where the admin socket is; give --socket PATH or --config FILE";
        Failure::Settings(format!("{error}\nringpost: {advice}"))
    })?;
    Client::connect(&settings.admin_socket())
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Boot names the file or the part that failed itself.
fn of_boot(error: impl std::fmt::Display) -> Failure {
    Failure::Settings(shown(&error))
}

/// An error with its colours when a person looks at it.
fn shown(error: &dyn std::fmt::Display) -> String {
    let is_plain = !io::stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if is_plain { format!("{error}") } else { format!("{error:#}") }
}

/// Loads settings only to judge them.
fn judge(path: &Path) -> Result<(), String> {
    boot::settings::load(path).map(drop).map_err(|error| shown(&error))
}

#[cfg(test)]
mod tests;
