//! What is written together: groups that ride, batches that somebody waits for.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use rocksdb::WriteBatch;
use smallvec::SmallVec;

use super::{StorageError, database::Database};

/// A key; all of ours but names are 4 to 16 bytes.
pub type Key = SmallVec<[u8; 16]>;

/// One change. A key is put once and removed once: RocksDB's `SingleDelete` has no defined meaning
/// on a key that was put twice. In an overwriting family a key may be put and removed at will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Writes a value.
    Put {
        /// Index into the families that the store was opened with.
        family: usize,
        /// Under this key.
        key: Key,
        /// This.
        value: Bytes,
    },
    /// Removes a key.
    Remove {
        /// Index into the families that the store was opened with.
        family: usize,
        /// This key.
        key: Key,
    },
}

impl Op {
    /// Writes a value.
    pub fn put(family: usize, key: &[u8], value: impl Into<Bytes>) -> Self {
        Self::Put { family, key: Key::from_slice(key), value: value.into() }
    }

    /// Removes a key.
    #[must_use]
    pub fn remove(family: usize, key: &[u8]) -> Self {
        Self::Remove { family, key: Key::from_slice(key) }
    }

    /// Bytes in the log, about.
    fn weight(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len() + 16,
            Self::Remove { key, .. } => key.len() + 16,
        }
    }
}

/// Changes that are made together or not at all.
pub type Group = SmallVec<[Op; 4]>;

pub(super) fn weight(group: &Group) -> usize {
    group.iter().map(Op::weight).sum()
}

/// Adds to the batch that is open: see [`Store::commit`](super::Store::commit).
pub struct Writer<'a> {
    pub(super) batch: &'a mut WriteBatch,
    pub(super) database: &'a Database,
}

impl Writer<'_> {
    /// Writes `value` under `key`; this is the one copy on the way to RocksDB.
    pub fn put(&mut self, family: usize, key: &[u8], value: &[u8]) {
        self.database.put(self.batch, family, key, value);
    }

    /// Removes `key`; see [`Op`] for what may be removed.
    pub fn remove(&mut self, family: usize, key: &[u8]) {
        self.database.remove(self.batch, family, key);
    }
}

/// A batch that is filled, or waits for the committer.
pub(super) struct Filling {
    pub writes: WriteBatch,
    pub cell: Rc<Outcome>,
    pub waiters: u64,
}

/// How a batch ended, for those who wait.
#[derive(Default)]
pub(super) struct Outcome {
    result: RefCell<Option<Result<(), StorageError>>>,
    wakers: RefCell<Vec<Waker>>,
    finals: RefCell<Vec<Final>>,
}

/// Runs when a batch that nobody waits for any more has ended.
type Final = Box<dyn FnOnce(bool)>;

impl Outcome {
    pub(super) fn resolved(result: Result<(), StorageError>) -> Rc<Self> {
        let outcome = Self::default();
        *outcome.result.borrow_mut() = Some(result);
        Rc::new(outcome)
    }

    /// Wakes everybody. The wakers are local: the one wake across threads has happened.
    pub(super) fn resolve(&self, result: Result<(), StorageError>) {
        let is_ok = result.is_ok();
        *self.result.borrow_mut() = Some(result);
        for waker in self.wakers.take() {
            waker.wake();
        }
        for last in self.finals.take() {
            last(is_ok);
        }
    }
}

/// Waits for a batch to be on stable storage. Dropping it does not undo the write.
#[must_use]
pub struct Commit {
    outcome: Rc<Outcome>,
    slot: Cell<Option<usize>>,
}

impl Commit {
    pub(super) fn new(outcome: Rc<Outcome>) -> Self {
        Self { outcome, slot: Cell::new(None) }
    }

    /// Waits no more; `last` is called with whether the write succeeded, now or later.
    pub fn detach(self, last: impl FnOnce(bool) + 'static) {
        self.watch(last);
    }

    /// Calls `last` with whether the write succeeded, now or later, before anybody who waits for this
    /// commit goes on, and in the order of the commits. `last` must not write to the store.
    pub fn watch(&self, last: impl FnOnce(bool) + 'static) {
        let known = self.outcome.result.borrow().as_ref().map(Result::is_ok);
        match known {
            Some(is_ok) => last(is_ok),
            None => self.outcome.finals.borrow_mut().push(Box::new(last)),
        }
    }
}

impl Future for Commit {
    type Output = Result<(), StorageError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = &*self.outcome.result.borrow() {
            return Poll::Ready(result.clone());
        }
        let mut wakers = self.outcome.wakers.borrow_mut();
        match self.slot.get() {
            Some(slot) => wakers[slot].clone_from(context.waker()),
            None => {
                self.slot.set(Some(wakers.len()));
                wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}
