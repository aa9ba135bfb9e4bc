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
    lookup::Lookup,
    net::{DnsError as HickoryError, NetError, NoRecords, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
    system_conf::read_system_conf,
};
use tokio::sync::Semaphore;

use super::Settings;

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
    resolver: TokioResolver,
    slots: Semaphore,
    patience: Duration,
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
    /// The settings make no resolver.
    #[error("{0}")]
    Settings(String),
}

impl Resolver {
    /// Makes a resolver; call it on the shard. Fails when the settings make none, or when
    /// /etc/resolv.conf is needed and cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, DnsError> {
        let servers = name_servers(settings)?;
        let timeout = settings.timeout.get();
        if timeout.is_zero() || settings.queries_max == 0 {
            return Err(DnsError::Settings("dns: timeout and queries_max must not be 0".into()));
        }
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options(settings))
            .build()
            .map_err(|error| DnsError::Settings(format!("dns: {error}")))?;
        let slots = usize::try_from(settings.queries_max).unwrap_or(usize::MAX);
        let slots = Semaphore::new(slots.min(Semaphore::MAX_PERMITS));
        let patience = timeout.saturating_mul(settings.attempts.saturating_add(1)) + OVERTIME;
        Ok(Self { shared: Rc::new(Shared { resolver, slots, patience }) })
    }

    /// The mail exchangers of `name` (A-labels, no final dot), by preference; never empty.
    pub async fn mx(&self, name: &str) -> Result<Vec<Mx>, DnsError> {
        let answer = self.ask(name, RecordType::MX).await?;
        let mut exchangers: Vec<Mx> = answer
            .answers()
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
        if exchangers.is_empty() { Err(DnsError::NoRecords) } else { Ok(exchangers) }
    }

    /// The addresses of `host` (A-labels, no final dot), IPv6 ones first; never empty. Asked for
    /// both kinds, what one yields is enough.
    pub async fn addresses(&self, host: &str, v4: bool, v6: bool) -> Result<Vec<IpAddr>, DnsError> {
        match (v6, v4) {
            (false, false) => Err(DnsError::NoRecords),
            (true, false) => self.addresses_of(host, RecordType::AAAA).await,
            (false, true) => self.addresses_of(host, RecordType::A).await,
            (true, true) => {
                let (six, four) = tokio::join!(
                    self.addresses_of(host, RecordType::AAAA),
                    self.addresses_of(host, RecordType::A)
                );
                either(six, four)
            }
        }
    }

    async fn addresses_of(&self, host: &str, kind: RecordType) -> Result<Vec<IpAddr>, DnsError> {
        let answer = self.ask(host, kind).await?;
        let addresses: Vec<IpAddr> = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(a) => Some(IpAddr::V4(a.0)),
                RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
                _ => None,
            })
            .collect();
        if addresses.is_empty() { Err(DnsError::NoRecords) } else { Ok(addresses) }
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Lookup, DnsError> {
        let Ok(mut full) = Name::from_ascii(name) else {
            return Err(DnsError::NoName);
        };
        // Complete names only: nothing is ever appended.
        full.set_fqdn(true);
        let Ok(_slot) = self.shared.slots.acquire().await else {
            return Err(DnsError::Temporary("the resolver is closed".into()));
        };
        // Dropping the lookup is clean: its sockets are tokio's own, on either backend.
        let lookup = self.shared.resolver.lookup(full, kind);
        match bounded(self.shared.patience, lookup).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(judge(name, kind, &error)),
        }
    }
}

async fn bounded(
    patience: Duration,
    lookup: impl Future<Output = Result<Lookup, NetError>>,
) -> Result<Lookup, NetError> {
    tokio::time::timeout(patience, lookup).await.unwrap_or(Err(NetError::Timeout))
}

/// The one place where hickory's errors become ours.
fn judge(name: &str, kind: RecordType, error: &NetError) -> DnsError {
    match error {
        NetError::Dns(HickoryError::NoRecordsFound(NoRecords { response_code, .. })) => {
            match response_code {
                ResponseCode::NXDomain => DnsError::NoName,
                ResponseCode::NoError => DnsError::NoRecords,
                code => DnsError::Temporary(format!("{name} {kind}: the DNS says {code}")),
            }
        }
        NetError::Dns(HickoryError::ResponseCode(code)) => {
            DnsError::Temporary(format!("{name} {kind}: the DNS says {code}"))
        }
        NetError::Timeout => DnsError::Temporary(format!("{name} {kind}: no answer from the DNS")),
        other => DnsError::Temporary(format!("{name} {kind}: {other}")),
    }
}

/// Joins what two kinds of question yielded.
fn either(
    first: Result<Vec<IpAddr>, DnsError>,
    second: Result<Vec<IpAddr>, DnsError>,
) -> Result<Vec<IpAddr>, DnsError> {
    match (first, second) {
        (Ok(mut first), Ok(second)) => {
            first.extend(second);
            Ok(first)
        }
        (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
        // Whoever could not tell might have had some: that outweighs a plain "none".
        (Err(temporary @ DnsError::Temporary(_)), _)
        | (_, Err(temporary @ DnsError::Temporary(_))) => Err(temporary),
        (Err(DnsError::NoName), _) | (_, Err(DnsError::NoName)) => Err(DnsError::NoName),
        (Err(error), Err(_)) => Err(error),
    }
}

fn host_text(name: &Name) -> String {
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

fn name_servers(settings: &Settings) -> Result<Vec<NameServerConfig>, DnsError> {
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

fn options(settings: &Settings) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.ndots = 0;
    options.timeout = settings.timeout.get();
    options.attempts = usize::try_from(settings.attempts).unwrap_or(usize::MAX);
    options.cache_size = u64::from(settings.cache_entries_max);
    options.use_hosts_file = ResolveHosts::Never;
    options.positive_max_ttl = Some(settings.ttl_max.get());
    options.negative_max_ttl = Some(settings.negative_ttl_max.get());
    options.max_active_requests = TCP_REQUESTS_MAX;
    options
}
