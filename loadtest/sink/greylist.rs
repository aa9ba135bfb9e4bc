//! Who asked for whom, and when for the first time.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    time::Duration,
};

use crate::message::between;

/// Triples that are remembered; when there are more, all are forgotten.
const TRIPLES_MAX: usize = 1 << 20;

/// See the module. It keeps hashes, not texts.
#[derive(Debug, Default)]
pub struct Greylist {
    hasher: RandomState,
    first_us: HashMap<u64, u64>,
}

impl Greylist {
    /// Whether this was not asked for at least `wait` ago.
    pub fn is_too_early(&mut self, triple: &impl Hash, wait: Duration, now_us: u64) -> bool {
        if self.first_us.len() >= TRIPLES_MAX {
            self.first_us.clear();
        }
        let first = *self.first_us.entry(self.hasher.hash_one(triple)).or_insert(now_us);
        between(first, now_us) < wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_try_after_the_wait_is_welcome() {
        let mut list = Greylist::default();
        let wait = Duration::from_millis(1);
        assert!(list.is_too_early(&("a", "b"), wait, 10));
        assert!(list.is_too_early(&("a", "b"), wait, 1009));
        assert!(!list.is_too_early(&("a", "b"), wait, 1010));
        assert!(list.is_too_early(&("a", "c"), wait, 5000));
    }
}
