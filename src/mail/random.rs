//! A little chance for shuffling hosts and for jitter; of no use to cryptography.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

/// SplitMix64, one a shard.
#[derive(Debug)]
pub struct Random(Cell<u64>);

/// Seeded by the operating system's randomness.
impl Default for Random {
    fn default() -> Self {
        Self::seeded(RandomState::new().hash_one(0))
    }
}

impl Random {
    /// Seeded by the system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Seeded by the caller: the same seed gives the same numbers.
    pub const fn seeded(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// The next 64 bits.
    pub fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias is below 2^-32 for the bounds used here.
    pub fn below(&self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_up() {
        let random = Random::seeded(7);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let mut items = [1, 2, 3];
            random.shuffle(&mut items);
            seen.insert(items);
        }
        assert_eq!(seen.len(), 6);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }
}
