//! The log: one writer thread that shards hand full buffers to.
//!
//! What must stay true: senders never block (the channel is bounded and refuses); buffers come back
//! to be used again; [`Log::close`] writes everything that was sent before it. If the thread cannot
//! be started or the file not opened, [`Log::start`] fails; later write errors drop lines and
//! count them, and are reported on standard error once in a while.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::Events;
use super::event::Event;
use super::settings::{Format, Level, LogSettings};
use super::stamp::Stamp;
use super::writer::{Output, Work, run};

/// Buffers that may wait for the writer: times 64 KiB, the memory that a slow disk can take.
const WAITING_MAX: usize = 128;
/// Buffers kept for another use.
const SPARE_MAX: usize = 32;

/// The log that [`note`] writes to, once there is one.
static INSTALLED: ArcSwapOption<Shared> = ArcSwapOption::const_empty();

/// The running log. Clones are handles on the same one.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
    events: bool,
    flush: Duration,
}

/// What handles, shards and the writer thread share.
pub(crate) struct Shared {
    work: SyncSender<Work>,
    spare: Mutex<Vec<Vec<u8>>>,
    format: Format,
    level: AtomicU8,
    dropped: AtomicU64,
    reopen: AtomicBool,
    closing: AtomicBool,
    done: Mutex<Receiver<()>>,
}

impl Log {
    /// Opens the target and starts the writer thread.
    ///
    /// # Errors
    /// When the file cannot be opened (the message names it) or the thread not started.
    pub fn start(settings: &LogSettings) -> io::Result<Self> {
        let output = Output::open(&settings.target)?;
        let (work, queue) = sync_channel(WAITING_MAX);
        let (finished, done) = sync_channel(1);
        let shared = Arc::new(Shared {
            work,
            spare: Mutex::default(),
            format: settings.format,
            level: AtomicU8::new(settings.level as u8),
            dropped: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            done: Mutex::new(done),
        });
        let theirs = Arc::downgrade(&shared);
        thread::Builder::new().name("log".into()).spawn(move || {
            run(output, &queue, &theirs);
            // Nobody waiting is fine.
            let _ = finished.try_send(());
        })?;
        Ok(Self { shared, events: settings.events, flush: settings.flush.get() })
    }

    /// Makes this the log that [`note`] writes to.
    pub fn install(&self) {
        INSTALLED.store(Some(self.shared.clone()));
    }

    /// The event buffer of shard `index`; call it on the shard's own thread.
    #[must_use]
    pub fn shard(&self, index: usize) -> Events {
        if self.events {
            Events::to_log(self.shared.clone(), index, self.shared.format)
        } else {
            Events::nowhere()
        }
    }

    /// How long an event may wait in a shard's buffer: the period of the tick that flushes.
    #[must_use]
    pub fn flush_period(&self) -> Duration {
        self.flush
    }

    /// Writes a note, unless it is below the level.
    pub fn note(&self, level: Level, message: impl fmt::Display) {
        self.shared.note(level, &message);
    }

    /// Changes the level of notes from now on.
    pub fn set_level(&self, level: Level) {
        self.shared.level.store(level as u8, Ordering::Relaxed);
    }

    /// Lets the writer open its file again (SIGHUP, after rotation). Returns at once; when the new
    /// file cannot be opened, the old one stays in use and standard error says so.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        // A full channel means that the writer is awake anyway.
        let _ = self.shared.work.try_send(Work::Wake);
    }

    /// Lines that were lost because the writer was behind or its target failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes what was sent so far and ends the writer; waits up to `patience`. Notes go to
    /// standard error afterwards. Says whether everything was written in time.
    pub fn close(&self, patience: Duration) -> bool {
        let installed = INSTALLED.load();
        if installed.as_ref().is_some_and(|current| Arc::ptr_eq(current, &self.shared)) {
            INSTALLED.store(None);
        }
        self.shared.closing.store(true, Ordering::Release);
        let _ = self.shared.work.try_send(Work::Wake);
        let done = self.shared.done.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(done.recv_timeout(patience), Err(std::sync::mpsc::RecvTimeoutError::Timeout))
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("dropped", &self.dropped()).finish_non_exhaustive()
    }
}

/// Writes a note to the installed log, or to standard error as long as there is none. For cold
/// paths: it allocates. Never blocks on the log.
///
/// `note(Level::Warn, format_args!("{name}: {error}"))`
pub fn note(level: Level, message: impl fmt::Display) {
    match &*INSTALLED.load() {
        Some(shared) => shared.note(level, &message),
        None if level <= Level::Info => to_stderr(Format::Text, level, &message),
        None => (),
    }
}

/// A note straight to standard error, for when there is no writer or the writer itself is in need.
pub(super) fn to_stderr(format: Format, level: Level, message: &dyn fmt::Display) {
    let mut line = Vec::with_capacity(128);
    render_note(format, level, message, &mut line);
    let _ = io::Write::write_all(&mut io::stderr(), &line);
}

fn render_note(format: Format, level: Level, message: &dyn fmt::Display, out: &mut Vec<u8>) {
    let mut stamp = Stamp::default();
    match format {
        Format::Json => {
            let mut event = Event::open(out, format, &mut stamp, "note");
            event.str("level", level.as_str()).show("message", message);
            event.close();
        }
        Format::Text => {
            out.extend_from_slice(stamp.at(super::stamp::wall_ms()));
            let _ = io::Write::write_fmt(out, format_args!(" {level}: "));
            let _ = fmt::write(&mut super::render::Escaped(out), format_args!("{message}"));
            out.push(b'\n');
        }
    }
}

impl Shared {
    fn note(&self, level: Level, message: &dyn fmt::Display) {
        if level as u8 > self.level.load(Ordering::Relaxed) {
            return;
        }
        let mut line = Vec::with_capacity(128);
        render_note(self.format, level, message, &mut line);
        if let Err(line) = self.send(line) {
            if self.closing.load(Ordering::Acquire) {
                to_stderr(self.format, level, message);
            } else {
                self.count_dropped(lines_in(&line));
            }
        }
    }

    /// Hands a buffer to the writer, or gives it back when the writer is behind or gone.
    pub(super) fn send(&self, buffer: Vec<u8>) -> Result<(), Vec<u8>> {
        match self.work.try_send(Work::Lines(buffer)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(Work::Lines(buffer)))
            | Err(TrySendError::Disconnected(Work::Lines(buffer))) => Err(buffer),
            Err(_) => Ok(()),
        }
    }

    /// Hands over a shard's last buffer: waits a second for room, since the shard is ending.
    pub(super) fn send_patiently(&self, mut buffer: Vec<u8>) {
        let until = Instant::now() + Duration::from_secs(1);
        loop {
            match self.send(buffer) {
                Ok(()) => return,
                Err(unsent) => buffer = unsent,
            }
            if Instant::now() >= until || self.closing.load(Ordering::Acquire) {
                self.count_dropped(lines_in(&buffer));
                return;
            }
            #[allow(clippy::disallowed_methods, reason = "the shard has ended: nothing waits")]
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// An empty buffer that has been used before, if the lock is free and there is one.
    pub(super) fn recycled(&self) -> Option<Vec<u8>> {
        self.spare.try_lock().ok()?.pop()
    }

    /// Keeps a written buffer for another use.
    pub(super) fn recycle(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        if let Ok(mut spare) = self.spare.lock()
            && spare.len() < SPARE_MAX
        {
            spare.push(buffer);
        }
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

pub(super) fn lines_in(buffer: &[u8]) -> u64 {
    buffer.iter().filter(|byte| **byte == b'\n').count() as u64
}
