//! Taking a message: from the door's octets to stable storage.
//!
//! What must stay true: a message is scheduled when, and only when, its batch is on stable storage,
//! be there anybody left to hear of it or not; a failed batch leaves nothing behind.

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use engine::storage::Commit;
use proto::types::{Envelope, Reply};

use super::record::{self, BODY, FIRST_VERSION, META, STATE};
use super::{Inner, MessageId, Queue, QueueError};

/// What a batch holds for a message beside its body: keys, and the envelope at its usual size.
const OVERHEAD_BYTES: usize = 256;
/// Of these, a recipient's part.
const RECIPIENT_BYTES: usize = 64;

/// A message under its id.
#[derive(Clone, Debug)]
pub struct Arriving {
    /// Its id.
    pub id: MessageId,
    /// Who sent it to whom.
    pub envelope: Envelope,
    /// It is held until somebody decides. What is quarantined and goes into mailboxes here is not: there it
    /// is put where junk goes.
    pub is_held: bool,
}

/// A message, or several that differ by their envelopes: they are kept together or not at all. Not
/// inline: every connection would keep room for it in its future.
pub type Envelopes = Vec<Arriving>;

impl From<(MessageId, Envelope)> for Arriving {
    /// Held when it is quarantined.
    fn from((id, envelope): (MessageId, Envelope)) -> Self {
        Self { id, is_held: envelope.is_quarantined(), envelope }
    }
}

/// A message whose commit is under way.
struct Arrival {
    queue: Rc<Inner>,
    envelopes: Envelopes,
    message: Bytes,
    commit: Option<Commit>,
    since: Instant,
}

impl Queue {
    /// A new id, so that the Received field can name it.
    #[must_use]
    pub fn next_id(&self) -> MessageId {
        let first = MessageId::first(self.0.now().0, self.0.number);
        let id = first.max(self.0.last_id.get().next());
        self.0.last_id.set(id);
        id
    }

    /// Whether a message would be taken now; asked at MAIL, before a client sends it.
    ///
    /// # Errors
    /// The reply for the client: 452 when disk or queue are full, 451 when the store fails.
    pub fn can_accept(&self) -> Result<(), Reply> {
        self.0.has_room().map_err(|error| error.reply())
    }

    /// Takes a message. Ok means: on stable storage. May be dropped: the message is then in the
    /// queue or not, but never half.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing is kept then.
    pub async fn accept(
        &self,
        id: MessageId,
        envelope: Envelope,
        message: Bytes,
    ) -> Result<(), QueueError> {
        self.accept_all(vec![(id, envelope).into()], message).await
    }

    /// Takes a message that goes on under several envelopes, all of them or none: what is forwarded has
    /// another sender than what stays.
    ///
    /// # Errors
    /// See [`QueueError`]; nothing is kept then.
    pub async fn accept_all(&self, envelopes: Envelopes, message: Bytes) -> Result<(), QueueError> {
        let done = match self.0.has_room() {
            Ok(()) => Arrival::begin(&self.0, envelopes, message).finish().await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.0.metrics.refused.inc();
        }
        done
    }
}

impl Inner {
    fn has_room(&self) -> Result<(), QueueError> {
        if self.closing.get() {
            return Err(QueueError::Closed);
        }
        self.is_healthy()?;
        let messages = self.schedule.borrow().len() as u64 + self.arriving.get();
        if messages >= self.settings.borrow().messages_max {
            return Err(QueueError::Many);
        }
        Ok(())
    }

    /// A message is on stable storage, or rides there: it is due, or will be (RFC 4865), or is held until
    /// somebody decides.
    pub(super) fn admit(&self, arriving: Arriving, message: Bytes) {
        let Arriving { id, envelope, is_held } = arriving;
        self.tell_accepted(id, &envelope);
        if is_held {
            return self.note_depth(|schedule| schedule.insert_held(id, FIRST_VERSION));
        }
        let due_ms = envelope.hold_until.unwrap_or_default().max(self.now()).0;
        self.fresh.borrow_mut().insert(id, envelope, message);
        self.note_depth(|schedule| schedule.insert(id, due_ms, 0));
        self.due.notify_one();
    }
}

impl Arrival {
    fn begin(queue: &Rc<Inner>, envelopes: Envelopes, message: Bytes) -> Self {
        let record = &mut *queue.scratch.borrow_mut();
        let bytes = envelopes
            .iter()
            .map(|arriving| {
                let recipients = arriving.envelope.recipients.len();
                message.len() + OVERHEAD_BYTES + recipients * RECIPIENT_BYTES
            })
            .sum();
        let commit = queue.store.commit(bytes, |writer| {
            for Arriving { id, envelope, is_held } in &envelopes {
                record::write_envelope(envelope, record);
                writer.put(META, &id.key(), record);
                writer.put(BODY, &id.key(), &message);
                if *is_held {
                    record::write_held(envelope.recipients.len(), record);
                    writer.put(STATE, &record::state_key(*id, FIRST_VERSION), record);
                }
            }
        });
        Self::counted(queue, envelopes, message, Some(commit), Instant::now())
    }

    fn counted(
        queue: &Rc<Inner>,
        envelopes: Envelopes,
        message: Bytes,
        commit: Option<Commit>,
        since: Instant,
    ) -> Self {
        queue.arriving.set(queue.arriving.get() + envelopes.len() as u64);
        Self { queue: Rc::clone(queue), envelopes, message, commit, since }
    }

    async fn finish(mut self) -> Result<(), QueueError> {
        let Some(commit) = self.commit.as_mut() else { return Err(QueueError::Closed) };
        let done = commit.await;
        self.commit = None;
        if done.is_ok() {
            self.admit();
        }
        Ok(done?)
    }

    fn admit(&mut self) {
        let metrics = &self.queue.metrics;
        metrics.commit.record_since(self.since);
        for arriving in self.envelopes.drain(..) {
            metrics.accepted.inc();
            self.queue.arriving.set(self.queue.arriving.get().saturating_sub(1));
            self.queue.admit(arriving, self.message.clone());
        }
    }
}

/// Nobody waits any more: the message arrives all the same if its batch is written.
impl Drop for Arrival {
    fn drop(&mut self) {
        let left = self.envelopes.len() as u64;
        self.queue.arriving.set(self.queue.arriving.get().saturating_sub(left));
        let Some(commit) = self.commit.take() else { return };
        let envelopes = std::mem::take(&mut self.envelopes);
        let message = std::mem::take(&mut self.message);
        let mut abandoned = Self::counted(&self.queue, envelopes, message, None, self.since);
        commit.detach(move |is_written| {
            if is_written {
                abandoned.admit();
            }
        });
    }
}
