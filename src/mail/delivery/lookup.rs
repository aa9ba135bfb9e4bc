//! From a recipient's domain to its site: routes first, then MX (RFC 5321 §5).
//!
//! What must stay true: domains with the same hosts and the same terms (`tls`) share a site; a domain is
//! looked up once at a time, whoever asks; what was found is kept for a minute at most, so that a change in the DNS or in
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
use super::settings::{HopProtocol, TlsLevel};
use super::site::{Host, Sign, Site};
use super::tls::{self, Terms, Wish, outcomes::PolicyType, policies::Known, sts::Mode};
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

/// By domain, what was found, and until when it is kept, in milliseconds of the shard's clock.
type Kept = HashMap<Box<str>, (Found, u64), RandomState>;

/// What has been found, and what is being looked for.
#[derive(Default)]
pub(super) struct Directory {
    /// By what the message wishes.
    kept: [RefCell<Kept>; Wish::COUNT],
    sought: RefCell<HashSet<(Wish, Box<str>), RandomState>>,
    settled: Notify,
    sites: RefCell<HashMap<Box<str>, Rc<Site>, RandomState>>,
}

/// A domain that is being looked for; others wait until this is dropped.
struct Search<'a> {
    directory: &'a Directory,
    key: (Wish, Box<str>),
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        self.directory.sought.borrow_mut().remove(&self.key);
        self.directory.settled.notify_waiters();
    }
}

impl Directory {
    /// What is known of a domain.
    pub fn known(&self, domain: &str, wish: Wish) -> Option<Found> {
        let kept = self.kept[wish as usize].borrow();
        let (found, until_ms) = kept.get(domain)?;
        (*until_ms > now_ms()).then(|| found.clone())
    }

    /// Forgets what was found: the routes have changed.
    pub fn forget(&self) {
        self.kept.iter().for_each(|kept| kept.borrow_mut().clear());
        for site in self.sites.take().into_values() {
            site.retire();
        }
    }

    /// All sites.
    pub fn sites(&self) -> Vec<Rc<Site>> {
        self.sites.borrow().values().cloned().collect()
    }

    fn keep(&self, domain: &str, wish: Wish, found: &Found, span_ms: u64) {
        let mut kept = self.kept[wish as usize].borrow_mut();
        if kept.len() >= KEPT_MAX {
            let now_ms = now_ms();
            kept.retain(|_, (_, until_ms)| *until_ms > now_ms);
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
        }
        kept.insert(domain.into(), (found.clone(), now_ms().saturating_add(span_ms)));
    }

    /// The site with this key, made if there is none.
    fn site(&self, core: &Core, sign: Sign) -> Rc<Site> {
        let mut sites = self.sites.borrow_mut();
        if let Some(site) = sites.get(&sign.key) {
            return Rc::clone(site);
        }
        if sites.len() >= SITES_MANY && sites.len().is_power_of_two() {
            sites.retain(|_, site| !site.is_unused());
        }
        let site = Rc::new(Site::new(sign));
        sites.insert(site.sign.key.clone(), Rc::clone(&site));
        core.metrics.sites.set(sites.len() as u64);
        site
    }
}

impl Core {
    /// Where mail for `place` goes, if that is known without asking anybody.
    pub(super) fn known(&self, place: &Place, wish: Wish) -> Option<Found> {
        match place {
            Place::Name(domain) => self.directory.known(domain.as_str(), wish),
            Place::Literal(ip) => Some(self.literal(*ip, wish)),
        }
    }

    /// Where mail for `place` goes.
    pub(super) async fn find(&self, place: &Place, wish: Wish) -> Found {
        match place {
            Place::Name(domain) => self.find_domain(domain.as_str(), wish).await,
            Place::Literal(ip) => self.literal(*ip, wish),
        }
    }

    pub(super) async fn find_domain(&self, domain: &str, wish: Wish) -> Found {
        let key = (wish, Box::from(domain));
        loop {
            if let Some(found) = self.directory.known(domain, wish) {
                return found;
            }
            let settled = self.directory.settled.notified();
            if self.directory.sought.borrow_mut().insert(key.clone()) {
                break;
            }
            settled.await;
        }
        let _search = Search { directory: &self.directory, key };
        let started = Instant::now();
        let (found, kept_ms) = self.look_up(domain, wish).await;
        self.metrics.lookups.inc();
        self.metrics.lookup.record_since(started);
        self.directory.keep(domain, wish, &found, kept_ms);
        found
    }

    /// The site, or the verdict, and how long to keep it.
    async fn look_up(&self, domain: &str, wish: Wish) -> (Found, u64) {
        let plan = self.plan();
        let route = plan.routes.find(domain).cloned();
        let asked = Asked { plan: &plan, route: route.as_deref(), wish };
        match route.as_deref() {
            Some(Route { way: Way::Hops(hops), .. }) => {
                let host = |(preference, hop): (u16, &Hop)| Host {
                    preference,
                    hop: hop.clone(),
                    is_listed: true,
                };
                let hosts = (0..).zip(hops).map(host).collect();
                // The administrator names the hosts: nobody else has to vouch for their names.
                let terms = asked.terms(self.resolver.is_secured(), None);
                (self.site(asked.sign(hosts, false, terms)), KEPT_MS)
            }
            Some(Route { way: Way::MxOf { name, port }, .. }) => {
                // The fault of the route, not of the recipient's domain: it may be mended.
                match self.look_up_mx(asked, name, *port).await {
                    (Found::Nowhere(verdict), _) => {
                        (Found::Nowhere(verdict::of_route(verdict)), TROUBLE_KEPT_MS)
                    }
                    found => found,
                }
            }
            _ => self.look_up_mx(asked, domain, plan.settings.port).await,
        }
    }

    async fn look_up_mx(&self, asked: Asked<'_>, name: &str, port: u16) -> (Found, u64) {
        let (exchangers, sts) = tokio::join!(self.resolver.exchangers(name), self.sts(asked, name));
        let (records, is_secure, is_implicit) = match exchangers {
            Ok((records, security)) => (records, security.is_secure(), false),
            // No MX: the domain itself is the host (RFC 5321 §5.1), and its address says how secure
            // that is.
            Err(DnsError::NoRecords) => {
                let own = vec![Mx { preference: 0, host: name.to_owned() }];
                (own, self.resolver.is_secured(), true)
            }
            Err(error) => return nowhere(name, &error),
        };
        let hosts = match mx::usable(&records, &self.own) {
            Ok(hosts) => hosts,
            Err(refusal) => {
                let reply = verdict::of_mx(name, refusal);
                return (Found::Nowhere(verdict::of_final(&reply)), KEPT_MS);
            }
        };
        let policy = sts.policy();
        let terms = asked.terms(is_secure, policy.map(|policy| policy.mode));
        if terms.is_required && !is_secure && terms.sts != Some(Mode::Enforce) {
            let verdict = verdict::of_policy(tls::unanchored(name));
            return (Found::Nowhere(verdict), TROUBLE_KEPT_MS);
        }
        let hosts = hosts.into_iter().map(|host| Host {
            preference: host.preference,
            is_listed: policy.is_none_or(|policy| policy.lists(&host.host)),
            hop: Hop::Name { host: host.host, port },
        });
        (self.site(asked.sign(hosts.collect(), is_implicit, terms)), KEPT_MS)
    }

    /// What MTA-STS says about mail to `name`.
    async fn sts(&self, asked: Asked<'_>, name: &str) -> Known {
        let settings = &asked.plan.settings.mta_sts;
        let Some(policies) = self.policies.as_ref().filter(|_| settings.enabled) else {
            return Known::default();
        };
        if !asked.may_need_policy() {
            return Known::default();
        }
        let known = policies.of(name, &self.resolver).await;
        if let Some(failure) = &known.failure {
            self.outcomes.failed(name, &self.basis_of(PolicyType::Sts, name), failure, None);
        }
        known
    }

    fn site(&self, sign: Sign) -> Found {
        Found::Site(self.directory.site(self, sign))
    }

    /// Mail for an address literal goes there, whatever the routes say.
    fn literal(&self, ip: IpAddr, wish: Wish) -> Found {
        let plan = self.plan();
        let hop = Hop::Address(SocketAddr::new(ip, plan.settings.port));
        let asked = Asked { plan: &plan, route: None, wish };
        let hosts = vec![Host { preference: 0, hop, is_listed: true }];
        self.site(asked.sign(hosts, false, asked.terms(false, None)))
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

/// What a look-up goes by.
#[derive(Clone, Copy)]
struct Asked<'a> {
    plan: &'a Plan,
    route: Option<&'a Route>,
    wish: Wish,
}

impl Asked<'_> {
    fn level(&self) -> TlsLevel {
        self.route.and_then(|route| route.tls).unwrap_or(self.plan.settings.tls)
    }

    fn protocol(&self) -> HopProtocol {
        self.route.map_or_else(HopProtocol::default, |route| route.protocol)
    }

    /// Whether the recipient domain's word counts.
    fn may_need_policy(&self) -> bool {
        match self.wish {
            Wish::Usual => self.level() != TlsLevel::None,
            Wish::Require => true,
            Wish::Waive => false,
        }
    }

    /// `is_secure`: the names of the hosts are known for sure.
    fn terms(&self, is_secure: bool, sts: Option<Mode>) -> Terms {
        let is_smtp = self.protocol() == HopProtocol::Smtp;
        let dane = is_secure && is_smtp && self.plan.settings.dane;
        Terms { level: self.level(), dane, sts, is_required: false }.heeding(self.wish)
    }

    /// A site is known by its hosts, in order, their language, and the terms: mail that demands more
    /// never goes over a connection that was opened for less.
    fn sign(&self, hosts: Vec<Host>, is_implicit: bool, terms: Terms) -> Sign {
        let (protocol, settings) = (self.protocol(), &self.plan.settings);
        let (mut name, mut key) = (String::new(), String::new());
        for host in &hosts {
            let separator = if name.is_empty() { "" } else { " " };
            // Writing to a String cannot fail.
            let _ = write!(name, "{separator}{}", host.hop);
            let _ = write!(key, "{separator}{}{}", host.hop, if host.is_listed { "" } else { "!" });
        }
        if protocol == HopProtocol::Lmtp {
            name.push_str(" (lmtp)");
            key.push_str(" (lmtp)");
        }
        terms.mark(&mut key);
        let route = self.route;
        Sign {
            name: name.into(),
            key: key.into(),
            hosts,
            is_implicit,
            protocol,
            terms,
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
}
