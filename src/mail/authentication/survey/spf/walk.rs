//! Following a record: for one client until a term decides ([`trace`]), or through all of it, as the worst
//! client would have it ([`cost`]).
//!
//! Must stay true: a walk asks a bounded number of questions (`questions`) and goes no deeper than its look-ups; one
//! for a client ends where RFC 7208 §4.6.4 ends it. A walk only explains: the word for the result is the
//! verifier's. Fails: as a result (`permerror`, `temperror`) or, of a cost, as faults in words.

use std::net::IpAddr;
use std::pin::Pin;

use engine::dns::Resolver;
use mail_auth::spf::{Directive, Mechanism};
use proto::types::AuthResult;
use serde::Serialize;

use super::terms::{self, All, Part, Term};

/// Who would send.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The client.
    pub client: IpAddr,
    /// What it says its name is.
    pub helo: String,
    /// The envelope's sender; without one it is `postmaster` of the HELO name (RFC 7208 §2.4).
    pub sender: Option<String>,
    /// The name of who asks (`%{r}`).
    pub hostname: String,
}

impl Asking {
    /// Whose record is asked for.
    #[must_use]
    pub fn domain(&self) -> &str {
        let sender = self.sender.as_deref().unwrap_or("");
        sender.rsplit_once('@').map_or(&self.helo, |(_, domain)| domain)
    }
}

/// A record on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visited {
    /// Where it is.
    pub domain: String,
    /// Its text.
    pub record: String,
    /// By what it was come to; nothing, for the first.
    pub by: Option<String>,
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decided {
    /// Where the record is.
    pub domain: String,
    /// The record.
    pub record: String,
    /// The term of it that matched.
    pub term: String,
}

/// One client's way through a record.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// How it ended.
    pub result: AuthResult,
    /// Why, in words.
    pub explanation: String,
    /// What matched, if anything.
    pub decided: Option<Decided>,
    /// The records that were read.
    pub records: Vec<Visited>,
    /// Look-ups that count.
    pub lookups: u32,
    /// Names that were looked up for nothing.
    pub void_lookups: Vec<String>,
}

/// What a record may cost, and what is wrong with it or below it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// The record and those that it includes.
    pub records: Vec<Visited>,
    /// What it says of everybody else.
    pub all: Option<All>,
    /// Look-ups that count, when none of the senders it names matches.
    pub lookups: u32,
    /// Names that are looked up for nothing.
    pub void_lookups: Vec<String>,
    /// What makes receivers give up (permerror).
    pub faults: Vec<String>,
    /// What nobody could tell just now.
    pub unknown: Vec<String>,
    /// Whether `ptr` is used (RFC 7208 §5.5: do not).
    pub uses_ptr: bool,
}

/// Follows the record for one client.
pub async fn trace(resolver: &Resolver, asking: &Asking) -> Trace {
    let mut walk = Walk::new(resolver, Some(asking));
    let end = walk.enter(asking.domain().to_owned(), None, true).await;
    let (result, explanation) = match end {
        End::Match(all) => (all.into(), walk.reason()),
        End::NoMatch => (AuthResult::Neutral, "no term of the record matches".to_owned()),
        End::NoRecord(domain) => (AuthResult::None, format!("{domain} has no SPF record")),
        End::Permanent(why) => (AuthResult::PermError, why),
        End::Temporary(why) => (AuthResult::TempError, why),
    };
    let Walk { decided, records, lookups, void_lookups, .. } = walk;
    Trace { result, explanation, decided, records, lookups, void_lookups }
}

/// Follows all of the record of `domain`, which has one.
pub async fn cost(resolver: &Resolver, domain: &str) -> Cost {
    let mut walk = Walk::new(resolver, None);
    let end = walk.enter(domain.to_owned(), None, true).await;
    walk.note(end);
    let Walk { records, all, lookups, void_lookups, faults, unknown, uses_ptr, .. } = walk;
    Cost { records, all, lookups, void_lookups, faults, unknown, uses_ptr }
}

/// How a record, or a term that leads to one, ends.
pub(super) enum End {
    Match(All),
    NoMatch,
    /// The domain has none.
    NoRecord(String),
    Permanent(String),
    Temporary(String),
}

impl From<All> for AuthResult {
    fn from(all: All) -> Self {
        match all {
            All::Pass => Self::Pass,
            All::Fail => Self::Fail,
            All::SoftFail => Self::SoftFail,
            All::Neutral => Self::Neutral,
        }
    }
}

pub(super) struct Walk<'a> {
    pub resolver: &'a Resolver,
    /// Nobody: then nothing matches, and no limit ends the walk before it has seen all.
    pub asking: Option<&'a Asking>,
    /// The domains whose records are under way.
    pub path: Vec<String>,
    pub questions: u32,
    pub lookups: u32,
    pub void_lookups: Vec<String>,
    pub records: Vec<Visited>,
    pub decided: Option<Decided>,
    pub all: Option<All>,
    pub faults: Vec<String>,
    pub unknown: Vec<String>,
    pub uses_ptr: bool,
}

impl<'a> Walk<'a> {
    fn new(resolver: &'a Resolver, asking: Option<&'a Asking>) -> Self {
        Self {
            resolver,
            asking,
            path: Vec::new(),
            questions: 0,
            lookups: 0,
            void_lookups: Vec::new(),
            records: Vec::new(),
            decided: None,
            all: None,
            faults: Vec::new(),
            unknown: Vec::new(),
            uses_ptr: false,
        }
    }

    /// The record of `domain`, which is the first one or stands for it (`is_top`), or is included.
    /// Boxed, for records include records.
    fn enter(
        &mut self,
        domain: String,
        by: Option<String>,
        is_top: bool,
    ) -> Pin<Box<dyn Future<Output = End> + '_>> {
        Box::pin(async move {
            self.path.push(domain.to_ascii_lowercase());
            let end = self.follow(&domain, by, is_top).await;
            self.path.pop();
            match end {
                Ok(end) | Err(end) => end,
            }
        })
    }

    async fn follow(&mut self, domain: &str, by: Option<String>, is_top: bool) -> Result<End, End> {
        let record = self.read(domain).await?;
        self.records.push(Visited { domain: domain.to_owned(), record: record.clone(), by });
        let terms = terms::parse(&record)
            .map_err(|why| End::Permanent(format!("the SPF record of {domain}: {why}")))?;
        let mut has_all = false;
        for Term { text, part } in &terms {
            let Part::Directive(Directive { qualifier, mechanism }) = part else { continue };
            let is_all = matches!(mechanism, Mechanism::All);
            has_all |= is_all;
            if is_all && is_top {
                self.all = Some(qualifier.into());
            }
            if is_all && self.asking.is_none() {
                break; // what follows is never looked at
            }
            let matches = match self.matches(domain, text, mechanism).await {
                Err(end) if self.asking.is_none() => {
                    self.note(end);
                    false
                }
                matches => matches?,
            };
            if matches {
                if self.decided.is_none() {
                    let (domain, record, term) = (domain.to_owned(), record.clone(), text.clone());
                    self.decided = Some(Decided { domain, record, term });
                }
                return Ok(End::Match(qualifier.into()));
            }
        }
        self.redirect(domain, &terms, has_all, is_top).await
    }

    /// Where nothing matched (RFC 7208 §6.1).
    async fn redirect(
        &mut self,
        domain: &str,
        terms: &[Term],
        has_all: bool,
        is_top: bool,
    ) -> Result<End, End> {
        let target = terms.iter().find_map(|term| match &term.part {
            Part::Redirect(target) if !has_all => Some((target, &term.text)),
            _ => None,
        });
        let Some((target, text)) = target else { return Ok(End::NoMatch) };
        self.spend()?;
        let Some(target) = self.expand(target, domain).await else { return Ok(End::NoMatch) };
        let end = self.go_to(domain, text, target, is_top).await?;
        match end {
            End::NoRecord(at) => {
                Err(End::Permanent(format!("{text} of {domain}: {at} has no SPF record")))
            }
            end => Ok(end),
        }
    }

    async fn matches(
        &mut self,
        domain: &str,
        text: &str,
        mechanism: &Mechanism,
    ) -> Result<bool, End> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4 { addr, mask } => Ok(self.is_client((*addr).into(), *mask, 0)),
            Mechanism::Ip6 { addr, mask } => Ok(self.is_client((*addr).into(), 0, *mask)),
            Mechanism::Include { macro_string } => {
                self.spend()?;
                match self.expand(macro_string, domain).await {
                    Some(target) => self.include(domain, text, target).await,
                    None => Ok(false),
                }
            }
            Mechanism::A { macro_string, ip4_mask, ip6_mask } => {
                self.spend()?;
                let Some(host) = self.expand(macro_string, domain).await else { return Ok(false) };
                let found = self.look_up(&host, false).await?;
                Ok(found.iter().any(|it| self.is_client(*it, *ip4_mask, *ip6_mask)))
            }
            Mechanism::Mx { macro_string, ip4_mask, ip6_mask } => {
                self.spend()?;
                let Some(at) = self.expand(macro_string, domain).await else { return Ok(false) };
                self.exchangers(&at, *ip4_mask, *ip6_mask).await
            }
            Mechanism::Exists { macro_string } => {
                self.spend()?;
                let Some(name) = self.expand(macro_string, domain).await else { return Ok(false) };
                Ok(!self.look_up(&name, true).await?.is_empty())
            }
            Mechanism::Ptr { macro_string } => {
                self.spend()?;
                self.uses_ptr = true;
                let Some(at) = self.expand(macro_string, domain).await else { return Ok(false) };
                let at = at.to_ascii_lowercase();
                let ends = |name: &String| {
                    name.strip_suffix(&at)
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                };
                Ok(self.client_names().await.iter().any(ends))
            }
        }
    }

    async fn include(&mut self, domain: &str, text: &str, target: String) -> Result<bool, End> {
        match self.go_to(domain, text, target, false).await? {
            End::Match(All::Pass) => Ok(true),
            End::Match(_) => {
                self.decided = None;
                Ok(false)
            }
            End::NoMatch => Ok(false),
            End::NoRecord(at) => {
                Err(End::Permanent(format!("{text} of {domain}: {at} has no SPF record")))
            }
            end @ (End::Permanent(_) | End::Temporary(_)) => Err(end),
        }
    }

    /// Another record, unless that leads around in a circle.
    async fn go_to(
        &mut self,
        domain: &str,
        text: &str,
        target: String,
        is_top: bool,
    ) -> Result<End, End> {
        if self.path.iter().any(|known| known.eq_ignore_ascii_case(&target)) {
            let why = format!("{text} of {domain} leads around in a circle");
            return Err(End::Permanent(why));
        }
        Ok(self.enter(target, Some(text.to_owned()), is_top).await)
    }

    /// Keeps what is wrong and goes on.
    fn note(&mut self, end: End) {
        match end {
            End::Permanent(why) => self.faults.push(why),
            End::Temporary(why) => self.unknown.push(why),
            End::NoRecord(at) => self.faults.push(format!("{at} has no SPF record")),
            End::Match(_) | End::NoMatch => {}
        }
    }

    /// Why the term that decided does.
    fn reason(&self) -> String {
        let (Some(decided), Some(asking)) = (&self.decided, self.asking) else {
            return String::new();
        };
        let Decided { domain, term, .. } = decided;
        let client = asking.client.to_canonical();
        format!("\"{term}\" of {domain} matches {client}")
    }
}
