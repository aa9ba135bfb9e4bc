//! What the log is told: one event for every message that comes, and for every recipient's fate.
//!
//! What must stay true: an event tells what has happened, not what is about to; it allocates nothing.

use proto::types::{Envelope, Reply, Timestamp};

use super::report::Note;
use super::{Inner, MessageId, Queue, Remote, Verdict};

/// The sender as logs show it.
struct Sender<'a>(&'a Envelope);

impl std::fmt::Display for Sender<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.sender {
            Some(sender) => sender.fmt(f),
            None => f.write_str("<>"),
        }
    }
}

impl Inner {
    pub(super) fn tell_accepted(&self, id: MessageId, envelope: &Envelope) {
        self.events.event("accepted", |event| {
            event
                .show("id", id)
                .show("sender", Sender(envelope))
                .list("recipients", envelope.recipients.iter().map(|r| &r.address))
                .num("size", envelope.size)
                .str("from", &envelope.origin);
            if let Some(found) = &envelope.authenticity {
                event
                    .str("spf", found.spf.word())
                    .str("dkim", found.dkim.word())
                    .str("dmarc", found.dmarc.word())
                    .str("arc", found.arc.word())
                    .str("iprev", found.iprev.word());
                if found.is_quarantined {
                    event.str("policy", "quarantine");
                }
            }
        });
    }

    /// An admin deleted a message; its envelope, where that can be read.
    pub(super) fn tell_deleted(&self, id: MessageId, envelope: Option<&Envelope>) {
        self.events.event("deleted", |event| {
            event.show("id", id).maybe("sender", envelope.map(Sender));
        });
    }

    /// A bounce that nobody shall get.
    pub(super) fn tell_dropped(&self, id: MessageId, envelope: &Envelope, failed: &[Note]) {
        self.events.event("dropped", |event| {
            event.show("id", id).str("reason", "it has the null sender: no bounce is sent").list(
                "recipients",
                failed.iter().map(|n| &envelope.recipients[n.recipient].address),
            );
        });
    }
}

impl Queue {
    /// Tells of a message that went straight into mailboxes here, as if it had come and been delivered at
    /// its first attempt. `placed`: recipients by their index in the envelope, and what was said of each.
    pub fn tell_placed(&self, id: MessageId, envelope: &Envelope, placed: &[(usize, Reply)]) {
        self.0.tell_accepted(id, envelope);
        for (index, reply) in placed {
            let (queue, now) = (&*self.0, self.0.now());
            let told = Told { queue, id, envelope, index: *index, attempts: 1, now };
            told.tell("delivered", None, reply, None, None);
        }
    }
}

/// One recipient's fate.
pub(super) struct Told<'a> {
    pub queue: &'a Inner,
    pub id: MessageId,
    pub envelope: &'a Envelope,
    /// Of the recipient.
    pub index: usize,
    /// This one included.
    pub attempts: u32,
    pub now: Timestamp,
}

impl Told<'_> {
    pub fn delivered(&self, reply: &Reply, remote: Option<&Remote>) {
        let metrics = &self.queue.metrics;
        metrics.delivered.inc();
        let age_us = self.now.since(self.envelope.arrived).as_micros();
        metrics.delivery_age.record(u64::try_from(age_us).unwrap_or(u64::MAX));
        self.tell("delivered", None, reply, remote, None);
    }

    pub fn bounced(&self, reply: &Reply, remote: Option<&Remote>) {
        self.queue.metrics.bounced.inc();
        self.tell("bounced", None, reply, remote, None);
    }

    pub fn deferred(&self, verdict: &Verdict, due: Timestamp) {
        let Verdict::Deferred { reply, stage, remote, .. } = verdict else { return };
        self.queue.metrics.deferred.inc();
        self.tell("deferred", Some(stage.as_str()), reply, remote.as_ref(), Some(due));
    }

    fn tell(
        &self,
        name: &str,
        stage: Option<&str>,
        reply: &Reply,
        remote: Option<&Remote>,
        due: Option<Timestamp>,
    ) {
        let envelope = self.envelope;
        self.queue.events.event(name, |event| {
            event
                .show("id", self.id)
                .show("sender", Sender(envelope))
                .show("recipient", &envelope.recipients[self.index].address)
                .num("size", envelope.size)
                .num("attempts", u64::from(self.attempts))
                .num("delay_ms", self.now.0.saturating_sub(envelope.arrived.0))
                .maybe("stage", stage)
                .maybe("remote", remote)
                .show("reply", reply);
            if let Some(due) = due {
                event.num("due_in_ms", due.0.saturating_sub(self.now.0));
            }
        });
    }
}
