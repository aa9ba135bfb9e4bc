//! What a store counts. One shard writes, anybody reads.

use crate::telemetry::{Counter, Histogram, Measured, Sheet};

/// The numbers of the stores of one shard.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Batches written and synced, failed ones included.
    pub syncs: Counter,
    /// Batches that failed.
    pub failures: Counter,
    /// Groups that rode along.
    pub riders: Counter,
    /// Microseconds of one write and sync.
    pub sync: Histogram,
    /// Commits that shared one sync, riders not counted.
    pub batch_messages: Histogram,
}

impl Measured for Metrics {
    fn report(&self, sheet: &mut Sheet) {
        sheet.counter("storage.syncs", &self.syncs);
        sheet.counter("storage.failures", &self.failures);
        sheet.counter("storage.riders", &self.riders);
        sheet.latency("storage.sync_us", &self.sync);
        sheet.latency("storage.batch_messages", &self.batch_messages);
    }
}
