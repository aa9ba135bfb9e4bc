//! Where the mail of our own addresses goes: what the directory said of each recipient, and the envelopes
//! that come of it.
//!
//! What must stay true: the client sees one message, all of whose envelopes are stored or none; mail
//! that is forwarded leaves with a sender of ours (SRS), mail that stays keeps its own; nobody gets a
//! message twice under one envelope.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use mail::directory::{Accounts, Resolution, Target};
use mail::queue::{Envelopes, MessageId};
use proto::types::{Address, Domain, Enhanced, Envelope, Recipient, Reply};

/// Targets of all recipients of a message together.
const TARGETS_MAX: usize = 10_000;
const TOO_MANY: Reply =
    Reply::new(452, Enhanced(4, 5, 3), "Too many recipients behind these addresses");

/// The recipients of a transaction that are ours; nothing until there is one that is more than itself.
#[derive(Default)]
pub(super) struct Ways(Option<Box<Known>>);

/// What they lead to, by what the client called them.
#[derive(Default)]
struct Known {
    targets: HashMap<Address, Vec<Target>, RandomState>,
    count: usize,
}

/// Recipients, each once.
#[derive(Default)]
struct Recipients {
    list: Vec<Recipient>,
    known: HashSet<Address, RandomState>,
}

impl Ways {
    /// Notes what became of a recipient; `Ok(false)`: it is not ours.
    pub fn note(&mut self, address: &Address, resolution: Resolution) -> Result<bool, Reply> {
        if let Some(refusal) = resolution.refusal() {
            return Err(refusal);
        }
        let Resolution::Deliver(targets) = resolution else { return Ok(false) };
        let is_itself = |target: &Target| matches!(target, Target::Mailbox { account, .. } if account == address);
        // Most are: nothing is to be changed then.
        if targets.len() == 1 && targets.iter().all(is_itself) {
            return Ok(true);
        }
        let known = self.0.get_or_insert_default();
        if known.count + targets.len() > TARGETS_MAX {
            return Err(TOO_MANY);
        }
        known.count += targets.len();
        known.targets.insert(address.clone(), targets);
        Ok(true)
    }

    /// The transaction is over.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// The envelopes to store; the first has this id.
    pub fn apply(
        &self,
        id: MessageId,
        mut envelope: Envelope,
        accounts: &Accounts,
        mut next_id: impl FnMut() -> MessageId,
    ) -> Envelopes {
        let mut envelopes = Envelopes::new();
        let Some(known) = &self.0 else {
            envelopes.push((id, envelope));
            return envelopes;
        };
        let given = std::mem::take(&mut envelope.recipients);
        let (mut stays, mut goes) = (Recipients::default(), Vec::new());
        for recipient in given {
            match known.targets.get(&recipient.address) {
                Some(targets) => spread(&recipient, targets, &mut stays, &mut goes),
                None => stays.add(recipient),
            }
        }
        let mut ids = std::iter::once(id).chain(std::iter::from_fn(|| Some(next_id())));
        let mut keep = |sender: Option<Address>, recipients: Recipients| {
            let recipients = recipients.list;
            if let Some(id) = (!recipients.is_empty()).then(|| ids.next()).flatten() {
                envelopes.push((id, Envelope { sender, recipients, ..envelope.clone() }));
            }
        };
        keep(envelope.sender.clone(), stays);
        for (by, recipients) in goes {
            keep(accounts.forwarded_sender(envelope.sender.as_ref(), &by), recipients);
        }
        envelopes
    }
}

/// Puts the targets of a recipient where they belong.
fn spread(
    recipient: &Recipient,
    targets: &[Target],
    stays: &mut Recipients,
    goes: &mut Vec<(Domain, Recipients)>,
) {
    let to = |address: &Address| Recipient { address: address.clone(), ..recipient.clone() };
    for target in targets {
        let (address, by) = match target {
            Target::Mailbox { account, .. } => (account, None),
            Target::Return { to } => (to, None),
            Target::Forward { to, by } => (to, Some(by)),
        };
        let Some(by) = by else {
            stays.add(to(address));
            continue;
        };
        match goes.iter_mut().find(|(domain, _)| domain == by) {
            Some((_, recipients)) => recipients.add(to(address)),
            None => {
                let mut recipients = Recipients::default();
                recipients.add(to(address));
                goes.push((by.clone(), recipients));
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
