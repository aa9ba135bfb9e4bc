//! Settling: what became of each recipient, and what follows for the message.
//!
//! What must stay true: a recipient is settled once a lease; the end of a lease is one group of
//! changes (the removal or the new state, and every report to the sender), so that a crash finds
//! either all of it or none.

use std::rc::Rc;
use std::time::Duration;

use engine::storage::Group;
use proto::types::{Enhanced, Envelope, Notify, Reply, Timestamp};

use super::intake::Sender;
use super::record::{self, State, Status};
use super::report::{self, Note, Notes};
use super::schedule::Wish;
use super::{Inner, Lease, MessageId, Queue, Remote, Settings, Verdict};

/// RFC 3463 §3.5: delivery time expired; of the persistent transient class, as it might yet have worked.
const EXPIRED: Enhanced = Enhanced(4, 4, 7);

/// A lease as far as it has come.
pub(super) struct Progress {
    state: State,
    /// By index: leased and not settled yet.
    open: Vec<bool>,
    left: usize,
    /// Something is to be written.
    changed: bool,
    notes: Notes,
}

impl Progress {
    pub fn new(state: State, leased: &[u32]) -> Self {
        let mut open = vec![false; state.recipients.len()];
        for index in leased {
            open[*index as usize] = true;
        }
        Self { state, open, left: leased.len(), changed: false, notes: Notes::default() }
    }
}

/// How a lease ended.
struct End {
    id: MessageId,
    version: u32,
    envelope: Rc<Envelope>,
    state: State,
    changed: bool,
    notes: Notes,
}

impl Lease {
    /// Hears what became of some of its recipients.
    pub fn settle(&self, part: &[(u32, Verdict)]) {
        let queue = &self.queue.0;
        let settings = queue.settings();
        let now = queue.now();
        let is_last = {
            let progress = &mut *self.progress.borrow_mut();
            for (index, verdict) in part {
                queue.settle_one(self, progress, &settings, now, *index, verdict);
            }
            progress.left == 0
        };
        if is_last && !self.over.replace(true) {
            queue.end(self);
        }
    }

    /// Gives the lease back untried: there is no room for it. The message is due again after `wait`,
    /// or when [`Queue::hasten`] calls it; no attempt is counted and nothing is written.
    pub fn postpone(&self, wait: Duration) {
        if self.progress.borrow().changed || self.over.replace(true) {
            return;
        }
        let queue = &self.queue.0;
        queue.put_back(self.id, queue.now().after(wait).0, self.version);
    }
}

impl Queue {
    /// Makes messages due that were postponed.
    pub fn hasten(&self, ids: impl IntoIterator<Item = MessageId>) {
        let now_ms = self.0.now().0;
        let mut schedule = self.0.schedule.borrow_mut();
        ids.into_iter().for_each(|id| schedule.hasten(id, now_ms));
        drop(schedule);
        self.0.due.notify_one();
    }
}

impl Inner {
    fn settle_one(
        &self,
        lease: &Lease,
        progress: &mut Progress,
        settings: &Settings,
        now: Timestamp,
        index: u32,
        verdict: &Verdict,
    ) {
        let at = index as usize;
        if !progress.open.get(at).is_some_and(|open| *open) {
            return;
        }
        progress.open[at] = false;
        progress.left -= 1;
        progress.changed = true;
        let state = &mut progress.state.recipients[at];
        state.attempts = state.attempts.saturating_add(1);
        state.last_attempt = Some(now);
        let (Verdict::Delivered { reply, remote, .. }
        | Verdict::Failed { reply, remote }
        | Verdict::Deferred { reply, remote, .. }) = verdict;
        state.heard(reply, remote.as_ref());
        let told = Told { queue: self, lease, index: at, attempts: state.attempts, now };
        let notify = lease.envelope.recipients[at].notify.unwrap_or_default();
        match verdict {
            Verdict::Delivered { dsn_passed_on, .. } => {
                state.status = Status::Delivered;
                told.delivered(reply, remote.as_ref());
                if notify.success && !dsn_passed_on {
                    progress.notes.relayed.push(Note::new(index, reply, remote.as_ref()));
                }
            }
            Verdict::Failed { .. } => {
                state.status = Status::Failed;
                told.bounced(reply, remote.as_ref());
                progress.notes.fail(notify, Note::new(index, reply, remote.as_ref()));
            }
            Verdict::Deferred { not_before, .. } => {
                if now.since(lease.envelope.arrived) >= settings.expiry.get() {
                    state.status = Status::Failed;
                    self.metrics.expired.inc();
                    told.bounced(reply, remote.as_ref());
                    let note = Note::new(index, reply, remote.as_ref()).with_status(EXPIRED);
                    progress.notes.fail(notify, note);
                } else {
                    let wait = self.retry_wait(settings, state.attempts);
                    let due = now.after(wait);
                    state.due = not_before.map_or(due, |site| site.max(due));
                    told.deferred(verdict, state.due);
                }
            }
        }
    }

    /// The wait before the attempt that follows `attempts`, with jitter.
    fn retry_wait(&self, settings: &Settings, attempts: u32) -> Duration {
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let plain = settings.retry_first.get().as_secs_f64() * settings.retry_factor.powi(exponent);
        let plain = plain.min(settings.retry_max.get().as_secs_f64());
        let share = self.random.below(2_000_001) as f64 / 1_000_000.0 - 1.0;
        let seconds = plain * (1.0 + settings.retry_jitter * share);
        Duration::try_from_secs_f64(seconds).unwrap_or(settings.retry_max.get())
    }

    /// A lease was dropped before its end.
    pub(super) fn give_back(self: &Rc<Self>, lease: &Lease) {
        let wait = self.settings.borrow().retry_first.get();
        let due = self.now().after(wait);
        let is_changed = {
            let progress = &mut *lease.progress.borrow_mut();
            for (at, _) in progress.open.iter().enumerate().filter(|(_, open)| **open) {
                progress.state.recipients[at].due = due;
            }
            progress.changed
        };
        let has_wish = self.schedule.borrow().get(lease.id).is_some_and(|e| e.wish != Wish::None);
        if is_changed || has_wish {
            return self.end(lease);
        }
        self.put_back(lease.id, due.0, lease.version);
    }

    fn put_back(&self, id: MessageId, due_ms: u64, version: u32) {
        self.note_depth(|schedule| schedule.put_back(id, due_ms, version));
        self.due.notify_one();
    }

    /// Every recipient is settled, or the lease was given back: what follows is written.
    fn end(self: &Rc<Self>, lease: &Lease) {
        let progress = &mut *lease.progress.borrow_mut();
        let mut end = End {
            id: lease.id,
            version: lease.version,
            envelope: Rc::clone(&lease.envelope),
            state: std::mem::replace(&mut progress.state, State::new(0)),
            changed: progress.changed,
            notes: std::mem::take(&mut progress.notes),
        };
        self.note_delay(&mut end);
        if end.envelope.sender.is_none() {
            self.drop_double_bounce(&mut end);
        }
        if end.notes.is_empty() || self.wish(end.id) == Wish::Delete {
            return self.write_end(&end, Group::new());
        }
        // The report returns the original, which may have to be read.
        let queue = Rc::clone(self);
        self.ending.set(self.ending.get() + 1);
        tokio::task::spawn_local(async move {
            let reports = report::make(&queue, end.id, &end.envelope, &end.notes).await;
            let mut group = Group::new();
            for report in &reports {
                report.put(&mut group);
            }
            queue.write_end(&end, group);
            for report in reports {
                queue.metrics.reports.inc();
                queue.admit(report.id, report.envelope, report.message);
            }
            queue.ending.set(queue.ending.get() - 1);
            queue.ended.notify_one();
        });
    }

    /// The sender is told once that mail waits.
    fn note_delay(&self, end: &mut End) {
        let settings = self.settings();
        let (warning, expiry) = (settings.delay_warning.get(), settings.expiry.get());
        let age = self.now().since(end.envelope.arrived);
        if end.state.warned || warning.is_zero() || age < warning {
            return;
        }
        for index in end.state.pending() {
            let notify = end.envelope.recipients[index].notify.unwrap_or_default();
            let state = &end.state.recipients[index];
            if notify.delay
                && let Some(reply) = &state.last_reply
            {
                let index = u32::try_from(index).unwrap_or(u32::MAX);
                end.notes.delayed.push(Note::new(index, reply, state.remote().as_ref()));
            }
        }
        if !end.notes.delayed.is_empty() {
            end.notes.until = end.envelope.arrived.after(expiry);
            end.state.warned = true;
        }
    }

    /// Nobody is told about mail that nobody sent (RFC 5321 §4.5.5, §6.1).
    fn drop_double_bounce(&self, end: &mut End) {
        let failed = std::mem::take(&mut end.notes).failed;
        if failed.is_empty() {
            return;
        }
        self.metrics.double_bounces.inc();
        self.events.event("dropped", |event| {
            event
                .show("id", end.id)
                .str("reason", "it has the null sender: no bounce is sent")
                .list(
                    "recipients",
                    failed.iter().map(|note| &end.envelope.recipients[note.recipient].address),
                );
        });
    }

    fn wish(&self, id: MessageId) -> Wish {
        self.schedule.borrow().get(id).map_or(Wish::None, |entry| entry.wish)
    }

    /// Writes the end of a lease, and with it what `group` holds.
    fn write_end(&self, end: &End, mut group: Group) {
        let (id, version) = (end.id, end.version);
        let wish = self.wish(id);
        let due = end.state.next_due();
        self.fresh.borrow_mut().remove(id);
        if due.is_none() || wish == Wish::Delete {
            group.extend(record::removal(id, version));
            self.note_depth(|schedule| _ = schedule.remove(id));
        } else {
            let mut state = end.state.clone();
            state.held = wish == Wish::Hold;
            let is_written = end.changed || state.held;
            let next = if is_written {
                record::replace_state(id, version, &state, &mut group)
            } else {
                version
            };
            let due_ms = due.unwrap_or_default().0;
            self.note_depth(|schedule| {
                if state.held {
                    schedule.hold(id, next)
                } else {
                    schedule.put_back(id, due_ms, next)
                }
            });
        }
        self.store.ride(group);
        self.due.notify_one();
    }
}

/// One recipient's fate, as the log is told.
struct Told<'a> {
    queue: &'a Inner,
    lease: &'a Lease,
    index: usize,
    attempts: u32,
    now: Timestamp,
}

impl Told<'_> {
    fn event(&self, name: &str, reply: &Reply, remote: Option<&Remote>, due: Option<Timestamp>) {
        let envelope = &self.lease.envelope;
        let age = self.now.since(envelope.arrived);
        self.queue.events.event(name, |event| {
            event
                .show("id", self.lease.id)
                .show("sender", Sender(envelope))
                .show("recipient", &envelope.recipients[self.index].address)
                .num("size", envelope.size)
                .num("attempts", u64::from(self.attempts))
                .num("delay_ms", u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
                .maybe("remote", remote)
                .show("reply", reply);
            if let Some(due) = due {
                event.num("due_in_ms", due.0.saturating_sub(self.now.0));
            }
        });
    }

    fn delivered(&self, reply: &Reply, remote: Option<&Remote>) {
        let metrics = &self.queue.metrics;
        metrics.delivered.inc();
        let age = self.now.since(self.lease.envelope.arrived).as_micros();
        metrics.delivery_age.record(u64::try_from(age).unwrap_or(u64::MAX));
        self.event("delivered", reply, remote, None);
    }

    fn bounced(&self, reply: &Reply, remote: Option<&Remote>) {
        self.queue.metrics.bounced.inc();
        self.event("bounced", reply, remote, None);
    }

    fn deferred(&self, verdict: &Verdict, due: Timestamp) {
        let Verdict::Deferred { reply, stage, remote, .. } = verdict else { return };
        self.queue.metrics.deferred.inc();
        let envelope = &self.lease.envelope;
        let age = self.now.since(envelope.arrived);
        self.queue.events.event("deferred", |event| {
            event
                .show("id", self.lease.id)
                .show("sender", Sender(envelope))
                .show("recipient", &envelope.recipients[self.index].address)
                .num("size", envelope.size)
                .num("attempts", u64::from(self.attempts))
                .num("delay_ms", u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
                .str("stage", stage.as_str())
                .maybe("remote", remote.as_ref())
                .show("reply", reply)
                .num("due_in_ms", due.0.saturating_sub(self.now.0));
        });
    }
}

impl Notes {
    fn fail(&mut self, notify: Notify, note: Note) {
        // A null sender's failures are dropped with a word, whatever was asked for.
        if notify.failure {
            self.failed.push(note);
        }
    }
}
