//! A site on one shard: its jobs in line, its connections, and its rest when nobody answers.
//!
//! What must stay true: jobs go out in the order they came; a site that has not answered lately has
//! one connection at most; a site takes at most half of the room that is free, and what is beyond goes
//! back to the queue and is called when there is room again.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    time::{Duration, Instant},
};

use engine::shard::{now_ms, wall_ms};
use proto::types::Timestamp;
use tokio::sync::{Notify, oneshot};

use super::connect;
use super::job::Job;
use super::route::Hop;
use super::run::Core;
use super::settings::HopProtocol;
use super::speak::{Carried, Link};
use super::table::{Asked, Slot};
use super::verdict::{self, HostFault, SiteFault};
use crate::queue::{MessageId, Queue};

/// Jobs that a site may always have in line.
const JOBS_MIN: usize = 64;
/// Messages called back from the queue at a time, when fewer jobs than this are in line.
const RECALL: usize = 128;
/// Messages remembered to be called back; further ones come by themselves.
const PARKED_MAX: usize = 100_000;
/// A message that found no room comes by itself after this.
const PARK_WAIT: Duration = Duration::from_secs(60);
/// A site that refused one connection more is asked again after this.
const CEILING_MS: u64 = 10_000;
/// A connection that others wait for is kept at least this long, so that a slot is worth its handshake.
const TURN_MS: u64 = 500;

/// A host to connect to.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Lower is tried first, equals at random.
    pub preference: u16,
    pub hop: Hop,
}

/// All mail with the same next hosts.
pub(super) struct Site {
    /// What it is known by, on all shards.
    pub name: Box<str>,
    pub hosts: Vec<Host>,
    /// The only host is the recipient's domain itself, for want of an MX.
    pub is_implicit: bool,
    pub protocol: HopProtocol,
    pub connections_max: u32,
    pub messages_max: u32,
    jobs: RefCell<VecDeque<Job>>,
    parked: RefCell<VecDeque<(Queue, MessageId)>>,
    work: Notify,
    connections: Cell<u32>,
    opening: Cell<u32>,
    idle: Cell<u32>,
    /// In line for a slot, or for room on the shard.
    waits: Cell<bool>,
    /// It has answered since it last failed.
    answers: Cell<bool>,
    failures: Cell<u32>,
    rest: RefCell<Option<Rest>>,
    /// It took no more connections than this, and is not asked for more before that moment.
    ceiling: Cell<(u32, u64)>,
}

/// Nothing is tried until then.
struct Rest {
    until_ms: u64,
    fault: HostFault,
}

/// What a site is made with.
pub(super) struct Sign {
    pub name: Box<str>,
    pub hosts: Vec<Host>,
    pub is_implicit: bool,
    pub protocol: HopProtocol,
    pub connections_max: u32,
    pub messages_max: u32,
}

/// A connection in the books of its site and shard; taken out when dropped, even by a panic.
struct Berth {
    core: Rc<Core>,
    site: Rc<Site>,
    slot: Slot,
    opening: bool,
    /// Counted among those to sites that have not answered.
    doubtful: bool,
}

impl Site {
    pub fn new(sign: Sign) -> Self {
        let Sign { name, hosts, is_implicit, protocol, connections_max, messages_max } = sign;
        Self {
            name,
            hosts,
            is_implicit,
            protocol,
            connections_max,
            messages_max,
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
            ceiling: Cell::default(),
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
            return job.settle(&verdict);
        }
        let free = core.plan().messages_active_max().saturating_sub(core.room.active());
        let has_room = self.jobs.borrow().len() < JOBS_MIN.max(free / 2);
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

    fn recall(&self) {
        let mut parked = self.parked.borrow_mut();
        if parked.is_empty() || self.jobs.borrow().len() >= RECALL {
            return;
        }
        let count = parked.len().min(RECALL);
        let called: Vec<(Queue, MessageId)> = parked.drain(..count).collect();
        drop(parked);
        for (queue, id) in called {
            queue.hasten([id]);
        }
    }

    fn resting(&self) -> Option<crate::queue::Verdict> {
        let rest = self.rest.borrow();
        let Rest { until_ms, fault } = rest.as_ref()?;
        let left = until_ms.checked_sub(now_ms()).filter(|left| *left > 0)?;
        Some(verdict::of_rest(fault, Timestamp(wall_ms().saturating_add(left))))
    }

    /// Sees to it that somebody works on the jobs: wakes a connection that has nothing to do, and
    /// opens as many as there are jobs beyond those.
    pub fn staff(self: &Rc<Self>, core: &Rc<Core>) {
        if core.is_stopping() || self.jobs.borrow().is_empty() {
            return;
        }
        if self.idle.get() > 0 {
            self.work.notify_one();
        }
        while self.is_short_of_hands() {
            if !core.has_berth(self.answers.get()) {
                self.waits.set(true);
                core.wait_for_berth(self);
                return;
            }
            match core.sites_table().ask(&self.name, core.shard.index(), self.connections_max) {
                Asked::Now(slot) => self.hire(core, slot),
                Asked::Later(later) => {
                    self.waits.set(true);
                    core.shard.spawn(wait_for_slot(Rc::clone(core), Rc::clone(self), later));
                }
            }
        }
    }

    /// Whether another connection would find work, and may be opened.
    fn is_short_of_hands(&self) -> bool {
        let jobs = u32::try_from(self.jobs.borrow().len()).unwrap_or(u32::MAX);
        let mut allowed = if self.answers.get() { self.connections_max } else { 1 };
        let (ceiling, until_ms) = self.ceiling.get();
        if until_ms > now_ms() {
            allowed = allowed.min(ceiling);
        }
        jobs > self.idle.get() + self.opening.get()
            && self.connections.get() < allowed
            && !self.waits.get()
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
    fn answered(&self) {
        self.answers.set(true);
        self.failures.set(0);
        self.rest.replace(None);
    }

    /// No host talks to us: all jobs are settled accordingly.
    fn went_down(&self, core: &Core, fault: SiteFault) {
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
        for job in jobs {
            job.settle(&verdict);
        }
    }

    /// Gives every job that nobody works on back to its queue, and lets idle connections go.
    pub fn clear(&self) {
        drop(self.jobs.take());
        self.parked.borrow_mut().clear();
        self.work.notify_waiters();
    }
}

/// Waits for a slot that is shared with other shards.
async fn wait_for_slot(core: Rc<Core>, site: Rc<Site>, later: oneshot::Receiver<Slot>) {
    let slot = later.await;
    site.waits.set(false);
    let is_needed = !site.jobs.borrow().is_empty() && !core.is_stopping();
    if let (Ok(slot), true) = (slot, is_needed) {
        site.hire(&core, slot);
    }
}

/// The life of a connection.
async fn work(mut berth: Berth) {
    let (core, site) = (Rc::clone(&berth.core), Rc::clone(&berth.site));
    match connect::open(&core, &site).await {
        Ok(mut link) => {
            site.answered();
            // There may be work for more than this one, which still counts as opening.
            site.staff(&core);
            berth.opened();
            while let Some(job) = next_job(&core, &berth, &link).await {
                if !carry(&core, &berth, &mut link, job).await {
                    break;
                }
            }
            // The slot is given back only when the peer has seen the end.
            link.quit().await;
        }
        Err(fault) => {
            // Another connection may still be talking to it: then it only takes no more of them.
            let others = site.connections.get() - site.opening.get();
            if others == 0 {
                site.went_down(&core, fault);
            } else {
                site.ceiling.set((others, now_ms().saturating_add(CEILING_MS)));
            }
        }
    }
}

/// The next job in line; waits for one as long as a connection may be idle.
async fn next_job(core: &Core, berth: &Berth, link: &Link) -> Option<Job> {
    let site = &berth.site;
    let is_done = link.messages >= site.messages_max || !link.is_reusable();
    let had_turn = now_ms().saturating_sub(link.opened_ms) >= TURN_MS;
    if is_done || core.is_stopping() || (had_turn && berth.slot.is_wanted()) {
        return None;
    }
    let first = site.jobs.borrow_mut().pop_front();
    if first.is_some() {
        site.recall();
        return first;
    }
    let idle = core.plan().settings.idle.get();
    if idle.is_zero() || berth.slot.is_wanted() {
        return None;
    }
    let _resting = Idle::begin(site);
    tokio::select! {
        biased;
        () = site.work.notified() => {}
        () = berth.slot.asked_for() => {}
        () = tokio::time::sleep(idle) => return None,
    }
    site.jobs.borrow_mut().pop_front()
}

/// Counts a connection as idle while it lives.
struct Idle<'a>(&'a Site);

impl<'a> Idle<'a> {
    fn begin(site: &'a Site) -> Self {
        site.idle.set(site.idle.get() + 1);
        Self(site)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.idle.set(self.0.idle.get() - 1);
    }
}

/// Takes one job over the connection; false when it cannot be used again.
async fn carry(core: &Core, berth: &Berth, link: &mut Link, mut job: Job) -> bool {
    let body = match job.lease.message().await {
        Ok(body) => body,
        Err(error) => {
            job.settle(&verdict::of_unreadable(&error));
            return true;
        }
    };
    if link.messages > 0 {
        core.metrics.reused.inc();
    }
    loop {
        let started = Instant::now();
        let carried = link.deliver(&job, &body).await;
        let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        core.metrics.transactions.inc();
        core.metrics.transaction.record(took);
        match carried {
            Carried::Whole => return link.is_reusable(),
            Carried::Stale => {
                core.metrics.stale.inc();
                job.again = true;
                berth.site.jobs.borrow_mut().push_front(job);
                return false;
            }
            Carried::Partly(left) => {
                job.recipients = left;
                if !link.is_reusable() {
                    berth.site.jobs.borrow_mut().push_front(job);
                    return false;
                }
            }
        }
    }
}

impl Berth {
    fn new(core: &Rc<Core>, site: &Rc<Site>, slot: Slot) -> Self {
        let doubtful = !site.answers.get();
        site.connections.set(site.connections.get() + 1);
        site.opening.set(site.opening.get() + 1);
        core.take_berth(doubtful);
        Self { core: Rc::clone(core), site: Rc::clone(site), slot, opening: true, doubtful }
    }

    /// The connection stands.
    fn opened(&mut self) {
        if std::mem::take(&mut self.opening) {
            self.site.opening.set(self.site.opening.get() - 1);
        }
        if std::mem::take(&mut self.doubtful) {
            self.core.trust_berth();
        }
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        if self.opening {
            self.site.opening.set(self.site.opening.get() - 1);
        }
        self.site.connections.set(self.site.connections.get() - 1);
        self.core.leave_berth(self.doubtful);
    }
}
