//! What is known of the DNS, in the forms that checks use, and how more gets known.
//!
//! What must stay true: answers are kept apart by what they are for; a question ends at the moment
//! its asker has set, with a temporary error; kept answers are bounded ([`Kept`]). One a thread, no
//! lock. How it fails: [`Lack`].

use std::{
    borrow::Cow,
    future::Future,
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use engine::dns::{self, DnsError, Fresh, Upstream};
use mail_auth::{
    Error, MessageAuthenticator,
    dkim::DomainKey,
    dmarc::DmarcRecord,
    dns::TxtRecordParser,
    spf::{Macro, SpfRecord},
};
use tokio::time::{Instant, timeout_at};

use super::kept::Kept;
use crate::authentication::survey::spf::fault;

/// Records of a name beyond these are not read: nobody needs them, and each takes memory.
const RECORDS_MAX: usize = 100;

/// Names of hosts.
type Names = Result<Rc<[Box<str>]>, Lack>;
/// Addresses by name.
type Hosts = Kept<Box<str>, Result<Rc<[IpAddr]>, Lack>>;

/// Answers, and whom to ask for more.
pub(super) struct Desk {
    upstream: Upstream,
    /// Verifies DKIM and ARC. It has no name server: what it is not handed, it cannot ask for.
    pub verifier: MessageAuthenticator,
    senders: Kept<Box<str>, Result<Arc<SpfRecord>, Lack>>,
    keys: Kept<Box<str>, Result<Arc<DomainKey>, Lack>>,
    policies: Kept<Box<str>, Result<Arc<DmarcRecord>, Lack>>,
    hosts_v4: Hosts,
    hosts_v6: Hosts,
    exchangers: Kept<Box<str>, Names>,
    names: Kept<IpAddr, Names>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// No such name.
    NoName,
    /// No such records, or none of the wanted kind among them.
    NoRecords,
    /// What there is cannot be used; why.
    Unusable(Cow<'static, str>),
    /// Nobody could tell.
    Temporary(Cow<'static, str>),
}

/// Questions for one message, up to a moment.
#[derive(Clone, Copy)]
pub(super) struct Inquiry<'a> {
    pub desk: &'a Desk,
    pub until: Instant,
}

impl Desk {
    /// Makes one; call it on the runtime that will ask.
    pub fn new(dns: &dns::Settings, entries_max: u32) -> Result<Self, DnsError> {
        let entries_max = usize::try_from(entries_max).unwrap_or(usize::MAX);
        // Texts, which are many and heavy, and addresses share what the settings say.
        let share = |parts: usize| entries_max / 8 * parts;
        let verifier = MessageAuthenticator::new(Default::default(), Default::default());
        let verifier = verifier.map_err(|error| DnsError::Settings(error.to_string()))?;
        Ok(Self {
            upstream: Upstream::new(dns)?,
            verifier,
            senders: Kept::new(share(2)),
            keys: Kept::new(share(2)),
            policies: Kept::new(share(1)),
            hosts_v4: Kept::new(share(1)),
            hosts_v6: Kept::new(share(1) / 2),
            exchangers: Kept::new(share(1) / 2),
            names: Kept::new(share(1)),
        })
    }
}

impl Inquiry<'_> {
    /// The SPF record of a domain (RFC 7208 §4.5).
    pub async fn sender_policy(&self, domain: &str) -> Result<Arc<SpfRecord>, Lack> {
        let weigh = |record: &SpfRecord| size_of_val(&*record.directives);
        self.text(&self.desk.senders, domain, weigh, |records| {
            let is_spf = |record: &&Vec<u8>| {
                !matches!(SpfRecord::parse(record), Err(Error::Dns(_))) // some other text
            };
            let mut ours = records.iter().filter(is_spf);
            match (ours.next(), ours.next()) {
                (None, _) => Err(Lack::NoRecords),
                (Some(_), Some(_)) => Err(Lack::unusable("several SPF records")),
                (Some(record), None) => {
                    read_policy(record).ok_or(Lack::unusable("malformed SPF record"))
                }
            }
        })
        .await
    }

    /// A public key (RFC 6376 §3.6).
    pub async fn key(&self, selector: &str, domain: &str) -> Result<Arc<DomainKey>, Lack> {
        let name = format!("{selector}._domainkey.{domain}");
        self.text(
            &self.desk.keys,
            &name,
            |_| 0,
            |records| {
                DomainKey::parse_records(records).map_err(|error| match error {
                    Error::Dns(_) => Lack::NoRecords,
                    other => Lack::Unusable(other.to_string().into()),
                })
            },
        )
        .await
    }

    /// The DMARC record of exactly this domain (RFC 9989 §4.10): of several none counts.
    pub async fn author_policy(&self, domain: &str) -> Result<Arc<DmarcRecord>, Lack> {
        let name = format!("_dmarc.{domain}");
        let weigh = |it: &DmarcRecord| size_of_val(&*it.rua) + size_of_val(&*it.ruf);
        self.text(&self.desk.policies, &name, weigh, |records| {
            let is_dmarc =
                |record: &&Vec<u8>| !matches!(DmarcRecord::parse(record), Err(Error::Dns(_)));
            let mut ours = records.iter().filter(is_dmarc);
            match (ours.next(), ours.next()) {
                (Some(record), None) => {
                    DmarcRecord::parse(record).map_err(|_| Lack::unusable("malformed DMARC record"))
                }
                _ => Err(Lack::NoRecords),
            }
        })
        .await
    }

    /// What a domain says to those that it does not let send for it (RFC 7208 §6.2). Not kept: it is
    /// asked for only where mail fails, and its name may be anybody's.
    pub async fn explanation(&self, name: &str) -> Option<Macro> {
        let fresh = self.ask(self.desk.upstream.texts(name)).await;
        match fresh.answer.as_deref() {
            Ok([text]) if text.is_ascii() => Macro::parse(text).ok(),
            _ => None,
        }
    }

    /// The addresses of a host, of the same kind as `like`.
    pub async fn addresses(&self, host: &str, like: IpAddr) -> Result<Rc<[IpAddr]>, Lack> {
        if like.is_ipv4() { self.v4(host).await } else { self.v6(host).await }
    }

    /// The IPv4 addresses of a host.
    pub async fn v4(&self, host: &str) -> Result<Rc<[IpAddr]>, Lack> {
        self.host(&self.desk.hosts_v4, host, async |host| self.desk.upstream.v4(host).await).await
    }

    async fn v6(&self, host: &str) -> Result<Rc<[IpAddr]>, Lack> {
        self.host(&self.desk.hosts_v6, host, async |host| self.desk.upstream.v6(host).await).await
    }

    async fn host<T: Into<IpAddr>>(
        &self,
        hosts: &Hosts,
        host: &str,
        question: impl AsyncFnOnce(&str) -> Fresh<Vec<T>>,
    ) -> Result<Rc<[IpAddr]>, Lack> {
        let host = lower(host);
        if let Some(known) = hosts.get(&*host) {
            return known;
        }
        let fresh = self.ask(question(&host)).await;
        let found = fresh.answer.map_err(Lack::from);
        let found = found.map(|list| list.into_iter().take(RECORDS_MAX).map(Into::into).collect());
        let found: Result<Rc<[IpAddr]>, Lack> = found;
        let bytes = 128 + found.as_ref().map_or(0, |list| size_of_val(&**list));
        hosts.put((&*host).into(), found.clone(), fresh.keep, bytes);
        found
    }

    /// The mail exchangers of a domain, by preference.
    pub async fn exchangers(&self, domain: &str) -> Names {
        let domain = lower(domain);
        if let Some(known) = self.desk.exchangers.get(&*domain) {
            return known;
        }
        let fresh = self.ask(self.desk.upstream.exchangers(&domain)).await;
        let found = fresh.answer.map_err(Lack::from);
        let hosts = found.map(|list| list.into_iter().map(|mx| mx.host));
        keep_names(&self.desk.exchangers, (&*domain).into(), hosts, fresh.keep)
    }

    /// The names of an address.
    pub async fn names(&self, ip: IpAddr) -> Names {
        if let Some(known) = self.desk.names.get(&ip) {
            return known;
        }
        let fresh = self.ask(self.desk.upstream.names(ip)).await;
        let found = fresh.answer.map_err(Lack::from).map(Vec::into_iter);
        keep_names(&self.desk.names, ip, found, fresh.keep)
    }

    async fn text<T>(
        &self,
        kept: &Kept<Box<str>, Result<Arc<T>, Lack>>,
        name: &str,
        weigh: impl FnOnce(&T) -> usize,
        read: impl FnOnce(&[Vec<u8>]) -> Result<T, Lack>,
    ) -> Result<Arc<T>, Lack> {
        let name = lower(name);
        if let Some(known) = kept.get(&*name) {
            return known;
        }
        let fresh = self.ask(self.desk.upstream.texts(&name)).await;
        let records = fresh.answer.map_err(Lack::from);
        let bytes: usize = records.as_ref().map_or(0, |list| list.iter().map(Vec::len).sum());
        let found = records.and_then(|list| read(&list[..list.len().min(RECORDS_MAX)]));
        let found = found.map(Arc::new);
        // Some records are many times as large when they are read.
        let bytes = 256 + name.len() + 2 * bytes + found.as_deref().map_or(0, weigh);
        kept.put((&*name).into(), found.clone(), fresh.keep, bytes);
        found
    }

    async fn ask<T>(&self, question: impl Future<Output = Fresh<T>>) -> Fresh<T> {
        match timeout_at(self.until, question).await {
            Ok(fresh) => fresh,
            Err(_) => Fresh {
                answer: Err(DnsError::Temporary("no answer from the DNS in time".into())),
                keep: Duration::ZERO,
            },
        }
    }
}

fn keep_names<K: Eq + std::hash::Hash>(
    kept: &Kept<K, Names>,
    key: K,
    names: Result<impl Iterator<Item = String>, Lack>,
    keep: Duration,
) -> Names {
    let found: Names =
        names.map(|names| names.take(RECORDS_MAX).map(String::into_boxed_str).collect());
    let bytes = found.as_ref().map_or(0, |list| list.iter().map(|name| 32 + name.len()).sum());
    kept.put(key, found.clone(), keep, 128 + bytes);
    found
}

impl Lack {
    pub fn unusable(why: &'static str) -> Self {
        Self::Unusable(Cow::Borrowed(why))
    }

    /// Whether the DNS says for certain that there is nothing.
    pub fn is_void(&self) -> bool {
        matches!(self, Self::NoName | Self::NoRecords)
    }
}

impl From<DnsError> for Lack {
    fn from(error: DnsError) -> Self {
        match error {
            DnsError::NoName => Self::NoName,
            DnsError::NoRecords => Self::NoRecords,
            DnsError::Temporary(why) | DnsError::Bogus(why) | DnsError::Settings(why) => {
                Self::Temporary(why.into())
            }
        }
    }
}

/// An SPF record all of whose terms make sense (RFC 7208 §4.6): mail-auth passes over some that do not.
fn read_policy(record: &[u8]) -> Option<SpfRecord> {
    let text = std::str::from_utf8(record).ok()?;
    if fault(text).is_some() {
        return None;
    }
    SpfRecord::parse(record).ok()
}

fn lower(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|octet| octet.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Whether an address of this mask is the client's network.
pub(super) fn is_within(client: IpAddr, network: IpAddr, v4_mask: u32, v6_mask: u128) -> bool {
    match (client, network) {
        (IpAddr::V4(client), IpAddr::V4(network)) => same_v4(client, network, v4_mask),
        (IpAddr::V6(client), IpAddr::V6(network)) => {
            client.to_bits() & v6_mask == network.to_bits() & v6_mask
        }
        _ => false,
    }
}

fn same_v4(client: Ipv4Addr, network: Ipv4Addr, mask: u32) -> bool {
    client.to_bits() & mask == network.to_bits() & mask
}
