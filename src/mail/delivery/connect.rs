//! From a site to a connection: its hosts in order, their addresses, until one talks to us.
//!
//! What must stay true: hosts are tried by preference, equals in random order, each by all its
//! addresses up to the limits; a host that is ourselves ends the search (RFC 5321 §5.1: hosts behind
//! it would lead back); a connection that is not what the site's terms demand is not handed out.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use engine::dns::{DnsError, HostAnswer};
use engine::shard::Stream;
use engine::tls::Fault;
use proto::smtp::client::{Outcome, Stage};
use proto::types::{Enhanced, Reply};

use super::encrypt::{Security, Unopened};
use super::mx;
use super::route::Hop;
use super::run::{Core, Plan};
use super::site::{Host, Site};
use super::speak::Link;
use super::tls::{
    self, Bid,
    dane::{self, Tlsas},
    outcomes::{Basis, Failure, PolicyType, ResultType},
    sts::Mode,
};
use super::verdict::{self, HostFault, SiteFault};
use crate::queue::Remote;

/// Opens a connection to a host of `site`.
pub(super) async fn open(core: &Core, site: &Site) -> Result<Link, SiteFault> {
    let plan = core.plan();
    let addresses_left = plan.addresses_max();
    let mut search =
        Search { core, plan: &plan, site, addresses_left, fault: None, only_unwilling: true };
    let preferences: Vec<u16> = site.sign.hosts.iter().map(|host| host.preference).collect();
    let order = mx::order(&preferences, &core.random);
    for index in order.into_iter().take(plan.hosts_max()) {
        if let Some(link) = search.host(&site.sign.hosts[index]).await? {
            return Ok(link);
        }
    }
    let only_unwilling = search.only_unwilling;
    Err(match search.fault {
        Some(fault) if only_unwilling => SiteFault::Final(fault.reply),
        Some(fault) => SiteFault::Rest(fault),
        None => SiteFault::Rest(no_host(site)),
    })
}

struct Search<'a> {
    core: &'a Core,
    plan: &'a Plan,
    site: &'a Site,
    addresses_left: usize,
    /// Of the last host.
    fault: Option<HostFault>,
    /// Nothing stood in the way so far but that hosts do not offer REQUIRETLS: they will not later.
    only_unwilling: bool,
}

impl Search<'_> {
    /// Tries the addresses of one host; `None`: go on with the next.
    async fn host(&mut self, host: &Host) -> Result<Option<Link>, SiteFault> {
        let (name, port, addresses, tlsas) = match &host.hop {
            Hop::Address(address) => {
                (literal(address.ip()), address.port(), vec![address.ip()], None)
            }
            Hop::Name { host: name, port } => {
                let Some(answer) = self.answer(name).await? else { return Ok(None) };
                let Ok(tlsas) = self.tlsas(name, *port, &answer).await else { return Ok(None) };
                let family = self.plan.settings.family;
                let addresses = mx::order_addresses(answer.addresses, family, &self.core.random);
                (Rc::clone(name), *port, addresses, tlsas)
            }
        };
        let remote = Remote { name: Rc::clone(&name), addr: None };
        let Some(bids) = self.bids(host, &remote, tlsas.as_ref()) else { return Ok(None) };
        for ip in addresses {
            if self.addresses_left == 0 {
                break;
            }
            let address = SocketAddr::new(ip, port);
            if self.core.own.is_address(address, None) {
                return Err(self.reached_ourselves());
            }
            self.addresses_left -= 1;
            let remote = Remote { name: Rc::clone(&name), addr: Some(address) };
            match self.address(address, &remote, &bids).await {
                Ok(link) => return Ok(Some(link)),
                Err(Miss::Ourselves) => return Err(self.reached_ourselves()),
                Err(Miss::Fault(outcome) | Miss::Insecure(outcome, _)) => {
                    self.core.metrics.failed.inc();
                    let Outcome { stage, reply } = outcome;
                    self.miss(HostFault { stage, reply, remote: Some(remote) });
                }
                Err(Miss::Unwilling) => {
                    self.core.metrics.failed.inc();
                    let (stage, reply) = (Stage::Tls, tls::no_require_tls(&name));
                    self.fault = Some(HostFault { stage, reply, remote: Some(remote) });
                }
            }
        }
        Ok(None)
    }

    /// A host cannot be used now, and may be later.
    fn miss(&mut self, fault: HostFault) {
        self.fault = Some(fault);
        self.only_unwilling = false;
    }

    /// Where a host is; nowhere is a fault of the host.
    async fn answer(&mut self, host: &Rc<str>) -> Result<Option<HostAnswer>, SiteFault> {
        let family = self.plan.settings.family;
        let found = self.core.resolver.host(host, family.has_v4(), family.has_v6()).await;
        let error = match found {
            Ok(found) => return Ok(Some(found)),
            Err(error) => error,
        };
        // A domain without MX and without address has no mail (RFC 5321 §5.1).
        if self.site.sign.is_implicit && matches!(error, DnsError::NoName | DnsError::NoRecords) {
            let reply = verdict::of_dns(host, &DnsError::NoRecords);
            return Err(reply.map_or_else(SiteFault::Rest, SiteFault::Final));
        }
        self.miss(match verdict::of_dns(host, &error) {
            Err(fault) => fault,
            // The name of a host, not of the recipient's domain: it may be mended.
            Ok(reply) => HostFault {
                stage: Stage::Resolve,
                reply: Reply { code: 451, enhanced: Some(Enhanced(4, 4, 4)), ..reply },
                remote: None,
            },
        });
        Ok(None)
    }

    /// The TLSA records of a host, when they count. An error is a fault of the host.
    async fn tlsas(
        &mut self,
        host: &Rc<str>,
        port: u16,
        answer: &HostAnswer,
    ) -> Result<Option<Tlsas>, ()> {
        if !self.site.sign.terms.dane {
            return Ok(None);
        }
        let error = match dane::look_up(&self.core.resolver, host, port, answer).await {
            Ok(tlsas) => return Ok(tlsas),
            Err(error) => error,
        };
        let text = format!("DANE: whether {host} has TLSA records cannot be told: {error}");
        let failure = Failure::new(ResultType::DnssecInvalid, text);
        let basis = Basis { kind: PolicyType::Tlsa, strings: Rc::new([]) };
        self.forbid(&Remote { name: Rc::clone(host), addr: None }, &basis, &failure);
        Err(())
    }

    /// What connections to the host are tried as; `None` when it is not to be used.
    fn bids(&mut self, host: &Host, remote: &Remote, tlsas: Option<&Tlsas>) -> Option<Vec<Bid>> {
        let terms = self.site.sign.terms;
        let sts = Basis { kind: PolicyType::Sts, strings: Rc::new([]) };
        let unusable = tlsas.filter(|tlsas| !tlsas.is_usable());
        if let Some(tlsas) = unusable {
            let text = format!("no TLSA record of {} can be used", tlsas.base);
            self.tell(remote, &tlsas.basis(), &Failure::new(ResultType::TlsaInvalid, text));
        } else if tlsas.is_none() && terms.sts == Some(Mode::Testing) && !host.is_listed {
            let text = format!("the MTA-STS policy does not list {}", remote.name);
            self.tell(remote, &sts, &Failure::new(ResultType::ValidationFailure, text));
        }
        match terms.bids(host_of(&remote.name), host.is_listed, tlsas) {
            Ok(bids) => Some(bids),
            Err(failure) => {
                self.forbid(remote, &sts, &failure);
                None
            }
        }
    }

    /// A policy keeps us from this host.
    fn forbid(&mut self, remote: &Remote, basis: &Basis, failure: &Failure) {
        self.core.metrics.failed.inc();
        self.core.metrics.tls_failed.inc();
        self.tell(remote, basis, failure);
        let (reply, remote) = (tls::forbidden(failure), Some(remote.clone()));
        self.miss(HostFault { stage: Stage::Tls, reply, remote });
    }

    /// Counts a failure for every domain that waits.
    fn tell(&self, remote: &Remote, basis: &Basis, failure: &Failure) {
        for domain in self.site.domains() {
            let basis = match basis.kind {
                PolicyType::Sts => &self.core.basis_of(basis.kind, &domain),
                PolicyType::Tlsa | PolicyType::NoPolicyFound => basis,
            };
            self.core.outcomes.failed(&domain, basis, failure, Some(remote));
        }
    }

    /// Connects to an address; once more on lesser terms, where those allow it and TLS failed.
    async fn address(
        &self,
        address: SocketAddr,
        remote: &Remote,
        bids: &[Bid],
    ) -> Result<Link, Miss> {
        let mut miss = None;
        for bid in bids {
            match self.connection(address, remote, bid).await {
                Ok(mut link) => {
                    // What failed before it is counted already.
                    link.basis = miss.is_none().then(|| bid.basis.clone());
                    return Ok(link);
                }
                Err(Miss::Insecure(Outcome { stage, reply }, fault)) => {
                    self.core.metrics.tls_failed.inc();
                    let failure = Failure::new(tls::result_of(fault), reply.text.to_string());
                    self.tell(remote, &bid.basis, &failure);
                    let reply = bid.unmet(reply);
                    miss = Some(Miss::Insecure(Outcome { stage, reply }, fault));
                }
                Err(miss) => return Err(miss),
            }
        }
        Err(miss.unwrap_or(Miss::Ourselves))
    }

    async fn connection(
        &self,
        address: SocketAddr,
        remote: &Remote,
        bid: &Bid,
    ) -> Result<Link, Miss> {
        let timeout = self.plan.settings.timeouts.connect.get();
        let bind = self.plan.source(address.ip());
        let started = Instant::now();
        let connected = self.core.shard.connect(address, bind, timeout).await;
        let stream: Stream = connected.map_err(|error| {
            // RFC 3463 §3.5: no answer from host.
            let reply = Reply::made(451, Enhanced(4, 4, 1), format!("cannot connect: {error}"));
            Outcome { stage: Stage::Connect, reply }
        })?;
        let local = stream.local_addr().ok().map(|local| local.ip());
        if self.core.own.is_address(address, local) {
            return Err(Miss::Ourselves);
        }
        let config = self.plan.config(self.site.sign.protocol);
        let connector = self.core.connector();
        let security = Security { connector: &connector, demand: &bid.demand, host: &bid.name };
        let link = Link::open(stream, config, remote.clone(), &security).await?;
        if self.site.sign.terms.is_required && !link.offers_require_tls() {
            link.quit().await;
            return Err(Miss::Unwilling);
        }
        if link.is_secure() {
            self.core.metrics.tls.inc();
        }
        self.core.metrics.connect.record_since(started);
        self.core.metrics.opened.inc();
        Ok(link)
    }

    /// Nothing behind ourselves is tried. What failed before may be there later; if nothing did, the
    /// mail can only circle.
    fn reached_ourselves(&mut self) -> SiteFault {
        match self.fault.take() {
            Some(fault) => SiteFault::Rest(fault),
            None => SiteFault::Final(verdict::of_loop(&self.site.sign.name)),
        }
    }
}

/// Why an address gave no connection.
enum Miss {
    /// It would end at our own listener.
    Ourselves,
    /// Of the host, as far as it came.
    Fault(Outcome),
    /// It was not as secure as is demanded, and what the handshake failed for, if there was one.
    Insecure(Outcome, Option<Fault>),
    /// It does not promise to pass REQUIRETLS on (RFC 8689 §4.2.1): the next one may.
    Unwilling,
}

impl From<Outcome> for Miss {
    fn from(outcome: Outcome) -> Self {
        Self::Fault(outcome)
    }
}

impl From<Unopened> for Miss {
    fn from(unopened: Unopened) -> Self {
        match unopened {
            Unopened::Refused(outcome) => Self::Fault(outcome),
            Unopened::Insecure { outcome, fault } => Self::Insecure(outcome, fault),
        }
    }
}

/// Without the brackets that an address has as a name.
fn host_of(name: &str) -> &str {
    name.trim_matches(['[', ']'])
}

fn literal(ip: IpAddr) -> Rc<str> {
    format!("[{ip}]").into()
}

fn no_host(site: &Site) -> HostFault {
    let text = format!("no host of {} has an address of a family that is used", site.sign.name);
    HostFault {
        stage: Stage::Resolve,
        reply: Reply::made(451, Enhanced(4, 4, 4), text),
        remote: None,
    }
}
