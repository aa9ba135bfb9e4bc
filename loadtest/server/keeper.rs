//! The two small shells around a server: the keeper within its namespace, the sweeper outside.
//!
//! Owns the pipe that both lives hang on: when it closes, because [`super::Running`] is dropped or this
//! program is gone in whatever way, the server is killed, and its folder and cgroup are removed. Shells, for
//! without `unsafe` nothing may run between fork and exec here; namespaces, for a daemon that has
//! left its session cannot be found otherwise when nobody is left who watched it leave. Where no
//! namespace is to be had the process group and the cgroup must do.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

const KEEPER: &str = include_str!("keeper.sh");
const SWEEPER: &str = include_str!("sweeper.sh");

/// How much of what a server wrote is shown when it fails.
const LAST_WORDS: u64 = 4096;

/// The exit code of a shell whose command SIGKILL ended.
const KILLED: i32 = 128 + 9;

/// The namespaces to try, best first: process and mount as root, the same for a user of no rights.
const NAMESPACES: [&[&str]; 2] = [
    &["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"],
    &[
        "unshare",
        "--user",
        "--map-current-user",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
    ],
];

/// What a keeper is told, as shell text.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) pid_file: String,
    pub(super) logs: String,
    pub(super) prepare: String,
    pub(super) start: String,
    pub(super) stop: String,
    pub(super) stop_s: u64,
}

/// A keeper that runs.
#[derive(Debug)]
pub(super) struct Keeper {
    sweeper: Child,
    output: File,
}

impl Keeper {
    /// Starts the shells. From here on the folder is the sweeper's to remove.
    pub(super) fn start(folder: &Path, group: Option<&Path>, orders: &Orders) -> io::Result<Self> {
        // Read through a descriptor of its own: a shared one would move the place that is written to.
        let written = tempfile::NamedTempFile::new()?;
        let output = written.reopen()?;
        let written = written.into_file();
        let group = group.unwrap_or(Path::new(""));
        let tries = (orders.stop_s * 10).to_string();
        let mut command = Command::new("sh");
        command.args(["-c", SWEEPER, "ringpost-sweeper"]).arg(folder).arg(group);
        command.args(namespace()).args(["sh", "-c", KEEPER, "ringpost-keeper"]).arg(group);
        command.args([&orders.pid_file, &orders.logs, &orders.prepare, &orders.start]);
        command.args([&orders.stop, &tries]).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(written.try_clone()?).stderr(written);
        // Not ours: ^C on the terminal is for us, who then close the pipe.
        let sweeper = command.process_group(0).spawn()?;
        Ok(Self { sweeper, output })
    }

    /// The root of the tree that holds all the server's processes.
    pub(super) fn pid(&self) -> u32 {
        self.sweeper.id()
    }

    /// How it ended, when it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.sweeper.try_wait().ok().flatten()
    }

    /// Asks the server to stop; whether it did within this time.
    pub(super) fn stop(&mut self, patience: Duration) -> bool {
        let asked =
            self.sweeper.stdin.as_mut().is_some_and(|pipe| pipe.write_all(b"stop\n").is_ok());
        let end = Instant::now() + patience;
        while asked && Instant::now() < end {
            if let Some(status) = self.ended() {
                return status.code() != Some(KILLED);
            }
            pause();
        }
        self.ended().is_some()
    }

    /// Closes the pipe and waits until all is gone.
    pub(super) fn kill(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }

    /// The end of what the server wrote.
    pub(super) fn last_words(&mut self) -> String {
        let mut text = Vec::new();
        let length = self.output.metadata().map_or(0, |file| file.len());
        let from = SeekFrom::Start(length.saturating_sub(LAST_WORDS));
        let _ = self.output.seek(from).and_then(|_| self.output.read_to_end(&mut text));
        String::from_utf8_lossy(&text).trim().to_owned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether servers get a process namespace of their own here, with which nothing they start can get
/// away and orphans are collected: as root, or where users may make namespaces.
#[must_use]
pub fn has_namespaces() -> bool {
    !namespace().is_empty()
}

/// The command that makes the best namespace to be had here; empty when there is none.
fn namespace() -> &'static [&'static str] {
    static BEST: OnceLock<&[&str]> = OnceLock::new();
    BEST.get_or_init(|| {
        let works = |command: &&[&str]| {
            let mut probe = Command::new(command[0]);
            probe.args(&command[1..]).arg("true");
            probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            probe.status().is_ok_and(|status| status.success())
        };
        NAMESPACES.iter().copied().find(works).unwrap_or(&[])
    })
}

/// Between two looks at something that takes its time.
#[allow(clippy::disallowed_methods)] // No shard: the thread that starts and stops servers.
pub(super) fn pause() {
    thread::sleep(Duration::from_millis(20));
}
