//! The changes of one folder, in order: some still on their way to the disk, then *published*, read
//! by every session at its own pace, and forgotten.
//!
//! What must stay true: nobody sees a change before it is on stable storage. (A session that saw a
//! UID or a modseq which a crash takes back would keep it for something else that gets it next.)
//! Changes that are not published are never forgotten; of the others a bounded number is kept for
//! those who have not read them. Who falls behind it is told so and looks at the folder anew.

use std::collections::VecDeque;

use slab::Slab;
use smallvec::{SmallVec, smallvec};

use super::{Counts, Entry};

/// Entries that published changes may hold together, for sessions that have not read them.
const WEIGHT_MAX: usize = 8192;

/// What was done to a folder in one group.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Which session did it; 0: none.
    pub by: u32,
    pub what: What,
    /// How the folder counts afterwards.
    pub counts: Counts,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// These came, by UID.
    New(SmallVec<[Entry; 1]>),
    /// The flags of these are other now, by UID.
    Flags(SmallVec<[Entry; 1]>),
    /// These are gone, by UID.
    Gone(SmallVec<[u32; 4]>),
    /// The folder is.
    Deleted,
    /// It was INBOX, and has another name: who has INBOX open must open it again (RFC 9051 §6.3.6).
    Parted,
}

impl What {
    fn weight(&self) -> usize {
        match self {
            Self::New(entries) | Self::Flags(entries) => entries.len(),
            Self::Gone(uids) => uids.len(),
            Self::Deleted | Self::Parted => 1,
        }
    }
}

/// Whoever asked has missed changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lagged;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Feed {
    kept: VecDeque<Change>,
    /// Number of the first that is kept.
    first: u64,
    /// Number of the first that is not published.
    published: u64,
    /// Of the published ones that are kept.
    weight: usize,
    /// What each reader will read next.
    cursors: Slab<u64>,
}

impl Feed {
    /// A change is on its way; returns its number.
    pub fn push(&mut self, change: Change) -> u64 {
        self.kept.push_back(change);
        self.first + self.kept.len() as u64 - 1
    }

    /// Changes that are not published yet, and not beyond `last`.
    pub fn due(&self, last: u64) -> impl Iterator<Item = (u64, &Change)> {
        let from = self.published;
        let numbers = from..last.saturating_add(1);
        numbers.filter_map(|number| Some((number, self.kept.get(self.position(number)?)?)))
    }

    /// Everything up to `last` is on stable storage.
    pub fn publish(&mut self, last: u64) {
        while self.published <= last {
            let Some(at) = self.position(self.published) else { break };
            self.weight += self.kept[at].what.weight();
            self.published += 1;
        }
        self.forget();
    }

    /// The number that the next change will have.
    pub fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Whether all changes before `end` are published.
    pub const fn is_published(&self, end: u64) -> bool {
        self.published >= end
    }

    /// Whether all changes are published.
    pub fn is_settled(&self) -> bool {
        self.is_published(self.end())
    }

    /// A reader that begins with what is published next.
    pub fn subscribe(&mut self) -> usize {
        self.cursors.insert(self.published)
    }

    /// A reader goes.
    pub fn unsubscribe(&mut self, reader: usize) {
        self.cursors.try_remove(reader);
        self.forget();
    }

    /// Readers.
    pub fn readers(&self) -> usize {
        self.cursors.len()
    }

    /// Whether a reader has something to read.
    pub fn has_news(&self, reader: usize) -> bool {
        self.cursors.get(reader).is_some_and(|next| *next < self.published)
    }

    /// Published changes that a reader has not read, in order. It has read them then.
    ///
    /// # Errors
    /// [`Lagged`]: some are forgotten; it goes on with what is published next.
    pub fn read(&mut self, reader: usize) -> Result<SmallVec<[Change; 2]>, Lagged> {
        let Some(next) = self.cursors.get_mut(reader) else { return Err(Lagged) };
        let from = std::mem::replace(next, self.published);
        if from < self.first {
            self.forget();
            return Err(Lagged);
        }
        let mut changes = smallvec![];
        let start = (from - self.first) as usize;
        let end = (self.published - self.first) as usize;
        changes.extend(self.kept.range(start..end).cloned());
        self.forget();
        Ok(changes)
    }

    fn position(&self, number: u64) -> Option<usize> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (at < self.kept.len()).then_some(at)
    }

    fn forget(&mut self) {
        let wanted = self.cursors.iter().map(|(_, next)| *next).min().unwrap_or(self.published);
        while self.first < self.published
            && (self.first < wanted || self.weight > WEIGHT_MAX)
            && let Some(change) = self.kept.pop_front()
        {
            self.weight -= change.what.weight();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::entry;
    use super::*;

    fn new(uid: u32) -> Change {
        Change { by: 0, what: What::New(smallvec![entry(uid)]), counts: Counts::default() }
    }

    fn uids(changes: &[Change]) -> Vec<u32> {
        let uid = |change: &Change| match &change.what {
            What::New(entries) => entries[0].uid,
            other => panic!("{other:?}"),
        };
        changes.iter().map(uid).collect()
    }

    #[test]
    fn nobody_sees_what_is_not_published() {
        let mut feed = Feed::default();
        let early = feed.subscribe();
        let numbers = [1, 2, 3].map(|uid| feed.push(new(uid)));
        assert!(!feed.has_news(early) && feed.read(early).unwrap().is_empty());
        assert_eq!(feed.due(numbers[1]).map(|(number, _)| number).collect::<Vec<_>>(), [0, 1]);
        feed.publish(numbers[1]);
        let late = feed.subscribe();
        assert_eq!(uids(&feed.read(early).unwrap()), [1, 2]);
        assert!(!feed.is_settled() && !feed.has_news(late));
        feed.publish(numbers[2]);
        assert_eq!(uids(&feed.read(late).unwrap()), [3]);
        assert_eq!(feed.kept.len(), 1, "kept for the early one");
        assert_eq!(uids(&feed.read(early).unwrap()), [3]);
        assert!(feed.kept.is_empty() && feed.weight == 0 && feed.is_settled());
    }

    #[test]
    fn who_sleeps_too_long_is_told() {
        let mut feed = Feed::default();
        let sleeper = feed.subscribe();
        for uid in 0..WEIGHT_MAX as u32 + 5 {
            let number = feed.push(new(uid));
            feed.publish(number);
        }
        assert_eq!(feed.kept.len(), WEIGHT_MAX);
        assert_eq!(feed.read(sleeper).err(), Some(Lagged));
        assert!(feed.kept.is_empty() && feed.read(sleeper).unwrap().is_empty());
        feed.unsubscribe(sleeper);
        assert_eq!(feed.readers(), 0);
        // Unpublished ones are kept, however many.
        for uid in 0..WEIGHT_MAX as u32 + 5 {
            feed.push(new(uid));
        }
        assert_eq!(feed.kept.len(), WEIGHT_MAX + 5);
    }
}
