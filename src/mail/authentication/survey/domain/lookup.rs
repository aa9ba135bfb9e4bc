//! The look-ups behind [`Facts`]. Must stay true: all of them end by the deadline, and what is not known then
//! is told as unknown; how many are under way at once is the resolver's bound (`dns.queries_max`). Fails:
//! part by part, in the facts.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use engine::dns::{DnsError, HostAnswer, Mx, Resolver};
use tokio::time::{Instant, timeout_at};

use super::super::{spf, tags};
use super::facts::{
    AddressFacts, DkimFacts, DmarcFacts, ExchangerFacts, Facts, KeyFacts, MxFacts, Origin,
    ReportFacts, SpfFacts, TextFacts,
};
use super::{dmarc, keys};

/// Of mail exchangers, addresses of one, names of an address, selectors: more are not looked at.
const EXCHANGERS_MAX: usize = 20;
const ADDRESSES_MAX: usize = 8;
const NAMES_MAX: usize = 5;
const SELECTORS_MAX: usize = 100;
const REPORTS_MAX: usize = 10;
/// Of mail servers.
const SMTP_PORT: u16 = 25;
const LATE: &str = "no answer in time";

/// Selectors that many use: of mail servers' handbooks and of large senders.
const USUAL: [&str; 36] = [
    "default",
    "google",
    "selector1",
    "selector2",
    "selector",
    "s1",
    "s2",
    "k1",
    "k2",
    "k3",
    "mail",
    "dkim",
    "dkim1",
    "dkim2",
    "email",
    "smtp",
    "mx",
    "key1",
    "key2",
    "ringpost",
    "rsa",
    "ed25519",
    "rsa1",
    "ed1",
    "fm1",
    "fm2",
    "fm3",
    "protonmail",
    "protonmail2",
    "protonmail3",
    "zoho",
    "sig1",
    "pm",
    "mandrill",
    "mxvault",
    "everlytickey1",
];
/// Whoever has a key by this name has one by any: a wildcard.
const NOBODYS: &str = "no-selector-is-called-so";

/// What to look up.
#[derive(Clone, Debug)]
pub struct Request {
    /// A-labels, lower case, no final dot.
    pub domain: String,
    /// Selectors of keys of our own.
    pub own: Vec<String>,
    /// Selectors that were asked for.
    pub asked: Vec<String>,
    /// For everything together.
    pub deadline: Duration,
}

/// What is looked up, for who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// MX, addresses, PTR and TLSA.
    Hosts,
    /// SPF.
    Spf,
    /// DKIM.
    Dkim,
    /// DMARC.
    Dmarc,
    /// MTA-STS.
    MtaSts,
    /// TLS-RPT.
    TlsRpt,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Hosts, Self::Spf, Self::Dkim, Self::Dmarc, Self::MtaSts, Self::TlsRpt];
}

/// Looks everything up. `done` hears of each part that has come to its end.
pub async fn look_up(resolver: &Resolver, request: &Request, done: impl Fn(Part)) -> Facts {
    let deadline = Instant::now() + request.deadline;
    let domain = request.domain.as_str();
    let (done, late) = (&done, || Some(LATE.to_owned()));
    let hosts = async {
        let found = timeout_at(deadline, exchangers(resolver, domain)).await;
        done(Part::Hosts);
        found.unwrap_or_else(|_| (MxFacts { unknown: late(), ..MxFacts::default() }, true))
    };
    let spf = async {
        let found = timeout_at(deadline, spf(resolver, domain)).await;
        done(Part::Spf);
        found.unwrap_or_else(|_| SpfFacts { unknown: late(), ..SpfFacts::default() })
    };
    let dkim = async {
        let found = timeout_at(deadline, dkim(resolver, request)).await;
        done(Part::Dkim);
        found.unwrap_or_else(|_| DkimFacts { unknown: late(), ..DkimFacts::default() })
    };
    let dmarc = async {
        let found = timeout_at(deadline, dmarc(resolver, domain)).await;
        done(Part::Dmarc);
        found.unwrap_or_else(|_| DmarcFacts { unknown: late(), ..DmarcFacts::default() })
    };
    let text = async |part, name: String, version, fault: fn(&tags::Tags<'_>) -> Option<String>| {
        let found = timeout_at(deadline, text(resolver, &name, version, fault)).await;
        done(part);
        found.unwrap_or_else(|_| TextFacts { unknown: late(), ..TextFacts::default() })
    };
    let mta_sts = text(Part::MtaSts, format!("_mta-sts.{domain}"), "STSv1", sts_fault);
    let tls_rpt = text(Part::TlsRpt, format!("_smtp._tls.{domain}"), "TLSRPTv1", rpt_fault);
    let ((mx, exists), spf, dkim, mut dmarc, mta_sts, tls_rpt) =
        tokio::join!(hosts, spf, dkim, dmarc, mta_sts, tls_rpt);
    // The last to be known: a name that does not exist may be asked more of.
    dmarc::apply(domain, exists, &mut dmarc);
    Facts { domain: domain.to_owned(), exists, mx, spf, dkim, dmarc, mta_sts, tls_rpt }
}

/// The hosts, and whether the name exists.
async fn exchangers(resolver: &Resolver, domain: &str) -> (MxFacts, bool) {
    let mut facts = MxFacts::default();
    let found = match resolver.mx(domain).await {
        Ok(found) => found,
        Err(DnsError::NoName) => return (facts, false),
        Err(DnsError::NoRecords) => match resolver.addresses(domain, true, true).await {
            Ok(_) => {
                facts.is_implicit = true;
                vec![Mx { preference: 0, host: domain.to_owned() }]
            }
            Err(DnsError::NoName | DnsError::NoRecords) => Vec::new(),
            Err(error) => {
                facts.unknown = Some(error.to_string());
                Vec::new()
            }
        },
        Err(error) => {
            facts.unknown = Some(error.to_string());
            return (facts, true);
        }
    };
    facts.is_null = found.len() == 1 && found.iter().all(|mx| mx.host == ".");
    let hosts = found.iter().filter(|mx| mx.host != ".").take(EXCHANGERS_MAX);
    facts.hosts = all(hosts.map(|mx| exchanger(resolver, mx)).collect()).await;
    (facts, true)
}

async fn exchanger(resolver: &Resolver, mx: &Mx) -> ExchangerFacts {
    let mut facts = ExchangerFacts {
        host: mx.host.clone(),
        preference: mx.preference,
        ..ExchangerFacts::default()
    };
    let base = match resolver.host(&mx.host, true, true).await {
        Ok(HostAnswer { addresses, alias_of, .. }) => {
            let addresses = addresses.into_iter().take(ADDRESSES_MAX);
            facts.addresses = all(addresses.map(|it| address(resolver, it)).collect()).await;
            facts.alias_of = alias_of;
            facts.alias_of.as_deref().unwrap_or(&mx.host)
        }
        Err(DnsError::NoName | DnsError::NoRecords) => return facts,
        Err(error) => {
            facts.unknown = Some(error.to_string());
            return facts;
        }
    };
    match resolver.published_tlsa(base, SMTP_PORT).await {
        Ok((records, security)) => {
            facts.tlsa = records.iter().map(ToString::to_string).collect();
            facts.tlsa_secure = resolver.is_secured().then(|| security.is_secure());
        }
        Err(DnsError::NoName | DnsError::NoRecords) => {}
        Err(error) => facts.unknown = Some(error.to_string()),
    }
    facts
}

async fn address(resolver: &Resolver, address: IpAddr) -> AddressFacts {
    let mut facts = AddressFacts { address, names: Vec::new(), is_confirmed: false, unknown: None };
    match resolver.ptr(address).await {
        Ok(names) => facts.names = names.into_iter().take(NAMES_MAX).collect(),
        Err(DnsError::NoName | DnsError::NoRecords) => {}
        Err(error) => facts.unknown = Some(error.to_string()),
    }
    for name in &facts.names {
        match resolver.addresses(name, address.is_ipv4(), address.is_ipv6()).await {
            Ok(found) => facts.is_confirmed |= found.contains(&address),
            Err(DnsError::NoName | DnsError::NoRecords) => {}
            Err(error) => facts.unknown = Some(error.to_string()),
        }
    }
    if facts.is_confirmed {
        facts.unknown = None;
    }
    facts
}

/// The TXT records of a name; there may be none.
async fn texts(resolver: &Resolver, name: &str) -> Result<Vec<String>, String> {
    match resolver.txt(name).await {
        Ok(texts) => Ok(texts),
        Err(DnsError::NoName | DnsError::NoRecords) => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

async fn spf(resolver: &Resolver, domain: &str) -> SpfFacts {
    let mut facts = SpfFacts::default();
    match texts(resolver, domain).await {
        Ok(texts) => facts.records = texts.into_iter().filter(|it| spf::is_spf(it)).collect(),
        Err(why) => facts.unknown = Some(why),
    }
    if facts.records.len() == 1 {
        facts.cost = Some(spf::cost(resolver, domain).await);
    }
    facts
}

async fn dkim(resolver: &Resolver, request: &Request) -> DkimFacts {
    let domain = request.domain.as_str();
    let is_wild = texts(resolver, &format!("{NOBODYS}._domainkey.{domain}")).await;
    let is_wild = is_wild.is_ok_and(|found| found.iter().any(|text| keys::is_key(text)));
    let usual: &[&str] = if is_wild { &[] } else { &USUAL };
    let mut wanted: Vec<(&str, Origin)> = Vec::new();
    let own = request.own.iter().map(|it| (it.as_str(), Origin::Own));
    let asked = request.asked.iter().map(|it| (it.as_str(), Origin::Asked));
    for (selector, origin) in own.chain(asked).chain(usual.iter().map(|it| (*it, Origin::Usual))) {
        let is_new = wanted.iter().all(|(known, _)| !known.eq_ignore_ascii_case(selector));
        if is_new && wanted.len() < SELECTORS_MAX {
            wanted.push((selector, origin));
        }
    }
    let found = wanted.into_iter().map(|(name, origin)| key(resolver, domain, name, origin));
    let mut facts = DkimFacts { tried: usual.len(), ..DkimFacts::default() };
    for found in all(found.collect()).await {
        match found {
            Ok(key) => facts.keys.extend(key),
            Err(why) => facts.unknown = Some(why),
        }
    }
    facts
}

/// The key by one name; of a usual name only if there is one.
async fn key(
    resolver: &Resolver,
    domain: &str,
    selector: &str,
    origin: Origin,
) -> Result<Option<KeyFacts>, String> {
    let texts = texts(resolver, &format!("{selector}._domainkey.{domain}")).await?;
    let record = texts.iter().find(|text| keys::is_key(text));
    let record = record.or_else(|| texts.first().filter(|_| origin != Origin::Usual)).cloned();
    if record.is_none() && origin == Origin::Usual {
        return Ok(None);
    }
    let (key, fault) = match record.as_deref().map(keys::parse) {
        None => (None, None),
        Some(Ok(key)) => (Some(key), None),
        Some(Err(why)) => (None, Some(why)),
    };
    Ok(Some(KeyFacts { selector: selector.to_owned(), origin, record, key, fault }))
}

async fn dmarc(resolver: &Resolver, domain: &str) -> DmarcFacts {
    let mut facts = DmarcFacts::default();
    for name in dmarc::walk(domain) {
        let texts = match texts(resolver, &format!("_dmarc.{name}")).await {
            Ok(texts) => texts,
            Err(why) => {
                facts.unknown = Some(why);
                return facts;
            }
        };
        let mut records = texts.iter().filter(|text| dmarc::is_dmarc(text));
        match (records.next(), records.next()) {
            (Some(record), None) => facts.records.push(dmarc::parse(name, record)),
            (None, _) => {}
            // None of several counts (RFC 9989 §4.10).
            (Some(_), Some(_)) => facts.several.push(name.to_owned()),
        }
        let is_newest = |record: &&super::DmarcRecord| record.domain == name;
        if facts.records.last().filter(is_newest).is_some_and(dmarc::ends_walk) {
            break;
        }
    }
    dmarc::apply(domain, true, &mut facts);
    let applies = facts.records.iter().find(|it| Some(&it.domain) == facts.applies.as_ref());
    if let Some(record) = applies {
        let uris = record.rua.iter().take(REPORTS_MAX);
        let asked = uris.map(|uri| report(resolver, &record.domain, uri)).collect();
        facts.reports = all(asked).await;
    }
    facts
}

/// Whether reports about `domain` may go to `uri` (RFC 9990 §4).
async fn report(resolver: &Resolver, domain: &str, uri: &str) -> ReportFacts {
    let Some((address, at)) = dmarc::mailbox(uri) else {
        return ReportFacts { address: uri.to_owned(), is_authorized: Some(false) };
    };
    let (address, at) = (address.to_owned(), at.to_ascii_lowercase());
    let is_below = |name: &str, top: &str| {
        name.strip_suffix(top).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if is_below(&at, domain) || is_below(domain, &at) {
        return ReportFacts { address, is_authorized: None };
    }
    let texts = texts(resolver, &format!("{domain}._report._dmarc.{at}")).await;
    let is_authorized = texts.ok().map(|texts| texts.iter().any(|text| dmarc::is_dmarc(text)));
    ReportFacts { address, is_authorized }
}

async fn text(
    resolver: &Resolver,
    name: &str,
    version: &str,
    fault: fn(&tags::Tags<'_>) -> Option<String>,
) -> TextFacts {
    let mut facts = TextFacts::default();
    match texts(resolver, name).await {
        Ok(texts) => {
            facts.records = texts.into_iter().filter(|it| tags::is_version(it, version)).collect();
        }
        Err(why) => facts.unknown = Some(why),
    }
    facts.fault = match facts.records.as_slice() {
        [] => None,
        [record] => match tags::Tags::parse(record) {
            Some(tags) => fault(&tags),
            None => Some("it is no list of tags".to_owned()),
        },
        _ => Some("there is more than one, so none counts".to_owned()),
    };
    facts
}

fn sts_fault(tags: &tags::Tags<'_>) -> Option<String> {
    let is_id = |id: &str| {
        (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (!tags.get("id").is_some_and(is_id))
        .then(|| "id= must be 1 to 32 letters and digits".to_owned())
}

fn rpt_fault(tags: &tags::Tags<'_>) -> Option<String> {
    let is_uri = |uri: &str| uri.trim().starts_with("mailto:") || uri.trim().starts_with("https:");
    let is_there = tags.get("rua").is_some_and(|all| all.split(',').all(is_uri));
    (!is_there).then(|| "rua= must name mailto: or https: addresses".to_owned())
}

/// All of them at once, in their order.
async fn all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<Pin<Box<_>>> = futures.into_iter().map(Box::pin).collect();
    let mut found: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, place) in waiting.iter_mut().zip(&mut found) {
            if place.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *place = Some(value);
            }
        }
        if found.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    found.into_iter().flatten().collect()
}
