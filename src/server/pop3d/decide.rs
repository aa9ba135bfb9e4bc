//! The answers to what the machine of a session asks: of the directory, and of the maildrop.
//!
//! What must stay true: nobody has a maildrop that another client has, or whose shard this is not; a
//! message is promised when it is in our hands, and sent from there without passing through a parser;
//! deletions are answered when they are on stable storage. How it fails: as the client's reply.

use bytes::{Buf, Bytes};
use engine::shard::{Permit, now_ms, sleep};
use mail::directory::Identity;
use proto::pop3::server::{Answer, Code, Maildrop, Question, Refusal, Retrieval, Step};
use proto::sasl;
use proto::types::Moment;

use super::maildrop::{Inbox, Snapshot, refusal};
use super::rules::OUT_BYTES_MAX;
use super::session::Session;
use crate::login::{self, Judgement};

/// What a client hears that has guessed too often: nothing was verified.
const BLOCKED: Refusal = Refusal::new(Some(Code::Temporary), "Too many failed logins, try later");
/// An account that comes again before its time (RFC 2449 §8.1.1).
const TOO_SOON: Refusal = Refusal::new(Some(Code::LoginDelay), "You were here a moment ago");
/// Too many large messages are on their way out.
const MEMORY_SPENT: Refusal = Refusal::new(Some(Code::Temporary), "Too busy, try later");

/// Octets of a message that are sent at a time: for each, the client has as long as for a command.
const PIECE_BYTES: usize = 256 << 10;
/// The same for `TOP`, which seldom wants more than this.
const TOP_PIECE_BYTES: usize = 16 << 10;

/// What became of a question.
pub(super) enum After {
    /// It was answered.
    Answered,
    /// The peer is gone.
    Gone,
    /// It is for this shard to answer, and nothing is left to send before.
    Elsewhere(usize),
}

impl Session {
    /// Answers what the machine asks.
    pub(super) async fn decide(&mut self, question: Question) -> After {
        let answer = match question {
            Question::Authenticate => self.authenticate().await,
            Question::Open => match self.elsewhere() {
                Some(shard) if self.send().await => return After::Elsewhere(shard),
                Some(_) => return After::Gone,
                None => self.enter().await.map_or_else(Answer::Refuse, Answer::Opened),
            },
            Question::Retrieve if !self.keep_pace().await => return After::Gone,
            Question::Retrieve => return self.retrieve().await,
            Question::Commit => {
                self.commit().await.map_or_else(Answer::Refuse, |()| Answer::Accept)
            }
        };
        self.answer(answer);
        After::Answered
    }

    /// Waits if this session asks for too much; false when the peer is gone.
    async fn keep_pace(&mut self) -> bool {
        let per_second = self.rules.limits.mail_commands_per_second;
        let wait_ms = self.inbox.as_mut().map_or(0, |inbox| inbox.pace.take(now_ms(), per_second));
        if wait_ms > 0 {
            self.door.metrics.slowed.inc();
            if !self.send().await {
                return false;
            }
            sleep(wait_ms).await;
        }
        true
    }

    async fn authenticate(&mut self) -> Answer<Snapshot> {
        // A password may stand there.
        self.input[..self.taken].fill(0);
        let Some(proof) = self.machine.proof().cloned() else {
            return Answer::Refuse(Refusal::UNAVAILABLE);
        };
        match login::judge(proof, &self.door.login, self.client).await {
            Judgement::Granted(account) => {
                self.account = Some(account);
                Answer::Proof(sasl::Answer::Granted)
            }
            Judgement::Answer(answer) => Answer::Proof(answer),
            Judgement::Blocked => Answer::Refuse(BLOCKED),
        }
    }

    /// The shard that has the mail of who has logged in, if it is another.
    fn elsewhere(&self) -> Option<usize> {
        let home = self.door.stores.home(&name_of(self.account.as_deref()?));
        (home != self.door.shard.index()).then_some(home)
    }

    /// Opens the maildrop of who has logged in.
    async fn enter(&mut self) -> Result<Snapshot, Refusal> {
        let account = name_of(self.account.as_deref().ok_or(Refusal::UNAVAILABLE)?);
        let door = &self.door;
        let Some(lock) = door.locks.take(&account) else {
            door.metrics.in_use.inc();
            return Err(Refusal::IN_USE);
        };
        let delay_ms = self.rules.login_delay_ms();
        if !door.delays.borrow().is_over(&account, now_ms(), delay_ms) {
            door.metrics.too_soon.inc();
            return Err(TOO_SOON);
        }
        let mailbox = door.stores.mailbox(&account).await.map_err(|error| refusal(&error))?;
        let (inbox, snapshot) = Inbox::open(&mailbox, lock).await?;
        door.delays.borrow_mut().note(&account, now_ms(), delay_ms);
        door.metrics.logins.inc();
        self.inbox = Some(inbox);
        Ok(snapshot)
    }

    /// Sends a message, or what `TOP` wants of it.
    async fn retrieve(&mut self) -> After {
        let Some(retrieval) = self.machine.retrieval() else {
            self.answer(Answer::Refuse(Refusal::UNAVAILABLE));
            return After::Answered;
        };
        match self.fetch(retrieval).await {
            Ok((message, _permit)) => {
                self.answer(Answer::Accept);
                self.send_message(retrieval, message).await
            }
            Err(refusal) => {
                self.answer(Answer::Refuse(refusal));
                After::Answered
            }
        }
    }

    /// A message, or as much of it as is asked for, and the memory for it.
    async fn fetch(&self, retrieval: Retrieval) -> Result<(Bytes, Option<Permit>), Refusal> {
        let (Some(drop), Some(inbox)) = (self.machine.maildrop(), self.inbox.as_deref()) else {
            return Err(Refusal::UNAVAILABLE);
        };
        let uid = drop.uid(retrieval.index).ok_or(Refusal::UNAVAILABLE)?;
        if retrieval.lines == Some(0)
            && let Some(header) = inbox.header(uid).await?
        {
            return Ok((header, None));
        }
        // One that is larger than all of the memory goes alone, as it must go some time.
        let octets = usize::try_from(drop.octets(retrieval.index)).unwrap_or(usize::MAX);
        let budget = &self.door.budget;
        let Some(permit) = budget.try_take(octets.min(budget.max())) else {
            self.door.metrics.memory_spent.inc();
            return Err(MEMORY_SPENT);
        };
        Ok((inbox.message(uid).await?, Some(permit)))
    }

    /// Sends a message from where it lies, with what the machine puts between.
    /// Octets beyond ASCII in a header go to every client: RFC 6856 §2 would have them refused to one that
    /// has not said `UTF8`, but nobody else does, and such a client would never have its message.
    async fn send_message(&mut self, retrieval: Retrieval, mut message: Bytes) -> After {
        let whole = retrieval.lines.is_none();
        let piece_bytes = if whole { PIECE_BYTES } else { TOP_PIECE_BYTES };
        self.out.reserve(message.len().min(OUT_BYTES_MAX));
        while !message.is_empty() {
            let piece = message.slice(..message.len().min(piece_bytes));
            let portion = self.machine.body(Moment(now_ms()), &piece, &mut self.out);
            self.door.metrics.octets.add(portion.used as u64);
            if !self.pass_on(piece.slice(portion.verbatim)).await {
                return After::Gone;
            }
            message.advance(portion.used);
            if !portion.wants_more {
                break;
            }
        }
        if self.machine.body_ended(Moment(now_ms()), &mut self.out) == Step::NeedInput && whole {
            self.door.metrics.messages.inc();
            self.note_read(retrieval.index);
        }
        After::Answered
    }

    fn note_read(&mut self, index: u32) {
        let uid = self.machine.maildrop().and_then(|drop| drop.uid(index));
        if let (Some(uid), Some(inbox)) = (uid, &mut self.inbox) {
            inbox.note_read(uid);
        }
    }

    /// Deletes what is marked.
    async fn commit(&mut self) -> Result<(), Refusal> {
        let (Some(drop), Some(inbox)) = (self.machine.maildrop(), &mut self.inbox) else {
            return Err(Refusal::UNAVAILABLE);
        };
        let uids: Vec<u32> = self.machine.marked().filter_map(|index| drop.uid(index)).collect();
        let deleted = inbox.delete(&uids).await?;
        self.door.metrics.deleted.add(deleted);
        Ok(())
    }
}

/// How the store names an account.
fn name_of(account: &Identity) -> String {
    account.account.to_string()
}
