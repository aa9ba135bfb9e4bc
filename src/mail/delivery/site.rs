//! A site on one shard: its jobs in line, its connections, and its rest when nobody answers.
//!
//! What must stay true: jobs go out in the order they came; a site that has not answered lately has
//! one connection at most; a site takes at most half of the room that is free, and what is beyond goes
//! back to the queue and is called when there is room again.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::Duration,
};

use engine::shard::{now_ms, wall_ms};
use proto::smtp::client::Stage;
use proto::types::Timestamp;
use tokio::sync::{Notify, oneshot};

use super::job::Job;
use super::route::Hop;
use super::run::Core;
use super::settings::HopProtocol;
use super::table::{Asked, Slot};
use super::tls::Terms;
use super::verdict::{self, HostFault, SiteFault};
use super::work::{Berth, work};
use crate::queue::{MessageId, Queue, Verdict};

/// Jobs that a site may always have in line.
const JOBS_MIN: usize = 64;
/// Messages called back from the queue at a time.
const RECALL_MAX: usize = 128;
/// Messages remembered to be called back; further ones come by themselves.
const PARKED_MAX: usize = 100_000;
/// Domains that are told of when a connection fails them.
pub(super) const DOMAINS_MAX: usize = 16;
/// A message that found no room comes by itself after this.
const PARK_WAIT: Duration = Duration::from_secs(60);

/// A host to connect to.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Lower is tried first, equals at random.
    pub preference: u16,
    pub hop: Hop,
    /// The MTA-STS policy lists it, if there is one.
    pub is_listed: bool,
}

/// All mail with the same next hosts.
pub(super) struct Site {
    pub sign: Sign,
    pub jobs: RefCell<VecDeque<Job>>,
    parked: RefCell<VecDeque<(Queue, MessageId)>>,
    pub work: Notify,
    pub connections: Cell<u32>,
    pub opening: Cell<u32>,
    pub idle: Cell<u32>,
    /// In line for a slot, or for room on the shard.
    waits: Cell<bool>,
    /// It has answered since it last failed.
    answers: Cell<bool>,
    failures: Cell<u32>,
    rest: RefCell<Option<Rest>>,
    /// It refused a connection while others served: none is opened beside them until then.
    alone_until_ms: Cell<u64>,
    /// Forgotten by the directory: it does what it has, and keeps no connection for more.
    retired: Cell<bool>,
}

/// Nothing is tried until then.
struct Rest {
    until_ms: u64,
    fault: HostFault,
}

/// What does not change about a site.
pub(super) struct Sign {
    /// What its hosts are known by, on all shards: limits hold for them on whatever terms.
    pub name: Box<str>,
    /// What it is known by on this shard: its hosts and its terms.
    pub key: Box<str>,
    pub hosts: Vec<Host>,
    /// The only host is the recipient's domain itself, for want of an MX.
    pub is_implicit: bool,
    pub protocol: HopProtocol,
    /// What connections must come to.
    pub terms: Terms,
    pub connections_max: u32,
    pub messages_max: u32,
}

impl Site {
    pub fn new(sign: Sign) -> Self {
        Self {
            sign,
            jobs: RefCell::default(),
            parked: RefCell::default(),
            work: Notify::new(),
            connections: Cell::default(),
            opening: Cell::default(),
            idle: Cell::default(),
            waits: Cell::default(),
            answers: Cell::default(),
            failures: Cell::default(),
            rest: RefCell::default(),
            alone_until_ms: Cell::default(),
            retired: Cell::default(),
        }
    }

    /// Whether it can be forgotten.
    pub fn is_unused(&self) -> bool {
        let has_rest = self.rest.borrow().as_ref().is_some_and(|rest| rest.until_ms > now_ms());
        self.connections.get() == 0
            && !self.waits.get()
            && self.jobs.borrow().is_empty()
            && !has_rest
    }

    /// Takes a job in.
    pub fn push(self: &Rc<Self>, core: &Rc<Core>, job: Job) {
        if let Some(verdict) = self.resting() {
            return self.settle_all(core, vec![job], verdict);
        }
        let has_room = self.jobs.borrow().len() < line_max(core);
        if has_room || !job.is_whole() {
            self.jobs.borrow_mut().push_back(job);
            self.staff(core);
        } else {
            self.park(core, job);
        }
    }

    fn park(&self, core: &Core, job: Job) {
        core.metrics.postponed.inc();
        let mut parked = self.parked.borrow_mut();
        if parked.len() < PARKED_MAX {
            parked.push_back((job.lease.queue().clone(), job.lease.id));
        }
        drop(parked);
        job.postpone(PARK_WAIT);
    }

    /// Calls parked messages back once half of the line is free: as many as find room there.
    pub fn recall(&self, core: &Core) {
        let mut parked = self.parked.borrow_mut();
        if parked.is_empty() {
            return;
        }
        let (jobs, max) = (self.jobs.borrow().len(), line_max(core));
        if jobs > max / 2 {
            return;
        }
        let count = parked.len().min(max - jobs).min(RECALL_MAX);
        let called: Vec<(Queue, MessageId)> = parked.drain(..count).collect();
        drop(parked);
        for (queue, id) in called {
            queue.hasten(id);
        }
    }

    fn resting(&self) -> Option<Verdict> {
        let rest = self.rest.borrow();
        let Rest { until_ms, fault } = rest.as_ref()?;
        let left = until_ms.checked_sub(now_ms()).filter(|left| *left > 0)?;
        Some(verdict::of_rest(fault, Timestamp(wall_ms().saturating_add(left))))
    }

    /// Sees to it that somebody works on the jobs: wakes a connection that has nothing to do, and
    /// opens as many as there are jobs beyond those. At the end nobody does: what a connection left
    /// behind is given back.
    pub fn staff(self: &Rc<Self>, core: &Rc<Core>) {
        if core.is_stopping() {
            return self.clear();
        }
        if self.jobs.borrow().is_empty() {
            return;
        }
        if self.idle.get() > 0 {
            self.work.notify_one();
        }
        while !self.waits.get() && self.lacks_connection() {
            if !core.has_berth(self.answers.get()) {
                self.waits.set(true);
                return core.wait_for_berth(self);
            }
            let Sign { name, connections_max, terms, .. } = &self.sign;
            let seat = core.shard.index() * Terms::CLASSES + terms.class();
            match core.sites_table().ask(name, seat, *connections_max) {
                Asked::Now(slot) => self.hire(core, slot),
                Asked::Later(later) => {
                    self.waits.set(true);
                    core.shard.spawn(wait_for_slot(Rc::clone(core), Rc::clone(self), later));
                }
            }
        }
    }

    fn lacks_connection(&self) -> bool {
        let jobs = u32::try_from(self.jobs.borrow().len()).unwrap_or(u32::MAX);
        let connections = self.connections.get();
        let allowed = match self.answers.get() {
            false => 1,
            true if self.alone_until_ms.get() > now_ms() => connections.max(1),
            true => self.sign.connections_max,
        };
        jobs > self.idle.get() + self.opening.get() && connections < allowed
    }

    /// Whether it has answered since it last failed.
    pub fn answers(&self) -> bool {
        self.answers.get()
    }

    /// Its turn for room on the shard has come.
    pub fn called(self: &Rc<Self>, core: &Rc<Core>) {
        self.waits.set(false);
        self.staff(core);
    }

    fn hire(self: &Rc<Self>, core: &Rc<Core>, slot: Slot) {
        let berth = Berth::new(core, self, slot);
        let (ended, end) = oneshot::channel::<()>();
        core.shard.spawn(async move {
            let _ended = ended;
            work(berth).await;
        });
        // Also after a panic: somebody else goes on.
        let (core, site) = (Rc::clone(core), Rc::clone(self));
        core.clone().shard.spawn(async move {
            let _ = end.await;
            site.staff(&core);
            core.call_waiting();
        });
    }

    /// A host has greeted us.
    pub fn answered(&self) {
        self.answers.set(true);
        self.failures.set(0);
        self.rest.replace(None);
    }

    /// No connection was to be had. Where others stand the site is only busy, and the mail is theirs.
    pub fn failed(&self, core: &Rc<Core>, fault: SiteFault) {
        if self.connections.get() == self.opening.get() {
            return self.went_down(core, fault);
        }
        let alone_ms = core.plan().backoff.delay_ms(1, &core.random);
        self.alone_until_ms.set(now_ms().saturating_add(alone_ms));
    }

    /// No host talks to us: all jobs are settled accordingly.
    fn went_down(&self, core: &Rc<Core>, fault: SiteFault) {
        self.answers.set(false);
        let verdict = match fault {
            SiteFault::Final(reply) => verdict::of_final(&reply),
            SiteFault::Rest(fault) => {
                self.failures.set(self.failures.get().saturating_add(1));
                let delay_ms = core.plan().backoff.delay_ms(self.failures.get(), &core.random);
                let until = Timestamp(wall_ms().saturating_add(delay_ms));
                let verdict = verdict::of_rest(&fault, until);
                core.metrics.rests.inc();
                self.rest
                    .replace(Some(Rest { until_ms: now_ms().saturating_add(delay_ms), fault }));
                verdict
            }
        };
        self.parked.borrow_mut().clear();
        let jobs = self.jobs.take();
        self.settle_all(core, jobs.into(), verdict);
    }

    /// What no host takes is settled, all alike; but where a policy of the recipient's domain is not met
    /// mail may waive it, and is asked first.
    fn settle_all(&self, core: &Rc<Core>, jobs: Vec<Job>, verdict: Verdict) {
        let is_unsafe = matches!(verdict, Verdict::Deferred { stage: Stage::Tls, .. });
        if !is_unsafe || !self.sign.terms.can_be_waived() {
            return jobs.iter().for_each(|job| job.settle(&verdict));
        }
        let core = Rc::clone(core);
        core.clone().shard.spawn(async move {
            for job in jobs {
                core.settle_or_waive(job, &verdict).await;
            }
        });
    }

    /// The domains that mail in line is for, some of them when they are many.
    pub fn domains(&self) -> Vec<Box<str>> {
        let mut domains: Vec<Box<str>> = Vec::new();
        for job in self.jobs.borrow().iter() {
            job.domains(&mut domains, DOMAINS_MAX);
            if domains.len() >= DOMAINS_MAX {
                break;
            }
        }
        domains
    }

    /// An admin wants its mail tried now, rest or not.
    pub fn lift_rest(&self) {
        self.rest.replace(None);
    }

    /// Gives every job that nobody works on back to its queue, and lets idle connections go.
    pub fn clear(&self) {
        drop(self.jobs.take());
        self.parked.borrow_mut().clear();
        self.work.notify_waiters();
    }

    /// The directory knows it no more: idle connections go, others when there is nothing in line.
    pub fn retire(&self) {
        self.retired.set(true);
        self.work.notify_waiters();
    }

    /// Whether a connection with nothing to do is kept.
    pub fn keeps_idle(&self) -> bool {
        !self.retired.get()
    }
}

/// Jobs that a site may have in line now.
fn line_max(core: &Core) -> usize {
    let free = core.plan().messages_active_max().saturating_sub(core.room.active());
    JOBS_MIN.max(free / 2)
}

/// Waits for a slot that is shared with other shards.
async fn wait_for_slot(core: Rc<Core>, site: Rc<Site>, later: oneshot::Receiver<Slot>) {
    let slot = later.await;
    site.waits.set(false);
    let is_used = site.lacks_connection() && core.has_berth(site.answers()) && !core.is_stopping();
    match slot {
        Ok(slot) if is_used => site.hire(&core, slot),
        slot => {
            drop(slot);
            site.staff(&core);
        }
    }
}
