//! The life of a connection: it is opened, takes jobs from its site's line, and goes when it is done,
//! idle for too long, or wanted elsewhere.
//!
//! What must stay true: site and shard count a connection as long as its task lives, whatever ends it;
//! an idle connection keeps no berth that another site wants, no slot that belongs to the share of
//! another shard, and after a turn none that another shard could use; the slot is given back only when
//! the peer has seen the end.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use engine::shard::now_ms;

use super::connect;
use super::job::Job;
use super::run::Core;
use super::settings::TlsLevel;
use super::site::{DOMAINS_MAX, Site};
use super::speak::{Carried, Link};
use super::table::Slot;
use super::tls::outcomes::{Failure, PolicyType, ResultType};
use super::verdict;

/// A connection that others wait for is kept at least this long, so that a slot is worth its handshake.
const TURN_MS: u64 = 500;

/// A connection in the books of its site and shard; taken out when dropped, even by a panic.
pub(super) struct Berth {
    core: Rc<Core>,
    site: Rc<Site>,
    slot: Slot,
    opening: bool,
    /// Counted among those to sites that have not answered.
    doubtful: bool,
}

/// The life of a connection.
pub(super) async fn work(mut berth: Berth) {
    let (core, site) = (Rc::clone(&berth.core), Rc::clone(&berth.site));
    match connect::open(&core, &site).await {
        Ok(mut link) => {
            site.answered();
            berth.opened();
            // Taken first, as it needs no other connection; there may be work for more than this one.
            let first = site.jobs.borrow_mut().pop_front();
            site.staff(&core);
            core.call_waiting();
            let mut goes_on = match first {
                Some(job) => carry(&core, &berth, &mut link, job).await,
                None => true,
            };
            while goes_on {
                let Some(job) = next_job(&core, &berth, &link).await else { break };
                goes_on = carry(&core, &berth, &mut link, job).await;
            }
            link.quit().await;
        }
        Err(fault) => site.failed(&core, fault),
    }
}

/// The next job in line; waits for one as long as a connection may be idle.
async fn next_job(core: &Core, berth: &Berth, link: &Link) -> Option<Job> {
    let site = &berth.site;
    let mut lull = None;
    loop {
        // Before anything is looked at: what is asked for meanwhile is heard below.
        let asked_for = berth.slot.asked_for();
        let is_done = link.messages >= site.sign.messages_max || !link.is_reusable();
        let had_turn = now_ms().saturating_sub(link.opened_ms) >= TURN_MS;
        if is_done || core.is_stopping() || (had_turn && berth.slot.is_wanted(false)) {
            return None;
        }
        site.recall(core);
        let first = site.jobs.borrow_mut().pop_front();
        if first.is_some() {
            return first;
        }
        let idle = core.plan().settings.idle.get();
        let lull = lull.get_or_insert_with(|| Lull::begin(idle));
        // A shard that has its share waits for more until this connection has clearly nothing to do:
        // work comes in bursts, and the next one would have to open it again.
        let is_kept = site.keeps_idle()
            && !core.is_crowded()
            && !berth.slot.is_wanted(lull.is_long())
            && !lull.is_over();
        if !is_kept {
            return None;
        }
        let _resting = Idle::begin(site);
        tokio::select! {
            biased;
            () = site.work.notified() => {}
            () = asked_for => {}
            () = core.room_asked_for() => {}
            () = tokio::time::sleep_until(lull.next()) => {}
        }
    }
}

/// How long a connection has had nothing to do, and may.
struct Lull {
    long_at: tokio::time::Instant,
    end: tokio::time::Instant,
}

impl Lull {
    fn begin(idle: Duration) -> Self {
        let now = tokio::time::Instant::now();
        Self { long_at: now + Duration::from_millis(TURN_MS), end: now + idle }
    }

    fn is_long(&self) -> bool {
        tokio::time::Instant::now() >= self.long_at
    }

    fn is_over(&self) -> bool {
        tokio::time::Instant::now() >= self.end
    }

    /// When to look again.
    fn next(&self) -> tokio::time::Instant {
        if self.is_long() { self.end } else { self.end.min(self.long_at) }
    }
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

/// Counts, once a connection and domain, that mail goes as it should, or in the clear.
fn count(core: &Core, site: &Site, link: &mut Link, job: &Job) {
    let Some(basis) = link.basis.clone() else { return };
    let before = link.told.len();
    job.domains(&mut link.told, DOMAINS_MAX);
    for domain in &link.told[before..] {
        let basis = match basis.kind {
            PolicyType::Sts => core.basis_of(basis.kind, domain),
            PolicyType::Tlsa | PolicyType::NoPolicyFound => basis.clone(),
        };
        if link.is_secure() {
            core.outcomes.succeeded(domain, &basis);
        } else if site.sign.terms.level != TlsLevel::None {
            let text = "the host offers no TLS, or none that works".to_owned();
            let failure = Failure::new(ResultType::StarttlsNotSupported, text);
            core.outcomes.failed(domain, &basis, &failure, Some(link.remote()));
        }
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
    count(core, &berth.site, link, &job);
    loop {
        let started = Instant::now();
        let carried = link.deliver(&job, &body).await;
        core.metrics.transactions.inc();
        core.metrics.transaction.record_since(started);
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
    pub fn new(core: &Rc<Core>, site: &Rc<Site>, slot: Slot) -> Self {
        let doubtful = !site.answers();
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
