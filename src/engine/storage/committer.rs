//! The threads behind a store: one that writes and syncs, one that reads.
//!
//! Both live on the shard's core (threads inherit its mask) and mostly sleep: the committer in
//! `fdatasync`, the reader until a message is asked for that is no longer in memory. The database
//! itself is opened with the mask of the whole process, since RocksDB's background threads inherit
//! the mask of the thread that opens it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc as std_mpsc},
    thread::{self, JoinHandle},
    time::Instant,
};

use rocksdb::WriteBatch;
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    Family, Group, Key, Settings, StorageError, database::Database, settings::Sizes, space::Ballast,
};
use crate::{shard, telemetry::micros_since};

/// Shard to committer.
pub(super) enum Job {
    /// Write and sync `writes`, then the riders.
    Write { writes: WriteBatch, riders: Vec<Group> },
    /// Give removed data's room back; answered as a write of nothing.
    Tidy,
    /// Close the database and say so.
    Close(oneshot::Sender<()>),
}

/// Committer to shard: one per [`Job::Write`] or [`Job::Tidy`].
pub(super) struct Done {
    pub result: Result<(), StorageError>,
    /// Given back when the write failed; empty otherwise.
    pub riders: Vec<Group>,
    pub took_us: u64,
}

/// Shard to reader.
pub(super) enum Read {
    Get { family: usize, key: Key, to: oneshot::Sender<Result<Option<Vec<u8>>, StorageError>> },
    GetMany { family: usize, keys: Vec<Key>, to: oneshot::Sender<Result<Values, StorageError>> },
    Page { family: usize, range: Range, to: oneshot::Sender<PageResult> },
}

/// Rows to read.
pub(super) struct Range {
    pub from: Key,
    /// The first key behind; empty: to the end.
    pub to: Key,
    pub rows_max: usize,
}

/// Values, or none, in the order of the keys that were asked for.
pub type Values = Vec<Option<Vec<u8>>>;

/// Keys and values in order.
pub type Page = Vec<(Key, Vec<u8>)>;
type PageResult = Result<Page, StorageError>;

/// A page ends when its values reach this.
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Reads that may wait.
const READS_MAX: usize = 256;

/// The shard's ends.
pub(super) struct Threads {
    pub database: Arc<Database>,
    pub jobs: std_mpsc::Sender<Job>,
    pub done: std_mpsc::Receiver<Done>,
    pub reads: mpsc::Sender<Read>,
    pub committer: JoinHandle<()>,
}

impl Threads {
    /// Lets go of the database and waits until it is closed: a process must not end meanwhile, for
    /// RocksDB's statics would be gone before its threads. Blocks for as long as closing takes.
    pub(super) fn end(self) {
        let Self { database, jobs, done, reads, committer } = self;
        drop((database, jobs, done, reads));
        // It only panics if RocksDB's wrapper does; that has been told, and nothing is left to do.
        let _ = committer.join();
    }
}

struct Opening {
    path: PathBuf,
    sizes: Sizes,
    families: &'static [Family],
    ballast_bytes: u64,
    need: u64,
}

/// Opens the database on a new committer thread and waits for it.
pub(super) fn start(
    path: &Path,
    settings: &Settings,
    families: &'static [Family],
    need: u64,
    wake: Arc<Notify>,
) -> Result<Threads, StorageError> {
    let opening = Opening {
        path: path.to_owned(),
        sizes: Sizes::of(settings),
        families,
        ballast_bytes: settings.ballast.get(),
        need,
    };
    let (jobs, jobs_end) = std_mpsc::channel();
    let (done_end, done) = std_mpsc::channel();
    let (reads, reads_end) = mpsc::channel(READS_MAX);
    let (opened, opened_end) = std_mpsc::channel();
    let committer = thread::Builder::new()
        .name("committer".to_owned())
        .spawn(move || {
            let database = match open(&opening) {
                Ok(database) => Arc::new(database),
                Err(error) => return drop(opened.send(Err(error))),
            };
            let reader = match start_reader(Arc::clone(&database), reads_end) {
                Ok(reader) => reader,
                Err(error) => return drop(opened.send(Err(error))),
            };
            let ballast = Ballast::new(&opening.path, opening.ballast_bytes, opening.need);
            if opened.send(Ok(Arc::clone(&database))).is_ok() {
                drop(opened);
                serve(database, reader, ballast, &jobs_end, &done_end, &wake);
            }
        })
        .map_err(StorageError::open)?;
    match opened_end.recv().map_err(StorageError::open).flatten() {
        Ok(database) => Ok(Threads { database, jobs, done, reads, committer }),
        Err(error) => {
            drop(reads);
            let _ = committer.join();
            Err(error)
        }
    }
}

/// Opens the database with the mask of the process, then goes back to the shard's core.
fn open(opening: &Opening) -> Result<Database, StorageError> {
    let core = rustix::thread::sched_getaffinity(None);
    shard::unpin_thread();
    let database = Database::open(&opening.path, &opening.sizes, opening.families);
    if let Ok(core) = core {
        // Not fatal: a committer on another core only costs a little more.
        let _ = rustix::thread::sched_setaffinity(None, &core);
    }
    database
}

fn serve(
    database: Arc<Database>,
    reader: JoinHandle<()>,
    mut ballast: Ballast,
    jobs: &std_mpsc::Receiver<Job>,
    done: &std_mpsc::Sender<Done>,
    wake: &Notify,
) {
    let mut closed = None;
    while let Ok(job) = jobs.recv() {
        let report = match job {
            Job::Write { writes, riders } => write(&database, &mut ballast, writes, riders),
            Job::Tidy => tidy(&database),
            Job::Close(to) => {
                closed = Some(to);
                break;
            }
        };
        let is_ok = report.result.is_ok();
        if done.send(report).is_err() {
            break;
        }
        wake.notify_one();
        if is_ok {
            ballast.restore();
        }
    }
    // The reader ends when the shard has dropped its end; then this is the last handle, and the
    // lock file is free again before anybody hears "closed".
    let _ = reader.join();
    drop(database);
    if let Some(to) = closed {
        let _ = to.send(());
    }
}

fn write(
    database: &Database,
    ballast: &mut Ballast,
    mut writes: WriteBatch,
    riders: Vec<Group>,
) -> Done {
    let started = Instant::now();
    for op in riders.iter().flatten() {
        database.add(&mut writes, op);
    }
    let result = database.write(writes);
    if result == Err(StorageError::Full) {
        ballast.give_up();
    }
    let riders = if result.is_ok() { Vec::new() } else { riders };
    Done { result, riders, took_us: micros_since(started) }
}

fn tidy(database: &Database) -> Done {
    let started = Instant::now();
    database.tidy();
    Done { result: Ok(()), riders: Vec::new(), took_us: micros_since(started) }
}

fn start_reader(
    database: Arc<Database>,
    mut reads: mpsc::Receiver<Read>,
) -> Result<JoinHandle<()>, StorageError> {
    let serve = move || {
        while let Some(read) = reads.blocking_recv() {
            // Whoever asked may be gone.
            match read {
                Read::Get { family, key, to } => drop(to.send(database.get(family, &key))),
                Read::GetMany { family, keys, to } => {
                    drop(to.send(database.get_many(family, &keys)));
                }
                Read::Page { family, range, to } => {
                    drop(to.send(page(&database, family, &range)));
                }
            }
        }
    };
    thread::Builder::new().name("reader".to_owned()).spawn(serve).map_err(StorageError::open)
}

fn page(database: &Database, family: usize, range: &Range) -> PageResult {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    database.scan(family, &range.from, |key, value| {
        if !range.to.is_empty() && *key >= range.to[..] {
            return false;
        }
        bytes += value.len();
        rows.push((Key::from_slice(key), value.to_vec()));
        rows.len() < range.rows_max && bytes < PAGE_BYTES_MAX
    })?;
    Ok(rows)
}
