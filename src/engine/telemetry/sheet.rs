//! A sheet of numbers: what one shard's rooms report when somebody asks.
//!
//! Each room that counts implements [`Measured`] on its metrics; whoever answers `status` lets them
//! all write on one sheet a shard and merges the sheets into a total. Nothing here is on the hot
//! path.

use std::collections::BTreeMap;

use super::{Counter, Gauge, Histogram, Tally};

/// Something whose numbers can be read.
pub trait Measured {
    /// Writes every number on `sheet`, under names such as `queue.accepted`.
    fn report(&self, sheet: &mut Sheet);
}

/// Named numbers of one shard, or of all when merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    counters: BTreeMap<&'static str, u64>,
    gauges: BTreeMap<&'static str, u64>,
    latencies: BTreeMap<&'static str, Tally>,
}

impl Sheet {
    /// An empty sheet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a counter; the same name twice adds up.
    pub fn counter(&mut self, name: &'static str, counter: &Counter) {
        self.count(name, counter.get());
    }

    /// Notes a number that only grows.
    pub fn count(&mut self, name: &'static str, value: u64) {
        *self.counters.entry(name).or_default() += value;
    }

    /// Notes a gauge; the same name twice adds up.
    pub fn gauge(&mut self, name: &'static str, gauge: &Gauge) {
        self.level(name, gauge.get());
    }

    /// Notes a number that goes up and down.
    pub fn level(&mut self, name: &'static str, value: u64) {
        *self.gauges.entry(name).or_default() += value;
    }

    /// Notes a latency histogram; the same name twice merges.
    pub fn latency(&mut self, name: &'static str, histogram: &Histogram) {
        self.latencies.entry(name).or_default().merge(&histogram.tally());
    }

    /// Adds everything on `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, value) in &other.counters {
            *self.counters.entry(name).or_default() += value;
        }
        for (name, value) in &other.gauges {
            *self.gauges.entry(name).or_default() += value;
        }
        for (name, tally) in &other.latencies {
            self.latencies.entry(name).or_default().merge(tally);
        }
    }

    /// The counters, by name.
    #[must_use]
    pub fn counters(&self) -> &BTreeMap<&'static str, u64> {
        &self.counters
    }

    /// The gauges, by name.
    #[must_use]
    pub fn gauges(&self) -> &BTreeMap<&'static str, u64> {
        &self.gauges
    }

    /// The latency histograms, by name.
    #[must_use]
    pub fn latencies(&self) -> &BTreeMap<&'static str, Tally> {
        &self.latencies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_add_up() {
        let (accepted, open, commit) = (Counter::new(), Gauge::new(), Histogram::new());
        accepted.add(3);
        open.set(2);
        commit.record(10);
        let mut one = Sheet::new();
        one.counter("queue.accepted", &accepted);
        one.gauge("smtp.open", &open);
        one.latency("queue.commit", &commit);

        let mut total = one.clone();
        total.merge(&one);
        assert_eq!(total.counters()["queue.accepted"], 6);
        assert_eq!(total.gauges()["smtp.open"], 4);
        assert_eq!(total.latencies()["queue.commit"].summary().count, 2);
    }
}
