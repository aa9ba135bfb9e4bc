//! Mail that stays: put straight into the mailboxes here, without lying in the queue.
//!
//! What must stay true: the client hears 250 for a recipient when each of its copies is in its mailbox or in
//! the queue, on stable storage; in LMTP every recipient is told of its own fate (RFC 2033 §4.2), in SMTP
//! all hear one word. Where some copies are placed and others are not, the client must not send again: the
//! others go to the queue, which tries again or tells the sender. How it fails: nothing is kept, and the
//! reply says why: 552 5.2.2 over quota (for good, as Dovecot has it: the sender hears of it today), 452 and
//! 451 for what may mend.

use std::collections::HashSet;

use bytes::Bytes;
use foldhash::fast::RandomState;
use mail::mailbox::MailboxError;
use mail::queue::{Arriving, MessageId};
use proto::smtp::server::Answer;
use proto::types::{Enhanced, Envelope, Recipient, Reply, Severity};

use super::session::Session;
use super::ways::{Copies, Copy};

/// What became of the copies.
type Answers = [Result<Reply, MailboxError>];

/// What becomes of recipients that are told one word.
enum Fate {
    /// All copies are placed.
    Placed,
    /// Some are.
    Partly,
    /// None is.
    Refused(Reply),
}

impl Session {
    /// Whether a message may go straight into mailboxes: all of it stays here, is not to be held, and
    /// nobody asks for a report of success, which the queue writes.
    pub(super) fn stays(&self, envelope: &Envelope) -> bool {
        let wants_report = |one: &Recipient| one.notify.is_some_and(|notify| notify.success);
        self.ways.stay()
            && envelope.hold_until.is_none()
            && !envelope.recipients.iter().any(wants_report)
    }

    /// Puts a message into the mailboxes of all its recipients.
    pub(super) async fn place(&self, id: MessageId, envelope: Envelope, message: Bytes) -> Answer {
        let copies = self.ways.copies(&envelope.recipients, envelope.is_quarantined());
        let sender = envelope.sender.as_ref();
        let answers = copies.slots.deliver(&self.door.stores, sender, &message).await;
        let mut fates = fates(&copies, &answers, self.machine.is_lmtp());
        let rest = rest(&copies, &answers, &fates);
        if !rest.is_empty() {
            let envelope = Envelope { recipients: rest, ..envelope.clone() };
            let arriving = Arriving { id, envelope, is_held: false };
            if let Err(error) = self.door.queue.accept_all(vec![arriving], message).await {
                // Rather twice than not at all.
                let partly = fates.iter_mut().filter(|fate| matches!(fate, Fate::Partly));
                partly.for_each(|fate| *fate = Fate::Refused(error.reply()));
            }
        }
        self.tell(id, envelope, &copies, &answers);
        self.answer_of(id, fates)
    }

    /// Counts the copies and tells the log of them.
    fn tell(&self, id: MessageId, mut envelope: Envelope, copies: &Copies, answers: &Answers) {
        let placed = told(copies, answers);
        if placed.is_empty() {
            return;
        }
        let metrics = &self.door.metrics;
        metrics.placed.add(answers.iter().filter(|answer| answer.is_ok()).count() as u64);
        metrics.messages.inc();
        metrics.octets.add(envelope.size);
        let mut kept = copies.of.iter().map(|of| any_placed(of, answers));
        envelope.recipients.retain(|_| kept.next().unwrap_or_default());
        self.door.queue.tell_placed(id, &envelope, &placed);
    }

    fn answer_of(&self, id: MessageId, fates: Vec<Fate>) -> Answer {
        let said = |fate: Fate| match fate {
            Fate::Placed | Fate::Partly => {
                Reply::made(250, Enhanced(2, 0, 0), format!("Ok: delivered as {id}"))
            }
            Fate::Refused(reply) => {
                self.door.metrics.refused.inc();
                reply
            }
        };
        Answer::Each(fates.into_iter().map(said).collect())
    }
}

/// What each recipient is told; all are told one word unless `each`.
fn fates(copies: &Copies, answers: &Answers, each: bool) -> Vec<Fate> {
    if each {
        copies.of.iter().map(|of| fate(of.iter(), answers)).collect()
    } else {
        vec![fate(copies.of.iter().flatten(), answers)]
    }
}

fn fate<'a>(copies: impl Iterator<Item = &'a Copy>, answers: &Answers) -> Fate {
    let (mut is_any_placed, mut refusal) = (false, None::<Reply>);
    for copy in copies {
        match &answers[copy.slot] {
            Ok(_) => is_any_placed = true,
            Err(error) => {
                let reply = error.reply();
                // What may mend is told first: the client comes again for all.
                if refusal.is_none() || reply.severity() == Severity::Temporary {
                    refusal = Some(reply);
                }
            }
        }
    }
    match refusal {
        None => Fate::Placed,
        Some(_) if is_any_placed => Fate::Partly,
        Some(reply) => Fate::Refused(reply),
    }
}

/// The recipients of copies that are not placed while others of the same word are: each once.
fn rest(copies: &Copies, answers: &Answers, fates: &[Fate]) -> Vec<Recipient> {
    let mut slots = HashSet::<usize, RandomState>::default();
    let mut rest = Vec::new();
    for (index, of) in copies.of.iter().enumerate() {
        // One word for all is the first.
        let fate = fates.get(index).or(fates.first());
        if !matches!(fate, Some(Fate::Partly)) {
            continue;
        }
        for copy in of.iter().filter(|copy| answers[copy.slot].is_err()) {
            if slots.insert(copy.slot) {
                rest.push(copy.recipient.clone());
            }
        }
    }
    rest
}

fn any_placed(of: &[Copy], answers: &Answers) -> bool {
    of.iter().any(|copy| answers[copy.slot].is_ok())
}

/// What the log is told: of the recipients that have a copy, by their index among these.
fn told(copies: &Copies, answers: &Answers) -> Vec<(usize, Reply)> {
    let placed = copies.of.iter().filter(|of| any_placed(of, answers)).enumerate();
    let said = placed.flat_map(|(index, of)| {
        let replies = of.iter().filter_map(|copy| answers[copy.slot].as_ref().ok());
        replies.map(move |reply| (index, reply.clone()))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use proto::types::Address;

    use super::*;

    /// Of recipients, which slots their copies are in.
    fn copies(of: &[&[usize]]) -> Copies {
        let recipient = |slot: usize| {
            let address = Address::parse(&format!("u{slot}@x.test")).unwrap();
            Recipient { address, notify: None, orcpt: None }
        };
        let copy = |slot: &usize| Copy { slot: *slot, recipient: recipient(*slot) };
        let of = of.iter().map(|slots| slots.iter().map(copy).collect()).collect();
        Copies { slots: Default::default(), of }
    }

    /// What is said, by code, and who is left to the queue.
    fn judged(of: &[&[usize]], answers: &Answers, each: bool) -> (Vec<u16>, Vec<String>) {
        let copies = copies(of);
        let fates = fates(&copies, answers, each);
        let rest = rest(&copies, answers, &fates);
        let code = |fate: &Fate| match fate {
            Fate::Placed => 250,
            Fate::Partly => 251,
            Fate::Refused(reply) => reply.code,
        };
        let rest = rest.iter().map(|one| one.address.local().to_owned()).collect();
        (fates.iter().map(code).collect(), rest)
    }

    #[test]
    fn lmtp_tells_each_and_smtp_all_alike() {
        let ok = || Ok(Reply::bare(250, "x"));
        let (quota, full) = (|| Err(MailboxError::OverQuota), || Err(MailboxError::Full));
        let answers = [ok(), quota(), full()];
        let each: &[&[usize]] = &[&[0], &[1], &[2]];
        assert_eq!(judged(each, &answers, true), (vec![250, 552, 452], vec![]));
        let left = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        assert_eq!(judged(each, &answers, false), (vec![251], left(&["u1", "u2"])));
        // An alias hears one word, and the queue has what is left of it, once.
        let alias: &[&[usize]] = &[&[0, 1], &[1, 0], &[1]];
        assert_eq!(judged(alias, &answers, true), (vec![251, 251, 552], left(&["u1"])));
        // Nobody has it: what may mend is said, whatever came first.
        assert_eq!(judged(&[&[1], &[2]], &answers, false), (vec![452], vec![]));
        assert_eq!(judged(&[&[2, 1]], &answers, true), (vec![452], vec![]));
        let placed = told(&copies(alias), &answers);
        assert_eq!(placed.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1]);
    }
}
