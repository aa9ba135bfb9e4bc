//! SPF (RFC 7208): whether a client may use a name as HELO or as the envelope's sender.
//!
//! `mail-auth` reads the records and expands the macros. What must stay true: ten terms that ask the
//! DNS (§4.6.4), two void look-ups, ten hosts of an MX, ten names of a PTR, then it is `permerror`
//! (or no match, for PTR); `exists` asks for A only (§5.7); the explanation is the domain's own or
//! that of what it redirects to, never of what it includes (§6.2).

use std::{borrow::Cow, net::IpAddr, pin::Pin, rc::Rc, sync::Arc};

use mail_auth::spf::{Directive, Macro, Mechanism, Qualifier, SpfRecord, Variables};
use proto::types::{AuthResult, Domain};

use super::{
    SpfResult,
    desk::{Inquiry, Lack, is_within},
    report::kept,
};

/// Terms of a record and what it includes that ask the DNS.
const TERMS_MAX: u32 = 10;
/// Of those, how many may come back with nothing.
const VOIDS_MAX: u32 = 2;
/// Hosts of an MX whose addresses are asked for.
const EXCHANGERS_MAX: usize = 10;
/// Names of the client that are looked at.
const NAMES_MAX: usize = 10;
/// Octets of a domain name (RFC 7208 §7.3).
const NAME_OCTETS_MAX: usize = 253;

/// Who wants to know about whom.
#[derive(Clone, Copy)]
pub(super) struct Party<'a> {
    pub client: IpAddr,
    pub helo: &'a str,
    /// Our own name (`%{r}`).
    pub hostname: &'a str,
}

/// Why an evaluation ends without an answer.
#[derive(Debug)]
enum Stop {
    /// There is no record.
    None,
    Temporary(Cow<'static, str>),
    Permanent(Cow<'static, str>),
}

/// The answer, with whose record gave it.
struct Answer {
    result: AuthResult,
    record: Arc<SpfRecord>,
    domain: String,
}

struct Evaluation<'a> {
    inquiry: Inquiry<'a>,
    party: Party<'a>,
    /// `local@domain` (§4.3).
    sender: &'a str,
    terms: u32,
    voids: u32,
    /// The client's names that lead back to it, once they were asked for.
    validated: Option<Rc<[Box<str>]>>,
}

/// SPF of the HELO name; `none` for what is no domain (an address literal, a bare word).
pub(super) async fn check_helo(inquiry: Inquiry<'_>, party: Party<'_>) -> SpfResult {
    let domain = Domain::parse(party.helo).ok();
    let is_address = |domain: &Domain| domain.as_str().parse::<IpAddr>().is_ok();
    match domain.filter(|domain| !is_address(domain)) {
        Some(domain) => {
            let mut result =
                check_host(inquiry, party, &domain, &format!("postmaster@{domain}")).await;
            result.domain = kept(party.helo);
            result
        }
        None => SpfResult { domain: kept(party.helo), ..SpfResult::default() },
    }
}

/// SPF of `domain` for a message of `sender` (RFC 7208 §4).
pub(super) async fn check_host(
    inquiry: Inquiry<'_>,
    party: Party<'_>,
    domain: &Domain,
    sender: &str,
) -> SpfResult {
    let name = domain.as_str();
    let mut found = SpfResult { domain: kept(name), ..SpfResult::default() };
    if !name.contains('.') {
        return found;
    }
    let mut evaluation = Evaluation { inquiry, party, sender, terms: 0, voids: 0, validated: None };
    match evaluation.evaluate(name).await {
        Ok(answer) => {
            found.result = answer.result;
            if answer.result == AuthResult::Fail {
                found.explanation = evaluation.explain(&answer).await.unwrap_or_default();
            }
        }
        Err(Stop::None) => {}
        Err(Stop::Temporary(why)) => {
            (found.result, found.reason) = (AuthResult::TempError, why.into());
        }
        Err(Stop::Permanent(why)) => {
            (found.result, found.reason) = (AuthResult::PermError, why.into());
        }
    }
    found
}

impl Evaluation<'_> {
    async fn evaluate(&mut self, domain: &str) -> Result<Answer, Stop> {
        let mut domain = domain.to_owned();
        let mut record = self.record(&domain).await?;
        // It ends: every redirect is a term that asks the DNS.
        loop {
            for directive in &record.directives {
                if self.matches(directive, &domain).await? {
                    let result = word(&directive.qualifier);
                    return Ok(Answer { result, record, domain });
                }
            }
            let Some(target) = &record.redirect else {
                return Ok(Answer { result: AuthResult::Neutral, record, domain });
            };
            self.count()?;
            let target = self.expand(target, &domain).await;
            record = match self.record(&target).await {
                Err(Stop::None) => {
                    return Err(Stop::Permanent("redirect to a domain without a record".into()));
                }
                record => record?,
            };
            domain = target;
        }
    }

    /// The same for what a record includes; boxed, for it may include again.
    fn included(
        &mut self,
        domain: String,
    ) -> Pin<Box<dyn Future<Output = Result<Answer, Stop>> + '_>> {
        Box::pin(async move { self.evaluate(&domain).await })
    }

    async fn record(&self, domain: &str) -> Result<Arc<SpfRecord>, Stop> {
        self.inquiry.sender_policy(domain).await.map_err(|lack| match lack {
            Lack::NoName | Lack::NoRecords => Stop::None,
            Lack::Unusable(why) => Stop::Permanent(why),
            Lack::Temporary(why) => Stop::Temporary(why),
        })
    }

    async fn matches(&mut self, directive: &Directive, domain: &str) -> Result<bool, Stop> {
        let client = self.party.client;
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4 { addr, mask } => Ok(is_within(client, (*addr).into(), *mask, 0)),
            Mechanism::Ip6 { addr, mask } => Ok(is_within(client, (*addr).into(), 0, *mask)),
            Mechanism::Include { macro_string } => {
                self.count()?;
                let target = self.expand(macro_string, domain).await;
                match self.included(target).await {
                    Ok(answer) => Ok(answer.result == AuthResult::Pass),
                    Err(Stop::None) => {
                        Err(Stop::Permanent("include of a domain without a record".into()))
                    }
                    Err(stop) => Err(stop),
                }
            }
            Mechanism::A { macro_string, ip4_mask, ip6_mask } => {
                self.count()?;
                let host = self.expand(macro_string, domain).await;
                let addresses = self.inquiry.addresses(&host, client).await;
                let addresses = self.unless_void(addresses)?;
                let is_client = |ip: &IpAddr| is_within(client, *ip, *ip4_mask, *ip6_mask);
                Ok(addresses.is_some_and(|list| list.iter().any(is_client)))
            }
            Mechanism::Mx { macro_string, ip4_mask, ip6_mask } => {
                self.count()?;
                let name = self.expand(macro_string, domain).await;
                self.matches_exchanger(&name, *ip4_mask, *ip6_mask).await
            }
            Mechanism::Ptr { macro_string } => {
                self.count()?;
                let target = self.expand(macro_string, domain).await;
                Ok(self.validated().await.iter().any(|name| is_below(name, &target)))
            }
            Mechanism::Exists { macro_string } => {
                self.count()?;
                let name = self.expand(macro_string, domain).await;
                let addresses = self.inquiry.v4(&name).await;
                Ok(self.unless_void(addresses)?.is_some())
            }
        }
    }

    async fn matches_exchanger(
        &mut self,
        name: &str,
        v4_mask: u32,
        v6_mask: u128,
    ) -> Result<bool, Stop> {
        let client = self.party.client;
        let exchangers = self.inquiry.exchangers(name).await;
        let Some(exchangers) = self.unless_void(exchangers)? else { return Ok(false) };
        for (index, host) in exchangers.iter().enumerate() {
            if index == EXCHANGERS_MAX {
                return Err(Stop::Permanent("more than 10 MX hosts".into()));
            }
            match self.inquiry.addresses(host, client).await {
                Ok(list) if list.iter().any(|ip| is_within(client, *ip, v4_mask, v6_mask)) => {
                    return Ok(true);
                }
                Err(Lack::Temporary(why)) => return Err(Stop::Temporary(why)),
                _ => {}
            }
        }
        Ok(false)
    }

    /// One more term that asks the DNS.
    fn count(&mut self) -> Result<(), Stop> {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(Stop::Permanent("more than 10 terms that ask the DNS".into()));
        }
        Ok(())
    }

    /// The answer; none when there is nothing, which may happen twice.
    fn unless_void<T>(&mut self, answer: Result<T, Lack>) -> Result<Option<T>, Stop> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(Lack::Temporary(why)) => Err(Stop::Temporary(why)),
            Err(lack) => {
                self.voids += u32::from(lack.is_void());
                if self.voids > VOIDS_MAX {
                    return Err(Stop::Permanent("more than 2 void look-ups".into()));
                }
                Ok(None)
            }
        }
    }

    /// The client's names that lead back to it (§5.5). An error counts as none.
    async fn validated(&mut self) -> Rc<[Box<str>]> {
        if let Some(names) = &self.validated {
            return Rc::clone(names);
        }
        let client = self.party.client;
        let names = self.inquiry.names(client).await.unwrap_or_else(|_| Rc::new([]));
        let mut validated = Vec::new();
        for name in names.iter().take(NAMES_MAX) {
            let addresses = self.inquiry.addresses(name, client).await;
            if addresses.is_ok_and(|list| list.contains(&client)) {
                validated.push(name.clone());
            }
        }
        Rc::clone(self.validated.insert(validated.into()))
    }

    /// A name with its macros expanded (§7).
    async fn expand(&mut self, text: &Macro, domain: &str) -> String {
        let mut name = match text {
            Macro::None => domain.to_owned(),
            Macro::Literal(literal) => String::from_utf8_lossy(literal).into_owned(),
            _ => self.expand_text(text, domain).await,
        };
        while name.len() > NAME_OCTETS_MAX {
            match name.split_once('.') {
                Some((_, rest)) => name = rest.to_owned(),
                None => break,
            }
        }
        name
    }

    async fn expand_text(&mut self, text: &Macro, domain: &str) -> String {
        let name = if text.needs_ptr() { Some(self.own_name(domain).await) } else { None };
        let mut values = Variables::new();
        values.set_ip(&self.party.client);
        values.set_sender(self.sender.as_bytes());
        values.set_domain(domain.as_bytes());
        values.set_host_domain(self.party.hostname.as_bytes());
        values.set_helo_domain(self.party.helo.as_bytes());
        if let Some(name) = &name {
            values.set_validated_domain(name.as_bytes());
        }
        text.eval(&values, domain, false).into_owned()
    }

    /// `%{p}`: the domain itself, something below it, any, or "unknown".
    async fn own_name(&mut self, domain: &str) -> Box<str> {
        let names = self.validated().await;
        let exact = names.iter().find(|name| name.eq_ignore_ascii_case(domain));
        let below = || names.iter().find(|name| is_below(name, domain));
        exact.or_else(below).or(names.first()).cloned().unwrap_or_else(|| "unknown".into())
    }

    async fn explain(&mut self, answer: &Answer) -> Option<Box<str>> {
        let target = answer.record.exp.as_ref()?;
        let name = self.expand(target, &answer.domain).await;
        let text = self.inquiry.explanation(&name).await?;
        let text = self.expand_text(&text, &answer.domain).await;
        text.is_ascii().then(|| kept(&text))
    }
}

fn word(qualifier: &Qualifier) -> AuthResult {
    match qualifier {
        Qualifier::Pass => AuthResult::Pass,
        Qualifier::Fail => AuthResult::Fail,
        Qualifier::SoftFail => AuthResult::SoftFail,
        Qualifier::Neutral => AuthResult::Neutral,
    }
}

/// Whether `name` is `domain` or something below it.
fn is_below(name: &str, domain: &str) -> bool {
    let domain = domain.trim_end_matches('.');
    let Some(split) = name.len().checked_sub(domain.len()) else { return false };
    let Some((front, end)) = name.split_at_checked(split) else { return false };
    end.eq_ignore_ascii_case(domain) && (front.is_empty() || front.ends_with('.'))
}
