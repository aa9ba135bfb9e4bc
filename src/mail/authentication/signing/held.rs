//! What is known of the disk, and what follows from it: who signs, and what can be told of each key.
//!
//! Nothing here changes anything. What must stay true: of an algorithm, a domain has at most one active
//! and one pending key ([`Held::room_for`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use proto::types::Domain;

use super::command::{KeyInfo, State};
use super::folder::{Entry, Folder, Register};
use super::key::{Algorithm, PrivateKey};
use super::keyring::{Keyring, Ring};
use super::keys::RETIRED_MS;
use super::signer::{Signer, Terms};
use super::{KeyError, Settings, record};

/// Octets of a name in the DNS, written without its final dot.
const NAME_MAX: usize = 253;

/// What is known of the disk.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub settings: Settings,
    pub domains: BTreeMap<Domain, Owned>,
}

/// The keys of a domain.
#[derive(Clone, Debug, Default)]
pub(super) struct Owned {
    pub register: Register,
    /// By selector.
    pub keys: BTreeMap<String, Arc<PrivateKey>>,
}

impl Held {
    pub fn keyring(&self) -> Arc<Keyring> {
        let terms = Arc::new(Terms {
            fields: self.settings.fields(),
            expiry_s: self.settings.expiry.as_ms() / 1000,
        });
        Keyring::new(self.domains.iter().map(|(domain, owned)| {
            let entries = owned.register.keys.iter();
            let active = entries.filter(|entry| entry.state == State::Active);
            let signer = |entry: &Entry| {
                let key = Arc::clone(owned.keys.get(&entry.selector)?);
                Some(Signer::new(domain, &entry.selector, key, Arc::clone(&terms)))
            };
            let signers = active.filter_map(signer).collect();
            (domain.clone(), Ring { signers, subdomains: self.subdomains(owned) })
        }))
    }

    fn subdomains(&self, owned: &Owned) -> bool {
        owned.register.subdomains.unwrap_or(self.settings.sign_subdomains)
    }

    pub fn selectors(&self, domain: &Domain) -> Vec<String> {
        self.domains
            .get(domain)
            .map(|owned| owned.keys.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Refuses a second key where one is enough.
    pub fn room_for(
        &self,
        domain: &Domain,
        algorithm: Algorithm,
        is_pending: bool,
    ) -> Result<(), KeyError> {
        let Some(owned) = self.domains.get(domain) else { return Ok(()) };
        let state = if is_pending { State::Pending } else { State::Active };
        let is_same = |entry: &&Entry| entry.algorithm == algorithm && entry.state == state;
        let Some(entry) = owned.register.keys.iter().find(is_same) else { return Ok(()) };
        let selector = &entry.selector;
        Err(KeyError::Refused(match is_pending {
            true => format!(
                "{domain} has a pending {algorithm} key already: {selector}. Take it into use (ringpost \
                 dkim rotate {domain}) or remove it (ringpost dkim remove {domain} {selector})"
            ),
            false => format!(
                "{domain} has an active {algorithm} key already: {selector}. To replace it by a new one: \
                 ringpost dkim rotate {domain}; by one that you have: --pending, then rotate"
            ),
        }))
    }

    /// What can be told of those keys of a domain that are meant, active ones first.
    pub fn infos(
        &self,
        domain: &Domain,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> Result<Vec<KeyInfo>, KeyError> {
        let Some(owned) = self.domains.get(domain) else { return Ok(Vec::new()) };
        let subdomains = self.subdomains(owned);
        let mut infos = Vec::new();
        for entry in owned.register.keys.iter().filter(|entry| is_meant(entry)) {
            let Some(key) = owned.keys.get(&entry.selector) else { continue };
            let public = key.public().map_err(KeyError::Refused)?;
            infos.push(KeyInfo {
                domain: domain.as_str().into(),
                selector: entry.selector.clone(),
                algorithm: entry.algorithm,
                bits: key.bits(),
                state: entry.state,
                made: entry.made,
                activated: entry.activated,
                retired: entry.retired,
                removable: removable(entry),
                subdomains,
                name: record::name(&entry.selector, domain.as_str()),
                value: record::value(entry.algorithm, &public),
            });
        }
        infos.sort_by_key(|info| (info.state, info.algorithm, info.made));
        Ok(infos)
    }
}

/// When a retired key and its record may go.
pub(super) fn removable(entry: &Entry) -> Option<u64> {
    let retired = entry.retired.filter(|_| entry.state == State::Retired)?;
    Some(retired.saturating_add(RETIRED_MS))
}

pub(super) fn read(folder: &Folder) -> Result<BTreeMap<Domain, Owned>, KeyError> {
    let mut domains = BTreeMap::new();
    for domain in folder.domains()? {
        let register = folder.register(&domain)?;
        let mut keys = BTreeMap::new();
        for entry in &register.keys {
            fit_selector(&entry.selector, &domain)?;
            keys.insert(entry.selector.clone(), Arc::new(folder.key(&domain, entry)?));
        }
        domains.insert(domain, Owned { register, keys });
    }
    Ok(domains)
}

/// A selector in small letters: labels of the DNS, as in a domain (RFC 6376 §3.1).
pub(super) fn fit_selector(selector: &str, domain: &Domain) -> Result<String, KeyError> {
    let refused = |why: &str| KeyError::Refused(format!("the selector {selector:?} {why}"));
    let labels = Domain::parse(selector).ok().filter(|_| selector.is_ascii());
    let labels =
        labels.ok_or_else(|| refused("is no name in the DNS: letters, digits, hyphens"))?;
    if record::name(labels.as_str(), domain.as_str()).len() > NAME_MAX {
        return Err(refused("is too long for this domain"));
    }
    Ok(labels.as_str().to_owned())
}
