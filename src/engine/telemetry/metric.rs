//! Numbers that one shard writes and anyone may read.
//!
//! What must stay true: each value has a single writing thread, so that a plain load and store is
//! enough and no cache line is fought over; [`Apart`] keeps what different shards write on
//! different cache lines. Readers see a value that is at most a few nanoseconds old, never a torn
//! one. Counters wrap after 2^64.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows. One thread adds, any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// A number that goes up and down. One thread writes, any thread reads. Never below zero.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// Keeps its content on cache lines of its own: wrap the metrics of a shard in this.
///
/// 128 bytes, since current processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Apart<T>(pub T);

impl Counter {
    /// A counter at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds `count`. Only the owning shard calls this.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    /// Adds one. Only the owning shard calls this.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// The current value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Gauge {
    /// A gauge at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Sets the value. Only the owning shard calls this.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Adds `count`; saturates. Only the owning shard calls this.
    #[inline]
    pub fn add(&self, count: u64) {
        self.set(self.get().saturating_add(count));
    }

    /// Takes `count` away; stops at zero. Only the owning shard calls this.
    #[inline]
    pub fn sub(&self, count: u64) {
        self.set(self.get().saturating_sub(count));
    }

    /// The current value.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl<T> Deref for Apart<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Apart<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_stops_at_zero() {
        let counter = Counter::new();
        counter.inc();
        counter.add(4);
        assert_eq!(counter.get(), 5);

        let gauge = Gauge::new();
        gauge.add(3);
        gauge.sub(1);
        assert_eq!(gauge.get(), 2);
        gauge.sub(7);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn neighbours_share_no_cache_line() {
        let shards: [Apart<Counter>; 2] = Default::default();
        let distance = (&raw const shards[1]).addr() - (&raw const shards[0]).addr();
        assert!(distance >= 128);
        assert!((&raw const shards[0]).addr().is_multiple_of(128));
    }
}
