//! Bodies and digests in memory, for all stores of a shard, bounded in octets.
//!
//! What must stay true: a key names store, account, folder and UID, none of which is ever used again
//! for anything else, and a value is kept with the message that it is of: what is asked for is compared
//! with it, so that nothing but that message can ever come out. Nothing is kept that is not on
//! stable storage. Sizes are counted with what an entry costs beside its value.
//!
//! Who was not used since the hand came by last makes room first (CLOCK).

use std::{cell::RefCell, collections::HashMap, collections::VecDeque, sync::Arc};

use bytes::Bytes;
use engine::telemetry::{Counter, Gauge};
use foldhash::quality::RandomState;
use slab::Slab;

use super::digest::{Digest, bytes_of};
use super::{EmailId, Metrics, Settings};

/// What an entry costs beside its value.
const ENTRY_BYTES: usize = 128;
/// A value over this part of a cache is not kept.
const VALUE_PART: usize = 8;

/// One message in one folder of one account of one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub store: u16,
    pub account: u32,
    pub folder: u32,
    pub uid: u32,
}

/// The caches of a shard.
#[derive(Debug)]
pub struct Caches {
    bodies: RefCell<Cache<Bytes>>,
    digests: RefCell<Cache<Arc<Digest>>>,
    metrics: Arc<Metrics>,
}

impl Caches {
    /// Empty ones.
    #[must_use]
    pub fn new(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            bodies: RefCell::new(Cache::new(settings.body_cache.as_usize())),
            digests: RefCell::new(Cache::new(settings.digest_cache.as_usize())),
            metrics,
        }
    }

    /// Takes new sizes.
    pub fn reload(&self, settings: &Settings) {
        self.bodies.borrow_mut().resize(settings.body_cache.as_usize());
        self.digests.borrow_mut().resize(settings.digest_cache.as_usize());
        self.note_sizes();
    }

    pub(super) fn body(&self, place: Place, id: EmailId) -> Option<Bytes> {
        let found = self.bodies.borrow_mut().get(place, id);
        count(found.is_some(), &self.metrics.body_hits, &self.metrics.body_misses);
        found
    }

    pub(super) fn digest(&self, place: Place, id: EmailId) -> Option<Arc<Digest>> {
        let found = self.digests.borrow_mut().get(place, id);
        count(found.is_some(), &self.metrics.digest_hits, &self.metrics.digest_misses);
        found
    }

    pub(super) fn keep_body(&self, place: Place, id: EmailId, body: Bytes) {
        let bytes = body.len();
        self.bodies.borrow_mut().put(place, id, body, bytes);
        self.note_sizes();
    }

    /// `encoded` is how many octets it takes on the disk.
    pub(super) fn keep_digest(
        &self,
        place: Place,
        id: EmailId,
        digest: Arc<Digest>,
        encoded: usize,
    ) {
        self.digests.borrow_mut().put(place, id, digest, bytes_of(encoded));
        self.note_sizes();
    }

    /// Of a message that is gone.
    pub(super) fn forget(&self, place: Place) {
        self.bodies.borrow_mut().remove(place);
        self.digests.borrow_mut().remove(place);
        self.note_sizes();
    }

    fn note_sizes(&self) {
        let set = |gauge: &Gauge, bytes: usize| gauge.set(bytes as u64);
        set(&self.metrics.body_bytes, self.bodies.borrow().bytes);
        set(&self.metrics.digest_bytes, self.digests.borrow().bytes);
    }
}

fn count(is_hit: bool, hits: &Counter, misses: &Counter) {
    if is_hit { hits.inc() } else { misses.inc() }
}

#[derive(Debug)]
struct Cache<V> {
    slots: Slab<Slot<V>>,
    by_place: HashMap<Place, usize, RandomState>,
    /// All slots, in the order in which the hand comes by.
    round: VecDeque<usize>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Slot<V> {
    place: Place,
    id: EmailId,
    /// None: removed; the slot goes when the hand comes by.
    value: Option<V>,
    bytes: usize,
    was_used: bool,
}

impl<V: Clone> Cache<V> {
    fn new(bytes_max: usize) -> Self {
        Self {
            slots: Slab::new(),
            by_place: HashMap::default(),
            round: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    fn resize(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.make_room(0);
    }

    fn get(&mut self, place: Place, id: EmailId) -> Option<V> {
        let slot = self.slots.get_mut(*self.by_place.get(&place)?)?;
        if slot.id != id {
            return None;
        }
        slot.was_used = true;
        slot.value.clone()
    }

    fn put(&mut self, place: Place, id: EmailId, value: V, bytes: usize) {
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        if bytes > self.bytes_max / VALUE_PART {
            return;
        }
        self.remove(place);
        self.make_room(bytes);
        let slot = Slot { place, id, value: Some(value), bytes, was_used: false };
        let at = self.slots.insert(slot);
        self.by_place.insert(place, at);
        self.round.push_back(at);
        self.bytes += bytes;
    }

    fn remove(&mut self, place: Place) {
        let Some(at) = self.by_place.remove(&place) else { return };
        if let Some(slot) = self.slots.get_mut(at) {
            // What is left of it is still counted, so that empty slots cannot pile up.
            self.bytes -= slot.bytes - ENTRY_BYTES;
            slot.bytes = ENTRY_BYTES;
            slot.value = None;
        }
    }

    fn make_room(&mut self, bytes: usize) {
        while self.bytes.saturating_add(bytes) > self.bytes_max
            && let Some(at) = self.round.pop_front()
        {
            let Some(slot) = self.slots.get_mut(at) else { continue };
            if slot.value.is_some() && std::mem::take(&mut slot.was_used) {
                self.round.push_back(at);
                continue;
            }
            let slot = self.slots.remove(at);
            self.bytes -= slot.bytes;
            if slot.value.is_some() {
                self.by_place.remove(&slot.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(store: u16, account: u32, uid: u32) -> Place {
        Place { store, account, folder: 2, uid }
    }

    #[test]
    fn what_is_used_stays() {
        let mut cache = Cache::new(10 * (ENTRY_BYTES + 10));
        for uid in 0..10 {
            cache.put(place(0, 1, uid), EmailId(1), uid, 10);
        }
        assert_eq!(cache.get(place(0, 1, 0), EmailId(1)), Some(0));
        cache.put(place(0, 1, 10), EmailId(1), 10, 10);
        assert_eq!(cache.get(place(0, 1, 0), EmailId(1)), Some(0));
        assert_eq!(cache.get(place(0, 1, 1), EmailId(1)), None);
        assert_eq!(cache.get(place(0, 1, 10), EmailId(2)), None, "of another message");
        cache.put(place(0, 1, 11), EmailId(1), 11, 2000);
        assert_eq!(cache.get(place(0, 1, 11), EmailId(1)), None, "too large");
        cache.resize(0);
        assert!(cache.slots.is_empty() && cache.by_place.is_empty() && cache.bytes == 0);
    }

    proptest! {
        /// Against a map that keeps everything: what comes out is what was put in for that very place
        /// and message, and the bound holds after every step.
        #[test]
        fn nothing_of_anybody_else_comes_out(
            steps in prop::collection::vec((0_u16..2, 0_u32..3, 0_u32..4, 0_u64..3, 0_usize..400, 0_u8..4), 1..300)
        ) {
            let mut cache = Cache::new(4000);
            let mut all = HashMap::new();
            for (number, (store, account, uid, id, bytes, what)) in steps.into_iter().enumerate() {
                let (place, id) = (place(store, account, uid), EmailId(id));
                match what {
                    0 => {
                        cache.remove(place);
                        all.remove(&place);
                    }
                    1 => {
                        if let Some(found) = cache.get(place, id) {
                            prop_assert_eq!(Some(&(id, found)), all.get(&place));
                        }
                    }
                    _ => {
                        cache.put(place, id, number, bytes);
                        if bytes + ENTRY_BYTES <= 500 {
                            all.insert(place, (id, number));
                        }
                    }
                }
                prop_assert!(cache.bytes <= 4000);
                let held: usize = cache.slots.iter().map(|(_, slot)| slot.bytes).sum();
                prop_assert_eq!(held, cache.bytes);
                prop_assert_eq!(cache.round.len(), cache.slots.len());
            }
        }
    }
}
