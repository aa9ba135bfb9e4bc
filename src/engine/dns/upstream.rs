//! Owns: questions for rooms that keep answers themselves, in a form of their own. Must stay true:
//! the same servers, timeouts and attempts as [`Resolver`](super::Resolver), but nothing is kept
//! here; questions under way are bounded, further ones wait; each ends within
//! `timeout * (attempts + 1)` and a little. Fails: [`DnsError`] in the answer. RFC 1035, 2308 (how
//! long "no" may be kept).
//!
//! Nothing it says counts as secure: whoever needs that asks the resolver.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    net::{DnsError as HickoryError, NetError, NoRecords},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, Record, RecordType},
    },
};
use tokio::sync::Semaphore;

use super::resolver::{bounded, host_text, judge, name_servers, options, patience, plain, slots};
use super::{DnsError, Mx, Settings};

/// Asks, and keeps nothing.
pub struct Upstream {
    resolver: TokioResolver,
    slots: Semaphore,
    patience: Duration,
    ttl_max: Duration,
    negative_ttl_max: Duration,
}

/// An answer, and how long it may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fresh<T> {
    /// Never an empty list: that is [`DnsError::NoRecords`].
    pub answer: Result<T, DnsError>,
    /// Zero: not at all.
    pub keep: Duration,
}

impl Upstream {
    /// Makes one; call it on the runtime that will ask.
    ///
    /// # Errors
    /// The settings make none, or /etc/resolv.conf is needed and cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, DnsError> {
        let servers = name_servers(settings)?;
        let mut options = options(settings)?;
        options.cache_size = 0;
        Ok(Self {
            resolver: plain(options, servers)?,
            slots: slots(settings),
            patience: patience(settings),
            ttl_max: settings.ttl_max.get(),
            negative_ttl_max: settings.negative_ttl_max.get(),
        })
    }

    /// The TXT records of `name`, the strings of each joined.
    pub async fn texts(&self, name: &str) -> Fresh<Vec<Vec<u8>>> {
        self.ask(name, RecordType::TXT, |record| match &record.data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        })
        .await
    }

    /// The IPv4 addresses of `host`.
    pub async fn v4(&self, host: &str) -> Fresh<Vec<Ipv4Addr>> {
        self.ask(host, RecordType::A, |record| match &record.data {
            RData::A(a) => Some(a.0),
            _ => None,
        })
        .await
    }

    /// The IPv6 addresses of `host`.
    pub async fn v6(&self, host: &str) -> Fresh<Vec<Ipv6Addr>> {
        self.ask(host, RecordType::AAAA, |record| match &record.data {
            RData::AAAA(aaaa) => Some(aaaa.0),
            _ => None,
        })
        .await
    }

    /// The mail exchangers of `name`, by preference.
    pub async fn exchangers(&self, name: &str) -> Fresh<Vec<Mx>> {
        let exchanger = |record: &Record| match &record.data {
            RData::MX(mx) => Some(Mx { preference: mx.preference, host: host_text(&mx.exchange) }),
            _ => None,
        };
        let mut fresh = self.ask(name, RecordType::MX, exchanger).await;
        if let Ok(exchangers) = &mut fresh.answer {
            exchangers.sort_unstable();
            exchangers.dedup();
        }
        fresh
    }

    /// The names that the reverse tree gives for `ip`, lower case, no final dot.
    pub async fn names(&self, ip: IpAddr) -> Fresh<Vec<String>> {
        let name = Name::from(ip).to_ascii();
        self.ask(&name, RecordType::PTR, |record| match &record.data {
            RData::PTR(name) if !name.is_root() => Some(host_text(name)),
            _ => None,
        })
        .await
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        wanted: impl Fn(&Record) -> Option<T>,
    ) -> Fresh<Vec<T>> {
        let Ok(mut full) = Name::from_ascii(name) else {
            return Fresh::unkept(Err(DnsError::NoName));
        };
        full.set_fqdn(true);
        let Ok(_slot) = self.slots.acquire().await else {
            return Fresh::unkept(Err(DnsError::Temporary("the resolver is closed".into())));
        };
        let answer = bounded(self.patience, self.resolver.lookup(full, kind)).await;
        match answer.unwrap_or(Err(NetError::Timeout)) {
            Ok(found) => {
                let records: Vec<T> = found.answers().iter().filter_map(wanted).collect();
                let left = found.valid_until().saturating_duration_since(Instant::now());
                let keep = left.min(self.ttl_max);
                let none = records.is_empty();
                let answer = if none { Err(DnsError::NoRecords) } else { Ok(records) };
                Fresh { answer, keep }
            }
            Err(error) => {
                Fresh { answer: Err(judge(name, kind, &error)), keep: self.negative(&error) }
            }
        }
    }

    /// As long as the zone says; what is no certain "no" is not kept.
    fn negative(&self, error: &NetError) -> Duration {
        match error {
            NetError::Dns(HickoryError::NoRecordsFound(NoRecords {
                response_code: ResponseCode::NXDomain | ResponseCode::NoError,
                negative_ttl: Some(ttl_s),
                ..
            })) => Duration::from_secs(u64::from(*ttl_s)).min(self.negative_ttl_max),
            _ => Duration::ZERO,
        }
    }
}

impl<T> Fresh<T> {
    fn unkept(answer: Result<T, DnsError>) -> Self {
        Self { answer, keep: Duration::ZERO }
    }
}
