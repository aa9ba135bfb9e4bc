//! From a recipient's domain to its site: routes first, then MX (RFC 5321 §5).
//!
//! What must stay true: domains with the same hosts share a site; a domain is looked up once at a
//! time, whoever asks; what was found is kept for a minute at most, so that a change in the DNS or in
//! the routes is seen, and in bounded number.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Instant,
};

use engine::dns::{DnsError, Mx};
use engine::shard::{now_ms, wall_ms};
use foldhash::fast::RandomState;
use proto::types::{Host as Place, Timestamp};
use tokio::sync::Notify;

use super::mx;
use super::route::{Hop, Route, Way};
use super::run::{Core, Plan};
use super::settings::HopProtocol;
use super::site::{Host, Sign, Site};
use super::verdict;
use crate::queue::Verdict;

/// How long a domain's site is kept.
const KEPT_MS: u64 = 60_000;
/// How long a temporary failure is.
const TROUBLE_KEPT_MS: u64 = 5_000;
/// Domains kept.
const KEPT_MAX: usize = 16_384;
/// Sites known before unused ones are looked for.
const SITES_MANY: usize = 1_024;

/// Where a recipient's mail goes.
#[derive(Clone)]
pub(super) enum Found {
    /// Into the line of this site.
    Site(Rc<Site>),
    /// Nowhere, now or ever.
    Nowhere(Verdict),
}

/// What has been found, and what is being looked for.
#[derive(Default)]
pub(super) struct Directory {
    kept: RefCell<HashMap<Box<str>, (Found, u64), RandomState>>,
    sought: RefCell<HashSet<Box<str>, RandomState>>,
    settled: Notify,
    sites: RefCell<HashMap<Box<str>, Rc<Site>, RandomState>>,
}

/// A domain that is being looked for; others wait until this is dropped.
struct Search<'a> {
    directory: &'a Directory,
    domain: &'a str,
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        self.directory.sought.borrow_mut().remove(self.domain);
        self.directory.settled.notify_waiters();
    }
}

impl Directory {
    /// What is known of a domain.
    pub fn known(&self, domain: &str) -> Option<Found> {
        let kept = self.kept.borrow();
        let (found, until_ms) = kept.get(domain)?;
        (*until_ms > now_ms()).then(|| found.clone())
    }

    /// Forgets what was found: the routes have changed.
    pub fn forget(&self) {
        self.kept.borrow_mut().clear();
        for site in self.sites.take().into_values() {
            site.retire();
        }
    }

    /// All sites.
    pub fn sites(&self) -> Vec<Rc<Site>> {
        self.sites.borrow().values().cloned().collect()
    }

    fn keep(&self, domain: &str, found: &Found, span_ms: u64) {
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT_MAX {
            let now_ms = now_ms();
            kept.retain(|_, (_, until_ms)| *until_ms > now_ms);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        kept.insert(domain.into(), (found.clone(), now_ms().saturating_add(span_ms)));
    }

    /// The site with this name, made if there is none.
    fn site(&self, core: &Core, sign: Sign) -> Rc<Site> {
        let mut sites = self.sites.borrow_mut();
        if let Some(site) = sites.get(&sign.name) {
            return Rc::clone(site);
        }
        if sites.len() >= SITES_MANY && sites.len().is_power_of_two() {
            sites.retain(|_, site| !site.is_unused());
        }
        let site = Rc::new(Site::new(sign));
        sites.insert(site.sign.name.clone(), Rc::clone(&site));
        core.metrics.sites.set(sites.len() as u64);
        site
    }
}

impl Core {
    /// Where mail for `place` goes, if that is known without asking anybody.
    pub(super) fn known(&self, place: &Place) -> Option<Found> {
        match place {
            Place::Name(domain) => self.directory.known(domain.as_str()),
            Place::Literal(ip) => Some(self.literal(*ip)),
        }
    }

    /// Where mail for `place` goes.
    pub(super) async fn find(&self, place: &Place) -> Found {
        match place {
            Place::Name(domain) => self.find_domain(domain.as_str()).await,
            Place::Literal(ip) => self.literal(*ip),
        }
    }

    pub(super) async fn find_domain(&self, domain: &str) -> Found {
        loop {
            if let Some(found) = self.directory.known(domain) {
                return found;
            }
            let settled = self.directory.settled.notified();
            if self.directory.sought.borrow_mut().insert(domain.into()) {
                break;
            }
            settled.await;
        }
        let _search = Search { directory: &self.directory, domain };
        let started = Instant::now();
        let (found, kept_ms) = self.look_up(domain).await;
        self.metrics.lookups.inc();
        self.metrics.lookup.record_since(started);
        self.directory.keep(domain, &found, kept_ms);
        found
    }

    /// The site, or the verdict, and how long to keep it.
    async fn look_up(&self, domain: &str) -> (Found, u64) {
        let plan = self.plan();
        let route = plan.routes.find(domain).cloned();
        match route.as_deref() {
            Some(route @ Route { way: Way::Hops(hops), .. }) => {
                let hosts =
                    (0..).zip(hops).map(|(preference, hop)| Host { preference, hop: hop.clone() });
                let sign = sign(&plan, hosts.collect(), false, Some(route));
                (Found::Site(self.directory.site(self, sign)), KEPT_MS)
            }
            Some(route @ Route { way: Way::MxOf { name, port }, .. }) => {
                // The fault of the route, not of the recipient's domain: it may be mended.
                match self.look_up_mx(&plan, name, *port, Some(route)).await {
                    (Found::Nowhere(verdict), _) => {
                        (Found::Nowhere(verdict::of_route(verdict)), TROUBLE_KEPT_MS)
                    }
                    found => found,
                }
            }
            route => self.look_up_mx(&plan, domain, plan.settings.port, route).await,
        }
    }

    async fn look_up_mx(
        &self,
        plan: &Plan,
        name: &str,
        port: u16,
        route: Option<&Route>,
    ) -> (Found, u64) {
        let (records, is_implicit) = match self.resolver.mx(name).await {
            Ok(records) => (records, false),
            // No MX: the domain itself is the host (RFC 5321 §5.1).
            Err(DnsError::NoRecords) => (vec![Mx { preference: 0, host: name.to_owned() }], true),
            Err(error) => return nowhere(name, &error),
        };
        match mx::usable(&records, &self.own) {
            Ok(hosts) => {
                let hosts = hosts.into_iter().map(|host| Host {
                    preference: host.preference,
                    hop: Hop::Name { host: host.host, port },
                });
                let sign = sign(plan, hosts.collect(), is_implicit, route);
                (Found::Site(self.directory.site(self, sign)), KEPT_MS)
            }
            Err(refusal) => {
                let reply = verdict::of_mx(name, refusal);
                (Found::Nowhere(verdict::of_final(&reply)), KEPT_MS)
            }
        }
    }

    /// Mail for an address literal goes there, whatever the routes say.
    fn literal(&self, ip: IpAddr) -> Found {
        let plan = self.plan();
        let hop = Hop::Address(SocketAddr::new(ip, plan.settings.port));
        let sign = sign(&plan, vec![Host { preference: 0, hop }], false, None);
        Found::Site(self.directory.site(self, sign))
    }
}

fn nowhere(name: &str, error: &DnsError) -> (Found, u64) {
    match verdict::of_dns(name, error) {
        Ok(reply) => (Found::Nowhere(verdict::of_final(&reply)), KEPT_MS),
        Err(fault) => {
            // The retry schedule says when to ask again.
            let now = Timestamp(wall_ms());
            (Found::Nowhere(verdict::of_rest(&fault, now)), TROUBLE_KEPT_MS)
        }
    }
}

/// A site's name is what tells it from others: its hosts, in order, and their language.
fn sign(plan: &Plan, hosts: Vec<Host>, is_implicit: bool, route: Option<&Route>) -> Sign {
    let protocol = route.map_or_else(HopProtocol::default, |route| route.protocol);
    let mut name = String::new();
    for host in &hosts {
        let separator = if name.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(name, "{separator}{}", host.hop);
    }
    if protocol == HopProtocol::Lmtp {
        name.push_str(" (lmtp)");
    }
    let settings = &plan.settings;
    Sign {
        name: name.into(),
        hosts,
        is_implicit,
        protocol,
        connections_max: route
            .and_then(|route| route.connections_max)
            .unwrap_or(settings.connections_per_site_max)
            .max(1),
        messages_max: route
            .and_then(|route| route.messages_per_connection_max)
            .unwrap_or(settings.messages_per_connection_max)
            .max(1),
    }
}
