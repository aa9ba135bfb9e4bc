//! Opening a queue with what an earlier run left in it, and closing it.
//!
//! What must stay true: everything in the store is in the schedule before the first message is
//! taken; what was never put off is due at once; ids go on behind every id that is in the store. No
//! message waits longer than it would have without the restart, nor for ever because the clock was
//! wrong when it was put off.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::Path,
    rc::Rc,
    sync::Arc,
};

use engine::storage::{self, Group, Op, Store};
use engine::telemetry::{Events, Level, note};
use foldhash::fast::RandomState;
use tokio::sync::Notify;

use super::folder;
use super::fresh::Fresh;
use super::record::{self, FAMILIES, META, STATE};
use super::schedule::Schedule;
use super::{Inner, MessageId, Metrics, Queue, QueueError, Settings, Sign, report};

/// What a queue is made with.
#[derive(Clone)]
pub struct Parts {
    /// How long mail is kept and when it is tried again.
    pub settings: Arc<Settings>,
    /// Of its store.
    pub storage: storage::Settings,
    /// Our name, for reports.
    pub hostname: Rc<str>,
    /// Signs the reports that the queue writes.
    pub signer: Option<Rc<dyn Sign>>,
    /// Where accepted, delivered, deferred and bounced are told.
    pub events: Events,
    /// The shard's numbers; its own queue and adopted ones share them.
    pub metrics: Arc<Metrics>,
    /// The numbers of the store, likewise.
    pub storage_metrics: Arc<storage::Metrics>,
    /// Shards of this process, all of which have a store on the same disk.
    pub shards: u16,
}

/// What the store says of a message that was put off or held.
#[derive(Clone, Copy)]
struct Known {
    version: u32,
    /// `None`: held.
    due_ms: Option<u64>,
}

impl Queue {
    /// Opens or makes the queue in `dir` and recovers what is in it. Blocks; at start, inside the
    /// shard's local runtime. `number` is the directory's, which ids carry.
    ///
    /// # Errors
    /// When the store cannot be opened or read.
    pub fn open(dir: &Path, number: u16, parts: Parts) -> Result<Self, QueueError> {
        let Parts { settings, storage, hostname, signer, events, metrics, .. } = parts;
        let (storage_metrics, shards) = (parts.storage_metrics, parts.shards);
        let store = Store::open(dir, &storage, &FAMILIES, shards, storage_metrics)?;
        let states = read_states(&store)?;
        // Jitter may nearly double a wait, and a site may rest a little longer than that.
        let wait_ms_max = settings.retry_max.as_ms().saturating_mul(2);
        let window = Window { now_ms: engine::shard::wall_ms(), wait_ms_max };
        let (schedule, last_id) = read_messages(&store, &states, window)?;
        let reporter = Rc::new(Notify::new());
        let bytes_max = settings.fresh_bytes_max.as_usize();
        let inner = Rc::new(Inner {
            number,
            folder: dir.into(),
            store,
            hostname,
            signer,
            events,
            metrics,
            settings: RefCell::new(Rc::new(Settings::clone(&settings))),
            schedule: RefCell::default(),
            fresh: RefCell::new(Fresh::new(bytes_max)),
            jitter: foldhash::quality::RandomState::default(),
            last_id: Cell::new(last_id),
            arriving: Cell::new(0),
            to_report: RefCell::default(),
            ending: Cell::new(0),
            closing: Cell::new(false),
            due: Notify::new(),
            ended: Notify::new(),
            reporter: Rc::clone(&reporter),
            scratch: RefCell::default(),
        });
        inner.note_depth(|empty| *empty = schedule);
        tokio::task::spawn_local(report::run(Rc::downgrade(&inner), reporter));
        Ok(Self(inner))
    }

    /// No more leases and no more mail; writes what waits, closes the store. True if everything was
    /// written.
    pub async fn close(&self) -> bool {
        self.0.closing.set(true);
        self.0.due.notify_waiters();
        loop {
            let ended = self.0.ended.notified();
            if self.0.ending.get() == 0 {
                break;
            }
            ended.await;
        }
        self.0.store.close().await
    }

    /// Closes an adopted queue that has nothing left and removes its directory. False if it is not
    /// empty, or could not be removed.
    pub async fn remove_if_empty(&self) -> bool {
        if !self.is_empty() || !self.close().await {
            return false;
        }
        let folder = &self.0.folder;
        match folder::remove(folder) {
            Ok(()) => true,
            Err(error) => {
                note(Level::Warn, format_args!("cannot remove {}: {error}", folder.display()));
                false
            }
        }
    }
}

/// When a message that is found may be due.
#[derive(Clone, Copy)]
struct Window {
    now_ms: u64,
    wait_ms_max: u64,
}

impl Window {
    /// A time from the store, made sensible: not before the message came, not in a far future.
    fn fit(self, id: MessageId, due_ms: u64) -> u64 {
        due_ms.max(id.at_ms().min(self.now_ms)).min(self.now_ms.saturating_add(self.wait_ms_max))
    }
}

/// The state of every message that has one.
fn read_states(store: &Store) -> Result<HashMap<MessageId, Known, RandomState>, QueueError> {
    let mut states: HashMap<MessageId, Known, RandomState> = HashMap::default();
    let mut outdated = Group::new();
    store.scan(STATE, &[], |key, value| {
        let Some((id, version)) = record::of_state_key(key) else { return true };
        // A state that cannot be read holds its message, for a person to look at.
        let due_ms = record::read_state(value)
            .ok()
            .filter(|state| !state.held)
            .map(|state| state.next_due().unwrap_or_default().0);
        if let Some(earlier) = states.insert(id, Known { version, due_ms }) {
            outdated.push(Op::remove(STATE, &record::state_key(id, earlier.version)));
        }
        true
    })?;
    store.ride(outdated);
    Ok(states)
}

/// Every message, and the last id.
fn read_messages(
    store: &Store,
    states: &HashMap<MessageId, Known, RandomState>,
    window: Window,
) -> Result<(Schedule, MessageId), QueueError> {
    let mut schedule = Schedule::default();
    let mut last = MessageId(0);
    store.scan(META, &[], |key, _| {
        let Some(id) = MessageId::of_key(key) else { return true };
        last = id;
        match states.get(&id) {
            None => schedule.insert(id, id.at_ms().min(window.now_ms), 0),
            Some(Known { version, due_ms: Some(due_ms) }) => {
                schedule.insert(id, window.fit(id, *due_ms), *version);
            }
            Some(Known { version, due_ms: None }) => schedule.insert_held(id, *version),
        }
        true
    })?;
    Ok((schedule, last))
}
