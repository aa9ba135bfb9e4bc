//! What is done about a message, given what was found.
//!
//! What must stay true: nothing is refused or held but for a check that is certain (a `fail`, or a
//! temporary error where the configuration wants it deferred); never more strictly than the author's
//! domain asks for, nor than the listener or the domain's own entry allows. A setting that makes no
//! sense is an error at start and reload. RFC 9989 §5, 7372, 7208 §8.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use proto::types::{Address, AuthResult, Domain, Enhanced, Reply};

use super::{DomainWish, Policy, Report, Settings, report::SpfResult};
use crate::policy::{NetworkError, Networks};

/// What is to be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Let it in.
    Accept,
    /// Take it, and hold it.
    Quarantine,
    /// Say this.
    Refuse(Reply),
}

/// Why settings make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// In `trusted`.
    #[error("authentication.trusted: {0}")]
    Network(#[from] NetworkError),
    /// In `trusted_sealers`.
    #[error("authentication.trusted_sealers: {0:?} is not a domain")]
    Sealer(String),
    /// In `domain`.
    #[error("authentication.domain: {0:?} is not a domain or \".domain\"")]
    Domain(String),
    /// Not one of both.
    #[error("authentication.domain: each entry needs either `author` or `recipient`")]
    Entry,
}

/// The settings, compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    trusted: Networks,
    sealers: HashSet<Box<str>>,
    authors: Table,
    recipients: Table,
    spf_fail: Policy,
    defers: bool,
}

/// Policies by domain.
#[derive(Clone, Debug, Default)]
struct Table {
    exact: HashMap<Box<str>, Policy>,
    below: HashMap<Box<str>, Policy>,
}

impl Rules {
    /// Compiles the settings; `relay_networks` are trusted where they name none themselves.
    ///
    /// # Errors
    /// The first that makes no sense.
    pub fn new(settings: &Settings, relay_networks: &[String]) -> Result<Self, RulesError> {
        let networks = settings.trusted.as_deref().unwrap_or(relay_networks);
        let sealer = |text: &String| {
            let domain = Domain::parse(text).map_err(|_| RulesError::Sealer(text.clone()))?;
            Ok(domain.as_str().into())
        };
        let (mut authors, mut recipients) = (Table::default(), Table::default());
        for entry in &settings.domain {
            match (&entry.author, &entry.recipient) {
                (Some(author), None) => authors.add(author, entry.policy)?,
                (None, Some(recipient)) => recipients.add(recipient, entry.policy)?,
                _ => return Err(RulesError::Entry),
            }
        }
        Ok(Self {
            trusted: Networks::parse(networks)?,
            sealers: settings
                .trusted_sealers
                .iter()
                .map(sealer)
                .collect::<Result<_, RulesError>>()?,
            authors,
            recipients,
            spf_fail: settings.spf_fail,
            defers: settings.defer_on_temporary,
        })
    }

    /// Whether mail of `client` at a listener of that policy is to be checked at all.
    #[must_use]
    pub fn wants_checks(&self, listener: Policy, client: IpAddr) -> bool {
        let is_asked = listener != Policy::None
            || self.authors.demands_checks()
            || self.recipients.demands_checks();
        is_asked && !self.trusted.contains(client)
    }

    /// Whether `domain` is believed when it seals what it passes on.
    pub(super) fn trusts_sealer(&self, domain: &str) -> bool {
        self.sealers.contains(domain)
    }

    /// Whether there is anybody whose seal is believed.
    pub(super) fn trusts_sealers(&self) -> bool {
        !self.sealers.is_empty()
    }

    /// What is to be done with the message of this report, at a listener of this policy.
    pub fn judge<'a>(
        &self,
        listener: Policy,
        report: &Report,
        recipients: impl IntoIterator<Item = &'a Address>,
    ) -> Judgement {
        let policy = self.policy(listener, &report.dmarc.author_domain, recipients);
        let dmarc = &report.dmarc;
        match dmarc.result {
            AuthResult::Pass => Judgement::Accept,
            AuthResult::Fail if dmarc.overridden_by_arc => Judgement::Accept,
            AuthResult::Fail => match (policy, dmarc.policy) {
                (Policy::Reject, DomainWish::Reject) => Judgement::Refuse(failed_dmarc(report)),
                (
                    Policy::Reject | Policy::Quarantine,
                    DomainWish::Reject | DomainWish::Quarantine,
                ) => Judgement::Quarantine,
                _ => Judgement::Accept,
            },
            AuthResult::TempError => self.defer(policy, || unknown_dmarc(report)),
            _ => self.judge_spf(policy.min(self.spf_fail), report.spf.decisive()),
        }
    }

    /// Where DMARC says nothing.
    fn judge_spf(&self, policy: Policy, spf: &SpfResult) -> Judgement {
        match (spf.result, policy) {
            (AuthResult::Fail, Policy::Reject) => Judgement::Refuse(failed_spf(spf)),
            (AuthResult::Fail, Policy::Quarantine) => Judgement::Quarantine,
            (AuthResult::TempError, _) => self.defer(policy, || {
                let text = format!("SPF of {} cannot be evaluated now", named(&spf.domain));
                Reply::made(451, Enhanced(4, 7, 24), text)
            }),
            _ => Judgement::Accept,
        }
    }

    fn defer(&self, policy: Policy, reply: impl FnOnce() -> Reply) -> Judgement {
        if self.defers && policy >= Policy::Quarantine {
            return Judgement::Refuse(reply());
        }
        Judgement::Accept
    }

    /// The author's own entry, else the mildest of the recipients', else the listener's.
    fn policy<'a>(
        &self,
        listener: Policy,
        author: &str,
        recipients: impl IntoIterator<Item = &'a Address>,
    ) -> Policy {
        if let Some(policy) = self.authors.of(author) {
            return policy;
        }
        if self.recipients.is_empty() {
            return listener;
        }
        let of = |recipient: &Address| {
            recipient.domain().and_then(|domain| self.recipients.of(domain.as_str()))
        };
        let policies = recipients.into_iter().map(|recipient| of(recipient).unwrap_or(listener));
        policies.min().unwrap_or(listener)
    }
}

impl Table {
    fn add(&mut self, text: &str, policy: Policy) -> Result<(), RulesError> {
        let (table, name) = match text.strip_prefix('.') {
            Some(suffix) => (&mut self.below, suffix),
            None => (&mut self.exact, text),
        };
        let domain = Domain::parse(name).map_err(|_| RulesError::Domain(text.to_owned()))?;
        table.insert(domain.as_str().into(), policy);
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty()
    }

    fn demands_checks(&self) -> bool {
        self.exact.values().chain(self.below.values()).any(|policy| *policy != Policy::None)
    }

    /// The nearest entry.
    fn of(&self, domain: &str) -> Option<Policy> {
        if self.is_empty() {
            return None;
        }
        if let Some(policy) = self.exact.get(domain) {
            return Some(*policy);
        }
        let mut rest = domain;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(policy) = self.below.get(suffix) {
                return Some(*policy);
            }
            rest = suffix;
        }
        None
    }
}

/// RFC 7372 §3.3: more than one check failed, or none could speak for the author.
fn failed_dmarc(report: &Report) -> Reply {
    let author = named(&report.dmarc.author_domain);
    let verdicts = report.summary();
    let text = format!(
        "Mail from {author} fails DMARC (SPF: {}, DKIM: {}, neither for {author}), and {author} wants \
         such mail refused",
        verdicts.spf.word(),
        verdicts.dkim.word(),
    );
    Reply::made(550, Enhanced(5, 7, 26), text)
}

/// RFC 7372 §3.2 for SPF; RFC 6376 §6.1 and RFC 3463 X.7.5 for a key that cannot be had.
fn unknown_dmarc(report: &Report) -> Reply {
    let of_spf = report.spf.decisive().result == AuthResult::TempError;
    let enhanced = if of_spf { Enhanced(4, 7, 24) } else { Enhanced(4, 7, 5) };
    let author = named(&report.dmarc.author_domain);
    Reply::made(451, enhanced, format!("Mail from {author} cannot be authenticated now (DNS)"))
}

/// RFC 7372 §3.2, with what the domain has to say (RFC 7208 §6.2).
fn failed_spf(spf: &SpfResult) -> Reply {
    let mut text = format!("{} does not let this client send for it (SPF)", named(&spf.domain));
    if !spf.explanation.is_empty() {
        text.push_str("\nIt says: ");
        let clean = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
        text.extend(spf.explanation.chars().take(200).map(clean));
    }
    Reply::made(550, Enhanced(5, 7, 23), text)
}

/// The name of a domain for a reply: a stranger's HELO name may be anything.
fn named(domain: &str) -> String {
    match Domain::parse(domain) {
        Ok(domain) => domain.as_str().to_owned(),
        Err(_) => "its domain".to_owned(),
    }
}
