//! A message on its way to one site, and the room that all of them share.

use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

use proto::types::Host;
use tokio::sync::Notify;

use super::metrics::Metrics;
use crate::queue::{Lease, Verdict};

/// How many jobs a shard has, and who waits for fewer.
#[derive(Debug)]
pub(super) struct Room {
    active: Cell<usize>,
    freed: Notify,
    metrics: Arc<Metrics>,
}

/// Some recipients of a leased message that go to the same site.
pub(super) struct Job {
    pub lease: Rc<Lease>,
    /// Indexes in the envelope.
    pub recipients: Vec<u32>,
    /// It went over a kept connection that proved dead, and is tried once more.
    pub again: bool,
    _place: Place,
}

struct Place(Rc<Room>);

impl Room {
    pub fn new(metrics: Arc<Metrics>) -> Rc<Self> {
        Rc::new(Self { active: Cell::new(0), freed: Notify::new(), metrics })
    }

    pub fn active(&self) -> usize {
        self.active.get()
    }

    /// Waits until fewer than `below` are active.
    pub async fn wait(&self, below: usize) {
        while self.active.get() >= below.max(1) {
            self.freed.notified().await;
        }
    }

    fn enter(self: &Rc<Self>) -> Place {
        self.active.set(self.active.get() + 1);
        self.metrics.active.add(1);
        Place(Rc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
        self.0.metrics.active.sub(1);
        // Several may wait: the leases of several queues, and the end.
        self.0.freed.notify_waiters();
        self.0.freed.notify_one();
    }
}

impl Job {
    pub fn new(lease: &Rc<Lease>, recipients: Vec<u32>, room: &Rc<Room>) -> Self {
        Self { lease: Rc::clone(lease), recipients, again: false, _place: room.enter() }
    }

    /// Whether it carries all that was leased of its message.
    pub fn is_whole(&self) -> bool {
        self.recipients.len() == self.lease.recipients.len()
    }

    /// Adds the domains of its recipients that are not among `domains` yet, up to `max` in all.
    pub fn domains(&self, domains: &mut Vec<Box<str>>, max: usize) {
        for index in &self.recipients {
            let recipient = &self.lease.envelope.recipients[*index as usize];
            let Host::Name(domain) = recipient.address.host() else { continue };
            let domain = domain.as_str();
            if domains.len() < max && !domains.iter().any(|known| **known == *domain) {
                domains.push(domain.into());
            }
        }
    }

    /// The same for every recipient.
    pub fn settle(&self, verdict: &Verdict) {
        let part: Vec<(u32, Verdict)> =
            self.recipients.iter().map(|index| (*index, verdict.clone())).collect();
        self.lease.settle(&part);
    }

    /// Gives the message back to its queue, untried.
    pub fn postpone(self, wait: Duration) {
        self.lease.postpone(wait);
    }
}
