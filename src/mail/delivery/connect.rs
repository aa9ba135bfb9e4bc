//! From a site to a connection: its hosts in order, their addresses, until one talks to us.
//!
//! What must stay true: hosts are tried by preference, equals in random order, each by all its
//! addresses up to the limits; a host that is ourselves ends the search (RFC 5321 §5.1: hosts behind
//! it would lead back).

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use engine::dns::DnsError;
use engine::shard::Stream;
use proto::smtp::client::{Outcome, Stage};
use proto::types::{Enhanced, Reply};

use super::mx;
use super::route::Hop;
use super::run::{Core, Plan};
use super::site::Site;
use super::speak::Link;
use super::verdict::{self, HostFault, SiteFault};
use crate::queue::Remote;

/// Opens a connection to a host of `site`.
pub(super) async fn open(core: &Core, site: &Site) -> Result<Link, SiteFault> {
    let plan = core.plan();
    let mut search =
        Search { core, plan: &plan, site, addresses_left: plan.addresses_max(), fault: None };
    let preferences: Vec<u16> = site.sign.hosts.iter().map(|host| host.preference).collect();
    let order = mx::order(&preferences, &core.random);
    for index in order.into_iter().take(plan.hosts_max()) {
        if let Some(link) = search.host(&site.sign.hosts[index].hop).await? {
            return Ok(link);
        }
    }
    let fault = search.fault.unwrap_or_else(|| no_host(site));
    Err(SiteFault::Rest(fault))
}

struct Search<'a> {
    core: &'a Core,
    plan: &'a Plan,
    site: &'a Site,
    addresses_left: usize,
    /// Of the last host.
    fault: Option<HostFault>,
}

impl Search<'_> {
    /// Tries the addresses of one host; `None`: go on with the next.
    async fn host(&mut self, hop: &Hop) -> Result<Option<Link>, SiteFault> {
        let (name, port, addresses) = match hop {
            Hop::Address(address) => (literal(address.ip()), address.port(), vec![address.ip()]),
            Hop::Name { host, port } => (Rc::clone(host), *port, self.addresses(host).await?),
        };
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
            match self.address(address, &remote).await {
                Ok(link) => return Ok(Some(link)),
                Err(Miss::Ourselves) => return Err(self.reached_ourselves()),
                Err(Miss::Fault(Outcome { stage, reply })) => {
                    self.core.metrics.failed.inc();
                    self.fault = Some(HostFault { stage, reply, remote: Some(remote) });
                }
            }
        }
        Ok(None)
    }

    /// The host's addresses in the order to try; none is a fault of the host.
    async fn addresses(&mut self, host: &Rc<str>) -> Result<Vec<IpAddr>, SiteFault> {
        let family = self.plan.settings.family;
        let found = self.core.resolver.addresses(host, family.has_v4(), family.has_v6()).await;
        let error = match found {
            Ok(found) => return Ok(mx::order_addresses(found, family, &self.core.random)),
            Err(error) => error,
        };
        // A domain without MX and without address has no mail (RFC 5321 §5.1).
        if self.site.sign.is_implicit && matches!(error, DnsError::NoName | DnsError::NoRecords) {
            let reply = verdict::of_dns(host, &DnsError::NoRecords);
            return Err(reply.map_or_else(SiteFault::Rest, SiteFault::Final));
        }
        self.fault = Some(match verdict::of_dns(host, &error) {
            Err(fault) => fault,
            // The name of a host, not of the recipient's domain: it may be mended.
            Ok(reply) => HostFault {
                stage: Stage::Resolve,
                reply: Reply { code: 451, enhanced: Some(Enhanced(4, 4, 4)), ..reply },
                remote: None,
            },
        });
        Ok(Vec::new())
    }

    async fn address(&self, address: SocketAddr, remote: &Remote) -> Result<Link, Miss> {
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
        let link = Link::open(stream, config, remote.clone()).await?;
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
}

impl From<Outcome> for Miss {
    fn from(outcome: Outcome) -> Self {
        Self::Fault(outcome)
    }
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
