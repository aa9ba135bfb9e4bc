//! Who a client is, and whether it may come in.
//!
//! What must stay true: nothing is said of a login before the mailbox is open here, on the shard that owns
//! it; so what can go wrong on the way is a login that failed, and never a session that ends.

use engine::shard::{now_ms, sleep};
use mail::mailbox::Limits;
use proto::imap::{Answer, Code, Completion, Question};
use proto::sasl;
use proto::types::Moment;

use super::home::Home;
use super::session::Session;
use super::trouble;
use super::wire::Deflate;
use crate::login::{self, Judgement};
use crate::pace::Pace;

/// What became of a question.
pub(super) enum After {
    /// It was answered.
    Answered,
    /// The peer is gone.
    Gone,
    /// It is for this shard to answer, and nothing is left to send before.
    Elsewhere(usize),
}

fn unavailable(text: &'static str) -> Completion {
    Completion::no(text).with(Code::Unavailable)
}

impl Session {
    /// Answers what the machine asks.
    pub(super) async fn decide(&mut self, question: Question) -> After {
        if !self.keep_pace().await {
            return After::Gone;
        }
        match question {
            Question::Authenticate => {
                let answer = self.authenticate().await;
                self.answer(answer);
            }
            Question::Enter => match self.elsewhere() {
                Some(shard) if self.send().await => return After::Elsewhere(shard),
                Some(_) => return After::Gone,
                None => {
                    let entered = self.enter().await;
                    self.answer(entered.map_or_else(Answer::Refuse, |()| Answer::Accept));
                }
            },
            Question::Compress => {
                self.deflate = Deflate::new(&self.door.deflate_budget);
                let busy = || Completion::no("Too busy, try later").with(Code::Limit);
                let has_memory = self.deflate.is_some();
                self.answer(if has_memory { Answer::Accept } else { Answer::Refuse(busy()) });
            }
            Question::Command => self.execute().await,
            Question::Message => {
                let answer = self.admit_message().await;
                self.answer(answer);
            }
            Question::Append => self.append().await,
        }
        After::Answered
    }

    /// Waits if this session asks for too much; false when the peer is gone. Before a login there is none
    /// to wait: what is asked then is counted by the machine.
    async fn keep_pace(&mut self) -> bool {
        let per_second = self.rules.limits.mail_commands_per_second;
        let wait_ms = self.home.as_mut().map_or(0, |home| home.pace.take(now_ms(), per_second));
        if wait_ms > 0 {
            self.door.metrics.slowed.inc();
            if !self.send().await {
                return false;
            }
            sleep(wait_ms).await;
        }
        true
    }

    async fn authenticate(&mut self) -> Answer {
        // A password may stand there.
        self.input[..self.taken].fill(0);
        let Some(proof) = self.machine.proof().cloned() else {
            return Answer::Refuse(unavailable("Internal error"));
        };
        match login::judge(proof, &self.door.login, self.client).await {
            Judgement::Granted(account) => {
                self.account = Some(account);
                Answer::Proof(sasl::Answer::Granted)
            }
            Judgement::Answer(answer) => Answer::Proof(answer),
            Judgement::Blocked => Answer::Refuse(unavailable("Too many failed logins, try later")),
        }
    }

    /// The shard that has the mail of who has logged in, if it is another.
    fn elsewhere(&self) -> Option<usize> {
        let account = self.account.as_deref()?.account.to_string();
        let home = self.door.stores.home(&account);
        (home != self.door.shard.index()).then_some(home)
    }

    /// Opens the mailbox of who has logged in.
    async fn enter(&mut self) -> Result<(), Completion> {
        let account = self.account.take().ok_or(unavailable("Internal error"))?;
        let name = account.account.to_string();
        let Some(guest) = self.door.guests.enter(&name, self.rules.limits.sessions_per_account)
        else {
            self.door.metrics.crowded.inc();
            return Err(Completion::no("Too many sessions").with(Code::Limit));
        };
        let stores = &self.door.stores;
        let mailbox = stores.mailbox(&name).await.map_err(|error| trouble::completion(&error))?;
        let limits = Limits::of(&stores.settings(), account.quota_bytes);
        self.door.metrics.logins.inc();
        let saved = Vec::new();
        let home = Home { mailbox, limits, view: None, saved, pace: Pace::default(), guest };
        self.home = Some(Box::new(home));
        Ok(())
    }

    /// Tells the machine.
    pub(super) fn answer(&mut self, answer: Answer) {
        // The step is `Close` after one error too many, and the next question otherwise: `feed` says it
        // again.
        self.machine.answer(Moment(now_ms()), answer, &mut self.out);
    }
}
