//! What the POP3 door counts. One shard writes, anybody reads.

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
    /// Connections that came from another shard behind their login.
    pub moved: Counter,
    /// Maildrops opened.
    pub logins: Counter,
    /// Logins refused because another client had the maildrop.
    pub in_use: Counter,
    /// Logins refused because the last one was too short a while ago.
    pub too_soon: Counter,
    /// Messages sent whole (`RETR`).
    pub messages: Counter,
    /// Octets of messages sent, those of `TOP` included.
    pub octets: Counter,
    /// Messages deleted.
    pub deleted: Counter,
    /// Commands that waited because their session asked for too much.
    pub slowed: Counter,
    /// Messages put off because the memory of the shard was spent.
    pub memory_spent: Counter,
    /// Handshakes that came to TLS.
    pub tls: Counter,
    /// Handshakes that failed.
    pub tls_failed: Counter,
    /// Connections that ended because the peer was silent for too long.
    pub timeouts: Counter,
}

impl Measured for Metrics {
    fn report(&self, sheet: &mut Sheet) {
        sheet.counter("pop3.connections", &self.connections);
        sheet.counter("pop3.turned_away", &self.turned_away);
        sheet.gauge("pop3.open", &self.open);
        sheet.counter("pop3.moved", &self.moved);
        sheet.counter("pop3.logins", &self.logins);
        sheet.counter("pop3.in_use", &self.in_use);
        sheet.counter("pop3.too_soon", &self.too_soon);
        sheet.counter("pop3.messages", &self.messages);
        sheet.counter("pop3.octets", &self.octets);
        sheet.counter("pop3.deleted", &self.deleted);
        sheet.counter("pop3.slowed", &self.slowed);
        sheet.counter("pop3.memory_spent", &self.memory_spent);
        sheet.counter("pop3.tls", &self.tls);
        sheet.counter("pop3.tls_failed", &self.tls_failed);
        sheet.counter("pop3.timeouts", &self.timeouts);
    }
}
