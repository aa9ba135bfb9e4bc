//! The writer thread: takes buffers off the channel and writes them to the target.
//!
//! What must stay true: it alone blocks on the disk or the terminal. A write that fails drops its
//! buffer and counts the lines; the next buffer is tried again, so that the log goes on when the
//! disk has room once more.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::log::{Shared, lines_in, to_stderr};
use super::settings::{Format, Level, Target};

/// Complaints on standard error come no closer together than this.
const COMPLAINT_PERIOD: Duration = Duration::from_secs(60);
/// How often the thread looks whether its log still exists.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// A log shows who writes to whom: the group may read it, others not.
const FILE_MODE: u32 = 0o640;
/// A buffer that grew beyond this is not kept.
const KEPT_BYTES_MAX: usize = 256 << 10;

/// What the channel carries.
pub(super) enum Work {
    /// Complete lines.
    Lines(Vec<u8>),
    /// Look at the flags.
    Wake,
}

/// Where lines go.
pub(super) enum Output {
    Stderr,
    Stdout,
    File(PathBuf, File),
}

impl Output {
    /// Opens a target; files are created and appended to.
    pub(super) fn open(target: &Target) -> io::Result<Self> {
        Ok(match target {
            Target::Stderr => Self::Stderr,
            Target::Stdout => Self::Stdout,
            Target::File(path) => Self::File(path.clone(), open_file(path)?),
        })
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr => io::stderr().write_all(lines),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(lines)?;
                out.flush()
            }
            Self::File(_, file) => file.write_all(lines),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, file) = self {
            *file = open_file(path)?;
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path);
    opened.map_err(|error| {
        io::Error::new(error.kind(), format!("log file {}: {error}", path.display()))
    })
}

/// Writes until the log is closed or all its handles are gone.
pub(super) fn run(mut output: Output, queue: &Receiver<Work>, log: &Weak<Shared>) {
    let mut complained: Option<Instant> = None;
    loop {
        let work = match queue.recv_timeout(LOOK_PERIOD) {
            Ok(work) => work,
            Err(RecvTimeoutError::Timeout) => Work::Wake,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(shared) = log.upgrade() else {
            // The last handle is gone: write what is left without its counters.
            write_rest(&mut output, work, queue);
            return;
        };
        if shared.take_reopen()
            && let Err(error) = output.reopen()
        {
            complain(&mut complained, &format_args!("{error}; the old file stays in use"));
        }
        if let Work::Lines(lines) = work {
            if let Err(error) = output.write(&lines) {
                shared.count_dropped(lines_in(&lines));
                complain(&mut complained, &format_args!("log lines lost: {error}"));
            }
            if lines.capacity() <= KEPT_BYTES_MAX {
                shared.recycle(lines);
            }
        }
        if shared.is_closing() {
            write_rest(&mut output, Work::Wake, queue);
            return;
        }
    }
}

fn write_rest(output: &mut Output, first: Work, queue: &Receiver<Work>) {
    for work in std::iter::once(first).chain(queue.try_iter()) {
        if let Work::Lines(lines) = work
            && let Err(error) = output.write(&lines)
        {
            to_stderr(Format::Text, Level::Error, &format_args!("log lines lost: {error}"));
            return;
        }
    }
}

fn complain(last: &mut Option<Instant>, message: &dyn std::fmt::Display) {
    if last.is_none_or(|at| at.elapsed() >= COMPLAINT_PERIOD) {
        *last = Some(Instant::now());
        to_stderr(Format::Text, Level::Error, message);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Log, LogSettings};
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn file_log(path: &Path, format: Format) -> Log {
        let target = Target::File(path.into());
        Log::start(&LogSettings { format, target, ..LogSettings::default() }).unwrap()
    }

    #[test]
    fn lines_arrive_whole_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let log = file_log(&path, Format::Json);
        let threads: Vec<_> = (0..2)
            .map(|shard| {
                let log = log.clone();
                std::thread::spawn(move || {
                    let events = log.shard(shard);
                    for number in 0..5_000 {
                        events.event("accepted", |event| {
                            event.num("number", number);
                        });
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        log.note(Level::Debug, "below the level");
        log.note(Level::Warn, format_args!("said {}", 1));
        assert!(log.close(PATIENCE));

        let mut next = [0_u64; 2];
        let mut notes = Vec::new();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            if value["event"] == "note" {
                notes.push((value["level"].clone(), value["message"].clone()));
                continue;
            }
            let shard = value["shard"].as_u64().unwrap() as usize;
            assert_eq!(value["number"], next[shard]);
            next[shard] += 1;
        }
        assert_eq!(next, [5_000, 5_000]);
        assert_eq!(notes, [("warn".into(), "said 1".into())]);
        assert_eq!(log.dropped(), 0);
    }

    #[test]
    fn reopening_follows_a_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let (path, old) = (dir.path().join("log"), dir.path().join("log.1"));
        let log = file_log(&path, Format::Text);
        log.note(Level::Info, "before");
        // The writer must have it before the file moves, or it would land in the new one.
        wait_for(&path, "before");
        std::fs::rename(&path, &old).unwrap();
        log.reopen();
        log.note(Level::Info, "after");
        assert!(log.close(PATIENCE));
        assert!(!std::fs::read_to_string(&old).unwrap().contains("after"));
        assert!(std::fs::read_to_string(&path).unwrap().contains("info: after\n"));
    }

    fn wait_for(path: &Path, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !std::fs::read_to_string(path).unwrap().contains(text) {
            assert!(Instant::now() < until, "never saw `{text}`");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_full_device_drops_and_counts() {
        let log = file_log(Path::new("/dev/full"), Format::Text);
        let events = log.shard(0);
        events.event("accepted", |_| ());
        events.event("accepted", |_| ());
        events.flush();
        drop(events);
        let until = Instant::now() + PATIENCE;
        while log.dropped() < 2 && Instant::now() < until {
            std::thread::yield_now();
        }
        assert_eq!(log.dropped(), 2);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let target = Target::File("/nowhere/at/all".into());
        let error = Log::start(&LogSettings { target, ..LogSettings::default() }).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
