//! Owns: answers with their security, and the cache of them. Must stay true: an answer is secure
//! only when all of it is: every record, every alias on the way (RFC 7672 §2.1.1); what DNSSEC
//! contradicts is an error and is not kept; the cache is bounded, and nothing in it is older than
//! its TTL. Fails: [`DnsError`].
//!
//! Two askers. The trusting one sets DO (RFC 4035 §3.2.1) and takes the AD bit of the answer for
//! the truth; for it a failed validation is the resolver's SERVFAIL, a temporary error. The
//! validating one is hickory's, which follows signatures up to its trust anchors.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use hickory_resolver::{
    NameServerPool, PoolContext, TlsConfig,
    config::{NameServerConfig, ResolverOpts},
    net::{
        DnsError as HickoryError, NetError, NoRecords,
        dnssec::DnssecDnsHandle,
        runtime::TokioRuntimeProvider,
        xfer::{DnsHandle, FirstAnswer, RetryDnsHandle},
    },
    proto::{
        dnssec::{Proof, TrustAnchors},
        op::{DnsRequestOptions, DnsResponse, Query, ResponseCode},
        rr::{Name, Record, RecordType},
        serialize::txt::ParseError,
    },
};

use super::resolver::{DnsError, Security, Set, bogus, judge};
use super::{Dnssec, Settings};
use crate::shard::now_ms;

/// How long "none" is kept when nobody says, in seconds.
const NEGATIVE_TTL_S: u32 = 60;

type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

enum Asker {
    Trusting(Pool),
    Validating(DnssecDnsHandle<Pool>),
}

/// Asks for answers with their security.
pub(super) struct Secured {
    asker: Asker,
    kept: RefCell<HashMap<(Name, RecordType), Kept>>,
    kept_max: usize,
    ttl_max_ms: u64,
    negative_ttl_max_ms: u64,
}

struct Kept {
    answer: Result<Rc<Set>, DnsError>,
    until_ms: u64,
}

impl Secured {
    pub fn new(
        settings: &Settings,
        servers: Vec<NameServerConfig>,
        options: ResolverOpts,
    ) -> Result<Self, DnsError> {
        let wrong = |error: String| DnsError::Settings(format!("dns: {error}"));
        let tls = TlsConfig::new().map_err(|error| wrong(error.to_string()))?;
        let attempts = options.attempts;
        let context = Arc::new(PoolContext::new(options, tls));
        let provider = TokioRuntimeProvider::default();
        let pool = NameServerPool::from_config(servers, context, provider);
        let pool = RetryDnsHandle::new(pool, attempts);
        let asker = match settings.dnssec {
            Dnssec::Validate => {
                let anchors = trust_anchors(settings)?;
                Asker::Validating(DnssecDnsHandle::with_trust_anchor(pool, Arc::new(anchors)))
            }
            Dnssec::TrustAd | Dnssec::Off => Asker::Trusting(pool),
        };
        Ok(Self {
            asker,
            kept: RefCell::default(),
            kept_max: settings.cache_entries_max as usize,
            ttl_max_ms: settings.ttl_max.as_ms(),
            negative_ttl_max_ms: settings.negative_ttl_max.as_ms(),
        })
    }

    /// What is known without asking.
    pub fn known(&self, name: &Name, kind: RecordType) -> Option<Result<Rc<Set>, DnsError>> {
        let kept = self.kept.borrow();
        // Names compare without regard to case.
        let Kept { answer, until_ms } = kept.get(&(name.clone(), kind))?;
        (*until_ms > now_ms()).then(|| answer.clone())
    }

    /// Asks, and keeps the answer.
    pub async fn ask(&self, name: Name, kind: RecordType) -> Result<Rc<Set>, DnsError> {
        let query = Query::query(name.clone(), kind);
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_set_dnssec_ok = true;
        let answer = match &self.asker {
            Asker::Trusting(pool) => pool.lookup(query, options).first_answer().await,
            Asker::Validating(handle) => handle.lookup(query, options).first_answer().await,
        };
        let answer =
            answer.and_then(|response| HickoryError::from_response(response).map_err(Into::into));
        let text = name.to_ascii();
        let text = text.trim_end_matches('.');
        let (answer, ttl_s) = match answer {
            Ok(response) => self.positive(text, kind, &response),
            Err(error) => self.negative(text, kind, &error),
        };
        if let Some(ttl_s) = ttl_s {
            self.keep(name, kind, &answer, ttl_s);
        }
        answer
    }

    /// The answer, and its TTL in seconds if it may be kept.
    fn positive(
        &self,
        name: &str,
        kind: RecordType,
        response: &DnsResponse,
    ) -> (Result<Rc<Set>, DnsError>, Option<u32>) {
        let is_data = |record: &&Record| record.record_type() != RecordType::RRSIG;
        let records: Vec<Record> = response.answers.iter().filter(is_data).cloned().collect();
        let security = match &self.asker {
            Asker::Trusting(_) if response.metadata.authentic_data => Security::Secure,
            Asker::Trusting(_) => Security::Insecure,
            Asker::Validating(_) => match weakest(&records) {
                Proof::Secure => Security::Secure,
                Proof::Insecure => Security::Insecure,
                Proof::Bogus | Proof::Indeterminate => return (Err(bogus(name, kind)), None),
            },
        };
        let ttl_s = records.iter().map(|record| record.ttl).min().unwrap_or(0);
        if records.iter().any(|record| record.record_type() == kind) {
            return (Ok(Rc::new(Set { records, security })), Some(ttl_s));
        }
        // Aliases that lead nowhere.
        let error = match response.response_code {
            ResponseCode::NXDomain => DnsError::NoName,
            _ => DnsError::NoRecords,
        };
        (Err(error), Some(response.negative_ttl().unwrap_or(NEGATIVE_TTL_S).min(ttl_s)))
    }

    fn negative(
        &self,
        name: &str,
        kind: RecordType,
        error: &NetError,
    ) -> (Result<Rc<Set>, DnsError>, Option<u32>) {
        match error {
            NetError::Dns(HickoryError::Nsec { proof, response, .. }) => match proof {
                Proof::Secure | Proof::Insecure => {
                    let ttl_s = response.negative_ttl().unwrap_or(NEGATIVE_TTL_S);
                    let none = match response.response_code {
                        ResponseCode::NXDomain => DnsError::NoName,
                        _ => DnsError::NoRecords,
                    };
                    (Err(none), Some(ttl_s))
                }
                Proof::Bogus | Proof::Indeterminate => (Err(bogus(name, kind)), None),
            },
            NetError::Dns(HickoryError::NoRecordsFound(NoRecords { negative_ttl, .. })) => {
                let judged = judge(name, kind, error);
                let is_sure = matches!(judged, DnsError::NoName | DnsError::NoRecords);
                (Err(judged), is_sure.then_some(negative_ttl.unwrap_or(NEGATIVE_TTL_S)))
            }
            _ => (Err(judge(name, kind, error)), None),
        }
    }

    fn keep(&self, name: Name, kind: RecordType, answer: &Result<Rc<Set>, DnsError>, ttl_s: u32) {
        let max_ms = if answer.is_ok() { self.ttl_max_ms } else { self.negative_ttl_max_ms };
        let until_ms = now_ms().saturating_add((u64::from(ttl_s) * 1000).min(max_ms));
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= self.kept_max {
            let now_ms = now_ms();
            kept.retain(|_, kept| kept.until_ms > now_ms);
            if kept.len() >= self.kept_max {
                kept.clear();
            }
        }
        if self.kept_max > 0 {
            kept.insert((name, kind), Kept { answer: answer.clone(), until_ms });
        }
    }
}

/// An answer is as good as its worst record.
fn weakest(records: &[Record]) -> Proof {
    let rank = |proof: &Proof| match proof {
        Proof::Bogus => 0,
        Proof::Indeterminate => 1,
        Proof::Insecure => 2,
        Proof::Secure => 3,
    };
    records.iter().map(|record| record.proof).min_by_key(rank).unwrap_or(Proof::Indeterminate)
}

fn trust_anchors(settings: &Settings) -> Result<TrustAnchors, DnsError> {
    let path = &settings.trust_anchor;
    if path.as_os_str().is_empty() {
        return Ok(TrustAnchors::default());
    }
    let wrong = |error: &dyn std::fmt::Display| {
        DnsError::Settings(format!("dns.trust_anchor: {}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    if !text.contains("DNSKEY") {
        return Err(wrong(&"there is no DNSKEY record in it"));
    }
    text.parse().map_err(|error: ParseError| wrong(&error))
}
