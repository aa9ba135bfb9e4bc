//! The answers to what the machine of a session asks: of the policy, the directory and the queue.
//!
//! What must stay true: a message is acknowledged only when the queue has it on stable storage; nobody
//! sends to others than ours without a right to; what is asked of memory is answered at once. How it
//! fails: as the client's reply.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use engine::shard::{now_ms, wall_ms};
use engine::tls::Channel;
use mail::directory::{Identity, Resolution};
use proto::sasl;
use proto::smtp::server::{Answer, Question};
use proto::text::Missing;
use proto::types::{Enhanced, Moment, Reply, Timestamp};

use super::intake::{self, Intake, MEMORY_SPENT};
use super::session::Session;
use super::submit;
use crate::login::{self, Judgement};

/// What a client hears that has guessed too often: nothing was verified.
const BLOCKED: Reply = Reply::new(454, Enhanced(4, 7, 0), "Too many failed logins, try later");

impl Session {
    /// The answer, if it is known at once.
    pub(super) fn decide(&mut self, question: Question) -> Option<Answer> {
        let verdict = match question {
            Question::Sender => self.permits_sender(),
            Question::Recipient => {
                let resolution = self.resolve_now()?;
                // It may have to be asked of another shard.
                if self.limited(&resolution).is_some() {
                    return None;
                }
                self.permits_recipient(resolution)
            }
            Question::Data => self.begin_message(),
            Question::Commit => Ok(()),
            Question::Authenticate => return None,
        };
        Some(verdict.map_or_else(Answer::Refuse, |()| Answer::Accept))
    }

    /// The answer to what takes time.
    pub(super) async fn consider(&mut self, question: Question) {
        let answer = match question {
            Question::Authenticate => self.authenticate().await,
            _ => {
                let resolution = match self.machine.candidate() {
                    Some(candidate) => {
                        let address = candidate.address.clone();
                        self.door.accounts.resolve(&address).await
                    }
                    None => Resolution::NotOurs,
                };
                let verdict = match self.has_room(&resolution).await {
                    Ok(()) => self.permits_recipient(resolution),
                    full => full,
                };
                verdict.map_or_else(Answer::Refuse, |()| Answer::Accept)
            }
        };
        // The step is `Close` after one error too many: `feed` says so again.
        self.machine.answer(Moment(now_ms()), answer, &mut self.out);
    }

    async fn authenticate(&mut self) -> Answer {
        let Some(proof) = self.machine.proof().cloned() else { return Answer::Accept };
        match login::judge(proof, &self.door.login, self.client).await {
            Judgement::Granted(account) => {
                self.door.metrics.logins.inc();
                self.account = Some(account);
                Answer::Proof(sasl::Answer::Granted)
            }
            Judgement::Answer(answer) => Answer::Proof(answer),
            Judgement::Blocked => Answer::Refuse(BLOCKED),
        }
    }

    /// Who has logged in: proved it, and went through with the exchange.
    pub(super) fn logged_in(&self) -> Option<&Identity> {
        self.account.as_deref().filter(|_| self.machine.identity().is_some())
    }

    fn permits_sender(&mut self) -> Result<(), Reply> {
        self.ways.clear();
        if let Some(account) = self.logged_in() {
            submit::permits_sender(account, self.machine.sender())?;
        }
        self.door.queue.can_accept()
    }

    /// What the directory says of a recipient, if it says so at once.
    fn resolve_now(&self) -> Option<Resolution> {
        let Some(candidate) = self.machine.candidate() else { return Some(Resolution::NotOurs) };
        let resolution = pin!(self.door.accounts.resolve(&candidate.address));
        match resolution.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(resolution) => Some(resolution),
            Poll::Pending => None,
        }
    }

    fn permits_recipient(&mut self, resolution: Resolution) -> Result<(), Reply> {
        let Some(candidate) = self.machine.candidate() else { return Ok(()) };
        let is_ours = self.ways.note(&candidate.address, resolution, &self.rules.routes);
        if let Err(refusal) = &is_ours {
            self.door.metrics.unknown.inc();
            return Err(refusal.clone());
        }
        if is_ours == Ok(true) {
            return Ok(());
        }
        if self.logged_in().is_none()
            && let Err(refusal) = self.rules.relay.permits(self.client, &candidate.address)
        {
            self.door.metrics.relay_denied.inc();
            return Err(refusal);
        }
        self.ways.note_foreign();
        Ok(())
    }

    fn begin_message(&mut self) -> Result<(), Reply> {
        self.intake = None;
        if let Some(account) = self.logged_in() {
            submit::takes_allowance(account, self.machine.recipients().len())?;
        }
        let id = self.door.queue.next_id();
        let name = id.to_string();
        let at = Timestamp(wall_ms());
        let client = (!self.hides_client()).then_some(self.client);
        let tls = self.stream.tls().map(Channel::description);
        let trace =
            intake::trace(&self.rules.hostname, &name, client, &self.machine, tls.as_deref(), at);
        let (declared, plans) = (self.machine.declared_size(), self.plans());
        let begun = Intake::begin(id, &trace, declared, plans, &self.door.budget);
        if begun.is_err() {
            self.door.metrics.memory_spent.inc();
        }
        self.intake = Some(begun?);
        Ok(())
    }

    /// Where a user is when they write is nobody's business, if the administrator says so.
    fn hides_client(&self) -> bool {
        self.logged_in().is_some() && self.entrance().is_some_and(|entrance| entrance.hides_client)
    }

    /// The message is whole: it goes to the queue or into mailboxes, and the client hears what became of
    /// it.
    pub(super) async fn commit(&mut self) {
        let answer = self.store().await.unwrap_or_else(|reply| {
            self.door.metrics.refused.inc();
            Answer::Refuse(reply)
        });
        // The step is `Close` after one error too many: `feed` says so again.
        self.machine.answer(Moment(now_ms()), answer, &mut self.out);
    }

    async fn store(&mut self) -> Result<Answer, Reply> {
        let mut intake = self.intake.take().ok_or(MEMORY_SPENT)?;
        self.mend(&mut intake)?;
        let id = intake.id;
        let mut arrived = intake.finish()?;
        self.rules.relay.permits_hops(arrived.hops)?;
        // Boxed: most connections wait for no check, and all would keep room for it.
        let authenticity = match self.is_plain(&arrived) {
            true => None,
            false => Box::pin(self.originate(&mut arrived)).await?,
        };
        let (message, mut permit) = arrived.into_message();
        let origin = match self.logged_in() {
            Some(account) => format!("{} {}", self.client, account.account),
            None => self.client.to_string(),
        };
        let mut envelope = self.machine.take_envelope(Timestamp(wall_ms()), &origin);
        envelope.size = message.len() as u64;
        envelope.authenticity = authenticity;
        // Both are there for a moment: the message, and what the mailboxes keep. The largest go by the
        // queue when there is no such room.
        if self.stays(&envelope) && permit.grow(message.len()) {
            return Ok(Box::pin(self.place(id, envelope, message)).await);
        }
        let size = envelope.size;
        let queue = &self.door.queue;
        let envelopes = self.ways.apply(id, envelope, &self.door.accounts, || queue.next_id());
        queue.accept_all(envelopes, message).await.map_err(|error| error.reply())?;
        self.door.metrics.messages.inc();
        self.door.metrics.octets.add(size);
        Ok(Answer::Queued(id.to_string()))
    }

    /// On a listener for submission: the header is judged, and what is missing is put in.
    fn mend(&self, intake: &mut Intake) -> Result<(), Reply> {
        let is_submission = self.entrance().is_some_and(|entrance| entrance.is_submission);
        let Some(account) = self.logged_in().filter(|_| is_submission) else { return Ok(()) };
        let id = intake.id.to_string();
        let missing = Missing {
            date: Timestamp(wall_ms()),
            id: &id,
            domain: &self.rules.hostname,
            from: Some(&account.account),
        };
        intake.mend(&missing, |mending| submit::permits_header(account, mending))
    }
}
