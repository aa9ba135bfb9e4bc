//! Boot: from a settings file to running shards, and from SIGTERM to an orderly end.
//!
//! It owns the process: the lock on the data directory, the log, signals, the admin door. What must
//! stay true: nothing listens before every queue is recovered; a server that cannot start whole does
//! not start; one data directory has one server. How it fails: with a text for the administrator
//! before the start, with the log afterwards; when a shard's main task panics, the process ends
//! rather than going on as if it were whole.

mod explain;
mod house;
mod hub;
mod rooms;
pub mod settings;
mod shard;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use engine::shard::{Backend, ShardError, Shards, probe, start};
use engine::telemetry::{Level, Log, note};
use engine::tls::TlsError;
use mail::authentication::signing::{KeyError, Keys};
use mail::directory::{Accounts, StoreError};
use mail::mailbox::{Layout, MailboxError};
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc as orders;

pub use explain::{explain_tls, on_a_shard};

use crate::admin::{self, Hub};
use house::House;
use hub::Switchboard;
use settings::{LoadError, Settings};
use shard::{Order, Seat};

/// Orders that may wait for a shard.
const ORDERS_MAX: usize = 64;
/// How long the log may take to write its last lines.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// The lock on the data directory.
const LOCK_NAME: &str = "lock";

/// Why the server could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The settings file.
    #[error(transparent)]
    Settings(#[from] LoadError),
    /// The log's target.
    #[error("log.target: {0}")]
    Log(io::Error),
    /// The data directory.
    #[error("data directory {}: {error}", path.display())]
    Data {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Another server runs there.
    #[error("data directory {}: another Ringpost is using it", .0.display())]
    Taken(PathBuf),
    /// The directory.
    #[error("directory: {0}")]
    Directory(#[from] StoreError),
    /// The keys of DKIM.
    #[error("dkim: {0}")]
    Keys(#[from] KeyError),
    /// How the stores of mailboxes are laid out.
    #[error("mailboxes: {0}")]
    Mailboxes(#[from] MailboxError),
    /// A shard's rooms, with what could not be opened.
    #[error("{0}")]
    Room(String),
    /// Certificates and keys.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// The shards.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The admin socket or the signals.
    #[error("{0}")]
    Door(io::Error),
}

/// Runs the server described by the file at `path` until it is told to stop.
///
/// # Errors
/// See [`BootError`].
pub fn serve(path: &Path) -> Result<(), BootError> {
    let settings = settings::load(path)?;
    let log = Log::start(&settings.log).map_err(BootError::Log)?;
    log.install();
    let result = run(path, settings, &log);
    if log.dropped() > 0 {
        note(Level::Warn, format_args!("{} lines of the log were lost", log.dropped()));
    }
    log.close(LOG_PATIENCE);
    result
}

fn run(path: &Path, settings: Settings, log: &Log) -> Result<(), BootError> {
    let _lock = lock(&settings.server.data_dir)?;
    raise_descriptors(&settings);
    for warning in settings.dns.warnings() {
        note(Level::Warn, warning);
    }
    let backend = probe(settings.server.io)?;
    let socket = settings.admin_socket();
    let directory = Accounts::open(&settings.server.data_dir, settings.directory_parts())?;
    let keys = Keys::open(&settings.server.data_dir, &settings.dkim)?;
    let layout = Layout::open(&settings.server.data_dir, usize::from(settings.shards()))?;
    let house = Arc::new(House::new(settings, backend, directory, keys, layout, log.clone())?);
    // From here on signals are ours: none is lost between start and loop.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP]).map_err(BootError::Door)?;
    let (shards, orders) = start_shards(&house, backend)?;
    let hub = Arc::new(Switchboard::new(Arc::clone(&house), orders, path.into()));
    let admin = match admin::start(&socket, Arc::clone(&hub) as Arc<dyn Hub>) {
        Ok(admin) => admin,
        Err(error) => {
            hub.stop();
            shards.join()?;
            return Err(BootError::Door(error));
        }
    };
    announce(&house, path);
    let certificates = watch_certificates(&house).map_err(BootError::Door)?;
    let handle = signals.handle();
    let told = Arc::clone(&hub);
    let listener = std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    let _ = told.reload_and_note();
                } else {
                    told.stop();
                }
            }
        })
        .map_err(BootError::Door)?;
    let ended = shards.join();
    handle.close();
    let _ = listener.join();
    drop(certificates);
    admin.stop();
    house.writer.stop();
    ended?;
    note(Level::Info, "stopped");
    Ok(())
}

/// Looks after certificate files and ticket keys, until what is returned is dropped.
fn watch_certificates(house: &Arc<House>) -> io::Result<mpsc::Sender<()>> {
    let (running, ended) = mpsc::channel::<()>();
    let house = Arc::clone(house);
    let every = house.settings.load().tls.check_every.get();
    std::thread::Builder::new().name("certificates".into()).spawn(move || {
        while ended.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
            house.keeper.check();
        }
    })?;
    Ok(running)
}

/// Starts every shard and waits until all are ready; if one is not, all end.
fn start_shards(
    house: &Arc<House>,
    backend: Backend,
) -> Result<(Shards, Vec<orders::Sender<Order>>), BootError> {
    let count = usize::from(house.shards());
    let (senders, inboxes): (Vec<_>, Vec<_>) =
        (0..count).map(|_| orders::channel::<Order>(ORDERS_MAX)).unzip();
    let (ready, readiness) = mpsc::channel();
    // Each shard takes its own, so that one which panics is missed.
    let seats = Seat::for_all(inboxes, &ready).into_iter().map(Some).collect();
    let seats: Arc<Mutex<Vec<_>>> = Arc::new(Mutex::new(seats));
    drop(ready);
    let theirs = Arc::clone(house);
    let shards = start(count, backend, move |shard| {
        let seat = seats.lock().unwrap_or_else(PoisonError::into_inner)[shard.index()].take();
        let house = Arc::clone(&theirs);
        async move {
            if let Some(seat) = seat {
                shard::live(shard, house, seat).await;
            }
        }
    })?;
    let mut trouble = None;
    for _ in 0..count {
        let answer = readiness.recv().unwrap_or_else(|_| Err("a shard could not start".into()));
        trouble = trouble.or(answer.err());
    }
    let Some(error) = trouble else { return Ok((shards, senders)) };
    for sender in &senders {
        let _ = sender.try_send(Order::Drain);
    }
    drop(senders);
    shards.join()?;
    Err(BootError::Room(error))
}

/// Makes the data directory and takes it for this process; the lock goes with the file.
pub(crate) fn lock(folder: &Path) -> Result<File, BootError> {
    let failed = |error| BootError::Data { path: folder.into(), error };
    fs::create_dir_all(folder).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_NAME))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BootError::Taken(folder.into())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Takes all the file descriptors there are, and says when they are too few for the limits.
fn raise_descriptors(settings: &Settings) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit);
    let have = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let outgoing = u64::from(settings.delivery.connections_max) * u64::from(settings.shards());
    let need = u64::from(settings.limits.connections) + outgoing;
    if raised.is_err() || have < need {
        note(
            Level::Warn,
            format_args!(
                "{have} file descriptors are allowed, {need} may be needed for all connections: \
                 raise LimitNOFILE or lower limits.connections and delivery.connections_max"
            ),
        );
    }
}

fn announce(house: &House, path: &Path) {
    let settings = house.settings.load();
    let addresses: Vec<String> =
        settings.listener.iter().map(|listener| listener.address.to_string()).collect();
    note(
        Level::Info,
        format_args!(
            "ringpost {} is {} with {} shards on {}, listens on {}, data in {}, settings of {}",
            env!("CARGO_PKG_VERSION"),
            house.hostname,
            house.shards(),
            house.backend,
            addresses.join(", "),
            settings.server.data_dir.display(),
            path.display(),
        ),
    );
}
