//! Leases: one attempt's right to a message, from being due to the last verdict.
//!
//! What must stay true: a message has one lease at a time; a lease that ends, in whatever way, leaves
//! its message gone, waiting or held. How it fails: a record that cannot be read now puts the message
//! off for a minute; one that makes no sense holds it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use engine::shard::sleep;
use engine::storage::Group;
use engine::telemetry::{Level, note};
use proto::types::{Envelope, Timestamp};

use super::ending::End;
use super::record::{self, BODY, META, STATE, State};
use super::report::Notes;
use super::schedule::{Entry, Wish};
use super::settle::Progress;
use super::{Inner, MessageId, Queue, QueueError};

/// Changes that may wait for the disk before no more mail is handed out.
const BACKLOG_MAX: usize = 8192;
/// How often a backlog is looked at.
const BACKLOG_LOOK_MS: u64 = 50;
/// The longest sleep towards the next due message: the wall clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// How often, and how many times, a record is looked for that still rides to the disk.
const RIDE_LOOK_MS: u64 = 5;
const RIDE_LOOKS_MAX: u32 = 200;
/// A message whose record the disk does not give is put off for so long.
const UNREADABLE_WAIT: Duration = Duration::from_secs(60);

/// The right to try the recipients that are due of one message. Every recipient in `recipients` is
/// settled once, in one or several calls of [`Lease::settle`]; a lease that is dropped before puts
/// the rest back, to be tried again after the first retry wait.
pub struct Lease {
    /// The message.
    pub id: MessageId,
    /// Who sent what to whom.
    pub envelope: Rc<Envelope>,
    /// Indexes into `envelope.recipients`: those to be tried now.
    pub recipients: Vec<u32>,
    /// Attempts before this one.
    pub attempts: u32,
    pub(super) queue: Queue,
    pub(super) version: u32,
    pub(super) progress: RefCell<Progress>,
    /// The end has been written.
    pub(super) over: Cell<bool>,
}

impl Lease {
    /// The queue that it is of.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The message, header and body, lines ended by CRLF: from memory while fresh, else read.
    ///
    /// # Errors
    /// [`QueueError::Gone`] when it was deleted meanwhile, others when it cannot be read: it is then
    /// to be deferred.
    pub async fn message(&self) -> Result<Bytes, QueueError> {
        if self.queue.0.wish(self.id) == Wish::Delete {
            return Err(QueueError::Gone);
        }
        self.queue.0.body(self.id).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.over.get() {
            self.queue.0.give_back(self);
        }
    }
}

/// A message that is active and has no lease yet: waits again if the lease is not made.
struct Taken<'a> {
    queue: &'a Inner,
    id: MessageId,
    entry: Entry,
    back_ms: u64,
    leased: bool,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if !self.leased {
            let (id, back_ms, version) = (self.id, self.back_ms, self.entry.version);
            self.queue.note_depth(|schedule| schedule.put_back(id, back_ms, version));
        }
    }
}

impl Queue {
    /// Waits until a message is due and hands it out; `None` once the queue is closing. May be
    /// dropped while it waits.
    pub async fn lease(&self) -> Option<Lease> {
        loop {
            if self.0.closing.get() {
                return None;
            }
            if self.0.store.backlog() > BACKLOG_MAX {
                sleep(BACKLOG_LOOK_MS).await;
                continue;
            }
            match self.0.take_due() {
                Some(taken) => {
                    if let Some(lease) = self.make(taken).await {
                        return Some(lease).filter(|_| !self.0.closing.get());
                    }
                }
                None => self.0.wait_for_due().await,
            }
        }
    }

    async fn make(&self, mut taken: Taken<'_>) -> Option<Lease> {
        let Taken { id, entry, .. } = taken;
        // Others who wait were perhaps not told of all that is due.
        if self.0.schedule.borrow().next_due().is_some_and(|due_ms| due_ms <= self.0.now().0) {
            self.0.due.notify_one();
        }
        let (envelope, state) = match self.0.load(id, entry.version).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.0.cannot_read(&mut taken, &error);
                return None;
            }
        };
        // After a restart everything is due at once until it is read.
        if let Some(until) = envelope.hold_until
            && until > self.0.now()
            && entry.wish != Wish::Flush
        {
            taken.back_ms = until.0;
            return None;
        }
        taken.leased = true;
        let recipients = due_recipients(&state, entry.wish == Wish::Flush, self.0.now());
        // Nothing is left to try, or an admin wished something while the record was read.
        if recipients.is_empty() || matches!(self.0.wish(id), Wish::Hold | Wish::Delete) {
            let (version, notes) = (entry.version, Notes::default());
            let end = End { id, version, envelope, state, changed: false, notes };
            self.0.write_end(&end, Group::new());
            return None;
        }
        let attempts = recipients.iter().map(|index| state.recipients[*index as usize].attempts);
        Some(Lease {
            id,
            attempts: attempts.max().unwrap_or(0),
            progress: RefCell::new(Progress::new(state, &recipients)),
            envelope,
            recipients,
            queue: self.clone(),
            version: entry.version,
            over: Cell::new(false),
        })
    }
}

/// Those who are to be tried: all that are due, or all that are left, should the clock have been set
/// back since they were put off.
fn due_recipients(state: &State, all: bool, now: Timestamp) -> Vec<u32> {
    let pick = |all: bool| -> Vec<u32> {
        let pending = state.pending().filter(|at| all || state.recipients[*at].due <= now);
        pending.filter_map(|at| u32::try_from(at).ok()).collect()
    };
    let due = pick(all);
    if due.is_empty() { pick(true) } else { due }
}

impl Inner {
    fn take_due(&self) -> Option<Taken<'_>> {
        if self.schedule.borrow().active() >= self.settings.borrow().leases_max as usize {
            return None;
        }
        let now_ms = self.now().0;
        let mut taken = None;
        self.note_depth(|schedule| taken = schedule.take_due(now_ms));
        let (id, entry) = taken?;
        Some(Taken { queue: self, id, entry, back_ms: entry.due_ms, leased: false })
    }

    /// Waits until something may have become due, or a lease has ended.
    async fn wait_for_due(&self) {
        let is_full = self.schedule.borrow().active() >= self.settings.borrow().leases_max as usize;
        let next = self.schedule.borrow().next_due().filter(|_| !is_full);
        let span = next.map_or(SLEEP_MAX, |due_ms| {
            Duration::from_millis(due_ms.saturating_sub(self.now().0).max(1)).min(SLEEP_MAX)
        });
        // Running out of time is as good as being notified.
        let _ = tokio::time::timeout(span, self.due.notified()).await;
    }

    /// The two halves of a message's record.
    pub(super) async fn load(
        &self,
        id: MessageId,
        version: u32,
    ) -> Result<(Rc<Envelope>, State), QueueError> {
        let fresh = self.fresh.borrow().envelope(id);
        let envelope = match fresh {
            Some(envelope) => envelope,
            None => {
                let value = self.read(META, &id.key()).await?;
                Rc::new(record::read_envelope(&value).map_err(|_| QueueError::Gone)?)
            }
        };
        if version == 0 {
            let recipients = envelope.recipients.len();
            return Ok((envelope, State::new(recipients)));
        }
        let key = record::state_key(id, version);
        let value = self.read(STATE, &key).await?;
        let state = record::read_state(&value).map_err(|_| QueueError::Gone)?;
        if state.recipients.len() != envelope.recipients.len() {
            return Err(QueueError::Gone);
        }
        Ok((envelope, state))
    }

    pub(super) async fn body(&self, id: MessageId) -> Result<Bytes, QueueError> {
        let fresh = self.fresh.borrow().body(id);
        if let Some(body) = fresh {
            return Ok(body);
        }
        self.metrics.body_reads.inc();
        Ok(self.read(BODY, &id.key()).await?.into())
    }

    /// Reads a record, which may have been written so lately that it still rides to the disk.
    async fn read(&self, family: usize, key: &[u8]) -> Result<Vec<u8>, QueueError> {
        for _ in 0..RIDE_LOOKS_MAX {
            // Asked before: what has left the backlog by then can be read.
            let may_ride = self.store.backlog() > 0;
            match self.store.get(family, key).await? {
                Some(value) => return Ok(value),
                None if !may_ride => return Err(QueueError::Gone),
                None => sleep(RIDE_LOOK_MS).await,
            }
        }
        Err(QueueError::Failing("its record is not on the disk yet".into()))
    }

    /// Puts a message off that the disk does not give, holds one whose record makes no sense.
    fn cannot_read(&self, taken: &mut Taken<'_>, error: &QueueError) {
        let id = taken.id;
        if *error == QueueError::Closed {
            return;
        }
        self.metrics.unreadable.inc();
        if self.wish(id) == Wish::Delete {
            taken.leased = true;
            self.note_depth(|schedule| _ = schedule.remove(id));
            self.store.ride(record::removal(id, taken.entry.version));
        } else if *error == QueueError::Gone {
            note(Level::Error, format_args!("message {id} is held: its record cannot be read"));
            taken.leased = true;
            self.note_depth(|schedule| schedule.hold(id, taken.entry.version));
        } else {
            note(Level::Warn, format_args!("message {id} waits: {error}"));
            taken.back_ms = self.now().after(UNREADABLE_WAIT).0;
        }
    }
}
