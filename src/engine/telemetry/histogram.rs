//! Latencies (in microseconds, by custom), in buckets that are 1/16 of their power of two wide.
//!
//! What must stay true: recording is one load and one store in an array that is allocated once (one
//! writer, see [`Counter`](super::Counter)); a quantile is the upper end of its bucket and so at most
//! 6.25 % above the truth, never below it and never above the largest value seen. Values over
//! 2^37 µs (38 hours) count in the last bucket; their true size survives in `max`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use serde::{Deserialize, Serialize};

const SUB_BITS: u32 = 4;
const SUB_COUNT: u64 = 1 << SUB_BITS;
const POWER_MAX: u32 = 36;
const BUCKET_COUNT: usize = ((POWER_MAX - SUB_BITS + 2) as usize) * SUB_COUNT as usize;

/// A latency histogram: one thread records, any thread reads. About 4.4 KiB.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_us: AtomicU64,
    max: AtomicU64,
}

/// A copy of a histogram's counts, which can be added to others'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    buckets: Vec<u64>,
    sum_us: u64,
    max: u64,
}

/// What a histogram says, in the unit of what was recorded (metrics named `…_us` are microseconds).
/// All zero when nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// How many values were recorded.
    pub count: u64,
    /// Half of the values are at most this.
    pub p50: u64,
    /// Nine in ten values are at most this.
    pub p90: u64,
    /// 99 in 100 values are at most this.
    pub p99: u64,
    /// The largest value.
    pub max: u64,
    /// The mean, rounded down.
    pub mean: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKET_COUNT).map(|_| AtomicU64::new(0)).collect(),
            sum_us: AtomicU64::new(0),
            max: AtomicU64::new(0),
        }
    }
}

/// Microseconds since `started`.
#[must_use]
pub fn micros_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records one latency of `us` microseconds. Only the owning shard calls this.
    #[inline]
    pub fn record(&self, us: u64) {
        bump(&self.buckets[bucket_of(us)], 1);
        bump(&self.sum_us, us);
        if us > self.max.load(Relaxed) {
            self.max.store(us, Relaxed);
        }
    }

    /// Records the time since `started`.
    #[inline]
    pub fn record_since(&self, started: Instant) {
        self.record(micros_since(started));
    }

    /// A copy of the counts, for merging with those of other shards.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            buckets: self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect(),
            sum_us: self.sum_us.load(Relaxed),
            max: self.max.load(Relaxed),
        }
    }

    /// What this histogram alone says.
    #[must_use]
    pub fn snapshot(&self) -> Summary {
        self.tally().summary()
    }
}

#[inline]
fn bump(value: &AtomicU64, by: u64) {
    value.store(value.load(Relaxed).wrapping_add(by), Relaxed);
}

impl Default for Tally {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKET_COUNT], sum_us: 0, max: 0 }
    }
}

impl Tally {
    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
        self.max = self.max.max(other.max);
    }

    /// The quantiles of what is counted here.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let count: u64 = self.buckets.iter().sum();
        if count == 0 {
            return Summary::default();
        }
        Summary {
            count,
            p50: self.quantile(count, 50),
            p90: self.quantile(count, 90),
            p99: self.quantile(count, 99),
            max: self.max,
            mean: self.sum_us / count,
        }
    }

    fn quantile(&self, count: u64, percent: u64) -> u64 {
        // Rank of the value asked for, rounded up, without overflow for any count.
        let rank = (u128::from(count) * u128::from(percent)).div_ceil(100) as u64;
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= rank {
                return bucket_end(index).min(self.max);
            }
        }
        self.max
    }
}

/// Below 16 each value has its own bucket; above, each power of two is cut into 16.
#[inline]
fn bucket_of(us: u64) -> usize {
    if us < SUB_COUNT {
        return us as usize;
    }
    let power = us.ilog2();
    if power > POWER_MAX {
        return BUCKET_COUNT - 1;
    }
    let shift = power - SUB_BITS;
    let within = (us >> shift) - SUB_COUNT;
    (u64::from(shift + 1) * SUB_COUNT + within) as usize
}

/// The largest value of a bucket.
fn bucket_end(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB_COUNT {
        return index;
    }
    let shift = index / SUB_COUNT - 1;
    let within = index % SUB_COUNT;
    ((SUB_COUNT + within + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_says_nothing() {
        assert_eq!(Histogram::new().snapshot(), Summary::default());
    }

    #[test]
    fn quantiles_of_a_known_row() {
        let histogram = Histogram::new();
        for us in 1..=1000 {
            histogram.record(us);
        }
        let summary = histogram.snapshot();
        assert_eq!((summary.count, summary.max, summary.mean), (1000, 1000, 500));
        for (got, truth) in [(summary.p50, 500), (summary.p90, 900), (summary.p99, 990)] {
            assert!(got >= truth && got <= truth + truth / 16, "{got} for {truth}");
        }
    }

    #[test]
    fn huge_values_keep_their_maximum() {
        let histogram = Histogram::new();
        histogram.record(u64::MAX);
        assert_eq!(histogram.snapshot().max, u64::MAX);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket(us in 0_u64..1 << 37) {
            let index = bucket_of(us);
            prop_assert!(us <= bucket_end(index));
            prop_assert!(index == 0 || us > bucket_end(index - 1));
            prop_assert!(bucket_end(index) - us <= us / 16);
        }

        #[test]
        fn merging_is_recording_in_one(left in prop::collection::vec(any::<u32>(), 0..50),
                                       right in prop::collection::vec(any::<u32>(), 0..50)) {
            let (a, b, both) = (Histogram::new(), Histogram::new(), Histogram::new());
            left.iter().for_each(|us| a.record(u64::from(*us)));
            right.iter().for_each(|us| b.record(u64::from(*us)));
            left.iter().chain(&right).for_each(|us| both.record(u64::from(*us)));
            let mut merged = a.tally();
            merged.merge(&b.tally());
            prop_assert_eq!(merged, both.tally());
        }
    }
}
