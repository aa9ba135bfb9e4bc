//! What delivery counts. One shard writes, anybody reads.

use engine::telemetry::{Counter, Gauge, Histogram, Measured, Sheet};

/// The numbers of one shard's delivery.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that got as far as EHLO's answer.
    pub opened: Counter,
    /// Of these, with TLS.
    pub tls: Counter,
    /// Connections on which TLS could not be had as it was demanded or hoped for.
    pub tls_failed: Counter,
    /// Messages sent over a connection that had carried one before.
    pub reused: Counter,
    /// Hosts that could not be reached or would not talk.
    pub failed: Counter,
    /// Times that a site was given up for a while.
    pub rests: Counter,
    /// Transactions ended, whatever came of them.
    pub transactions: Counter,
    /// Connections that had gone stale while they were kept: their message went over another.
    pub stale: Counter,
    /// Messages given back to the queue because their site had no room.
    pub postponed: Counter,
    /// Copies put into mailboxes here.
    pub placed: Counter,
    /// Octets of these.
    pub placed_octets: Counter,
    /// DNS look-ups for a destination.
    pub lookups: Counter,
    /// Messages in delivery.
    pub active: Gauge,
    /// Connections open or being opened.
    pub connections: Gauge,
    /// Sites known.
    pub sites: Gauge,
    /// Microseconds of a look-up.
    pub lookup: Histogram,
    /// Microseconds from connecting to EHLO's answer.
    pub connect: Histogram,
    /// Microseconds of a transaction.
    pub transaction: Histogram,
}

impl Measured for Metrics {
    fn report(&self, sheet: &mut Sheet) {
        sheet.counter("delivery.connections_opened", &self.opened);
        sheet.counter("delivery.connections_tls", &self.tls);
        sheet.counter("delivery.tls_failed", &self.tls_failed);
        sheet.counter("delivery.connections_reused", &self.reused);
        sheet.counter("delivery.connections_failed", &self.failed);
        sheet.counter("delivery.connections_stale", &self.stale);
        sheet.counter("delivery.site_rests", &self.rests);
        sheet.counter("delivery.transactions", &self.transactions);
        sheet.counter("delivery.postponed", &self.postponed);
        sheet.counter("delivery.mailboxes", &self.placed);
        sheet.counter("delivery.mailbox_octets", &self.placed_octets);
        sheet.counter("delivery.lookups", &self.lookups);
        sheet.gauge("delivery.active", &self.active);
        sheet.gauge("delivery.connections", &self.connections);
        sheet.gauge("delivery.sites", &self.sites);
        sheet.latency("delivery.lookup_us", &self.lookup);
        sheet.latency("delivery.connect_us", &self.connect);
        sheet.latency("delivery.transaction_us", &self.transaction);
    }
}
