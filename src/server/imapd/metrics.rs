//! What the IMAP door counts. One shard writes, anybody reads.

use engine::telemetry::{Counter, Gauge, Measured, Sheet};

/// The numbers of one shard's door.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections accepted, refused ones included.
    pub connections: Counter,
    /// Connections turned away: too many, or a PROXY header that was missing or wrong.
    pub turned_away: Counter,
    /// Connections open now.
    pub open: Gauge,
    /// Of these, how many idle (RFC 2177).
    pub idling: Gauge,
    /// Connections that came from another shard behind their login.
    pub moved: Counter,
    /// Sessions begun.
    pub logins: Counter,
    /// Logins refused because the account had too many sessions.
    pub crowded: Counter,
    /// Commands executed; what the machine answers by itself is not among them.
    pub commands: Counter,
    /// Messages of which `FETCH` told something.
    pub fetched: Counter,
    /// Octets of messages sent.
    pub octets: Counter,
    /// Messages appended.
    pub appended: Counter,
    /// Commands that waited because their session asked for too much.
    pub slowed: Counter,
    /// Messages put off because the memory of the shard was spent.
    pub memory_spent: Counter,
    /// Sessions that ended because their mailbox could not be trusted or was gone.
    pub lost: Counter,
    /// Handshakes that came to TLS.
    pub tls: Counter,
    /// Handshakes that failed.
    pub tls_failed: Counter,
    /// Connections that ended because the peer was silent for too long.
    pub timeouts: Counter,
}

impl Measured for Metrics {
    fn report(&self, sheet: &mut Sheet) {
        sheet.counter("imap.connections", &self.connections);
        sheet.counter("imap.turned_away", &self.turned_away);
        sheet.gauge("imap.open", &self.open);
        sheet.gauge("imap.idling", &self.idling);
        sheet.counter("imap.moved", &self.moved);
        sheet.counter("imap.logins", &self.logins);
        sheet.counter("imap.crowded", &self.crowded);
        sheet.counter("imap.commands", &self.commands);
        sheet.counter("imap.fetched", &self.fetched);
        sheet.counter("imap.octets", &self.octets);
        sheet.counter("imap.appended", &self.appended);
        sheet.counter("imap.slowed", &self.slowed);
        sheet.counter("imap.memory_spent", &self.memory_spent);
        sheet.counter("imap.lost", &self.lost);
        sheet.counter("imap.tls", &self.tls);
        sheet.counter("imap.tls_failed", &self.tls_failed);
        sheet.counter("imap.timeouts", &self.timeouts);
    }
}
