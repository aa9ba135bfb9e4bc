//! Taking leases and sending them on their ways: the delivery of one shard.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use engine::dns::Resolver;
use engine::shard::Shard;
use engine::tls::Connector;
use proto::smtp::client::Config;
use tokio::sync::Notify;

use super::backoff::Backoff;
use super::job::{Job, Room};
use super::locate::{Local, Place, Stay};
use super::lookup::{Directory, Found};
use super::metrics::Metrics;
use super::mx::Own;
use super::route::{RouteError, Routes};
use super::settings::{HopProtocol, RouteSettings, Settings};
use super::site::Site;
use super::table::SiteTable;
use super::tls::{
    self, Wish,
    outcomes::{Basis, Day, Outcomes, PolicyType},
    policies::Policies,
};
use crate::queue::{Lease, Queue, Verdict};
use crate::random::Random;

/// Leases taken before everybody else on the shard has a turn.
const LEASES_A_TURN: u32 = 16;

/// What a delivery is made with.
pub struct Parts {
    /// The shard it is on.
    pub shard: Shard,
    /// How mail leaves.
    pub settings: Arc<Settings>,
    /// Ways that some mail takes.
    pub routes: Vec<RouteSettings>,
    /// By what we recognise ourselves.
    pub own: Own,
    /// Our name.
    pub hostname: Rc<str>,
    /// The shard's resolver.
    pub resolver: Resolver,
    /// Opens TLS connections.
    pub connector: Arc<Connector>,
    /// MTA-STS policies, shared by all shards; `None`: nobody's are heeded.
    pub policies: Option<Arc<Policies>>,
    /// Where it is counted what became of TLS.
    pub outcomes: Outcomes,
    /// Whose mail stays here; `None`: nobody's.
    pub local: Option<Local>,
    /// Shared by all shards.
    pub sites: Arc<SiteTable>,
    /// The shard's numbers.
    pub metrics: Arc<Metrics>,
}

/// The delivery of one shard. Clones share it.
#[derive(Clone)]
pub struct Delivery(pub(super) Rc<Core>);

/// What its rooms share.
pub(super) struct Core {
    pub shard: Shard,
    pub own: Own,
    pub resolver: Resolver,
    pub metrics: Arc<Metrics>,
    pub random: Random,
    pub room: Rc<Room>,
    pub directory: Directory,
    pub policies: Option<Arc<Policies>>,
    pub outcomes: Outcomes,
    pub local: Option<Local>,
    hostname: Rc<str>,
    connector: RefCell<Arc<Connector>>,
    plan: RefCell<Rc<Plan>>,
    sites: Arc<SiteTable>,
    berths: Cell<u32>,
    /// Of these, to sites that have not answered.
    doubtful: Cell<u32>,
    /// Sites that wait for room on the shard.
    waiting: RefCell<VecDeque<Rc<Site>>>,
    /// One of these would get room if an idle connection left.
    crowded: Cell<bool>,
    room_asked: Notify,
    stopping: Cell<bool>,
    stop: Notify,
}

/// The settings, compiled; swapped as a whole.
pub(super) struct Plan {
    pub settings: Arc<Settings>,
    pub routes: Routes,
    pub backoff: Backoff,
    smtp: Rc<Config>,
    lmtp: Rc<Config>,
}

impl Delivery {
    /// A delivery that has nothing to do yet.
    ///
    /// # Errors
    /// The first route that makes no sense.
    pub fn new(parts: Parts) -> Result<Self, RouteError> {
        let Parts { shard, settings, routes, own, hostname, resolver, sites, metrics, .. } = parts;
        let Parts { connector, policies, outcomes, local, .. } = parts;
        let plan = Plan::compile(settings, &routes, &hostname)?;
        Ok(Self(Rc::new(Core {
            shard,
            own,
            resolver,
            random: Random::new(),
            room: Room::new(Arc::clone(&metrics)),
            metrics,
            directory: Directory::default(),
            policies,
            outcomes,
            local,
            hostname,
            connector: RefCell::new(connector),
            plan: RefCell::new(Rc::new(plan)),
            sites,
            berths: Cell::new(0),
            doubtful: Cell::new(0),
            waiting: RefCell::default(),
            crowded: Cell::new(false),
            room_asked: Notify::new(),
            stopping: Cell::new(false),
            stop: Notify::new(),
        })))
    }

    /// Delivers what `queue` hands out, until it closes or this is drained. Several queues may be
    /// run at once.
    pub async fn run(&self, queue: Queue) {
        let core = &self.0;
        let mut taken = 0_u32;
        while !core.is_stopping() {
            let active_max = core.plan().messages_active_max();
            tokio::select! {
                biased;
                () = core.stop.notified() => return,
                () = core.room.wait(active_max) => {}
            }
            let lease = tokio::select! {
                biased;
                () = core.stop.notified() => return,
                lease = queue.lease() => lease,
            };
            let Some(lease) = lease else { return };
            core.dispatch(lease);
            taken = taken.wrapping_add(1);
            if taken.is_multiple_of(LEASES_A_TURN) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Takes new settings; what is on its way goes on as it began.
    ///
    /// # Errors
    /// The first route that makes no sense; the old settings stay then.
    pub fn reload(
        &self,
        settings: Arc<Settings>,
        routes: &[RouteSettings],
        connector: Arc<Connector>,
    ) -> Result<(), RouteError> {
        let plan = Plan::compile(settings, routes, &self.0.hostname)?;
        self.0.connector.replace(connector);
        self.0.plan.replace(Rc::new(plan));
        self.0.directory.forget();
        Ok(())
    }

    /// Lets every site that rests be tried again at once: for an admin who flushes the queue.
    pub fn lift_rests(&self) {
        for site in self.0.directory.sites() {
            site.lift_rest();
        }
    }

    /// What became of TLS today.
    pub fn tls_outcomes(&self) -> Day {
        self.0.outcomes.today()
    }

    /// Writes what became of TLS since the last time; to be called every few minutes.
    pub async fn write_tls_outcomes(&self) {
        self.0.outcomes.flush().await;
    }

    /// Fetches the MTA-STS policies again that are old; to be called every hour or so, on one shard.
    pub async fn refresh_policies(&self) {
        if let Some(policies) = &self.0.policies {
            policies.refresh(&self.0.resolver).await;
        }
    }

    /// Takes no new leases, gives back what waits, and lets what is on its way end, for `patience`
    /// at most.
    pub async fn drain(&self, patience: Duration) {
        let core = &self.0;
        core.stopping.set(true);
        core.stop.notify_waiters();
        core.waiting.borrow_mut().clear();
        for site in core.directory.sites() {
            site.clear();
        }
        // What is not done by then is given back when its task ends.
        let _ = tokio::time::timeout(patience, core.room.wait(1)).await;
        core.outcomes.flush().await;
    }
}

impl Plan {
    fn compile(
        settings: Arc<Settings>,
        routes: &[RouteSettings],
        hostname: &str,
    ) -> Result<Self, RouteError> {
        let helo = if settings.helo.is_empty() { hostname } else { &settings.helo };
        let smtp = Config { timeouts: settings.timeouts.to_timeouts(), ..Config::new(helo) };
        Ok(Self {
            routes: Routes::compile(routes, settings.port)?,
            backoff: Backoff {
                first: settings.site_backoff_first.get(),
                max: settings.site_backoff_max.get(),
            },
            lmtp: Rc::new(Config { lmtp: true, ..smtp.clone() }),
            smtp: Rc::new(smtp),
            settings,
        })
    }

    pub fn config(&self, protocol: HopProtocol) -> &Rc<Config> {
        match protocol {
            HopProtocol::Smtp => &self.smtp,
            HopProtocol::Lmtp => &self.lmtp,
        }
    }

    pub fn hosts_max(&self) -> usize {
        self.settings.hosts_max.max(1) as usize
    }

    pub fn addresses_max(&self) -> usize {
        self.settings.addresses_max.max(1) as usize
    }

    pub fn messages_active_max(&self) -> usize {
        self.settings.messages_active_max.max(1) as usize
    }

    /// The local address for connections to `peer`.
    pub fn source(&self, peer: IpAddr) -> Option<IpAddr> {
        self.settings.source_addresses.iter().copied().find(|ip| ip.is_ipv4() == peer.is_ipv4())
    }
}

impl Core {
    pub fn plan(&self) -> Rc<Plan> {
        Rc::clone(&self.plan.borrow())
    }

    pub fn connector(&self) -> Arc<Connector> {
        Arc::clone(&self.connector.borrow())
    }

    /// The policy of this kind that `domain` has, as reports show it.
    pub fn basis_of(&self, kind: PolicyType, domain: &str) -> Basis {
        let held = match kind {
            PolicyType::Sts => self.policies.as_ref().and_then(|policies| policies.holds(domain)),
            PolicyType::Tlsa | PolicyType::NoPolicyFound => None,
        };
        let lines = held.map(|held| held.policy.to_string()).unwrap_or_default();
        Basis { kind, strings: lines.lines().map(str::to_owned).collect() }
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    pub fn sites_table(&self) -> &Arc<SiteTable> {
        &self.sites
    }

    /// Sends a message on its ways: at once where they are known, else when they have been found.
    fn dispatch(self: &Rc<Self>, lease: Lease) {
        let lease = Rc::new(lease);
        let wish = Wish::of(&lease.envelope);
        let mut groups: Vec<(Found, Vec<u32>)> = Vec::with_capacity(1);
        for index in &lease.recipients {
            let place = lease.envelope.recipients[*index as usize].address.host();
            match self.known(place, wish) {
                Some(found @ Found::Site(_)) => add(&mut groups, found, *index),
                // The domain may be ours by now.
                Some(Found::Nowhere(_)) | None => return self.dispatch_later(lease, wish),
            }
        }
        self.send_off(&lease, groups);
    }

    /// Some of its recipients are here, or their domains have to be looked up.
    fn dispatch_later(self: &Rc<Self>, lease: Rc<Lease>, wish: Wish) {
        let core = Rc::clone(self);
        // It counts as active meanwhile.
        let waiting = Job::new(&lease, Vec::new(), &self.room);
        self.shard.spawn(async move {
            let away = core.keep_here(&lease).await;
            let mut groups: Vec<(Found, Vec<u32>)> = Vec::new();
            for index in away {
                let place = lease.envelope.recipients[index as usize].address.host();
                add(&mut groups, core.find(place, wish).await, index);
            }
            if !core.is_stopping() {
                core.send_off(&lease, groups);
            }
            drop(waiting);
        });
    }

    /// Sends what stays here on its way; returns the recipients whose mail goes elsewhere.
    async fn keep_here(self: &Rc<Self>, lease: &Rc<Lease>) -> Vec<u32> {
        let (mut away, mut stay) = (Vec::new(), Stay::default());
        let is_quarantined = lease.envelope.is_quarantined();
        for index in &lease.recipients {
            let address = &lease.envelope.recipients[*index as usize].address;
            match self.place(address, is_quarantined).await {
                Place::Elsewhere => away.push(*index),
                Place::Here(slot) => stay.add(*index, slot),
                Place::Nowhere(verdict) => lease.settle(&[(*index, verdict)]),
                Place::Onward(targets) => {
                    let job = Job::new(lease, vec![*index], &self.room);
                    self.shard.spawn(Rc::clone(self).send_onward(job, targets));
                }
            }
        }
        if !stay.is_empty() {
            let job = Job::new(lease, stay.recipients(), &self.room);
            self.shard.spawn(Rc::clone(self).deliver_here(job, stay));
        }
        away
    }

    /// Mail that says `TLS-Required: No` goes on terms of its own; the rest waits.
    pub async fn settle_or_waive(self: &Rc<Self>, job: Job, verdict: &Verdict) {
        let waives = job.lease.message().await.is_ok_and(|message| tls::waives(&message));
        if !waives {
            return job.settle(verdict);
        }
        let mut groups: Vec<(Found, Vec<u32>)> = Vec::new();
        for index in &job.recipients {
            let place = job.lease.envelope.recipients[*index as usize].address.host();
            add(&mut groups, self.find(place, Wish::Waive).await, *index);
        }
        if !self.is_stopping() {
            self.send_off(&job.lease, groups);
        }
    }

    fn send_off(self: &Rc<Self>, lease: &Rc<Lease>, groups: Vec<(Found, Vec<u32>)>) {
        for (found, recipients) in groups {
            let job = Job::new(lease, recipients, &self.room);
            match found {
                Found::Site(site) => site.push(self, job),
                Found::Nowhere(verdict) => job.settle(&verdict),
            }
        }
    }

    /// Whether another connection may be opened; half of all are kept for sites that answer.
    pub fn has_berth(&self, answers: bool) -> bool {
        self.berths.get() < self.berths_max() && self.may_berth(answers)
    }

    fn berths_max(&self) -> u32 {
        self.plan.borrow().settings.connections_max.max(2)
    }

    /// Whether nothing but the number of all connections is in the way of another.
    fn may_berth(&self, answers: bool) -> bool {
        answers || self.doubtful.get() < self.berths_max() / 2
    }

    pub fn take_berth(&self, doubtful: bool) {
        self.berths.set(self.berths.get() + 1);
        self.doubtful.set(self.doubtful.get() + u32::from(doubtful));
        self.metrics.connections.add(1);
    }

    /// A site that had not answered does.
    pub fn trust_berth(&self) {
        self.doubtful.set(self.doubtful.get() - 1);
    }

    pub fn leave_berth(&self, doubtful: bool) {
        self.berths.set(self.berths.get() - 1);
        self.doubtful.set(self.doubtful.get() - u32::from(doubtful));
        self.metrics.connections.sub(1);
    }

    /// Puts a site in line for a berth; if need be, an idle connection of another makes room.
    pub fn wait_for_berth(&self, site: &Rc<Site>) {
        self.waiting.borrow_mut().push_back(Rc::clone(site));
        if self.may_berth(site.answers()) {
            self.ask_for_room();
        }
    }

    fn ask_for_room(&self) {
        self.crowded.set(true);
        self.room_asked.notify_one();
    }

    /// Whether a connection with nothing to do should make room.
    pub fn is_crowded(&self) -> bool {
        self.crowded.get()
    }

    /// Waits until an idle connection is asked to make room; they are asked one at a time.
    pub async fn room_asked_for(&self) {
        self.room_asked.notified().await;
    }

    /// A connection has ended, or a site has answered: those that wait are asked again, each once,
    /// while there is room.
    pub fn call_waiting(self: &Rc<Self>) {
        self.crowded.set(false);
        let waiting = self.waiting.take();
        let mut helped = false;
        for site in waiting {
            if self.has_berth(site.answers()) {
                site.called(self);
            } else {
                helped |= self.may_berth(site.answers());
                self.waiting.borrow_mut().push_back(site);
            }
        }
        if helped {
            self.ask_for_room();
        }
    }
}

/// Recipients of the same site go together.
fn add(groups: &mut Vec<(Found, Vec<u32>)>, found: Found, index: u32) {
    let is_same = |other: &Found| match (other, &found) {
        (Found::Site(one), Found::Site(other)) => Rc::ptr_eq(one, other),
        (Found::Nowhere(one), Found::Nowhere(other)) => one == other,
        _ => false,
    };
    match groups.iter_mut().rev().find(|(other, _)| is_same(other)) {
        Some((_, recipients)) => recipients.push(index),
        None => groups.push((found, vec![index])),
    }
}
