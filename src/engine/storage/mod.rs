//! Durable key-value storage with group commit: the only door to RocksDB.
//!
//! Owns one database a shard, the thread that syncs it and the thread that reads it. The shard fills
//! an open batch and hands it over the moment the previous sync has returned; there is no timer, so
//! a lone writer waits for one sync and a thousand writers share one. Changes nobody waits for
//! (*riders*: removals, retry states) go along with the next batch, or alone a few milliseconds later.
//!
//! What must stay true:
//! * [`Commit`] says Ok only when the batch is on stable storage.
//! * A rider is never lost while the process lives: a failed batch gives its riders back, in order.
//! * In a [chained](Store::chain) store, what was filled while a batch was in flight fails with it.
//! * Riders and batches reach the disk in the order in which they were given, riders among riders
//!   and batches among batches. A rider may only concern keys whose put has been committed or rides.
//!
//! How it fails: a full disk or a failing one fails the batches in flight with a typed error; the same
//! handle is tried once a second until it works again. Memory is bounded by the callers: bodies by
//! the shard's budget, riders by [`Store::backlog`], which the queue watches.

mod batch;
mod committer;
mod database;
mod error;
mod metrics;
mod settings;
mod space;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::VecDeque,
    path::Path,
    rc::{Rc, Weak},
    sync::Arc,
    time::{Duration, Instant},
};

use rocksdb::WriteBatch;
use tokio::sync::{Notify, oneshot};

pub use batch::{Commit, Group, Key, Op, Writer};
pub use committer::{Page, Values};
pub use database::Family;
pub use error::{Health, StorageError};
pub use metrics::Metrics;
pub use settings::Settings;

use crate::telemetry::{Level, note};
use batch::{Filling, Outcome};
use committer::{Done, Job, Range, Read, Threads};
use settings::Sizes;
use space::Guard;

/// Riders wait this long for a batch to ride with.
const RIDE_WAIT: Duration = Duration::from_millis(5);
/// So many riders need no batch to ride with.
const RIDERS_ENOUGH: usize = 128;
/// A failing store is tried again after this long.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// A full disk is tidied again after this long, if more has been removed.
const TIDY_WAIT: Duration = Duration::from_secs(5);
/// Tries that a close makes on a failing store before it gives up.
const CLOSE_TRIES: u32 = 3;
/// A new batch makes room for this much at once.
const BATCH_BYTES_FIRST: usize = 16 << 10;
/// Written by the probe that finds out whether a failed store works again.
const PROBE_KEY: &[u8] = b"probe";

/// A store. Clones share it; all live on the shard's thread.
#[derive(Clone)]
pub struct Store(Rc<Inner>);

struct Inner {
    threads: RefCell<Option<Threads>>,
    wake: Arc<Notify>,
    work: RefCell<Work>,
    guard: Guard,
    batch_bytes_max: usize,
    probe_family: usize,
    metrics: Arc<Metrics>,
}

/// What is to be written.
#[derive(Default)]
struct Work {
    sealed: VecDeque<Filling>,
    filling: Option<Filling>,
    riders: VecDeque<Group>,
    rider_since: Option<Instant>,
    in_flight: Option<Flight>,
    trouble: Option<Trouble>,
    /// Something has been removed since the store was tidied.
    untidy: bool,
    tidied_at: Option<Instant>,
    closing: Option<u32>,
    idle_waiters: Vec<oneshot::Sender<()>>,
    /// Batches rest on those before them.
    chained: bool,
}

struct Flight {
    cell: Option<Rc<Outcome>>,
    riders: usize,
    tidies: bool,
}

struct Trouble {
    error: StorageError,
    since: Instant,
    retry_at: Instant,
}

/// What the pump does next.
enum Turn {
    Wait,
    WaitUntil(Instant),
}

impl Store {
    /// Opens or makes the store in the directory `path`. Blocks until it is recovered; call it at
    /// start, inside the shard's local runtime, where the store's pump is spawned.
    ///
    /// `families` must hold at least one overwriting family; `sharers` is how many stores share
    /// the disk and may all need their room at once.
    ///
    /// # Errors
    /// [`StorageError::Open`], for instance when another process has it open.
    pub fn open(
        path: &Path,
        settings: &Settings,
        families: &'static [Family],
        sharers: u16,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StorageError> {
        std::fs::create_dir_all(path).map_err(StorageError::open)?;
        let probe_family = families
            .iter()
            .position(|family| family.overwrites)
            .ok_or_else(|| StorageError::open("no overwriting family"))?;
        let own_need = Sizes::of(settings).need.saturating_mul(u64::from(sharers.max(1)));
        let need = own_need.max(settings.free_min.get());
        let wake = Arc::new(Notify::new());
        let threads = committer::start(path, settings, families, need, Arc::clone(&wake))?;
        let inner = Rc::new(Inner {
            threads: RefCell::new(Some(threads)),
            wake: Arc::clone(&wake),
            work: RefCell::default(),
            guard: Guard::new(path, need),
            batch_bytes_max: settings.batch_bytes_max.as_usize().max(BATCH_BYTES_FIRST),
            probe_family,
            metrics,
        });
        tokio::task::spawn_local(pump(Rc::downgrade(&inner), wake));
        Ok(Self(inner))
    }

    /// From now on a batch that fails takes those along that wait behind it. For callers that
    /// compute what they write from what they have written before: a later batch must not be kept
    /// when an earlier one is lost.
    pub fn chain(&self) {
        self.0.work.borrow_mut().chained = true;
    }

    /// Writes together what `fill` adds, with whatever else is waiting, and syncs. `bytes` is about
    /// how much that will be.
    pub fn commit(&self, bytes: usize, fill: impl FnOnce(&mut Writer<'_>)) -> Commit {
        let threads = self.0.threads.borrow();
        let work = &mut *self.0.work.borrow_mut();
        let Some(threads) = threads.as_ref().filter(|_| work.closing.is_none()) else {
            return Commit::new(Outcome::resolved(Err(StorageError::Closed)));
        };
        let has_room = |filling: &Filling| {
            filling.writes.size_in_bytes().saturating_add(bytes) <= self.0.batch_bytes_max
        };
        if let Some(full) = work.filling.take_if(|filling| !has_room(filling)) {
            work.sealed.push_back(full);
        }
        let filling = work.filling.get_or_insert_with(|| Filling {
            writes: WriteBatch::with_capacity_bytes(bytes.saturating_add(BATCH_BYTES_FIRST)),
            cell: Rc::default(),
            waiters: 0,
        });
        fill(&mut Writer { batch: &mut filling.writes, database: &threads.database });
        filling.waiters += 1;
        self.0.guard.wrote(bytes as u64);
        self.0.wake.notify_one();
        Commit::new(Rc::clone(&filling.cell))
    }

    /// Makes the changes of `group` together, soon; nobody waits for them. They are not lost by a
    /// failed write, and neither reordered. Ignored when the store is closed.
    pub fn ride(&self, group: Group) {
        let work = &mut *self.0.work.borrow_mut();
        if self.0.threads.borrow().is_none() || group.is_empty() {
            return;
        }
        work.riders.push_back(group);
        if work.rider_since.is_none() {
            work.rider_since = Some(Instant::now());
            self.0.wake.notify_one();
        } else if work.riders.len() == RIDERS_ENOUGH {
            self.0.wake.notify_one();
        }
    }

    /// Groups that ride and are not on stable storage yet.
    #[must_use]
    pub fn backlog(&self) -> usize {
        let work = self.0.work.borrow();
        work.riders.len() + work.in_flight.as_ref().map_or(0, |flight| flight.riders)
    }

    /// Waits until everything that rides has been written. True if it has been; false if the store
    /// was closed on a failing disk.
    pub async fn settled(&self) -> bool {
        let waiter = {
            let work = &mut *self.0.work.borrow_mut();
            if work.is_settled() || self.0.threads.borrow().is_none() {
                return work.is_settled();
            }
            // Nobody shall wait for the ride: it leaves now.
            work.rider_since =
                Some(Instant::now().checked_sub(RIDE_WAIT).unwrap_or_else(Instant::now));
            let (to, waiter) = oneshot::channel();
            work.idle_waiters.push(to);
            waiter
        };
        self.0.wake.notify_one();
        waiter.await.is_ok()
    }

    /// How the store is. Cheap: looks at the disk once a second at most.
    #[must_use]
    pub fn health(&self) -> Health {
        let work = self.0.work.borrow();
        let (free, has_room) = self.0.guard.look();
        match &work.trouble {
            Some(Trouble { error: StorageError::Full, .. }) => Health::Full { free },
            Some(trouble) => Health::Failing(trouble.error.to_string().into()),
            None if has_room => Health::Healthy,
            None => Health::Full { free },
        }
    }

    /// Bytes that must be free on the disk before new data is taken.
    #[must_use]
    pub fn free_needed(&self) -> u64 {
        self.0.guard.need()
    }

    /// Reads one value on the reader thread.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn get(&self, family: usize, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        let (to, answer) = oneshot::channel();
        self.read(Read::Get { family, key: Key::from_slice(key), to }).await?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Reads many values on the reader thread, in the order of `keys`. The caller bounds their number.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn get_many(&self, family: usize, keys: Vec<Key>) -> Result<Values, StorageError> {
        let (to, answer) = oneshot::channel();
        self.read(Read::GetMany { family, keys, to }).await?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Reads up to `rows_max` keys and values from `from` on, on the reader thread. A page is also
    /// cut when its values reach 4 MiB; only an empty page is the end.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn page(
        &self,
        family: usize,
        from: &[u8],
        rows_max: usize,
    ) -> Result<Page, StorageError> {
        self.range(family, from, &[], rows_max).await
    }

    /// As [`page`](Self::page), of keys before `until` only; an empty `until` is no bound.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn range(
        &self,
        family: usize,
        from: &[u8],
        until: &[u8],
        rows_max: usize,
    ) -> Result<Page, StorageError> {
        let range = Range { from: Key::from_slice(from), to: Key::from_slice(until), rows_max };
        let (to, answer) = oneshot::channel();
        self.read(Read::Page { family, range, to }).await?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    async fn read(&self, read: Read) -> Result<(), StorageError> {
        let reads = self.0.threads.borrow().as_ref().map(|threads| threads.reads.clone());
        let reads = reads.ok_or(StorageError::Closed)?;
        reads.send(read).await.map_err(|_| StorageError::Closed)
    }

    /// Calls `each` with every key and value from `from` on, until it says false. Blocks: for
    /// recovery at start only.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn scan(
        &self,
        family: usize,
        from: &[u8],
        each: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StorageError> {
        self.0.database()?.scan(family, from, each)
    }

    /// The last key of a family. Blocks: for recovery at start only.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn last_key(&self, family: usize) -> Result<Option<Vec<u8>>, StorageError> {
        self.0.database()?.last_key(family)
    }

    /// Writes what waits and rides, and closes the database; its lock is free when this returns.
    /// Later calls fail with [`StorageError::Closed`]. True if everything was written.
    pub async fn close(&self) -> bool {
        self.0.work.borrow_mut().closing.get_or_insert(0);
        self.0.wake.notify_one();
        let is_settled = self.settled().await;
        let Some(Threads { database, jobs, done, reads, committer }) = self.0.threads.take() else {
            return is_settled;
        };
        drop((database, reads, done));
        let (to, closed) = oneshot::channel();
        if jobs.send(Job::Close(to)).is_ok() {
            let _ = closed.await;
        }
        // It has nothing left to do but to return.
        let _ = committer.join();
        is_settled
    }
}

impl Work {
    fn is_settled(&self) -> bool {
        self.riders.is_empty()
            && self.sealed.is_empty()
            && self.filling.is_none()
            && self.in_flight.is_none()
    }
}

impl Inner {
    fn database(&self) -> Result<Arc<database::Database>, StorageError> {
        let threads = self.threads.borrow();
        threads.as_ref().map(|t| Arc::clone(&t.database)).ok_or(StorageError::Closed)
    }

    /// One turn of the pump: takes in what is done, hands over what is due.
    fn turn(&self) -> Turn {
        loop {
            let threads = self.threads.borrow();
            let Some(threads) = threads.as_ref() else { return Turn::Wait };
            if let Ok(done) = threads.done.try_recv() {
                self.take_in(done);
            }
            let work = &mut *self.work.borrow_mut();
            if work.in_flight.is_some() {
                return Turn::Wait;
            }
            match self.choose(work) {
                Some((filling, riders)) => self.hand_over(work, threads, filling, riders),
                None if self.is_to_tidy(work) && threads.jobs.send(Job::Tidy).is_ok() => {
                    work.untidy = false;
                    work.in_flight = Some(Flight { cell: None, riders: 0, tidies: true });
                }
                None => return self.idle(work),
            }
        }
    }

    /// A batch has ended: tells those who wait, takes riders back if it failed.
    fn take_in(&self, done: Done) {
        let mut behind = VecDeque::new();
        let cell = {
            let work = &mut *self.work.borrow_mut();
            let flight = work.in_flight.take();
            if flight.as_ref().is_some_and(|flight| flight.tidies) {
                work.tidied_at = Some(Instant::now());
                self.guard.forget();
                return;
            }
            work.untidy |= done.riders.is_empty() && flight.as_ref().is_some_and(|f| f.riders > 0);
            for group in done.riders.into_iter().rev() {
                work.riders.push_front(group);
            }
            work.rider_since = (!work.riders.is_empty()).then(Instant::now);
            self.judge(work, &done.result);
            if work.chained && done.result.is_err() {
                behind = std::mem::take(&mut work.sealed);
                behind.extend(work.filling.take());
            }
            flight.and_then(|flight| flight.cell)
        };
        self.metrics.syncs.inc();
        self.metrics.sync.record(done.took_us);
        let cells = cell.into_iter().chain(behind.into_iter().map(|filling| filling.cell));
        for cell in cells {
            cell.resolve(done.result.clone());
        }
    }

    /// Keeps count of trouble, and says once when it comes and when it goes.
    fn judge(&self, work: &mut Work, result: &Result<(), StorageError>) {
        let now = Instant::now();
        match (result, work.trouble.as_mut()) {
            (Ok(()), None) => {}
            (Ok(()), Some(trouble)) => {
                let seconds = trouble.since.elapsed().as_secs();
                note(Level::Warn, format_args!("storage works again after {seconds} s"));
                work.trouble = None;
            }
            (Err(error), trouble) => {
                self.metrics.failures.inc();
                if trouble.is_none() {
                    note(Level::Error, format_args!("storage fails: {error}"));
                }
                // New mail that fails meanwhile does not put the next try off.
                let since = trouble.as_ref().map_or(now, |trouble| trouble.since);
                let planned = trouble.as_ref().map(|trouble| trouble.retry_at);
                let retry_at = planned.filter(|at| *at > now).unwrap_or(now + RETRY_WAIT);
                work.trouble = Some(Trouble { error: error.clone(), since, retry_at });
                if let Some(tries) = &mut work.closing {
                    *tries += 1;
                }
            }
        }
    }

    /// Whether removed data takes room on a disk that has none.
    fn is_to_tidy(&self, work: &Work) -> bool {
        let is_early = work.tidied_at.is_some_and(|at| at.elapsed() < TIDY_WAIT);
        work.untidy && work.closing.is_none() && !is_early && !self.guard.look().1
    }

    /// What to hand over now, if anything.
    fn choose(&self, work: &mut Work) -> Option<(Option<Filling>, Vec<Group>)> {
        let filling = work.sealed.pop_front().or_else(|| work.filling.take());
        let now = Instant::now();
        let is_retry = work.trouble.as_ref().is_some_and(|trouble| trouble.retry_at <= now);
        let do_riders_wait = match (&work.trouble, work.closing) {
            (Some(_), _) => !is_retry,
            (None, Some(_)) => false,
            (None, None) => {
                work.riders.len() < RIDERS_ENOUGH
                    && work.rider_since.is_none_or(|since| now < since + RIDE_WAIT)
            }
        };
        if filling.is_none() && (do_riders_wait || (work.riders.is_empty() && !is_retry)) {
            return None;
        }
        // While writes fail, riders are spared the trip with every hopeless batch.
        let riders =
            if work.trouble.is_some() && !is_retry { Vec::new() } else { self.take_riders(work) };
        Some((filling, riders))
    }

    fn take_riders(&self, work: &mut Work) -> Vec<Group> {
        let mut bytes = 0;
        let fit = work.riders.iter().take_while(|group| {
            let fits = bytes < self.batch_bytes_max;
            bytes += batch::weight(group);
            fits
        });
        let count = fit.count();
        let riders = work.riders.drain(..count).collect();
        work.rider_since = (!work.riders.is_empty()).then(Instant::now);
        riders
    }

    fn hand_over(
        &self,
        work: &mut Work,
        threads: &Threads,
        filling: Option<Filling>,
        riders: Vec<Group>,
    ) {
        let (mut writes, cell) = match filling {
            Some(filling) => {
                self.metrics.batch_messages.record(filling.waiters);
                (filling.writes, Some(filling.cell))
            }
            None => (WriteBatch::default(), None),
        };
        if cell.is_none() && riders.is_empty() {
            threads.database.put(&mut writes, self.probe_family, PROBE_KEY, b"");
        }
        self.metrics.riders.add(riders.len() as u64);
        work.in_flight = Some(Flight { cell, riders: riders.len(), tidies: false });
        if let Err(unsent) = threads.jobs.send(Job::Write { writes, riders }) {
            // The committer died of a panic: everything fails from here on.
            let riders = match unsent.0 {
                Job::Write { riders, .. } => riders,
                Job::Tidy | Job::Close(_) => Vec::new(),
            };
            let cell = work.in_flight.take().and_then(|flight| flight.cell);
            for group in riders.into_iter().rev() {
                work.riders.push_front(group);
            }
            let result = Err(StorageError::Failing("the committer thread is dead".into()));
            self.judge(work, &result);
            if let Some(cell) = cell {
                cell.resolve(result);
            }
        }
    }

    /// Nothing to hand over: tells those who wait for that, and says when to look again.
    fn idle(&self, work: &mut Work) -> Turn {
        let gave_up = work.closing.is_some_and(|tries| tries >= CLOSE_TRIES);
        if work.is_settled() {
            work.idle_waiters.drain(..).for_each(|waiter| {
                let _ = waiter.send(());
            });
        } else if gave_up && !work.idle_waiters.is_empty() {
            let count = work.riders.len();
            note(Level::Error, format_args!("storage closes with {count} changes unwritten"));
            work.idle_waiters.clear();
        }
        match (&work.trouble, work.rider_since) {
            (Some(trouble), _) => Turn::WaitUntil(trouble.retry_at),
            (None, Some(since)) => Turn::WaitUntil(since + RIDE_WAIT),
            (None, None) if work.untidy && !self.guard.look().1 => {
                Turn::WaitUntil(work.tidied_at.unwrap_or_else(Instant::now) + TIDY_WAIT)
            }
            (None, None) => Turn::Wait,
        }
    }
}

impl Drop for Inner {
    /// Lets the pump end, and the threads of a store that was never closed: what rides is lost then,
    /// as in a crash.
    fn drop(&mut self) {
        self.wake.notify_one();
        if let Some(threads) = self.threads.take() {
            threads.end();
        }
    }
}

/// Runs on the shard for as long as the store lives; woken once a batch by the committer.
async fn pump(store: Weak<Inner>, wake: Arc<Notify>) {
    loop {
        let Some(turn) = store.upgrade().map(|inner| inner.turn()) else { return };
        match turn {
            Turn::Wait => wake.notified().await,
            Turn::WaitUntil(at) => {
                let _ = tokio::time::timeout_at(at.into(), wake.notified()).await;
            }
        }
    }
}
