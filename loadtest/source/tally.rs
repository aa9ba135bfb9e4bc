//! What one executor's connections saw: counters, refusals, failures and latencies.
//!
//! Counters that a display wants while the run goes on are atomic and belong to one executor, so no
//! cache line is fought over; the rest is added up at the end.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use hdrhistogram::Histogram;

use crate::{result, sink::Stage};

/// Latencies above this are recorded as this: an hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;
/// Kinds of failures and refusals that are told apart.
const KINDS_MAX: usize = 200;

/// Latencies, shared with the display.
#[derive(Debug)]
pub struct Latencies(Mutex<Histogram<u64>>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Mutex::new(empty()))
    }
}

/// A histogram of microseconds up to an hour, three digits.
#[must_use]
pub fn empty() -> Histogram<u64> {
    // The bounds are constants that the crate allows.
    Histogram::new_with_max(LATENCY_MAX_US, 3).unwrap_or_else(|_| unreachable!())
}

impl Latencies {
    /// Records one, in microseconds.
    pub fn record(&self, us: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(us.max(1));
    }

    /// Moves what was recorded since the last call into `total`.
    pub fn drain_into(&self, total: &mut Histogram<u64>) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !recorded.is_empty() {
            // Both have the same bounds.
            let _ = total.add(&*recorded);
            recorded.reset();
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Tally {
    /// Messages that were begun.
    pub sent: AtomicU64,
    /// Messages that got their 250.
    pub accepted: AtomicU64,
    /// Recipients among them.
    pub recipients: AtomicU64,
    /// Octets of these.
    pub octets: AtomicU64,
    /// Messages refused in whole.
    pub refused: AtomicU64,
    /// Messages whose reply never came.
    pub unanswered: AtomicU64,
    /// Connections opened.
    pub connections: AtomicU64,
    /// Connections that failed to open or broke.
    pub connections_failed: AtomicU64,
    /// When the last message was accepted or refused: connections that hang later do not count into rates.
    pub last_us: AtomicU64,
    /// From due to reply.
    pub latency: Latencies,
    kinds: Mutex<Kinds>,
}

#[derive(Debug, Default)]
struct Kinds {
    failures: BTreeMap<String, u64>,
    refusals: BTreeMap<(u16, Stage), (u64, String)>,
}

/// Adds one to a counter of this executor's own.
pub fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Relaxed);
}

impl Tally {
    /// A connection failed.
    pub fn fail(&self, error: &io::Error) {
        count(&self.connections_failed, 1);
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.failures.len() < KINDS_MAX {
            *kinds.failures.entry(error.to_string()).or_default() += 1;
        }
    }

    /// A command was refused; the first text of a kind is kept.
    pub fn refuse(&self, stage: Stage, code: u16, text: &[u8]) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.refusals.len() < KINDS_MAX {
            let first = || (0, String::from_utf8_lossy(text).trim_end().to_owned());
            kinds.refusals.entry((code, stage)).or_insert_with(first).0 += 1;
        }
    }

    /// Refusals and broken connections so far.
    pub fn errors(&self) -> u64 {
        self.refused.load(Relaxed) + self.connections_failed.load(Relaxed)
    }

    /// Adds this executor's share to the whole.
    pub fn add_to(&self, total: &mut result::Source) {
        total.messages_sent += self.sent.load(Relaxed);
        total.messages_accepted += self.accepted.load(Relaxed);
        total.recipients_accepted += self.recipients.load(Relaxed);
        total.octets_accepted += self.octets.load(Relaxed);
        total.messages_refused += self.refused.load(Relaxed);
        total.messages_unanswered += self.unanswered.load(Relaxed);
        total.connections += self.connections.load(Relaxed);
        total.connections_failed += self.connections_failed.load(Relaxed);
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        for (failure, count) in &kinds.failures {
            *total.failures.entry(failure.clone()).or_default() += count;
        }
        for ((code, stage), (count, text)) in &kinds.refusals {
            let stage = stage.to_string();
            let known = |one: &&mut result::Refusal| one.code == *code && one.stage == stage;
            if let Some(one) = total.refusals.iter_mut().find(known) {
                one.count += count;
            } else {
                let text = text.clone();
                total.refusals.push(result::Refusal { code: *code, stage, count: *count, text });
            }
        }
    }
}
