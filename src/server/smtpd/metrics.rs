//! What the SMTP door counts. One shard writes, anybody reads.

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
    /// Messages acknowledged.
    pub messages: Counter,
    /// Octets of these, trace field included.
    pub octets: Counter,
    /// Recipients refused: relaying denied.
    pub relay_denied: Counter,
    /// Messages refused at their end: hops, or the queue could not take them.
    pub refused: Counter,
    /// Messages put off because the memory of the shard was spent.
    pub memory_spent: Counter,
    /// Recipients refused: ours, and unknown.
    pub unknown: Counter,
    /// Logins that succeeded.
    pub logins: Counter,
    /// Handshakes that came to TLS.
    pub tls: Counter,
    /// Handshakes that failed.
    pub tls_failed: Counter,
    /// Connections that ended because the peer was silent for too long.
    pub timeouts: Counter,
}

impl Measured for Metrics {
    fn report(&self, sheet: &mut Sheet) {
        sheet.counter("smtp.connections", &self.connections);
        sheet.counter("smtp.turned_away", &self.turned_away);
        sheet.gauge("smtp.open", &self.open);
        sheet.counter("smtp.messages", &self.messages);
        sheet.counter("smtp.octets", &self.octets);
        sheet.counter("smtp.relay_denied", &self.relay_denied);
        sheet.counter("smtp.refused", &self.refused);
        sheet.counter("smtp.memory_spent", &self.memory_spent);
        sheet.counter("smtp.unknown_recipients", &self.unknown);
        sheet.counter("smtp.logins", &self.logins);
        sheet.counter("smtp.tls", &self.tls);
        sheet.counter("smtp.tls_failed", &self.tls_failed);
        sheet.counter("smtp.timeouts", &self.timeouts);
    }
}
