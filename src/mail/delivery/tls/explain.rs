//! Telling people what would be done about TLS with mail to a domain, by the same look-ups and terms
//! that mail goes by. Nothing is counted and nothing is sent.

use std::net::SocketAddr;

use engine::{dns::DnsError, tls::probe::Expectation};
use serde::Serialize;

use super::dane::{self, Tlsas};
use super::sts::Mode;
use super::{Demand, Trust, Wish};
use crate::delivery::{
    lookup::Found,
    route::Hop,
    run::{Core, Delivery},
    site::{Host, Sign},
};
use crate::queue::Verdict;

/// What a domain gets.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The domain.
    pub domain: String,
    /// Why there is nowhere to go, instead of all the rest.
    pub nowhere: Option<String>,
    /// What the administrator asks: `opportunistic` …
    pub level: &'static str,
    /// Whether the names of the hosts are known for sure, so that TLSA records count.
    pub dane: bool,
    /// Its MTA-STS policy.
    pub mta_sts: Option<StsPart>,
    /// Why an announced policy cannot be had.
    pub mta_sts_failure: Option<String>,
    /// Its hosts, best first.
    pub hosts: Vec<HostPart>,
}

/// An MTA-STS policy that holds.
#[derive(Debug, Serialize)]
pub struct StsPart {
    /// `enforce`, `testing` or `none`.
    pub mode: &'static str,
    /// By what it is announced.
    pub id: String,
    /// The hosts that it lists.
    pub mx: Vec<String>,
    /// When it was fetched, in seconds since 1970.
    pub fetched_s: u64,
    /// When it holds no longer.
    pub expires_s: u64,
}

/// One host.
#[derive(Debug, Serialize)]
pub struct HostPart {
    /// As it is in the MX record or the route.
    pub host: String,
    /// Lower is tried first.
    pub preference: u16,
    /// Where it is.
    pub addresses: Vec<SocketAddr>,
    /// Whether DNSSEC vouches for that.
    pub secure: bool,
    /// The TLSA records that count.
    pub tlsa: Vec<String>,
    /// The name they stand under.
    pub tlsa_base: Option<String>,
    /// Why it would not be used.
    pub refused: Option<String>,
    /// What a connection is tried as, in turn.
    pub tries: Vec<String>,
    /// The name that is asked for (SNI).
    pub name: String,
    #[serde(skip)]
    expected: Option<(Demand, Vec<engine::dns::Tlsa>, Vec<Box<str>>)>,
}

impl HostPart {
    fn new(host: &str, preference: u16) -> Self {
        Self {
            host: host.to_owned(),
            preference,
            addresses: Vec::new(),
            secure: false,
            tlsa: Vec::new(),
            tlsa_base: None,
            refused: None,
            tries: Vec::new(),
            name: host.to_owned(),
            expected: None,
        }
    }

    /// What the first try expects of the host's certificate; `ca_file` as in the settings. `None`: TLS
    /// is not tried.
    #[must_use]
    pub fn expectation(&self, ca_file: &std::path::Path) -> Option<Expectation> {
        let (demand, records, names) = self.expected.as_ref()?;
        match demand {
            Demand::None => None,
            Demand::Verified(Trust::Names(names)) => {
                Some(Expectation::Names(ca_file.into(), names.clone()))
            }
            Demand::Verified(_) => Some(Expectation::Dane(records.clone(), names.clone())),
            Demand::Opportunistic | Demand::Require => Some(Expectation::Any),
        }
    }
}

impl Delivery {
    /// What mail to `domain` (A-labels, lower case) would get.
    pub async fn explain_tls(&self, domain: &str) -> Explanation {
        let core = &self.0;
        let found = core.find_domain(domain, Wish::Usual).await;
        let policies = core.policies.as_ref().filter(|_| core.plan().settings.mta_sts.enabled);
        let sts = match policies {
            Some(policies) => policies.of(domain, &core.resolver).await,
            None => super::policies::Known::default(),
        };
        let mut told = Explanation {
            domain: domain.to_owned(),
            nowhere: None,
            level: "",
            dane: false,
            mta_sts: sts.held.map(|held| StsPart {
                mode: held.policy.mode.as_str(),
                id: held.id.to_string(),
                mx: held.policy.mx.iter().map(ToString::to_string).collect(),
                fetched_s: held.fetched_s,
                expires_s: held.expires_s(),
            }),
            mta_sts_failure: sts.failure.map(|failure| failure.text),
            hosts: Vec::new(),
        };
        let site = match found {
            Found::Site(site) => site,
            Found::Nowhere(verdict) => {
                told.nowhere = Some(reason(&verdict));
                return told;
            }
        };
        let sign = &site.sign;
        (told.level, told.dane) = (sign.terms.level.as_str(), sign.terms.dane);
        for host in &sign.hosts {
            told.hosts.push(host_part(core, sign, host).await);
        }
        told
    }
}

fn reason(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Delivered { reply, .. }
        | Verdict::Placed { reply }
        | Verdict::Deferred { reply, .. }
        | Verdict::Failed { reply, .. } => reply.to_string(),
    }
}

async fn host_part(core: &Core, sign: &Sign, host: &Host) -> HostPart {
    let (name, port) = match &host.hop {
        Hop::Address(address) => {
            let name = address.ip().to_string();
            let mut part = HostPart::new(&name, host.preference);
            part.addresses.push(*address);
            offer(&mut part, sign, host, None);
            return part;
        }
        Hop::Name { host, port } => (host, *port),
    };
    let mut part = HostPart::new(name, host.preference);
    let family = core.plan().settings.family;
    let answer = match core.resolver.host(name, family.has_v4(), family.has_v6()).await {
        Ok(answer) => answer,
        Err(error) => return refuse(part, &error),
    };
    part.secure = answer.security.is_secure();
    part.addresses = answer.addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
    let tlsas = match sign.terms.dane {
        true => dane::look_up(&core.resolver, name, port, &answer).await,
        false => Ok(None),
    };
    match tlsas {
        Ok(tlsas) => offer(&mut part, sign, host, tlsas.as_ref()),
        Err(error) => return refuse(part, &error),
    }
    part
}

fn refuse(mut part: HostPart, error: &DnsError) -> HostPart {
    part.refused = Some(error.to_string());
    part
}

fn offer(part: &mut HostPart, sign: &Sign, host: &Host, tlsas: Option<&Tlsas>) {
    if let Some(tlsas) = tlsas {
        part.tlsa = tlsas.records.iter().map(ToString::to_string).collect();
        part.tlsa_base = Some(tlsas.base.to_string());
    }
    let bids = match sign.terms.bids(&part.host, host.is_listed, tlsas) {
        Ok(bids) => bids,
        Err(failure) => {
            part.refused = Some(failure.text);
            return;
        }
    };
    let records = tlsas.map(|tlsas| tlsas.records.clone()).unwrap_or_default();
    let names = tlsas.map(|tlsas| tlsas.names.clone()).unwrap_or_default();
    if let Some(first) = bids.first() {
        part.name = first.name.to_string();
        part.expected = Some((first.demand.clone(), records, names));
    }
    part.tries = bids
        .iter()
        .map(|bid| {
            let what = match &bid.demand {
                Demand::None => "in the clear",
                Demand::Opportunistic => "TLS with any certificate, if it is offered",
                Demand::Require => "TLS with any certificate",
                Demand::Verified(Trust::Names(_)) => "TLS, certificate verified by an authority",
                Demand::Verified(_) => "TLS, certificate verified by TLSA records",
            };
            if bid.why.is_empty() { what.to_owned() } else { format!("{what}: {}", bid.why) }
        })
        .collect();
    if sign.terms.sts == Some(Mode::Testing) && !host.is_listed {
        part.tries.insert(0, "reported: the MTA-STS policy does not list it".to_owned());
    }
}
