//! What the queue counts. One shard writes, anybody reads.

use engine::telemetry::{Counter, Gauge, Histogram, Measured, Sheet};

/// The numbers of the queues of one shard.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Messages accepted, bounces of our own not counted.
    pub accepted: Counter,
    /// Recipients delivered.
    pub delivered: Counter,
    /// Attempts that put a recipient off.
    pub deferred: Counter,
    /// Recipients given up, expired ones included.
    pub bounced: Counter,
    /// Recipients given up because of age.
    pub expired: Counter,
    /// Reports sent to senders: bounces, delay warnings, successes.
    pub reports: Counter,
    /// Reports dropped because their own report failed.
    pub double_bounces: Counter,
    /// Messages that could not be stored; the client heard 4yz.
    pub refused: Counter,
    /// Messages put off or held because their record could not be read.
    pub unreadable: Counter,
    /// Bodies that delivery had to read from disk.
    pub body_reads: Counter,
    /// Messages in the queue.
    pub depth: Gauge,
    /// Messages handed out.
    pub active: Gauge,
    /// Messages held.
    pub held: Gauge,
    /// From a message complete to it being on stable storage.
    pub commit: Histogram,
    /// From arrival to delivery, a recipient.
    pub delivery_age: Histogram,
}

impl Measured for Metrics {
    fn report(&self, sheet: &mut Sheet) {
        sheet.counter("queue.accepted", &self.accepted);
        sheet.counter("queue.delivered", &self.delivered);
        sheet.counter("queue.deferred", &self.deferred);
        sheet.counter("queue.bounced", &self.bounced);
        sheet.counter("queue.expired", &self.expired);
        sheet.counter("queue.reports", &self.reports);
        sheet.counter("queue.double_bounces", &self.double_bounces);
        sheet.counter("queue.refused", &self.refused);
        sheet.counter("queue.unreadable", &self.unreadable);
        sheet.counter("queue.body_reads", &self.body_reads);
        sheet.gauge("queue.depth", &self.depth);
        sheet.gauge("queue.active", &self.active);
        sheet.gauge("queue.held", &self.held);
        sheet.latency("queue.commit_us", &self.commit);
        sheet.latency("queue.delivery_age_us", &self.delivery_age);
    }
}
