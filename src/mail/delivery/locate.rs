//! Leased mail for addresses of ours: into their mailboxes here, or on to where they lead.
//!
//! What must stay true: a route that matches a domain goes before its mailboxes; all copies of a message go
//! in one delivery; an account that got here as itself is its mailbox and nothing more, for who else shares
//! its mail was found when the message came; a recipient has one mailbox, for the queue tries again for all of
//! it or for nothing: where it leads to several, each becomes a recipient; mail is put off, and not given up,
//! for what may mend. How it fails: over quota is final, and the sender is told (5.2.2).

use std::{rc::Rc, sync::Arc};

use proto::types::{Address, Domain, Enhanced, Envelope, Recipient, Reply};

use super::job::Job;
use super::local::{Slot, Slots};
use super::route::Routes;
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
    /// Into a mailbox.
    Here(Slot),
    /// To these, by the queue: a report for an alias, or for mail that we forwarded.
    Onward(Vec<Target>),
    /// Nowhere, now or ever.
    Nowhere(Verdict),
}

/// The recipients of a leased message whose mailboxes are here.
#[derive(Default)]
pub(super) struct Stay {
    slots: Slots,
    /// Indexes in the envelope, and of their slots.
    recipients: Vec<(u32, usize)>,
}

impl Stay {
    pub fn add(&mut self, recipient: u32, slot: Slot) {
        self.recipients.push((recipient, self.slots.add(slot)));
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
            Resolution::Deliver(targets) => {
                of_targets(address, targets, &self.plan().routes, is_quarantined)
            }
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
            .map(|(recipient, slot)| (*recipient, verdict::of_copy(&answers[*slot])))
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
            let envelopes = onward(recipient, &targets, &self.plan().routes).into_iter();
            let arriving = |(by, recipients)| {
                let sender = lease.envelope.sender.as_ref();
                let sender = match by {
                    Some(by) => local.accounts.forwarded_sender(sender, by),
                    None => sender.cloned(),
                };
                let envelope = Envelope { sender, recipients, ..Envelope::clone(&lease.envelope) };
                Arriving { id: lease.queue().next_id(), envelope, is_held: false }
            };
            let envelopes: Vec<Arriving> = envelopes.map(arriving).collect();
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

/// Whether a target is a mailbox here: no route takes its mail elsewhere.
#[must_use]
pub fn is_here(target: &Target, routes: &Routes) -> bool {
    match target {
        Target::Mailbox { account, .. } => {
            account.domain().is_some_and(|domain| !routes.claims(domain.as_str()))
        }
        Target::Forward { .. } | Target::Return { .. } => false,
    }
}

/// Where mail for an address goes that no route takes.
fn of_targets(
    address: &Address,
    targets: Vec<Target>,
    routes: &Routes,
    is_quarantined: bool,
) -> Place {
    // Behind an alias a mailbox may have a detail too: only the address tells whose it is.
    let is_own = |target: &&Target| match target {
        Target::Mailbox { detail: Some(detail), .. } => detail.address == *address,
        Target::Mailbox { account, .. } => {
            account.local() == fold(address.local()) && account.host() == address.host()
        }
        Target::Forward { .. } | Target::Return { .. } => false,
    };
    let mailbox = match &targets[..] {
        [only] => Some(only).filter(|only| is_here(only, routes)),
        several => several.iter().find(is_own),
    };
    let slot = mailbox.and_then(|mailbox| Slot::of(mailbox, is_quarantined));
    slot.map_or(Place::Onward(targets), Place::Here)
}

/// Those that a recipient leads to, by the domain in whose name their mail goes on. Few envelopes come of
/// it, for the queue keeps the message once for each.
fn onward<'a>(
    given: &Recipient,
    targets: &'a [Target],
    routes: &Routes,
) -> Vec<(Option<&'a Domain>, Vec<Recipient>)> {
    let mut all: Vec<(Option<&Domain>, Vec<Recipient>)> = Vec::new();
    for target in targets {
        let by = match target {
            Target::Forward { by, .. } => Some(by),
            Target::Mailbox { .. } | Target::Return { .. } => None,
        };
        let address = target.address(is_here(target, routes)).clone();
        let recipient = Recipient { address, ..given.clone() };
        match all.iter_mut().find(|(other, _)| *other == by) {
            Some((_, recipients)) => recipients.push(recipient),
            None => all.push((by, vec![recipient])),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::settings::RouteSettings;
    use crate::directory::Detail;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    /// Of an address that was looked up.
    fn mailbox(text: &str) -> Target {
        let written = address(text);
        let Some((base, detail)) = written.local().split_once('+') else {
            return Target::Mailbox { account: written, detail: None, quota_bytes: None };
        };
        let account = Address::new(&fold(base), written.host().clone()).unwrap();
        let detail = Box::new(Detail { address: written.clone(), text: detail.into() });
        Target::Mailbox { account, detail: Some(detail), quota_bytes: None }
    }

    fn far(text: &str) -> Target {
        Target::Forward { to: address(text), by: Domain::parse("y.test").unwrap() }
    }

    /// All mail for `domain` goes to another host.
    fn routed(domain: &str) -> Routes {
        let text = serde_json::json!({ "match": domain, "via": ["mail.test"] });
        let route: RouteSettings = serde_json::from_value(text).unwrap();
        Routes::compile(&[route], 25).unwrap()
    }

    fn place_with(given: &str, targets: Vec<Target>, routes: &Routes) -> String {
        match of_targets(&address(given), targets, routes, false) {
            Place::Here(Slot { account, folder: Some(folder), .. }) => {
                format!("{account}/{folder}")
            }
            Place::Here(slot) => slot.account.into(),
            Place::Onward(targets) => format!("onward {}", targets.len()),
            Place::Elsewhere | Place::Nowhere(_) => unreachable!(),
        }
    }

    fn place(given: &str, targets: Vec<Target>) -> String {
        place_with(given, targets, &Routes::default())
    }

    #[test]
    fn an_account_is_its_mailbox_and_nothing_more() {
        let far = || far("x@far.test");
        assert_eq!(place("Joe@y.test", vec![mailbox("joe@y.test"), far()]), "joe@y.test");
        let own = |text| vec![mailbox(text), far()];
        assert_eq!(place("joe+f@y.test", own("joe+f@y.test")), "joe@y.test/f");
        assert_eq!(place("Joe+F@y.test", own("Joe+F@y.test")), "joe@y.test/F");
    }

    #[test]
    fn each_of_several_mailboxes_is_tried_alone() {
        let list = || vec![mailbox("joe@y.test"), mailbox("ann@y.test")];
        assert_eq!(place("all@y.test", list()), "onward 2");
        assert_eq!(place("all@y.test", [list(), vec![far("x@far.test")]].concat()), "onward 3");
        // A detail behind an alias is not the alias's own.
        let list = vec![mailbox("joe+l@y.test"), mailbox("ann+l@y.test")];
        assert_eq!(place("list@y.test", list), "onward 2");
        assert_eq!(place("one@y.test", vec![mailbox("joe+l@y.test")]), "joe@y.test/l");
        // A route goes before the mailbox, whatever led there.
        let joe = || vec![mailbox("joe@z.test")];
        assert_eq!(place_with("one@y.test", joe(), &routed("z.test")), "onward 1");
        assert_eq!(place("one@y.test", joe()), "joe@z.test");
    }

    #[test]
    fn what_goes_onward_shares_envelopes() {
        let given = Recipient { address: address("all@y.test"), notify: None, orcpt: None };
        let mut targets = vec![mailbox("joe+l@y.test"), far("a@far.test"), mailbox("ann+g@z.test")];
        targets.extend([far("b@far.test"), Target::Return { to: address("c@far.test") }]);
        let all = onward(&given, &targets, &routed("z.test"));
        let shown = all.iter().map(|(by, to)| {
            let to: Vec<String> = to.iter().map(|one| one.address.to_string()).collect();
            format!("{} by {}", to.join(" "), by.map_or("itself", |by| by.as_str()))
        });
        // Behind a route nobody knows what a detail is for.
        let stays = "joe+l@y.test ann@z.test c@far.test by itself";
        assert_eq!(shown.collect::<Vec<_>>(), [stays, "a@far.test b@far.test by y.test"]);
    }
}
