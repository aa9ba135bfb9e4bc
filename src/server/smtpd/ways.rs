//! Where the mail of our own addresses goes: what the directory said of each recipient, and the envelopes
//! or the mailboxes that come of it.
//!
//! What must stay true: the client sees one message, all of whose envelopes are stored or none; mail
//! that is forwarded leaves with a sender of ours (SRS), mail that stays keeps its own; nobody gets a
//! message twice under one envelope; quarantined mail is held unless all of an envelope is for mailboxes
//! here, which have a folder for it.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use mail::delivery::is_here;
use mail::delivery::local::{Slot, Slots};
use mail::delivery::route::Routes;
use mail::directory::{Accounts, Resolution, Target};
use mail::queue::{Arriving, Envelopes, MessageId};
use proto::types::{Address, Domain, Enhanced, Envelope, Recipient, Reply};

/// Targets of all recipients of a message together.
const TARGETS_MAX: usize = 10_000;
const TOO_MANY: Reply =
    Reply::new(452, Enhanced(4, 5, 3), "Too many recipients behind these addresses");

/// The recipients of a transaction. Boxed: connections that wait would keep room for it.
#[derive(Default)]
pub(super) struct Ways(Option<Box<Known>>);

/// What is known of them.
#[derive(Default)]
struct Known {
    /// Of each that was accepted, in order: all of its mail goes into mailboxes here.
    stays: Vec<bool>,
    /// What those of ours lead to that are more than themselves, by what the client called them.
    targets: HashMap<Address, Vec<Leg>, RandomState>,
    /// Targets of all.
    count: usize,
}

/// One place that the mail of a recipient goes to.
struct Leg {
    target: Target,
    /// A mailbox, and here: no route takes its mail elsewhere.
    is_here: bool,
}

/// All copies of a message that stays, and whose they are.
pub(super) struct Copies {
    pub slots: Slots,
    /// Of each recipient of the envelope, in order.
    pub of: Vec<Vec<Copy>>,
}

/// A copy for a recipient.
pub(super) struct Copy {
    /// Its index among the slots.
    pub slot: usize,
    /// The recipient, should the copy have to go by the queue.
    pub recipient: Recipient,
}

/// Recipients, each once.
#[derive(Default)]
struct Recipients {
    list: Vec<Recipient>,
    known: HashSet<Address, RandomState>,
}

/// The recipients of a message by the envelopes that they come under.
#[derive(Default)]
struct Sorted {
    stays: Recipients,
    /// Those of a quarantined message that are mailboxes here.
    junk: Recipients,
    goes: Vec<(Domain, Recipients)>,
}

impl Ways {
    /// Notes what became of a recipient; `Ok(false)`: it is not ours.
    pub fn note(
        &mut self,
        address: &Address,
        resolution: Resolution,
        routes: &Routes,
    ) -> Result<bool, Reply> {
        if let Some(refusal) = resolution.refusal() {
            return Err(refusal);
        }
        let Resolution::Deliver(targets) = resolution else { return Ok(false) };
        // Most are: nothing is to be changed then.
        if let [Target::Mailbox { account, detail: None, quota_bytes: None }] = &targets[..]
            && account == address
        {
            self.known().stays.push(is_here(&targets[0], routes));
            return Ok(true);
        }
        let known = self.known();
        if known.count + targets.len() > TARGETS_MAX {
            return Err(TOO_MANY);
        }
        known.count += targets.len();
        let leg = |target| Leg { is_here: is_here(&target, routes), target };
        let legs: Vec<Leg> = targets.into_iter().map(leg).collect();
        known.stays.push(legs.iter().all(|leg| leg.is_here));
        known.targets.insert(address.clone(), legs);
        Ok(true)
    }

    /// A recipient that is not ours was accepted.
    pub fn note_foreign(&mut self) {
        self.known().stays.push(false);
    }

    /// The transaction is over.
    pub fn clear(&mut self) {
        match &mut self.0 {
            // The usual case: the next transaction has what it needs.
            Some(known) if known.targets.is_empty() => known.stays.clear(),
            known => *known = None,
        }
    }

    /// Whether the message goes into mailboxes here, and nowhere else.
    pub fn stay(&self) -> bool {
        let stays = self.0.as_ref().map_or(&[][..], |known| &known.stays);
        stays.iter().all(|stays| *stays) && !stays.is_empty()
    }

    /// The envelopes to store; the first has this id.
    pub fn apply(
        &self,
        id: MessageId,
        mut envelope: Envelope,
        accounts: &Accounts,
        mut next_id: impl FnMut() -> MessageId,
    ) -> Envelopes {
        let is_quarantined = envelope.is_quarantined();
        let is_plain = self.0.as_ref().is_none_or(|known| known.targets.is_empty());
        if is_plain && !is_quarantined {
            return vec![Arriving { id, envelope, is_held: false }];
        }
        let given = std::mem::take(&mut envelope.recipients);
        let sorted = self.sort(given, is_quarantined);
        let mut ids = std::iter::once(id).chain(std::iter::from_fn(|| Some(next_id())));
        let mut envelopes = Envelopes::new();
        let mut keep = |sender: Option<Address>, recipients: Recipients, is_held: bool| {
            let recipients = recipients.list;
            if let Some(id) = (!recipients.is_empty()).then(|| ids.next()).flatten() {
                let envelope = Envelope { sender, recipients, ..envelope.clone() };
                envelopes.push(Arriving { id, envelope, is_held });
            }
        };
        keep(envelope.sender.clone(), sorted.stays, is_quarantined);
        keep(envelope.sender.clone(), sorted.junk, false);
        for (by, recipients) in sorted.goes {
            let sender = accounts.forwarded_sender(envelope.sender.as_ref(), &by);
            keep(sender, recipients, is_quarantined);
        }
        envelopes
    }

    fn sort(&self, given: Vec<Recipient>, is_quarantined: bool) -> Sorted {
        let mut sorted = Sorted::default();
        for (index, recipient) in given.into_iter().enumerate() {
            if let Some(legs) = self.legs(&recipient.address) {
                legs.iter().for_each(|leg| sorted.add(&recipient, leg, is_quarantined));
                continue;
            }
            let known = self.0.as_ref();
            let stays = known.is_some_and(|known| known.stays.get(index) == Some(&true));
            let to = if is_quarantined && stays { &mut sorted.junk } else { &mut sorted.stays };
            to.add(recipient);
        }
        sorted
    }

    /// All copies of a message that stays.
    pub fn copies(&self, recipients: &[Recipient], is_quarantined: bool) -> Copies {
        let mut slots = Slots::default();
        let of = recipients.iter().map(|recipient| {
            let Some(legs) = self.legs(&recipient.address) else {
                let slot = Slot::new(&recipient.address, None, None, is_quarantined);
                return vec![Copy { slot: slots.add(slot), recipient: recipient.clone() }];
            };
            let copy = |leg: &Leg| {
                let slot = Slot::of(&leg.target, is_quarantined)?;
                Some(Copy { slot: slots.add(slot), recipient: leg.recipient(recipient) })
            };
            legs.iter().filter_map(copy).collect()
        });
        let of = of.collect();
        Copies { slots, of }
    }

    fn known(&mut self) -> &mut Known {
        self.0.get_or_insert_default()
    }

    fn legs(&self, address: &Address) -> Option<&[Leg]> {
        self.0.as_ref()?.targets.get(address).map(Vec::as_slice)
    }
}

impl Leg {
    /// As the queue has it.
    fn recipient(&self, given: &Recipient) -> Recipient {
        let address = self.target.address(self.is_here).clone();
        Recipient { address, ..given.clone() }
    }
}

impl Sorted {
    /// Puts one target of a recipient where it belongs.
    fn add(&mut self, given: &Recipient, leg: &Leg, is_quarantined: bool) {
        let recipient = leg.recipient(given);
        let Target::Forward { by, .. } = &leg.target else {
            let is_junk = is_quarantined && leg.is_here;
            let to = if is_junk { &mut self.junk } else { &mut self.stays };
            return to.add(recipient);
        };
        match self.goes.iter_mut().find(|(domain, _)| domain == by) {
            Some((_, recipients)) => recipients.add(recipient),
            None => {
                let mut recipients = Recipients::default();
                recipients.add(recipient);
                self.goes.push((by.clone(), recipients));
            }
        }
    }
}

impl Recipients {
    fn add(&mut self, recipient: Recipient) {
        if self.known.insert(recipient.address.clone()) {
            self.list.push(recipient);
        }
    }
}

#[cfg(test)]
mod tests {
    use mail::delivery::settings::RouteSettings;
    use mail::directory::Detail;

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn mailbox(account: &str, detail: Option<&str>) -> Target {
        let account = address(account);
        let detail = detail.map(|text| {
            let written = format!("{}+{text}@{}", account.local(), account.host());
            Box::new(Detail { address: address(&written), text: text.into() })
        });
        Target::Mailbox { account, detail, quota_bytes: None }
    }

    fn routed(domain: &str) -> Routes {
        let via = vec!["mail.test".to_owned()];
        let text = serde_json::json!({ "match": domain, "via": via });
        let route: RouteSettings = serde_json::from_value(text).unwrap();
        Routes::compile(&[route], 25).unwrap()
    }

    fn recipients(ways: &mut Ways, all: &[(&str, Vec<Target>)], routes: &Routes) -> Vec<Recipient> {
        let accept = |(to, targets): &(&str, Vec<Target>)| {
            let address = address(to);
            if targets.is_empty() {
                ways.note_foreign();
            } else {
                ways.note(&address, Resolution::Deliver(targets.clone()), routes).unwrap();
            }
            Recipient { address, notify: None, orcpt: None }
        };
        all.iter().map(accept).collect()
    }

    fn sorted(all: &[(&str, Vec<Target>)], routes: &Routes, is_quarantined: bool) -> [String; 3] {
        let mut ways = Ways::default();
        let given = recipients(&mut ways, all, routes);
        let sorted = ways.sort(given, is_quarantined);
        let show = |all: &Recipients| {
            let shown: Vec<_> = all.list.iter().map(|one| one.address.to_string()).collect();
            shown.join(" ")
        };
        let goes = sorted.goes.iter().map(|(_, all)| show(all)).collect::<Vec<_>>().join(" ");
        [show(&sorted.stays), show(&sorted.junk), goes]
    }

    #[test]
    fn mail_stays_when_every_recipient_is_a_mailbox_here() {
        let none = Routes::default();
        let stay = |all: &[(&str, Vec<Target>)], routes: &Routes| {
            let mut ways = Ways::default();
            recipients(&mut ways, all, routes);
            ways.stay()
        };
        let joe = || ("joe@x.test", vec![mailbox("joe@x.test", None)]);
        let list =
            || ("all@x.test", vec![mailbox("joe@x.test", None), mailbox("ann@x.test", None)]);
        assert!(stay(&[joe()], &none) && stay(&[joe(), list()], &none));
        assert!(!stay(&[], &none) && !stay(&[joe(), ("far@y.test", vec![])], &none));
        assert!(!stay(&[joe()], &routed("x.test")) && stay(&[joe()], &routed("y.test")));
        let forward =
            Target::Forward { to: address("a@y.test"), by: Domain::parse("x.test").unwrap() };
        assert!(!stay(&[("joe@x.test", vec![mailbox("joe@x.test", None), forward])], &none));
    }

    #[test]
    fn a_mailbox_gets_one_copy() {
        let mut ways = Ways::default();
        let list = vec![mailbox("joe@x.test", None), mailbox("ann@x.test", None)];
        let all = [
            ("joe@x.test", vec![mailbox("joe@x.test", None)]),
            ("all@x.test", list),
            ("joe+f@x.test", vec![mailbox("joe@x.test", Some("f"))]),
        ];
        let given = recipients(&mut ways, &all, &Routes::default());
        let copies = ways.copies(&given, false);
        let slots: Vec<Vec<usize>> =
            copies.of.iter().map(|of| of.iter().map(|copy| copy.slot).collect()).collect();
        assert_eq!(slots, [vec![0], vec![0, 1], vec![2]]);
        assert_eq!(copies.of[2][0].recipient.address, address("joe+f@x.test"));
        assert_eq!(copies.of[1][1].recipient.address, address("ann@x.test"));
    }

    /// None of them is who the client named: that would be one recipient for both.
    #[test]
    fn mailboxes_behind_an_alias_keep_their_details() {
        let (joe, ann) = (mailbox("joe@x.test", Some("l")), mailbox("ann@x.test", Some("g")));
        let list = ("list@x.test", vec![joe, ann.clone()]);
        let kept = ("joe@x.test", vec![mailbox("joe@x.test", None), ann]);
        let far = ("far@y.test", vec![]);
        let none = Routes::default();
        let queued = |all: &[(&str, Vec<Target>)], routes: &Routes| {
            let [stays, ..] = sorted(all, routes, false);
            stays
        };
        let both = "joe+l@x.test ann+g@x.test far@y.test";
        assert_eq!(queued(&[list.clone(), far.clone()], &none), both);
        assert_eq!(queued(&[kept, far], &none), "joe@x.test ann+g@x.test far@y.test");
        let only = [list];
        assert_eq!(queued(&only, &routed("x.test")), "joe@x.test ann@x.test");
        // What could not be placed goes by the queue too.
        let mut ways = Ways::default();
        let given = recipients(&mut ways, &only, &none);
        let copies = ways.copies(&given, false);
        let rest = copies.of[0].iter().map(|copy| copy.recipient.address.to_string());
        assert_eq!(rest.collect::<Vec<_>>(), ["joe+l@x.test", "ann+g@x.test"]);
    }

    #[test]
    fn what_is_quarantined_is_held_unless_it_has_a_mailbox_here() {
        let detail = vec![mailbox("joe@x.test", Some("f"))];
        let all = [
            ("joe@x.test", vec![mailbox("joe@x.test", None)]),
            ("far@y.test", vec![]),
            ("joe+f@x.test", detail),
        ];
        let none = Routes::default();
        assert_eq!(sorted(&all, &none, true), ["far@y.test", "joe@x.test joe+f@x.test", ""]);
        let all_stay = ["joe@x.test far@y.test joe+f@x.test", "", ""];
        assert_eq!(sorted(&all, &none, false), all_stay);
        // Behind a route nobody knows what the detail is for.
        assert_eq!(sorted(&all, &routed("x.test"), true), ["joe@x.test far@y.test", "", ""]);
    }
}
