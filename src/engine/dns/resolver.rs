//! Owns: the resolver of one shard. Must stay true: it lives on the shard's own runtime; a question
//! ends within `timeout * (attempts + 1)` and a little. Fails: [`DnsError`].

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError as HickoryError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType},
    },
    system_conf::read_system_conf,
};
use tokio::sync::Semaphore;

use super::secured::Secured;
use super::{Dnssec, Settings, Tlsa};

/// Requests that may share one TCP connection to a name server.
const TCP_REQUESTS_MAX: usize = 256;
/// Room above the resolver's own patience before a question is cut off.
const OVERTIME: Duration = Duration::from_secs(1);

/// Asks the DNS; clones share one cache.
#[derive(Clone)]
pub struct Resolver {
    shared: Rc<Shared>,
}

struct Shared {
    source: Source,
    slots: Semaphore,
    patience: Duration,
}

enum Source {
    /// Nothing it says is secure.
    Plain(TokioResolver),
    /// It says what is.
    Secured(Secured),
}

/// What DNSSEC says of an answer; what it contradicts is an error ([`DnsError::Bogus`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Every record on the way to the answer is vouched for.
    Secure,
    /// Some zone on the way is not signed, or nobody checks.
    Insecure,
}

impl Security {
    /// Whether the answer is vouched for.
    #[must_use]
    pub fn is_secure(self) -> bool {
        self == Self::Secure
    }

    fn and(self, other: Self) -> Self {
        if self.is_secure() { other } else { self }
    }
}

/// The answer to one question.
#[derive(Debug)]
pub(super) struct Set {
    /// The answer section, aliases included, signatures not.
    pub records: Vec<Record>,
    pub security: Security,
}

/// Where a host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostAnswer {
    /// Never empty.
    pub addresses: Vec<IpAddr>,
    /// Of the addresses, and of the aliases that led to them.
    pub security: Security,
    /// The host's own name, when the one that was asked for is an alias of it (CNAME); lower case.
    pub alias_of: Option<String>,
}

/// A mail exchanger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mx {
    /// Lower is tried first (RFC 5321 §5.1).
    pub preference: u16,
    /// Lower case, without the final dot; `"."` alone is the null MX (RFC 7505).
    pub host: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// NXDOMAIN, or no name at all: permanent.
    #[error("no such name in the DNS")]
    NoName,
    /// The name exists without such records (NODATA, RFC 2308 §2.2): permanent.
    #[error("the name has no such records in the DNS")]
    NoRecords,
    /// SERVFAIL, REFUSED, silence …: try later.
    #[error("{0}")]
    Temporary(String),
    /// DNSSEC contradicts the answer: somebody tampers with it, or the zone is broken. Try later.
    #[error("{0}")]
    Bogus(String),
    /// The settings make no resolver.
    #[error("{0}")]
    Settings(String),
}

impl Resolver {
    /// Makes a resolver; call it on the shard. Fails when the settings make none, or when
    /// /etc/resolv.conf is needed and cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, DnsError> {
        let servers = name_servers(settings)?;
        let options = options(settings)?;
        let source = match settings.dnssec {
            Dnssec::Off => Source::Plain(plain(options, servers)?),
            _ => Source::Secured(Secured::new(settings, servers, options)?),
        };
        let (slots, patience) = (slots(settings), patience(settings));
        Ok(Self { shared: Rc::new(Shared { source, slots, patience }) })
    }

    /// Whether answers may be secure.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        matches!(self.shared.source, Source::Secured(_))
    }

    /// The mail exchangers of `name` (A-labels, no final dot), by preference; never empty.
    pub async fn mx(&self, name: &str) -> Result<Vec<Mx>, DnsError> {
        self.exchangers(name).await.map(|(exchangers, _)| exchangers)
    }

    /// The same, with their security.
    pub async fn exchangers(&self, name: &str) -> Result<(Vec<Mx>, Security), DnsError> {
        let set = self.ask(name, RecordType::MX).await?;
        let mut exchangers: Vec<Mx> = set
            .records
            .iter()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => {
                    Some(Mx { preference: mx.preference, host: host_text(&mx.exchange) })
                }
                _ => None,
            })
            .collect();
        exchangers.sort_unstable();
        exchangers.dedup();
        if exchangers.is_empty() {
            return Err(DnsError::NoRecords);
        }
        Ok((exchangers, set.security))
    }

    /// The addresses of `host` (A-labels, no final dot), IPv6 ones first; never empty. Asked for
    /// both kinds, what one yields is enough.
    pub async fn addresses(&self, host: &str, v4: bool, v6: bool) -> Result<Vec<IpAddr>, DnsError> {
        self.host(host, v4, v6).await.map(|answer| answer.addresses)
    }

    /// The same, with their security and the host's own name.
    pub async fn host(&self, host: &str, v4: bool, v6: bool) -> Result<HostAnswer, DnsError> {
        match (v6, v4) {
            (false, false) => Err(DnsError::NoRecords),
            (true, false) => self.host_by(host, RecordType::AAAA).await,
            (false, true) => self.host_by(host, RecordType::A).await,
            (true, true) => {
                let (six, four) = tokio::join!(
                    self.host_by(host, RecordType::AAAA),
                    self.host_by(host, RecordType::A)
                );
                either(six, four)
            }
        }
    }

    async fn host_by(&self, host: &str, kind: RecordType) -> Result<HostAnswer, DnsError> {
        let set = self.ask(host, kind).await?;
        let addresses: Vec<IpAddr> = set
            .records
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            })
            .collect();
        if addresses.is_empty() {
            return Err(DnsError::NoRecords);
        }
        Ok(HostAnswer { addresses, security: set.security, alias_of: alias_of(&set.records, host) })
    }

    /// Whether `name` is an alias by a CNAME record that is itself secure, wherever it leads
    /// (RFC 7672 §2.2.2).
    pub async fn is_secure_alias(&self, name: &str) -> Result<bool, DnsError> {
        match self.ask(name, RecordType::CNAME).await {
            Ok(set) => Ok(set.security.is_secure()),
            Err(DnsError::NoName | DnsError::NoRecords) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The TLSA records for TCP at `port` of `base`; empty when there are none, or none that are
    /// secure. An error means that nobody could tell: the host is not to be used then (RFC 7672
    /// §2.1.1).
    pub async fn tlsa(&self, base: &str, port: u16) -> Result<Vec<Tlsa>, DnsError> {
        match self.published_tlsa(base, port).await {
            Ok((records, security)) if security.is_secure() => Ok(records),
            Ok(_) | Err(DnsError::NoName | DnsError::NoRecords) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// What is published there, secure or not: to be shown, not to be used.
    pub async fn published_tlsa(
        &self,
        base: &str,
        port: u16,
    ) -> Result<(Vec<Tlsa>, Security), DnsError> {
        let set = self.ask(&format!("_{port}._tcp.{base}"), RecordType::TLSA).await?;
        let record = |record: &Record| match &record.data {
            RData::TLSA(record) => Some(Tlsa::from(record)),
            _ => None,
        };
        Ok((set.records.iter().filter_map(record).collect(), set.security))
    }

    /// The names that `address` leads back to, lower case, without the final dot; never empty.
    pub async fn ptr(&self, address: IpAddr) -> Result<Vec<String>, DnsError> {
        let set = self.ask(&Name::from(address).to_ascii(), RecordType::PTR).await?;
        let name = |record: &Record| match &record.data {
            RData::PTR(name) => Some(host_text(name)),
            _ => None,
        };
        let names: Vec<String> = set.records.iter().filter_map(name).collect();
        if names.is_empty() { Err(DnsError::NoRecords) } else { Ok(names) }
    }

    /// The TXT records of `name`, the strings of each joined; what is no UTF-8 is replaced.
    pub async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        let set = self.ask(name, RecordType::TXT).await?;
        let text = |record: &Record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        };
        let texts: Vec<String> = set.records.iter().filter_map(text).collect();
        if texts.is_empty() { Err(DnsError::NoRecords) } else { Ok(texts) }
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Rc<Set>, DnsError> {
        let Ok(mut full) = Name::from_ascii(name) else {
            return Err(DnsError::NoName);
        };
        // Complete names only: nothing is ever appended.
        full.set_fqdn(true);
        let resolver = match &self.shared.source {
            Source::Plain(resolver) => resolver,
            Source::Secured(secured) => {
                if let Some(known) = secured.known(&full, kind) {
                    return known;
                }
                let _slot = self.slot().await?;
                let asked = secured.ask(full, kind);
                let answer = bounded(self.shared.patience, asked).await;
                return answer.unwrap_or_else(|_| Err(judge(name, kind, &NetError::Timeout)));
            }
        };
        let _slot = self.slot().await?;
        // Dropping the lookup is clean: its sockets are tokio's own, on either backend.
        match bounded(self.shared.patience, resolver.lookup(full, kind)).await {
            Ok(Ok(answer)) => {
                let records = answer.answers().to_vec();
                Ok(Rc::new(Set { records, security: Security::Insecure }))
            }
            Ok(Err(error)) => Err(judge(name, kind, &error)),
            Err(_) => Err(judge(name, kind, &NetError::Timeout)),
        }
    }

    async fn slot(&self) -> Result<tokio::sync::SemaphorePermit<'_>, DnsError> {
        let slot = self.shared.slots.acquire().await;
        slot.map_err(|_| DnsError::Temporary("the resolver is closed".into()))
    }
}

/// As many as may be under way at once.
pub(super) fn slots(settings: &Settings) -> Semaphore {
    let slots = usize::try_from(settings.queries_max).unwrap_or(usize::MAX);
    Semaphore::new(slots.min(Semaphore::MAX_PERMITS))
}

/// How long one question may take.
pub(super) fn patience(settings: &Settings) -> Duration {
    settings.timeout.get().saturating_mul(settings.attempts.saturating_add(1)) + OVERTIME
}

pub(super) async fn bounded<T>(
    patience: Duration,
    question: impl Future<Output = T>,
) -> Result<T, tokio::time::error::Elapsed> {
    tokio::time::timeout(patience, question).await
}

/// The one place where hickory's errors become ours.
pub(super) fn judge(name: &str, kind: RecordType, error: &NetError) -> DnsError {
    match error {
        NetError::Dns(HickoryError::NoRecordsFound(NoRecords { response_code, .. })) => {
            match response_code {
                ResponseCode::NXDomain => DnsError::NoName,
                ResponseCode::NoError => DnsError::NoRecords,
                code => DnsError::Temporary(format!("{name} {kind}: the DNS says {code}")),
            }
        }
        NetError::Dns(HickoryError::DnssecBogus) => bogus(name, kind),
        NetError::Dns(HickoryError::ResponseCode(code)) => {
            DnsError::Temporary(format!("{name} {kind}: the DNS says {code}"))
        }
        NetError::Timeout => DnsError::Temporary(format!("{name} {kind}: no answer from the DNS")),
        other => DnsError::Temporary(format!("{name} {kind}: {other}")),
    }
}

pub(super) fn bogus(name: &str, kind: RecordType) -> DnsError {
    DnsError::Bogus(format!("{name} {kind}: the answer fails DNSSEC validation"))
}

/// Joins what two kinds of question yielded.
fn either(
    first: Result<HostAnswer, DnsError>,
    second: Result<HostAnswer, DnsError>,
) -> Result<HostAnswer, DnsError> {
    let is_unsure = |e: &DnsError| matches!(e, DnsError::Temporary(_) | DnsError::Bogus(_));
    match (first, second) {
        (Ok(mut first), Ok(second)) => {
            first.addresses.extend(second.addresses);
            first.security = first.security.and(second.security);
            Ok(first)
        }
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        // Whoever could not tell might have had some: that outweighs a plain "none".
        (Err(unsure), _) | (_, Err(unsure)) if is_unsure(&unsure) => Err(unsure),
        (Err(DnsError::NoName), _) | (_, Err(DnsError::NoName)) => Err(DnsError::NoName),
        (Err(error), Err(_)) => Err(error),
    }
}

/// Where the aliases lead that begin at `host`, if it is one.
fn alias_of(records: &[Record], host: &str) -> Option<String> {
    let mut name = host.trim_end_matches('.').to_ascii_lowercase();
    let mut found = None;
    // As many steps as there are records: a circle ends.
    for _ in records {
        let target = records.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if host_text(&record.name) == name => Some(host_text(&target.0)),
            _ => None,
        });
        let Some(target) = target else { break };
        name.clone_from(&target);
        found = Some(target);
    }
    found
}

pub(super) fn plain(
    options: ResolverOpts,
    servers: Vec<NameServerConfig>,
) -> Result<TokioResolver, DnsError> {
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .with_options(options)
        .build()
        .map_err(|error| DnsError::Settings(format!("dns: {error}")))
}

pub(super) fn host_text(name: &Name) -> String {
    if name.is_root() {
        return ".".into();
    }
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

pub(super) fn name_servers(settings: &Settings) -> Result<Vec<NameServerConfig>, DnsError> {
    if !settings.nameservers.is_empty() {
        return Ok(settings.nameservers.iter().map(|addr| name_server(*addr)).collect());
    }
    let (config, _) = read_system_conf()
        .map_err(|error| DnsError::Settings(format!("dns: /etc/resolv.conf: {error}")))?;
    let servers: Vec<_> = config
        .name_servers()
        .iter()
        .map(|server| {
            let port = server.connections.first().map_or(53, |connection| connection.port);
            name_server(SocketAddr::new(server.ip, port))
        })
        .collect();
    if servers.is_empty() {
        return Err(DnsError::Settings("dns: /etc/resolv.conf names no server".into()));
    }
    Ok(servers)
}

/// UDP first; TCP when an answer was cut short (RFC 7766).
fn name_server(addr: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = addr.port();
    }
    // Its "no" is believed: asking another server after every NXDOMAIN would double the questions.
    NameServerConfig::new(addr.ip(), true, connections)
}

pub(super) fn options(settings: &Settings) -> Result<ResolverOpts, DnsError> {
    if settings.timeout.get().is_zero() || settings.queries_max == 0 {
        return Err(DnsError::Settings("dns: timeout and queries_max must not be 0".into()));
    }
    let mut options = ResolverOpts::default();
    options.ndots = 0;
    options.timeout = settings.timeout.get();
    options.attempts = usize::try_from(settings.attempts).unwrap_or(usize::MAX);
    options.cache_size = u64::from(settings.cache_entries_max);
    options.use_hosts_file = ResolveHosts::Never;
    options.positive_max_ttl = Some(settings.ttl_max.get());
    options.negative_max_ttl = Some(settings.negative_ttl_max.get());
    options.max_active_requests = TCP_REQUESTS_MAX;
    Ok(options)
}
