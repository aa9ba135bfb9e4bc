//! Taking a message: from the door's octets to stable storage.
//!
//! What must stay true: a message is scheduled when, and only when, its batch is on stable storage,
//! be there anybody left to hear of it or not; a failed batch leaves nothing behind.

use std::{rc::Rc, time::Instant};

use bytes::Bytes;
use engine::storage::Commit;
use proto::types::{Envelope, Reply};

use super::record::{self, BODY, META};
use super::{Inner, MessageId, Queue, QueueError};

/// What a batch holds for a message beside its body: keys, and the envelope at its usual size.
const OVERHEAD_BYTES: usize = 256;

/// A message whose commit is under way.
struct Arrival {
    queue: Rc<Inner>,
    id: MessageId,
    envelope: Option<Envelope>,
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
        let done = match self.0.has_room() {
            Ok(()) => Arrival::begin(&self.0, id, envelope, message).finish().await,
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

    /// A message is on stable storage, or rides there: it is due.
    pub(super) fn admit(&self, id: MessageId, envelope: Envelope, message: Bytes) {
        self.tell_accepted(id, &envelope);
        self.fresh.borrow_mut().insert(id, envelope, message);
        let now_ms = self.now().0;
        self.note_depth(|schedule| schedule.insert(id, now_ms, 0));
        self.due.notify_one();
    }
}

impl Arrival {
    fn begin(queue: &Rc<Inner>, id: MessageId, envelope: Envelope, message: Bytes) -> Self {
        let record = &mut *queue.scratch.borrow_mut();
        record::write_envelope(&envelope, record);
        let bytes = record.len() + message.len() + OVERHEAD_BYTES;
        let commit = queue.store.commit(bytes, |writer| {
            writer.put(META, &id.key(), record);
            writer.put(BODY, &id.key(), &message);
        });
        queue.arriving.set(queue.arriving.get() + 1);
        Self {
            queue: Rc::clone(queue),
            id,
            envelope: Some(envelope),
            message,
            commit: Some(commit),
            since: Instant::now(),
        }
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
        let Some(envelope) = self.envelope.take() else { return };
        let metrics = &self.queue.metrics;
        metrics.accepted.inc();
        metrics.commit.record_since(self.since);
        self.queue.admit(self.id, envelope, std::mem::take(&mut self.message));
    }
}

/// Nobody waits any more: the message arrives all the same if its batch is written.
impl Drop for Arrival {
    fn drop(&mut self) {
        self.queue.arriving.set(self.queue.arriving.get().saturating_sub(1));
        let (Some(commit), Some(envelope)) = (self.commit.take(), self.envelope.take()) else {
            return;
        };
        let mut abandoned = Self {
            queue: Rc::clone(&self.queue),
            id: self.id,
            envelope: Some(envelope),
            message: std::mem::take(&mut self.message),
            commit: None,
            since: self.since,
        };
        self.queue.arriving.set(self.queue.arriving.get() + 1);
        commit.detach(move |is_written| {
            if is_written {
                abandoned.admit();
            }
        });
    }
}
