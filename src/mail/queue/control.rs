//! What admins ask of a queue.
//!
//! What must stay true: a command reads the store in pages and lets the shard work in between; one
//! call of `list` looks at a bounded number of messages; a hold rides to the store at once; nothing
//! that is active is torn from its lease: it is held or deleted when the lease ends. A message whose
//! envelope cannot be read is still listed, and can be released and deleted, by its id or with all.

use engine::shard::sleep;
use engine::storage::{Group, Key};
use proto::types::{Envelope, Timestamp};

use super::record::{self, META};
use super::schedule::Wish;
use super::{
    Answer, Command, Detail, Filter, Inner, LIST_ROWS_MAX, MessageId, Phase, Queue, QueueError,
    ROW_RECIPIENTS_MAX, RecipientDetail, Row,
};

/// Messages read in one piece.
const PAGE_ROWS: usize = 256;
/// Messages that one `list` looks at.
const LIST_SCAN_MAX: usize = 20_000;
/// Changes that may wait for the disk before a command goes on.
const BACKLOG_MAX: usize = 4096;
/// How often a backlog is looked at.
const BACKLOG_LOOK_MS: u64 = 10;

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

/// `None`: it cannot be read.
type Found = (MessageId, Option<Envelope>);

/// Reads envelopes in the order of arrival.
struct Cursor<'a> {
    queue: &'a Inner,
    from: [u8; 8],
    page: std::vec::IntoIter<(Key, Vec<u8>)>,
}

impl<'a> Cursor<'a> {
    fn new(queue: &'a Inner, after: Option<MessageId>) -> Self {
        let from = after.map_or(0, |id| id.0.saturating_add(1)).to_be_bytes();
        Self { queue, from, page: Vec::new().into_iter() }
    }

    async fn next(&mut self) -> Result<Option<Found>, QueueError> {
        loop {
            for (key, value) in self.page.by_ref() {
                if let Some(id) = MessageId::of_key(&key) {
                    return Ok(Some((id, record::read_envelope(&value).ok())));
                }
            }
            let page = self.queue.store.page(META, &self.from, PAGE_ROWS).await?;
            let Some(last) = page.last().and_then(|(key, _)| MessageId::of_key(key)) else {
                return Ok(None);
            };
            self.from = last.0.saturating_add(1).to_be_bytes();
            self.page = page.into_iter();
        }
    }
}

/// Whether a message is meant; one that cannot be read is if nothing is asked of its envelope.
fn is_meant(filter: &Filter, id: MessageId, envelope: Option<&Envelope>) -> bool {
    match envelope {
        Some(envelope) => filter.matches(id, envelope),
        None => filter.id.is_none_or(|wanted| wanted == id) && asks_no_envelope(filter),
    }
}

fn asks_no_envelope(filter: &Filter) -> bool {
    Filter { id: None, ..filter.clone() }.is_all()
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
        let before = filter.id.and_then(|id| id.0.checked_sub(1)).map(MessageId);
        let mut cursor = Cursor::new(self, before.max(after));
        let mut rows = Vec::new();
        let mut last = None;
        for _ in 0..LIST_SCAN_MAX {
            let Some((id, envelope)) = cursor.next().await? else {
                return Ok(Answer::List { rows, next: None });
            };
            if filter.id.is_some_and(|wanted| wanted < id) {
                return Ok(Answer::List { rows, next: None });
            }
            if is_meant(filter, id, envelope.as_ref()) {
                rows.extend(self.row(id, envelope.as_ref()));
            }
            last = Some(id);
            if rows.len() >= limit {
                break;
            }
        }
        Ok(Answer::List { rows, next: last })
    }

    /// `None`: it has left the queue, and its removal rides.
    fn row(&self, id: MessageId, envelope: Option<&Envelope>) -> Option<Row> {
        let entry = self.schedule.borrow().get(id)?;
        let recipients = envelope.map_or(&[][..], |envelope| &envelope.recipients);
        let named = recipients.iter().take(ROW_RECIPIENTS_MAX);
        let sender = envelope.and_then(|envelope| envelope.sender.as_ref());
        Some(Row {
            id,
            sender: sender.map(ToString::to_string),
            recipients: named.map(|recipient| recipient.address.to_string()).collect(),
            recipients_count: recipients.len(),
            size: envelope.map_or(0, |envelope| envelope.size),
            arrived: envelope.map_or(Timestamp(id.at_ms()), |envelope| envelope.arrived),
            phase: entry.phase,
            due: (entry.phase == Phase::Waiting).then_some(Timestamp(entry.due_ms)),
        })
    }

    async fn show(&self, id: MessageId) -> Result<Answer, QueueError> {
        let nothing = Answer::Show { detail: None };
        let Some(entry) = self.schedule.borrow().get(id) else { return Ok(nothing) };
        let (envelope, state) = match self.load(id, entry.version).await {
            Ok(loaded) => loaded,
            // It may have left, or have been put off, while it was read.
            Err(QueueError::Gone) if self.schedule.borrow().get(id) != Some(entry) => {
                return Ok(nothing);
            }
            Err(error) => return Err(error),
        };
        let Some(row) = self.row(id, Some(&envelope)) else { return Ok(nothing) };
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
            expires: envelope.released().after(self.settings().expiry.get()),
            recipients: (0..envelope.recipients.len()).map(recipient).collect(),
            row,
        };
        Ok(Answer::Show { detail: Some(Box::new(detail)) })
    }

    /// Does `act` to every message that is meant; counts those that it changed.
    async fn each(&self, filter: &Filter, act: Act) -> Result<Answer, QueueError> {
        let count = match filter.id {
            Some(id) if asks_no_envelope(filter) => u64::from(self.act(id, act, None).await?),
            _ => self.sweep(filter, act).await?,
        };
        Ok(Answer::Done { count })
    }

    async fn sweep(&self, filter: &Filter, act: Act) -> Result<u64, QueueError> {
        let mut count = 0;
        let before = filter.id.and_then(|id| id.0.checked_sub(1)).map(MessageId);
        let mut cursor = Cursor::new(self, before);
        // What arrives meanwhile is not meant: the end comes into sight.
        let last = filter.id.unwrap_or(self.last_id.get());
        while let Some((id, envelope)) = cursor.next().await? {
            if id > last {
                break;
            }
            while self.store.backlog() > BACKLOG_MAX {
                sleep(BACKLOG_LOOK_MS).await;
            }
            if is_meant(filter, id, envelope.as_ref()) {
                count += u64::from(self.act(id, act, envelope.as_ref()).await?);
            }
        }
        Ok(count)
    }

    /// Whether it changed the message.
    async fn act(
        &self,
        id: MessageId,
        act: Act,
        envelope: Option<&Envelope>,
    ) -> Result<bool, QueueError> {
        let Some(entry) = self.schedule.borrow().get(id) else { return Ok(false) };
        if entry.wish == Wish::Delete {
            return Ok(false);
        }
        match (act, entry.phase) {
            (Act::Flush, _) => {
                let now_ms = self.now().0;
                let is_due = self.schedule.borrow_mut().flush(id, now_ms);
                self.due.notify_one();
                Ok(is_due)
            }
            (Act::Hold, Phase::Waiting) => self.set_held(id, true).await,
            (Act::Release, Phase::Held) => self.set_held(id, false).await,
            (Act::Hold, Phase::Active) => Ok(self.wish_for(id, entry.wish, Wish::Hold)),
            (Act::Release, _) if entry.wish == Wish::Hold => {
                Ok(self.wish_for(id, entry.wish, Wish::None))
            }
            (Act::Hold | Act::Release, _) => Ok(false),
            (Act::Delete, phase) => {
                self.tell_deleted(id, envelope);
                if phase == Phase::Active {
                    return Ok(self.wish_for(id, entry.wish, Wish::Delete));
                }
                self.note_depth(|schedule| _ = schedule.remove(id));
                self.fresh.borrow_mut().remove(id);
                self.store.ride(record::removal(id, entry.version));
                Ok(true)
            }
        }
    }

    fn wish_for(&self, id: MessageId, before: Wish, wish: Wish) -> bool {
        self.schedule.borrow_mut().wish(id, wish);
        before != wish
    }

    /// Writes that a message is held, or no more.
    async fn set_held(&self, id: MessageId, held: bool) -> Result<bool, QueueError> {
        let Some(entry) = self.schedule.borrow().get(id) else { return Ok(false) };
        let loaded = self.load(id, entry.version).await;
        // It may have gone on while its record was read; a hold then waits for the lease's end.
        let now = self.schedule.borrow().get(id);
        if now != Some(entry) {
            let is_active = now.is_some_and(|entry| entry.phase == Phase::Active);
            return Ok(held && is_active && self.wish_for(id, Wish::None, Wish::Hold));
        }
        let mut group = Group::new();
        let version = match loaded {
            Ok((_, mut state)) => {
                state.held = held;
                record::replace_state(id, entry.version, &state, &mut group)
            }
            // What cannot be read is tried as it is, and held again if it still cannot.
            Err(QueueError::Gone) => entry.version,
            Err(error) => return Err(error),
        };
        if held {
            self.fresh.borrow_mut().remove(id);
        }
        let now_ms = self.now().0;
        self.note_depth(|schedule| {
            if held {
                schedule.hold(id, version);
            } else {
                schedule.release(id, now_ms, version);
            }
        });
        self.store.ride(group);
        self.due.notify_one();
        Ok(true)
    }
}
