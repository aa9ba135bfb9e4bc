//! The end of a lease: the message leaves, or waits again, and its sender hears what there is to hear.
//!
//! What must stay true: the end is one group of changes (the removal or the new state, and every
//! report to the sender), so that a crash finds either all of it or none. Until the group is handed
//! to the store the message is active, whoever writes its reports.

use std::rc::Rc;

use engine::storage::Group;

use super::record::{self, State};
use super::report::{Note, Notes};
use super::schedule::Wish;
use super::settle::{Progress, Stand};
use super::{Inner, Lease, MessageId};

/// How a lease ended.
pub(super) struct End {
    pub id: MessageId,
    pub version: u32,
    pub envelope: Rc<proto::types::Envelope>,
    pub state: State,
    /// The state is not the one that is stored.
    pub changed: bool,
    pub notes: Notes,
}

impl Inner {
    /// A lease was dropped before its end: the rest waits for as long as after a first attempt.
    pub(super) fn give_back(&self, lease: &Lease) {
        let due = self.now().after(self.settings.borrow().retry_first.get());
        {
            let progress = &mut *lease.progress.borrow_mut();
            for (at, stand) in progress.stands.iter().enumerate() {
                if *stand == Stand::Open {
                    progress.state.recipients[at].due = due;
                }
            }
        }
        self.end(lease);
    }

    /// Every recipient is settled, or the lease was given back: what follows is written, at once or
    /// when the reports are.
    pub(super) fn end(&self, lease: &Lease) {
        let progress = &mut *lease.progress.borrow_mut();
        self.align(lease.id, progress);
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
        if end.notes.is_empty() {
            return self.write_end(&end, Group::new());
        }
        self.ending.set(self.ending.get() + 1);
        self.to_report.borrow_mut().push_back(end);
        self.reporter.notify_one();
    }

    /// Recipients that were put off at different times within the lease are due together.
    fn align(&self, id: MessageId, progress: &mut Progress) {
        let (settings, now) = (self.settings(), self.now());
        for (at, stand) in progress.stands.iter().enumerate() {
            if *stand == Stand::Deferred {
                let state = &mut progress.state.recipients[at];
                let due = now.after(self.retry_wait(&settings, id, state.attempts));
                state.due = state.due.max(due);
            }
        }
    }

    /// The sender is told once that mail waits (RFC 5321 §4.5.4.1 leaves it to us).
    fn note_delay(&self, end: &mut End) {
        if end.state.warned || end.envelope.sender.is_none() || end.state.next_due().is_none() {
            return;
        }
        let settings = self.settings();
        let warning = settings.delay_warning.get();
        if warning.is_zero() || self.now().since(end.envelope.released()) < warning {
            return;
        }
        for index in end.state.pending() {
            let notify = end.envelope.recipients[index].notify.unwrap_or_default();
            let state = &end.state.recipients[index];
            if notify.delay
                && let Some(reply) = &state.last_reply
            {
                end.notes.delayed.push(Note::new(index, reply, state.remote().as_ref()));
            }
        }
        if !end.notes.delayed.is_empty() {
            end.notes.until = end.envelope.released().after(settings.expiry.get());
            end.state.warned = true;
            end.changed = true;
        }
    }

    /// Nobody is told about mail that nobody sent (RFC 5321 §4.5.5, §6.1).
    fn drop_double_bounce(&self, end: &mut End) {
        let failed = std::mem::take(&mut end.notes).failed;
        if !failed.is_empty() {
            self.metrics.double_bounces.inc();
            self.tell_dropped(end.id, &end.envelope, &failed);
        }
    }

    pub(super) fn wish(&self, id: MessageId) -> Wish {
        self.schedule.borrow().get(id).map_or(Wish::None, |entry| entry.wish)
    }

    /// Writes the end of a lease, and with it the reports in `group`. The message is not active
    /// any more.
    pub(super) fn write_end(&self, end: &End, mut group: Group) {
        let (id, version) = (end.id, end.version);
        let wish = self.wish(id);
        self.fresh.borrow_mut().remove(id);
        match end.state.next_due() {
            Some(due) if wish != Wish::Delete => {
                let held = wish == Wish::Hold;
                let version = if end.changed || held {
                    let state = State { held, ..end.state.clone() };
                    record::replace_state(id, version, &state, &mut group)
                } else {
                    version
                };
                self.note_depth(|schedule| {
                    if held {
                        schedule.hold(id, version);
                    } else {
                        schedule.put_back(id, due.0, version);
                    }
                });
            }
            _ => {
                group.extend(record::removal(id, version));
                self.note_depth(|schedule| _ = schedule.remove(id));
            }
        }
        self.store.ride(group);
        self.due.notify_one();
    }
}
