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
use engine::telemetry::{Level, note};
use proto::types::Envelope;

use super::record::{self, BODY, META, STATE, State};
use super::schedule::{Entry, Wish};
use super::settle::Progress;
use super::{Inner, MessageId, Queue, QueueError};

/// Changes that may wait for the disk before no more mail is handed out.
const BACKLOG_MAX: usize = 8192;
/// How often a backlog is looked at.
const BACKLOG_LOOK_MS: u64 = 50;
/// The longest sleep towards the next due message: the wall clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// How long a read waits for what rides.
const RIDE_MAX: Duration = Duration::from_secs(1);
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
                        return Some(lease);
                    }
                }
                None => self.0.wait_for_due().await,
            }
        }
    }

    async fn make(&self, mut taken: Taken<'_>) -> Option<Lease> {
        let Taken { id, entry, .. } = taken;
        let (envelope, state) = match self.0.load(id, entry.version).await {
            Ok(loaded) => loaded,
            Err(error) => {
                self.0.cannot_read(&mut taken, &error);
                return None;
            }
        };
        if state.next_due().is_none() {
            // Everything was settled, and the removal did not get as far as the disk.
            taken.leased = true;
            self.0.note_depth(|schedule| _ = schedule.remove(id));
            self.0.store.ride(record::removal(id, entry.version));
            return None;
        }
        let now = self.0.now();
        let all = entry.wish == Wish::Flush;
        let recipients: Vec<u32> = state
            .pending()
            .filter(|index| all || state.recipients[*index].due <= now)
            .filter_map(|index| u32::try_from(index).ok())
            .collect();
        taken.leased = true;
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

    /// Reads a value that was put, be it on the disk already or still riding there.
    async fn read(&self, family: usize, key: &[u8]) -> Result<Vec<u8>, QueueError> {
        if let Some(value) = self.store.get(family, key).await? {
            return Ok(value);
        }
        if tokio::time::timeout(RIDE_MAX, self.store.settled()).await.is_err() {
            return Err(QueueError::Failing("what was to be written is not".into()));
        }
        self.store.get(family, key).await?.ok_or(QueueError::Gone)
    }

    /// Puts a message off that the disk does not give, holds one whose record makes no sense.
    fn cannot_read(&self, taken: &mut Taken<'_>, error: &QueueError) {
        let id = taken.id;
        self.metrics.unreadable.inc();
        if *error == QueueError::Gone {
            note(Level::Error, format_args!("message {id} is held: its record cannot be read"));
            taken.leased = true;
            self.note_depth(|schedule| schedule.hold(id, taken.entry.version));
        } else {
            note(Level::Warn, format_args!("message {id} waits: {error}"));
            taken.back_ms = self.now().after(UNREADABLE_WAIT).0;
        }
    }
}
