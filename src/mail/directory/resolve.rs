//! What becomes of mail for an address: mailboxes here, addresses elsewhere, or a refusal.
//!
//! An address is looked up as it is, then without its detail (RFC 5233), then the domain's
//! catch-all takes it. Aliases, groups and forwards are followed through addresses of our own;
//! those of others leave by the queue. What must stay true: every address is followed once, so that
//! circles end; [`DEPTH_MAX`] steps and [`TARGETS_MAX`] results bound the work, and beyond them the
//! answer is a 451, since only an administrator can mend that; what a list names but nobody has is
//! left out, and refused only when nothing is left.

use std::collections::HashSet;

use foldhash::quality::RandomState;
use proto::types::{Address, Domain, Enhanced, Reply};

use super::error::Down;
use super::name::fold;
use super::srs::Srs;
use super::{Directory, DomainEntry, Entry};

/// Steps from the address that was given to a mailbox at most.
pub(super) const DEPTH_MAX: usize = 10;
/// Results of one address at most.
pub(super) const TARGETS_MAX: usize = 1000;
/// Addresses that are looked at on the way at most.
const LOOKED_MAX: usize = 4 * TARGETS_MAX;

/// One place that the mail goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A mailbox of ours.
    Mailbox {
        /// Whose: the account's address, folded.
        account: Address,
        /// Where in it, if the address said so. Boxed: most say nothing.
        detail: Option<Box<Detail>>,
        /// What it may keep, in octets; `None`: the settings' default.
        quota_bytes: Option<u64>,
    },
    /// An address elsewhere.
    Forward {
        /// Where to.
        to: Address,
        /// The domain of ours in whose name it goes on: the sender is rewritten with it
        /// ([`Srs::forward`]).
        by: Domain,
    },
    /// A bounce of something that was forwarded here: it goes back to where that came from, and
    /// its sender stays as it is.
    Return {
        /// Where to.
        to: Address,
    },
}

/// What an address says behind its separator (RFC 5233).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The address that was looked up: the given one, or what an alias or a forward led to.
    pub address: Address,
    /// What stands behind the separator, as it was written.
    pub text: Box<str>,
}

impl Target {
    /// What the queue calls it: looked up again, it leads to this target. The detail is part of it if
    /// the mailbox `is_here`; behind a route nobody knows what it is for.
    #[must_use]
    pub fn address(&self, is_here: bool) -> &Address {
        match self {
            Self::Mailbox { detail: Some(detail), .. } if is_here => &detail.address,
            Self::Mailbox { account, .. } => account,
            Self::Forward { to, .. } | Self::Return { to } => to,
        }
    }
}

/// What becomes of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Mail goes to all of these; never empty.
    Deliver(Vec<Target>),
    /// The domain is ours, and has no such address.
    Unknown,
    /// The account takes no mail.
    Disabled,
    /// The domain is not ours.
    NotOurs,
    /// Not known now.
    Temporary(String),
}

impl Resolution {
    /// The reply to RCPT that refuses it; `None` when the mail may come, or is not ours to judge.
    #[must_use]
    pub fn refusal(&self) -> Option<Reply> {
        match self {
            Self::Deliver(_) | Self::NotOurs => None,
            Self::Unknown => Some(Reply::new(550, Enhanced(5, 1, 1), "No such mailbox here")),
            Self::Disabled => Some(Reply::new(550, Enhanced(5, 2, 1), "Mailbox disabled")),
            Self::Temporary(_) => Some(Reply::new(
                451,
                Enhanced(4, 3, 0),
                "Address cannot be looked up now: try later",
            )),
        }
    }
}

/// What following an address needs.
pub(super) struct Resolver<'a> {
    pub directory: &'a dyn Directory,
    pub srs: &'a Srs,
    /// Where mail for `postmaster` and `abuse` goes when a domain has no such address.
    pub postmaster: Option<&'a Address>,
    pub now_ms: u64,
}

/// An address on the way.
struct Step {
    address: Address,
    depth: usize,
    /// The domain in whose name mail goes on; `None` for the address that was given.
    by: Option<Domain>,
}

/// What is found so far.
#[derive(Default)]
struct Found {
    targets: Vec<Target>,
    todo: Vec<Step>,
    /// Every address that was looked at, folded if it is ours.
    seen: HashSet<Address, RandomState>,
    is_disabled: bool,
    /// A list led nowhere but back to itself.
    is_circle: bool,
}

enum Trouble {
    Down(Down),
    Large(&'static str),
}

impl From<Down> for Trouble {
    fn from(down: Down) -> Self {
        Self::Down(down)
    }
}

impl Resolver<'_> {
    pub async fn resolve(&self, address: &Address) -> Resolution {
        let Some(domain) = address.domain() else { return Resolution::NotOurs };
        let ours = match self.directory.domain(domain).await {
            Ok(Some(ours)) => ours,
            Ok(None) if self.srs.is_domain(domain) => {
                return self.returned(address).unwrap_or(Resolution::Unknown);
            }
            Ok(None) => return Resolution::NotOurs,
            Err(down) => return Resolution::Temporary(down.to_string()),
        };
        match self.follow(address, domain, &ours).await {
            Ok(resolution) => resolution,
            Err(Trouble::Down(down)) => Resolution::Temporary(down.to_string()),
            Err(Trouble::Large(what)) => Resolution::Temporary(what.into()),
        }
    }

    /// An address that we made ourselves for bounces (SRS).
    fn returned(&self, address: &Address) -> Option<Resolution> {
        let to = self.srs.reverse(address, self.now_ms)?;
        Some(match to {
            Ok(to) => Resolution::Deliver(vec![Target::Return { to }]),
            Err(_) => Resolution::Unknown,
        })
    }

    async fn follow(
        &self,
        address: &Address,
        domain: &Domain,
        ours: &DomainEntry,
    ) -> Result<Resolution, Trouble> {
        let mut found = Found::default();
        self.look(address, domain, ours, 0, &mut found).await?;
        if found.targets.is_empty()
            && found.todo.is_empty()
            && !found.is_disabled
            && let Some(returned) = self.returned(address)
        {
            return Ok(returned);
        }
        while let Some(step) = found.todo.pop() {
            self.step(step, &mut found).await?;
            if found.targets.len() > TARGETS_MAX || found.seen.len() > LOOKED_MAX {
                return Err(Trouble::Large("the address leads to too many others"));
            }
        }
        Ok(if !found.targets.is_empty() {
            Resolution::Deliver(found.targets)
        } else if found.is_disabled {
            Resolution::Disabled
        } else if found.is_circle {
            Resolution::Temporary("the address leads back to itself and nowhere else".into())
        } else {
            Resolution::Unknown
        })
    }

    async fn step(&self, step: Step, found: &mut Found) -> Result<(), Trouble> {
        let by = step.by;
        let ours = match step.address.domain() {
            Some(domain) => self.directory.domain(domain).await?,
            None => None,
        };
        match (ours, step.address.domain(), by) {
            (Some(ours), Some(domain), _) => {
                if step.depth > DEPTH_MAX {
                    return Err(Trouble::Large("the address leads through too many others"));
                }
                self.look(&step.address, domain, &ours, step.depth, found).await
            }
            (_, _, Some(by)) => {
                if found.seen.insert(step.address.clone()) {
                    found.targets.push(Target::Forward { to: step.address, by });
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Looks an address of ours up: as it is, without its detail, or as the catch-all.
    async fn look(
        &self,
        address: &Address,
        domain: &Domain,
        ours: &DomainEntry,
        depth: usize,
        found: &mut Found,
    ) -> Result<(), Trouble> {
        let local = fold(address.local());
        if let Some(entry) = self.directory.entry(domain, &local).await? {
            found.take(entry, address, &local, None, depth);
            return Ok(());
        }
        if let Some((base, detail)) = divided(address.local(), ours.separator) {
            let base = fold(base);
            if let Some(entry) = self.directory.entry(domain, &base).await? {
                found.take(entry, address, &base, Some(detail), depth);
                return Ok(());
            }
        }
        let is_srs = Srs::is_rewritten(&local);
        let fallback = match &ours.catch_all {
            // A bounce of what was forwarded belongs to its sender.
            Some(_) if is_srs => None,
            Some(catch_all) => Some(catch_all),
            None if matches!(&*local, "postmaster" | "abuse") => self.postmaster,
            None => None,
        };
        if let Some(fallback) = fallback {
            let list = Entry::List(vec![fallback.clone()]);
            found.take(list, address, &local, None, depth);
        }
        Ok(())
    }
}

impl Found {
    /// Notes what an address of ours is; `local` is what was found of it, folded.
    fn take(
        &mut self,
        entry: Entry,
        address: &Address,
        local: &str,
        detail: Option<&str>,
        depth: usize,
    ) {
        let Ok(account) = Address::new(local, address.host().clone()) else { return };
        // The usual case: nothing follows that could lead back here.
        let is_all = depth == 0 && matches!(entry, Entry::Mailbox { .. } | Entry::Disabled);
        if !is_all && !self.seen.insert(account.clone()) {
            self.is_circle = true;
            return;
        }
        let mailbox = |account, quota_bytes| {
            let detail =
                detail.map(|text| Box::new(Detail { address: address.clone(), text: text.into() }));
            Target::Mailbox { account, detail, quota_bytes }
        };
        match entry {
            Entry::Mailbox { quota_bytes } => self.targets.push(mailbox(account, quota_bytes)),
            Entry::Disabled => self.is_disabled = true,
            Entry::Forward { to, keep, quota_bytes } => {
                if keep {
                    self.targets.push(mailbox(account, quota_bytes));
                }
                self.go_on(to, address, depth);
            }
            Entry::List(to) => self.go_on(to, address, depth),
        }
    }

    fn go_on(&mut self, to: Vec<Address>, from: &Address, depth: usize) {
        let by = || from.domain().cloned();
        // Taken from the end: the first comes first.
        let steps = to.into_iter().rev();
        self.todo.extend(steps.map(|address| Step { address, depth: depth + 1, by: by() }));
    }
}

/// Base and detail. An address that begins with its separator has none.
fn divided(local: &str, separator: Option<char>) -> Option<(&str, &str)> {
    local.split_once(separator?).filter(|(base, _)| !base.is_empty())
}
