//! What mailboxes count. One shard writes, anybody reads.

use engine::telemetry::{Counter, Gauge, Histogram, Measured, Sheet};

/// The numbers of the mailbox stores of one shard.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Messages put into folders by deliveries, one a recipient.
    pub delivered: Counter,
    /// Recipients that were refused because they are over quota.
    pub over_quota: Counter,
    /// Messages appended by clients.
    pub appended: Counter,
    /// Messages expunged, moved ones included.
    pub expunged: Counter,
    /// Microseconds from a delivery's beginning to its being on stable storage.
    pub commit: Histogram,
    /// Accounts found in memory.
    pub account_hits: Counter,
    /// Accounts read from disk.
    pub account_misses: Counter,
    /// Folders opened whose index was in memory.
    pub index_hits: Counter,
    /// Indexes read from disk.
    pub index_misses: Counter,
    /// Bodies found in memory.
    pub body_hits: Counter,
    /// Bodies read from disk.
    pub body_misses: Counter,
    /// Digests found in memory.
    pub digest_hits: Counter,
    /// Digests read from disk.
    pub digest_misses: Counter,
    /// Digests that could not be read and were made of their messages again.
    pub digests_made_again: Counter,
    /// Octets of bodies in memory.
    pub body_bytes: Gauge,
    /// Octets of digests in memory.
    pub digest_bytes: Gauge,
    /// Octets of accounts and indexes in memory.
    pub account_bytes: Gauge,
    /// Sessions that fell so far behind that they had to look again.
    pub lagged: Counter,
    /// Rows that could not be read.
    pub unreadable: Counter,
    /// Accounts that were read again because a write failed.
    pub lost: Counter,
}

impl Measured for Metrics {
    fn report(&self, sheet: &mut Sheet) {
        sheet.counter("mailbox.delivered", &self.delivered);
        sheet.counter("mailbox.over_quota", &self.over_quota);
        sheet.counter("mailbox.appended", &self.appended);
        sheet.counter("mailbox.expunged", &self.expunged);
        sheet.latency("mailbox.commit_us", &self.commit);
        sheet.counter("mailbox.account_hits", &self.account_hits);
        sheet.counter("mailbox.account_misses", &self.account_misses);
        sheet.counter("mailbox.index_hits", &self.index_hits);
        sheet.counter("mailbox.index_misses", &self.index_misses);
        sheet.counter("mailbox.body_hits", &self.body_hits);
        sheet.counter("mailbox.body_misses", &self.body_misses);
        sheet.counter("mailbox.digest_hits", &self.digest_hits);
        sheet.counter("mailbox.digest_misses", &self.digest_misses);
        sheet.counter("mailbox.digests_made_again", &self.digests_made_again);
        sheet.gauge("mailbox.body_bytes", &self.body_bytes);
        sheet.gauge("mailbox.digest_bytes", &self.digest_bytes);
        sheet.gauge("mailbox.account_bytes", &self.account_bytes);
        sheet.counter("mailbox.lagged", &self.lagged);
        sheet.counter("mailbox.unreadable", &self.unreadable);
        sheet.counter("mailbox.lost", &self.lost);
    }
}
