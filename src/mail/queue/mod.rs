//! The durable queue of a shard: one store, a schedule in memory, leases out, verdicts in.
//!
//! What must stay true:
//! * [`Queue::accept`] says Ok only when envelope and body are on stable storage, in one batch.
//! * A message leaves the store only when every recipient has been delivered, has been given up and
//!   reported, or an admin deleted it; the report is written in the same group as the removal.
//! * A recipient that was settled as delivered is not leased again, unless a crash comes before the
//!   end of its lease is on the disk.
//! * The schedule in memory is the authority; the store is read at start, and when a message that
//!   has waited is due.
//!
//! How it fails: a full or failing disk refuses new mail with 4yz ([`QueueError::reply`]); what was to
//! be written about old mail is kept and written later (`engine::storage`). A record that cannot be
//! read is held and counted, never dropped. The queue knows nothing of delivery: that one leases and
//! settles.
//!
//! `intake` accepts, `schedule` (pure) decides what is due, `lease` hands out, `settle` hears what
//! became of it, `ending` writes that down, `report` writes to senders, `journal` tells the log,
//! `control` obeys admins, `recovery` opens and closes.

mod command;
mod control;
mod ending;
mod error;
mod folder;
mod fresh;
mod id;
mod intake;
mod journal;
mod lease;
mod metrics;
mod record;
mod recovery;
mod report;
pub mod schedule;
mod settings;
mod settle;
#[cfg(test)]
mod tests;
mod verdict;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    path::PathBuf,
    rc::Rc,
    sync::Arc,
};

use engine::storage::{Health, Store};
use engine::telemetry::Events;
use foldhash::quality::RandomState;
use proto::types::Timestamp;
use tokio::sync::Notify;

pub use command::{
    Answer, Command, Detail, Filter, LIST_ROWS_MAX, Phase, ROW_RECIPIENTS_MAX, RecipientDetail,
    Row, Snapshot,
};
pub use error::QueueError;
pub use folder::{orphans, queue_dir};
pub use id::{IdError, MessageId, QUEUES_MAX};
pub use intake::{Arriving, Envelopes};
pub use lease::Lease;
pub use metrics::Metrics;
pub use recovery::Parts;
pub use report::Sign;
pub use settings::Settings;
pub use verdict::{Remote, Verdict};

use ending::End;
use fresh::Fresh;
use schedule::Schedule;

/// One durable queue. Clones share it; all live on the shard's thread.
#[derive(Clone)]
pub struct Queue(Rc<Inner>);

struct Inner {
    number: u16,
    folder: PathBuf,
    store: Store,
    hostname: Rc<str>,
    signer: Option<Rc<dyn Sign>>,
    events: Events,
    metrics: Arc<Metrics>,
    /// A copy of the shard's own: all shards count references to the one that they were given.
    settings: RefCell<Rc<Settings>>,
    schedule: RefCell<Schedule>,
    fresh: RefCell<Fresh>,
    /// Spreads retries.
    jitter: RandomState,
    last_id: Cell<MessageId>,
    /// Commits under way: they will be messages.
    arriving: Cell<u64>,
    /// Leases that ended with something to tell their senders; as many as there may be leases.
    to_report: RefCell<VecDeque<End>>,
    /// These, and the one whose reports are being written.
    ending: Cell<u64>,
    closing: Cell<bool>,
    /// Something may be due, or there is room for another lease.
    due: Notify,
    /// An end that waited is over.
    ended: Notify,
    /// There is something to report, or the queue is no more.
    reporter: Rc<Notify>,
    scratch: RefCell<Vec<u8>>,
}

impl Queue {
    /// The queue in a few numbers.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let schedule = self.0.schedule.borrow();
        let now = self.0.now().0;
        Snapshot {
            queue: self.0.number,
            messages: schedule.len() as u64,
            active: schedule.active() as u64,
            held: schedule.held() as u64,
            ready: schedule.ready(now) as u64,
            late_ms: schedule.next_due().map_or(0, |due| now.saturating_sub(due)),
            health: self.0.store.health().to_string(),
        }
    }

    /// Takes new settings; what is scheduled already stays as it is.
    pub fn reload(&self, settings: Arc<Settings>) {
        self.0.fresh.borrow_mut().set_bytes_max(settings.fresh_bytes_max.as_usize());
        self.0.settings.replace(Rc::new(Settings::clone(&settings)));
        self.0.due.notify_one();
    }

    /// Whether there is nothing in it, and nothing on its way in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.schedule.borrow().len() == 0 && self.0.arriving.get() == 0
    }
}

impl Inner {
    fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    fn now(&self) -> Timestamp {
        Timestamp(engine::shard::wall_ms())
    }

    fn is_healthy(&self) -> Result<(), QueueError> {
        match self.store.health() {
            Health::Healthy => Ok(()),
            Health::Full { .. } => Err(QueueError::Full),
            Health::Failing(text) => Err(QueueError::Failing(text)),
        }
    }

    /// Keeps the gauges of the shard, which its own and adopted queues share.
    fn note_depth(&self, change: impl FnOnce(&mut Schedule)) {
        let mut schedule = self.schedule.borrow_mut();
        let before = [schedule.len(), schedule.active(), schedule.held()];
        change(&mut schedule);
        let after = [schedule.len(), schedule.active(), schedule.held()];
        let gauges = [&self.metrics.depth, &self.metrics.active, &self.metrics.held];
        for ((gauge, before), after) in gauges.into_iter().zip(before).zip(after) {
            if after > before {
                gauge.add((after - before) as u64);
            } else if before > after {
                gauge.sub((before - after) as u64);
            }
        }
    }
}

impl Drop for Inner {
    /// Lets the reporter end.
    fn drop(&mut self) {
        self.reporter.notify_one();
    }
}
