//! Answers that are kept for a while, of one kind.
//!
//! What must stay true: no more entries and no more weight than was said, whatever strangers ask
//! for; nothing is given out that is past its time; one thread, no lock. Two generations: what was
//! not asked for during a whole one goes, so that the popular stays and no order is kept.

use std::{
    borrow::Borrow,
    cell::RefCell,
    collections::HashMap,
    hash::Hash,
    mem,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

/// Octets that an entry may take on average.
const ENTRY_BYTES: usize = 1024;
/// What is heavier is not kept.
const ENTRY_BYTES_MAX: usize = 32 * 1024;

type Map<K, V> = HashMap<K, Entry<V>, RandomState>;

pub(super) struct Kept<K, V> {
    generations: RefCell<Generations<K, V>>,
    /// Of one generation.
    entries_max: usize,
}

struct Generations<K, V> {
    young: Map<K, V>,
    old: Map<K, V>,
    young_bytes: usize,
}

struct Entry<V> {
    value: V,
    until: Instant,
    bytes: usize,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    pub fn new(entries_max: usize) -> Self {
        let generations =
            Generations { young: Map::default(), old: Map::default(), young_bytes: 0 };
        Self { generations: RefCell::new(generations), entries_max: entries_max / 2 }
    }

    /// What is known and still holds.
    pub fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut generations = self.generations.borrow_mut();
        let holds = |entry: &Entry<V>| entry.until > Instant::now();
        if let Some(entry) = generations.young.get(key) {
            return holds(entry).then(|| entry.value.clone());
        }
        let (key, entry) = generations.old.remove_entry(key)?;
        if !holds(&entry) {
            return None;
        }
        let value = entry.value.clone();
        generations.add(key, entry, self.entries_max);
        Some(value)
    }

    /// Keeps an answer of `bytes` octets or so; not at all when `keep` is zero.
    pub fn put(&self, key: K, value: V, keep: Duration, bytes: usize) {
        if keep.is_zero() || bytes > ENTRY_BYTES_MAX || self.entries_max == 0 {
            return;
        }
        let Some(until) = Instant::now().checked_add(keep) else { return };
        let mut generations = self.generations.borrow_mut();
        generations.add(key, Entry { value, until, bytes }, self.entries_max);
    }

    /// Entries of both generations.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        let generations = self.generations.borrow();
        generations.young.len() + generations.old.len()
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn add(&mut self, key: K, entry: Entry<V>, entries_max: usize) {
        let bytes_max = entries_max.saturating_mul(ENTRY_BYTES);
        let full = self.young.len() >= entries_max;
        if full || self.young_bytes.saturating_add(entry.bytes) > bytes_max {
            self.old = mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += entry.bytes;
        if let Some(former) = self.young.insert(key, entry) {
            self.young_bytes -= former.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn it_never_outgrows_its_bounds() {
        let kept: Kept<String, u32> = Kept::new(100);
        for n in 0..10_000 {
            kept.put(n.to_string(), n, MINUTE, 10);
            assert!(kept.len() <= 100, "{n}: {}", kept.len());
        }
        assert_eq!(kept.get("9999"), Some(9999));
        assert_eq!(kept.get("1"), None);
    }

    #[test]
    fn heavy_ones_push_others_out_and_the_heaviest_never_enter() {
        let kept: Kept<u32, ()> = Kept::new(100);
        for n in 0..100 {
            kept.put(n, (), MINUTE, 10 * 1024);
            assert!(kept.len() <= 10, "{n}: {}", kept.len());
        }
        kept.put(1000, (), MINUTE, ENTRY_BYTES_MAX + 1);
        assert_eq!(kept.get(&1000), None);
        assert_eq!(kept.get(&99), Some(()));
    }

    #[test]
    fn what_is_asked_for_stays_and_what_is_late_goes() {
        let kept: Kept<u32, u32> = Kept::new(20);
        kept.put(7, 7, MINUTE, 1);
        for n in 100..1000 {
            kept.put(n, n, MINUTE, 1);
            assert_eq!(kept.get(&7), Some(7));
        }
        kept.put(8, 8, Duration::ZERO, 1);
        assert_eq!(kept.get(&8), None);
        kept.put(9, 9, Duration::from_nanos(1), 1);
        assert_eq!(kept.get(&9), None);
        let none: Kept<u32, u32> = Kept::new(0);
        none.put(1, 1, MINUTE, 1);
        assert_eq!(none.get(&1), None);
    }
}
