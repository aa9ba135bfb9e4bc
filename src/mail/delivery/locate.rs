//! Leased mail for addresses of ours: into their mailboxes here, or on to where they lead.
//!
//! What must stay true: a route that matches a domain goes before its mailboxes; all copies of a message go
//! in one delivery; an account that got here as itself is its mailbox and nothing more, for who else shares
//! its mail was found when the message came; mail is put off, and not given up, for what may mend. How it
//! fails: over quota is final, and the sender is told (5.2.2).

use std::{rc::Rc, sync::Arc};

use proto::types::{Address, Enhanced, Envelope, Recipient, Reply};
use smallvec::SmallVec;

use super::job::Job;
use super::local::{Slot, Slots};
use super::run::Core;
use super::verdict;
use crate::directory::{Accounts, Resolution, Target, fold};
use crate::mailbox::Stores;
use crate::queue::{Arriving, QueueError, Verdict};

/// Whose mail stays here, and where it is put.
#[derive(Clone)]
pub struct Local {
    /// Whose addresses are ours.
    pub accounts: Arc<Accounts>,
    /// Their mailboxes.
    pub stores: Stores,
}

/// Where a recipient's mail goes.
pub(super) enum Place {
    /// To a site.
    Elsewhere,
    /// Into mailboxes.
    Here(Vec<Slot>),
    /// To these, which are not all mailboxes: a report for an alias, or for mail that we forwarded.
    Onward(Vec<Target>),
    /// Nowhere, now or ever.
    Nowhere(Verdict),
}

/// The recipients of a leased message whose mailboxes are here.
#[derive(Default)]
pub(super) struct Stay {
    slots: Slots,
    /// Indexes in the envelope, and of their copies.
    recipients: Vec<(u32, SmallVec<[usize; 2]>)>,
}

impl Stay {
    pub fn add(&mut self, recipient: u32, slots: Vec<Slot>) {
        let slots = slots.into_iter().map(|slot| self.slots.add(slot)).collect();
        self.recipients.push((recipient, slots));
    }

    pub fn is_empty(&self) -> bool {
        self.recipients.is_empty()
    }

    /// Indexes in the envelope.
    pub fn recipients(&self) -> Vec<u32> {
        self.recipients.iter().map(|(recipient, _)| *recipient).collect()
    }
}

impl Core {
    /// Where mail for a recipient goes, as far as the directory knows.
    pub async fn place(&self, address: &Address, is_quarantined: bool) -> Place {
        let (Some(local), Some(domain)) = (&self.local, address.domain()) else {
            return Place::Elsewhere;
        };
        if self.plan().routes.claims(domain.as_str()) {
            return Place::Elsewhere;
        }
        let resolution = local.accounts.resolve(address).await;
        if let Some(reply) = resolution.refusal() {
            return Place::Nowhere(verdict::of_refusal(reply));
        }
        match resolution {
            Resolution::Deliver(targets) => of_targets(address, targets, is_quarantined),
            _ => Place::Elsewhere,
        }
    }

    /// Puts a leased message into mailboxes.
    pub async fn deliver_here(self: Rc<Self>, job: Job, stay: Stay) {
        let (Some(local), lease) = (&self.local, &job.lease) else { return };
        let message = match lease.message().await {
            Ok(message) => message,
            Err(error) => return job.settle(&verdict::of_unreadable(&error)),
        };
        let sender = lease.envelope.sender.as_ref();
        let answers = stay.slots.deliver(&local.stores, sender, &message).await;
        let placed = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
        self.metrics.placed.add(placed);
        self.metrics.placed_octets.add(placed.saturating_mul(message.len() as u64));
        let part: Vec<(u32, Verdict)> = stay
            .recipients
            .iter()
            .map(|(recipient, slots)| {
                (*recipient, verdict::of_copies(slots.iter().map(|at| &answers[*at])))
            })
            .collect();
        lease.settle(&part);
    }

    /// Queues a message again for those that one of its recipients leads to.
    pub async fn send_onward(self: Rc<Self>, job: Job, targets: Vec<Target>) {
        let (Some(local), lease) = (&self.local, &job.lease) else { return };
        let Some(index) = job.recipients.first() else { return };
        let onward = async {
            let message = lease.message().await?;
            let recipient = &lease.envelope.recipients[*index as usize];
            let envelopes = targets.iter().map(|target| {
                let envelope = onward(&lease.envelope, recipient, target, &local.accounts);
                Arriving { id: lease.queue().next_id(), envelope, is_held: false }
            });
            let envelopes: Vec<Arriving> = envelopes.collect();
            let id = envelopes.first().map(|first| first.id.to_string()).unwrap_or_default();
            lease.queue().accept_all(envelopes, message).await?;
            Ok::<String, QueueError>(id)
        };
        match onward.await {
            Ok(id) => {
                let reply = Reply::made(250, Enhanced(2, 0, 0), format!("goes on as {id}"));
                job.settle(&Verdict::Delivered { reply, remote: None, dsn_passed_on: true });
            }
            Err(error) => job.settle(&verdict::of_unreadable(&error)),
        }
    }
}

fn of_targets(address: &Address, targets: Vec<Target>, is_quarantined: bool) -> Place {
    // A detail is only an account's own: behind an alias there is none left.
    let is_own = |target: &&Target| match target {
        Target::Mailbox { account, detail, .. } => {
            detail.is_some()
                || (account.local() == fold(address.local()) && account.host() == address.host())
        }
        _ => false,
    };
    let slot = |target: &Target| match target {
        Target::Mailbox { account, detail, quota_bytes } => {
            Some(Slot::new(account, detail.as_deref(), *quota_bytes, is_quarantined))
        }
        _ => None,
    };
    if let Some(own) = targets.iter().find(is_own) {
        return Place::Here(slot(own).into_iter().collect());
    }
    let slots: Option<Vec<Slot>> = targets.iter().map(slot).collect();
    slots.map_or(Place::Onward(targets), Place::Here)
}

/// What a recipient leads to has an envelope of its own: what is forwarded leaves with a sender of ours.
fn onward(
    envelope: &Envelope,
    recipient: &Recipient,
    target: &Target,
    accounts: &Accounts,
) -> Envelope {
    let sender = envelope.sender.as_ref();
    let (to, sender) = match target {
        Target::Mailbox { account: to, .. } | Target::Return { to } => (to, sender.cloned()),
        Target::Forward { to, by } => (to, accounts.forwarded_sender(sender, by)),
    };
    let recipients = vec![Recipient { address: to.clone(), ..recipient.clone() }];
    Envelope { sender, recipients, ..envelope.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(account: &str, detail: Option<&str>) -> Target {
        let account = Address::parse(account).unwrap();
        Target::Mailbox { account, detail: detail.map(Into::into), quota_bytes: None }
    }

    fn place(address: &str, targets: Vec<Target>) -> String {
        match of_targets(&Address::parse(address).unwrap(), targets, false) {
            Place::Here(slots) => {
                let shown = slots.iter().map(|slot| match &slot.folder {
                    Some(folder) => format!("{}/{folder}", slot.account),
                    None => slot.account.to_string(),
                });
                shown.collect::<Vec<_>>().join(" ")
            }
            Place::Onward(targets) => format!("onward {}", targets.len()),
            Place::Elsewhere | Place::Nowhere(_) => unreachable!(),
        }
    }

    #[test]
    fn an_account_is_its_mailbox_and_nothing_more() {
        let far = || Target::Forward {
            to: Address::parse("x@far.test").unwrap(),
            by: proto::types::Domain::parse("y.test").unwrap(),
        };
        assert_eq!(place("Joe@y.test", vec![mailbox("joe@y.test", None), far()]), "joe@y.test");
        let detail = vec![mailbox("joe@y.test", Some("f")), far()];
        assert_eq!(place("joe+f@y.test", detail), "joe@y.test/f");
        let list = vec![mailbox("joe@y.test", None), mailbox("ann@y.test", None)];
        assert_eq!(place("all@y.test", list.clone()), "joe@y.test ann@y.test");
        assert_eq!(place("all@y.test", [list, vec![far()]].concat()), "onward 3");
    }
}
