//! How much accounts and domains may keep, and what domains use.
//!
//! What must stay true: an account's use is a row that is written in the group that changes it; a domain's
//! use is the sum over the accounts of all stores, each store adding in a number of its own, so
//! that shards do not fight over one. It is counted up when a store is opened. Whether there is room is
//! asked before a delivery is written, in the same step; two stores that take mail for one domain at
//! one moment may both find the last room, and exceed a domain's limit by that.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use engine::telemetry::Gauge;

use super::{MailboxError, Settings, Usage};

/// What an account and its domain may keep, in octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// All mail of the account; `None`: no limit.
    pub account: Option<u64>,
    /// All mail of the accounts of its domain; `None`: no limit.
    pub domain: Option<u64>,
}

impl Limits {
    /// What holds for an account that the directory gives `quota_bytes`.
    #[must_use]
    pub fn of(settings: &Settings, quota_bytes: Option<u64>) -> Self {
        let limit = |bytes: u64| (bytes > 0).then_some(bytes);
        Self {
            account: quota_bytes.or(limit(settings.quota.get())),
            domain: limit(settings.domain_quota.get()),
        }
    }
}

/// What the accounts of each domain use, in all stores. Shared by all shards.
#[derive(Debug, Default)]
pub struct DomainUse {
    domains: Mutex<HashMap<Box<str>, Vec<Arc<Gauge>>>>,
}

/// One store's part of a domain's use: only that store writes it.
#[derive(Clone, Debug)]
pub(super) struct DomainPart {
    pub name: Box<str>,
    pub gauge: Arc<Gauge>,
}

impl DomainUse {
    /// A new part for a store, of the domain of that name.
    pub(super) fn part(&self, name: &str) -> DomainPart {
        let gauge = Arc::new(Gauge::default());
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        domains.entry(name.into()).or_default().push(Arc::clone(&gauge));
        DomainPart { name: name.into(), gauge }
    }

    /// What all accounts of a domain use, in octets.
    #[must_use]
    pub fn total(&self, domain: &str) -> u64 {
        let domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = domains.get(domain).map_or(&[][..], Vec::as_slice);
        parts.iter().fold(0, |sum, part| sum.saturating_add(part.get()))
    }

    /// A store is closed: its parts go.
    pub(super) fn give_back(&self, parts: &[DomainPart]) {
        let mut domains = self.domains.lock().unwrap_or_else(PoisonError::into_inner);
        for part in parts {
            if let Some(all) = domains.get_mut(&part.name) {
                all.retain(|one| !Arc::ptr_eq(one, &part.gauge));
            }
        }
        domains.retain(|_, parts| !parts.is_empty());
    }
}

/// Whether an account that uses so much has room for `bytes` more.
pub(super) fn check(
    limits: Limits,
    usage: Usage,
    bytes: u64,
    domains: &DomainUse,
    domain: &DomainPart,
) -> Result<(), MailboxError> {
    let fits = |used: u64, limit: Option<u64>| {
        limit.is_none_or(|limit| used.saturating_add(bytes) <= limit)
    };
    if !fits(usage.bytes, limits.account) {
        return Err(MailboxError::OverQuota);
    }
    // The lock is taken only where a domain has a limit.
    if limits.domain.is_some() && !fits(domains.total(&domain.name), limits.domain) {
        return Err(MailboxError::OverQuota);
    }
    Ok(())
}

/// The domain of an account's name.
pub(super) fn domain_of(account: &str) -> &str {
    account.rsplit_once('@').map_or("", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_the_sum_of_its_parts() {
        let all = DomainUse::default();
        let (one, other) = (all.part("x.example"), all.part("x.example"));
        all.part("y.example").gauge.add(1000);
        one.gauge.add(30);
        other.gauge.add(12);
        assert_eq!(all.total("x.example"), 42);
        let limits = Limits { account: Some(100), domain: Some(50) };
        let used = Usage { bytes: 90, messages: 1 };
        assert_eq!(check(limits, used, 8, &all, &one), Ok(()));
        assert_eq!(check(limits, used, 9, &all, &one), Err(MailboxError::OverQuota));
        assert_eq!(check(limits, Usage::default(), 9, &all, &one), Err(MailboxError::OverQuota));
        assert_eq!(check(Limits::default(), used, u64::MAX, &all, &one), Ok(()));
        let tight = Limits { account: Some(97), domain: None };
        assert_eq!(check(tight, used, 8, &all, &one), Err(MailboxError::OverQuota));
        all.give_back(&[one]);
        assert_eq!(all.total("x.example"), 12);
        assert_eq!(domain_of("joe@x.example"), "x.example");
    }
}
