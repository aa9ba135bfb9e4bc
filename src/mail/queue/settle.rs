//! Settling: what became of each recipient, and when the next attempt is.
//!
//! What must stay true: a recipient is settled once a lease; recipients that one lease puts off
//! after as many attempts are due together, so that the message is tried, and its state written,
//! once and not once a recipient.

use std::{hash::BuildHasher, time::Duration};

use proto::types::{Enhanced, Timestamp};

use super::journal::Told;
use super::record::{State, Status};
use super::report::{Note, Notes};
use super::schedule::Wish;
use super::{Inner, Lease, MessageId, Queue, Settings, Verdict};

/// RFC 3463 §3.5: delivery time expired; of the persistent transient class, as it might yet have worked.
const EXPIRED: Enhanced = Enhanced(4, 4, 7);

/// A recipient within a lease.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// Not leased, or settled for good.
    Aside,
    /// Leased and not settled yet.
    Open,
    /// Put off by this lease.
    Deferred,
}

/// A lease as far as it has come.
pub(super) struct Progress {
    pub state: State,
    /// By index.
    pub stands: Vec<Stand>,
    left: usize,
    /// Something is to be written.
    pub changed: bool,
    pub notes: Notes,
}

impl Progress {
    pub fn new(state: State, leased: &[u32]) -> Self {
        let mut stands = vec![Stand::Aside; state.recipients.len()];
        for index in leased {
            stands[*index as usize] = Stand::Open;
        }
        Self { state, stands, left: leased.len(), changed: false, notes: Notes::default() }
    }
}

impl Lease {
    /// Hears what became of some of its recipients. What is no recipient of the lease, or settled
    /// already, is ignored.
    pub fn settle(&self, part: &[(u32, Verdict)]) {
        let queue = &self.queue.0;
        let hearing = Hearing {
            queue,
            lease: self,
            settings: &queue.settings(),
            now: queue.now(),
            deleted: queue.wish(self.id) == Wish::Delete,
        };
        let is_last = {
            let progress = &mut *self.progress.borrow_mut();
            for (index, verdict) in part {
                hearing.hear(progress, *index as usize, verdict);
            }
            progress.left == 0
        };
        if is_last && !self.over.replace(true) {
            queue.end(self);
        }
    }

    /// Gives the lease back untried: there is no room for it. The message is due again after `wait`,
    /// or when [`Queue::hasten`] calls it; no attempt is counted, nothing is written, and what is
    /// fresh stays so. Ignored once a recipient is settled.
    pub fn postpone(&self, wait: Duration) {
        if self.progress.borrow().changed || self.over.get() {
            return;
        }
        self.over.set(true);
        let queue = &self.queue.0;
        let due = queue.now().after(wait);
        match queue.wish(self.id) {
            Wish::None | Wish::Flush => {
                queue.note_depth(|schedule| schedule.put_back(self.id, due.0, self.version));
                queue.due.notify_one();
            }
            Wish::Hold | Wish::Delete => queue.end(self),
        }
    }
}

impl Queue {
    /// Makes a message due that was postponed.
    pub fn hasten(&self, id: MessageId) {
        let now_ms = self.0.now().0;
        self.0.schedule.borrow_mut().hasten(id, now_ms);
        self.0.due.notify_one();
    }
}

/// One call of [`Lease::settle`].
struct Hearing<'a> {
    queue: &'a Inner,
    lease: &'a Lease,
    settings: &'a Settings,
    now: Timestamp,
    /// By an admin meanwhile: only a delivery is worth a word then, for it has happened.
    deleted: bool,
}

impl Hearing<'_> {
    fn hear(&self, progress: &mut Progress, at: usize, verdict: &Verdict) {
        if progress.stands.get(at) != Some(&Stand::Open) {
            return;
        }
        progress.stands[at] = Stand::Aside;
        progress.left -= 1;
        progress.changed = true;
        let state = &mut progress.state.recipients[at];
        state.attempts = state.attempts.saturating_add(1);
        state.last_attempt = Some(self.now);
        match verdict {
            Verdict::Delivered { .. } | Verdict::Placed { .. } => {
                self.delivered(progress, at, verdict);
            }
            _ if self.deleted => {}
            Verdict::Failed { .. } => self.failed(progress, at, verdict),
            Verdict::Deferred { .. } if self.is_expired() => {
                self.queue.metrics.expired.inc();
                self.failed(progress, at, verdict);
            }
            Verdict::Deferred { .. } => self.deferred(progress, at, verdict),
        }
    }

    fn is_expired(&self) -> bool {
        self.now.since(self.lease.envelope.released()) >= self.settings.expiry.get()
    }

    fn told(&self, at: usize, attempts: u32) -> Told<'_> {
        let Lease { id, envelope, .. } = self.lease;
        Told { queue: self.queue, id: *id, envelope, index: at, attempts, now: self.now }
    }

    /// The words are not kept: this is the way of most mail, and the log has them.
    fn delivered(&self, progress: &mut Progress, at: usize, verdict: &Verdict) {
        let (reply, remote, dsn_passed_on) = match verdict {
            Verdict::Delivered { reply, remote, dsn_passed_on } => (reply, remote, *dsn_passed_on),
            Verdict::Placed { reply } => (reply, &None, false),
            Verdict::Deferred { .. } | Verdict::Failed { .. } => return,
        };
        let state = &mut progress.state.recipients[at];
        state.status = Status::Delivered;
        self.told(at, state.attempts).delivered(reply, remote.as_ref());
        let notify = self.lease.envelope.recipients[at].notify.unwrap_or_default();
        if notify.success && !dsn_passed_on && !self.deleted {
            let notes = &mut progress.notes;
            let is_end = matches!(verdict, Verdict::Placed { .. });
            let told = if is_end { &mut notes.delivered } else { &mut notes.relayed };
            told.push(Note::new(at, reply, remote.as_ref()));
        }
    }

    fn failed(&self, progress: &mut Progress, at: usize, verdict: &Verdict) {
        let (Verdict::Failed { reply, remote } | Verdict::Deferred { reply, remote, .. }) = verdict
        else {
            return;
        };
        let state = &mut progress.state.recipients[at];
        state.status = Status::Failed;
        state.heard(reply, remote.as_ref());
        self.told(at, state.attempts).bounced(reply, remote.as_ref());
        let envelope = &self.lease.envelope;
        let note = Note::new(at, reply, remote.as_ref());
        let is_expiry = matches!(verdict, Verdict::Deferred { .. });
        // A null sender's failures are dropped with a word, whatever was asked for.
        if envelope.sender.is_none() || envelope.recipients[at].notify.unwrap_or_default().failure {
            progress.notes.failed.push(if is_expiry { note.with_status(EXPIRED) } else { note });
        }
    }

    fn deferred(&self, progress: &mut Progress, at: usize, verdict: &Verdict) {
        let Verdict::Deferred { reply, remote, not_before, .. } = verdict else { return };
        progress.stands[at] = Stand::Deferred;
        let state = &mut progress.state.recipients[at];
        state.heard(reply, remote.as_ref());
        let wait = self.queue.retry_wait(self.settings, self.lease.id, state.attempts);
        let due = self.now.after(wait);
        state.due = not_before.map_or(due, |site| site.max(due));
        self.told(at, state.attempts).deferred(verdict, state.due);
    }
}

impl Inner {
    /// The wait before the attempt that follows `attempts`, with jitter: the same for all recipients
    /// of a message that were tried as often.
    pub(super) fn retry_wait(&self, settings: &Settings, id: MessageId, attempts: u32) -> Duration {
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let plain = settings.retry_first.get().as_secs_f64() * settings.retry_factor.powi(exponent);
        let plain = plain.min(settings.retry_max.get().as_secs_f64());
        let chance = self.jitter.hash_one((id, attempts)) as f64 / u64::MAX as f64;
        let seconds = plain * (1.0 + settings.retry_jitter * (chance * 2.0 - 1.0));
        Duration::try_from_secs_f64(seconds).unwrap_or(settings.retry_max.get())
    }
}
