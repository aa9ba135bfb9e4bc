//! What is in a folder, in memory: one entry a message, by UID.
//!
//! What must stay true: it holds what is on stable storage and nothing else. Changes may be applied
//! twice or over what they led to already: each says how things are after it.

use super::Entry;

/// Entries sorted by UID.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: Vec<Entry>,
}

impl Index {
    /// Of entries that come by UID.
    pub fn new(entries: Vec<Entry>) -> Self {
        debug_assert!(entries.is_sorted_by(|a, b| a.uid < b.uid));
        Self { entries }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn get(&self, uid: u32) -> Option<&Entry> {
        self.at(uid).ok().map(|at| &self.entries[at])
    }

    /// Octets in memory.
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }

    /// A message is new, or has changed.
    pub fn put(&mut self, entry: Entry) {
        match self.entries.last() {
            Some(last) if last.uid >= entry.uid => match self.at(entry.uid) {
                Ok(at) => self.entries[at] = entry,
                Err(at) => self.entries.insert(at, entry),
            },
            _ => self.entries.push(entry),
        }
    }

    /// Messages are gone; `uids` is sorted.
    pub fn remove(&mut self, uids: &[u32]) {
        if let [uid] = uids {
            if let Ok(at) = self.at(*uid) {
                self.entries.remove(at);
            }
            return;
        }
        let mut uids = uids.iter().peekable();
        self.entries.retain(|entry| {
            while uids.next_if(|uid| **uid < entry.uid).is_some() {}
            uids.next_if(|uid| **uid == entry.uid).is_none()
        });
    }

    fn at(&self, uid: u32) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&uid, |entry| entry.uid)
    }
}

#[cfg(test)]
pub(super) fn entry(uid: u32) -> Entry {
    use super::{EmailId, Flags, ThreadId};
    use proto::types::Timestamp;
    Entry {
        uid,
        size: 10,
        id: EmailId(u64::from(uid)),
        thread: ThreadId(0),
        modseq: 1,
        flags: Flags(0),
        internal: Timestamp(0),
        saved: Timestamp(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_may_come_twice() {
        let mut index = Index::default();
        for uid in [1, 2, 4, 9, 4, 3] {
            index.put(entry(uid));
        }
        let uids = |index: &Index| index.entries().iter().map(|e| e.uid).collect::<Vec<_>>();
        assert_eq!(uids(&index), [1, 2, 3, 4, 9]);
        for _ in 0..2 {
            index.remove(&[2, 5, 9, 11]);
            index.remove(&[3]);
            assert_eq!(uids(&index), [1, 4]);
        }
        index.put(Entry { modseq: 7, ..entry(4) });
        assert_eq!(index.get(4).map(|entry| entry.modseq), Some(7));
        assert_eq!(index.get(3), None);
    }
}
