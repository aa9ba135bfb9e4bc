//! How many entries of a store refer to each message.
//!
//! What must stay true: a count is changed only by who has *pinned* it: while it is pinned it is in
//! memory, as it will be once everything on its way is written; a count that nobody has pinned is on
//! the disk as it is. The count is written in the group that changes what it counts, and the body
//! is removed in the group in which the count becomes nothing.
//!
//! How it fails: when a group is lost its changes are taken back. A count that is missing on the disk is
//! never written, and its body never removed: `verify` tells of it.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use engine::storage;
use foldhash::fast::RandomState;

use super::record::{self, SHARE};
use super::{EmailId, MailboxError};

/// Counts that are read at a time.
const READ_MAX: usize = 1024;

/// Pinned counts, by message.
#[derive(Debug, Default)]
pub(super) struct Shares {
    pinned: RefCell<HashMap<EmailId, Share, RandomState>>,
}

#[derive(Debug)]
struct Share {
    pins: u32,
    count: Count,
}

#[derive(Clone, Copy, Debug)]
enum Count {
    /// Not read yet.
    Unread,
    Known(u32),
    /// There is no row, or none that can be read.
    Missing,
}

/// Somebody's pins. Undone when dropped, but for what was kept.
#[derive(Debug)]
pub(super) struct Pins {
    shares: Rc<Shares>,
    ids: Vec<EmailId>,
    changes: Vec<(EmailId, bool)>,
}

impl Shares {
    /// Pins the counts of `ids`.
    ///
    /// # Errors
    /// The disk's.
    pub async fn pin(
        self: &Rc<Self>,
        disk: &storage::Store,
        ids: Vec<EmailId>,
    ) -> Result<Pins, MailboxError> {
        let mut unread = Vec::new();
        {
            let mut pinned = self.pinned.borrow_mut();
            for id in &ids {
                let share = pinned.entry(*id).or_insert(Share { pins: 0, count: Count::Unread });
                share.pins += 1;
                if matches!(share.count, Count::Unread) {
                    unread.push(*id);
                }
            }
        }
        let pins = Pins { shares: Rc::clone(self), ids, changes: Vec::new() };
        for some in unread.chunks(READ_MAX) {
            let keys = some.iter().map(|id| record::message_key(id.0)).collect();
            let rows = disk.get_many(SHARE, keys).await?;
            let mut pinned = self.pinned.borrow_mut();
            for (id, row) in some.iter().zip(rows) {
                // Whoever else was reading it may have been quicker, and may have changed it.
                if let Some(share) = pinned.get_mut(id).filter(|s| matches!(s.count, Count::Unread))
                {
                    let count = row.and_then(|row| record::read::<u32>("share", &row).ok());
                    share.count = count.map_or(Count::Missing, Count::Known);
                }
            }
        }
        Ok(pins)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.pinned.borrow().len()
    }
}

impl Pins {
    /// One entry more, or one less, refers to `id`: returns how many do then, unless that is
    /// unknown.
    pub fn change(&mut self, id: EmailId, is_more: bool) -> Option<u32> {
        let count = self.shares.step(id, is_more)?;
        self.changes.push((id, is_more));
        Some(count)
    }

    /// What was changed is on stable storage.
    pub fn keep(&mut self) {
        self.changes.clear();
    }
}

impl Shares {
    fn step(&self, id: EmailId, is_more: bool) -> Option<u32> {
        let mut pinned = self.pinned.borrow_mut();
        match &mut pinned.get_mut(&id)?.count {
            Count::Known(count) => {
                *count = if is_more { count.checked_add(1)? } else { count.checked_sub(1)? };
                Some(*count)
            }
            Count::Unread | Count::Missing => None,
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for (id, was_more) in std::mem::take(&mut self.changes) {
            self.shares.step(id, !was_more);
        }
        let mut pinned = self.shares.pinned.borrow_mut();
        for id in &self.ids {
            if let Some(share) = pinned.get_mut(id) {
                share.pins -= 1;
                if share.pins == 0 {
                    pinned.remove(id);
                }
            }
        }
    }
}
