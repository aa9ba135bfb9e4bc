//! What admins ask of a queue.
//!
//! What must stay true: a command reads the store in pages and lets the shard work in between; one
//! call of `list` looks at a bounded number of messages; a hold is in the store before it is told
//! (as far as anything that rides is); nothing that is active is torn from its lease: it is held or
//! deleted when the lease ends.

use std::rc::Rc;

use engine::storage::{Group, Key};
use proto::types::Envelope;

use super::record::{self, META, State};
use super::schedule::Wish;
use super::{
    Answer, Command, Detail, Filter, Inner, LIST_ROWS_MAX, MessageId, Phase, Queue, QueueError,
    ROW_RECIPIENTS_MAX, RecipientDetail, Row,
};

/// Messages read in one piece.
const PAGE_ROWS: usize = 256;
/// Messages that one `list` looks at.
const LIST_SCAN_MAX: usize = 20_000;

impl Queue {
    /// Carries out what an admin asks.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn command(&self, command: Command) -> Result<Answer, QueueError> {
        let queue = &self.0;
        match command {
            Command::List { filter, limit, after } => queue.list(&filter, limit, after).await,
            Command::Show { id } => queue.show(id).await,
            Command::Flush { filter } => queue.each(&filter, Act::Flush).await,
            Command::Hold { filter } => queue.each(&filter, Act::Hold).await,
            Command::Release { filter } => queue.each(&filter, Act::Release).await,
            Command::Delete { filter } => queue.each(&filter, Act::Delete).await,
        }
    }
}

/// Done to every message that is meant.
#[derive(Clone, Copy)]
enum Act {
    Flush,
    Hold,
    Release,
    Delete,
}

/// Reads envelopes in the order of arrival.
struct Cursor<'a> {
    queue: &'a Inner,
    from: [u8; 8],
    page: std::vec::IntoIter<(MessageId, Envelope)>,
}

impl<'a> Cursor<'a> {
    fn new(queue: &'a Inner, after: Option<MessageId>) -> Self {
        let from = after.map_or(0, |id| id.0.saturating_add(1)).to_be_bytes();
        Self { queue, from, page: Vec::new().into_iter() }
    }

    /// The next message whose envelope can be read.
    async fn next(&mut self) -> Result<Option<(MessageId, Envelope)>, QueueError> {
        loop {
            if let Some(next) = self.page.next() {
                return Ok(Some(next));
            }
            let page = self.queue.store.page(META, &self.from, PAGE_ROWS).await?;
            let Some(last) = page.last().and_then(|(key, _)| MessageId::of_key(key)) else {
                return Ok(None);
            };
            self.from = last.0.saturating_add(1).to_be_bytes();
            let read = |(key, value): &(Key, Vec<u8>)| {
                Some((MessageId::of_key(key)?, record::read_envelope(value).ok()?))
            };
            self.page = page.iter().filter_map(read).collect::<Vec<_>>().into_iter();
        }
    }
}

impl Inner {
    async fn list(
        &self,
        filter: &Filter,
        limit: usize,
        after: Option<MessageId>,
    ) -> Result<Answer, QueueError> {
        let limit = limit.clamp(1, LIST_ROWS_MAX);
        // One message is found without looking at all.
        let after = filter.id.map(|id| MessageId(id.0.saturating_sub(1))).max(after);
        let mut cursor = Cursor::new(self, after);
        let mut rows = Vec::new();
        for _ in 0..LIST_SCAN_MAX {
            let Some((id, envelope)) = cursor.next().await? else {
                return Ok(Answer::List { rows, next: None });
            };
            if filter.id.is_some_and(|wanted| wanted < id) {
                return Ok(Answer::List { rows, next: None });
            }
            if filter.matches(id, &envelope) {
                rows.extend(self.row(id, &envelope));
            }
            if rows.len() >= limit {
                return Ok(Answer::List { rows, next: Some(id) });
            }
        }
        let next = MessageId(u64::from_be_bytes(cursor.from).saturating_sub(1));
        Ok(Answer::List { rows, next: Some(next) })
    }

    /// `None`: it has left the queue, and its removal rides.
    fn row(&self, id: MessageId, envelope: &Envelope) -> Option<Row> {
        let entry = self.schedule.borrow().get(id)?;
        let named = envelope.recipients.iter().take(ROW_RECIPIENTS_MAX);
        Some(Row {
            id,
            sender: envelope.sender.as_ref().map(ToString::to_string),
            recipients: named.map(|recipient| recipient.address.to_string()).collect(),
            recipients_count: envelope.recipients.len(),
            size: envelope.size,
            arrived: envelope.arrived,
            phase: entry.phase,
            due: (entry.phase == Phase::Waiting).then_some(proto::types::Timestamp(entry.due_ms)),
        })
    }

    async fn show(&self, id: MessageId) -> Result<Answer, QueueError> {
        let nothing = Answer::Show { detail: None };
        let Some(entry) = self.schedule.borrow().get(id) else { return Ok(nothing) };
        let (envelope, state) = self.load(id, entry.version).await?;
        let Some(row) = self.row(id, &envelope) else { return Ok(nothing) };
        let recipient = |index: usize| -> RecipientDetail {
            let state = &state.recipients[index];
            let is_pending = state.status == record::Status::Pending;
            RecipientDetail {
                address: envelope.recipients[index].address.to_string(),
                status: state.status.as_str().into(),
                attempts: state.attempts,
                due: row.due.filter(|_| is_pending).map(|due| due.max(state.due)),
                last_attempt: state.last_attempt,
                last_reply: state.last_reply.as_ref().map(ToString::to_string),
                last_remote: state.remote().map(|remote| remote.to_string()),
            }
        };
        let detail = Detail {
            origin: envelope.origin.to_string(),
            envid: envelope.envid.as_deref().map(Into::into),
            smtputf8: envelope.smtputf8,
            expires: envelope.arrived.after(self.settings().expiry.get()),
            recipients: (0..envelope.recipients.len()).map(recipient).collect(),
            row,
        };
        Ok(Answer::Show { detail: Some(Box::new(detail)) })
    }

    /// Does `act` to every message that is meant; counts those that it changed.
    async fn each(&self, filter: &Filter, act: Act) -> Result<Answer, QueueError> {
        let mut count = 0;
        let after = filter.id.map(|id| MessageId(id.0.saturating_sub(1)));
        let mut cursor = Cursor::new(self, after);
        // What arrives meanwhile is not meant: the end comes into sight.
        let last = self.last_id.get();
        while let Some((id, envelope)) = cursor.next().await? {
            if id > filter.id.unwrap_or(last) {
                break;
            }
            if filter.matches(id, &envelope) && self.act(id, act, &envelope).await? {
                count += 1;
            }
        }
        self.due.notify_one();
        Ok(Answer::Done { count })
    }

    async fn act(&self, id: MessageId, act: Act, envelope: &Envelope) -> Result<bool, QueueError> {
        let Some(entry) = self.schedule.borrow().get(id) else { return Ok(false) };
        match (act, entry.phase) {
            (Act::Flush, _) => {
                let now_ms = self.now().0;
                Ok(self.schedule.borrow_mut().flush(id, now_ms))
            }
            (Act::Hold, Phase::Active) => {
                self.schedule.borrow_mut().wish(id, Wish::Hold);
                Ok(true)
            }
            (Act::Release, Phase::Active) => {
                let is_held = entry.wish == Wish::Hold;
                if is_held {
                    self.schedule.borrow_mut().wish(id, Wish::None);
                }
                Ok(is_held)
            }
            (Act::Delete, Phase::Active) => {
                self.schedule.borrow_mut().wish(id, Wish::Delete);
                Ok(true)
            }
            (Act::Hold, Phase::Waiting) => self.set_held(id, true).await,
            (Act::Release, Phase::Held) => self.set_held(id, false).await,
            (Act::Delete, _) => {
                self.note_depth(|schedule| _ = schedule.remove(id));
                self.fresh.borrow_mut().remove(id);
                self.store.ride(record::removal(id, entry.version));
                self.events.event("deleted", |event| {
                    event.show("id", id).show("sender", super::intake::Sender(envelope));
                });
                Ok(true)
            }
            (Act::Hold, Phase::Held) | (Act::Release, Phase::Waiting) => Ok(false),
        }
    }

    /// Writes that a message is held, or no more.
    async fn set_held(&self, id: MessageId, held: bool) -> Result<bool, QueueError> {
        let Some(entry) = self.schedule.borrow().get(id) else { return Ok(false) };
        let (_, mut state): (Rc<Envelope>, State) = self.load(id, entry.version).await?;
        // It may have gone on while its record was read.
        if self.schedule.borrow().get(id) != Some(entry) {
            return Ok(false);
        }
        state.held = held;
        let mut group = Group::new();
        let version = record::replace_state(id, entry.version, &state, &mut group);
        let now_ms = self.now().0;
        self.note_depth(|schedule| {
            if held { schedule.hold(id, version) } else { schedule.release(id, now_ms, version) }
        });
        self.store.ride(group);
        Ok(true)
    }
}
