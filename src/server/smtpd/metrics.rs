//! What the SMTP door counts. One shard writes, anybody reads.

use std::time::Instant;

use engine::telemetry::{Counter, Gauge, Histogram, Measured, Sheet};
use mail::authentication::checks::Report;
use proto::types::AuthResult;

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
    /// Copies put straight into mailboxes here.
    pub placed: Counter,
    /// Recipients refused: their mailbox is full.
    pub over_quota: Counter,
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
    /// Of checks and signatures.
    pub origin: OriginMetrics,
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
        sheet.counter("smtp.mailboxes", &self.placed);
        sheet.counter("smtp.over_quota", &self.over_quota);
        sheet.counter("smtp.relay_denied", &self.relay_denied);
        sheet.counter("smtp.refused", &self.refused);
        sheet.counter("smtp.memory_spent", &self.memory_spent);
        sheet.counter("smtp.unknown_recipients", &self.unknown);
        sheet.counter("smtp.logins", &self.logins);
        sheet.counter("smtp.tls", &self.tls);
        sheet.counter("smtp.tls_failed", &self.tls_failed);
        sheet.counter("smtp.timeouts", &self.timeouts);
        self.origin.report(sheet);
    }
}

/// What became of checks and signatures.
#[derive(Debug, Default)]
pub struct OriginMetrics {
    /// How long the checks of a message took, DNS and all.
    pub check: Histogram,
    /// Messages whose SPF passed.
    pub spf_pass: Counter,
    /// Messages with a signature that passed.
    pub dkim_pass: Counter,
    /// Messages whose ARC chain passed.
    pub arc_pass: Counter,
    /// Messages that passed DMARC.
    pub dmarc_pass: Counter,
    /// Messages that failed it.
    pub dmarc_fail: Counter,
    /// Messages of which something could not be told.
    pub unknown: Counter,
    /// Messages that policy held.
    pub quarantined: Counter,
    /// Messages that policy refused or put off.
    pub refused: Counter,
    /// Signatures made.
    pub signed: Counter,
}

impl OriginMetrics {
    /// Counts what was found of a message since `started`.
    pub fn note(&self, report: &Report, started: Instant) {
        self.check.record_since(started);
        let found = report.summary();
        let counts = [
            (found.spf == AuthResult::Pass, &self.spf_pass),
            (found.dkim == AuthResult::Pass, &self.dkim_pass),
            (found.arc == AuthResult::Pass, &self.arc_pass),
            (found.dmarc == AuthResult::Pass, &self.dmarc_pass),
            (found.dmarc == AuthResult::Fail, &self.dmarc_fail),
            ([found.spf, found.dkim, found.dmarc].contains(&AuthResult::TempError), &self.unknown),
        ];
        for (_, counter) in counts.into_iter().filter(|(holds, _)| *holds) {
            counter.inc();
        }
    }

    fn report(&self, sheet: &mut Sheet) {
        sheet.latency("origin.check_us", &self.check);
        sheet.counter("origin.spf_pass", &self.spf_pass);
        sheet.counter("origin.dkim_pass", &self.dkim_pass);
        sheet.counter("origin.arc_pass", &self.arc_pass);
        sheet.counter("origin.dmarc_pass", &self.dmarc_pass);
        sheet.counter("origin.dmarc_fail", &self.dmarc_fail);
        sheet.counter("origin.unknown", &self.unknown);
        sheet.counter("origin.quarantined", &self.quarantined);
        sheet.counter("origin.refused", &self.refused);
        sheet.counter("origin.signed", &self.signed);
    }
}
