//! What one executor of the sink took and refused.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{message::between, result, stage::Stage};

/// See the module.
#[derive(Debug, Default)]
pub struct Tally {
    messages: AtomicU64,
    recipients: AtomicU64,
    octets: AtomicU64,
    first_us: AtomicU64,
    last_us: AtomicU64,
    refusals: Mutex<BTreeMap<(u16, Stage), u64>>,
}

/// Connections of all executors together.
#[derive(Debug, Default)]
pub struct Doors {
    pub taken: AtomicU64,
    pub open: AtomicU64,
    pub peak: AtomicU64,
}

impl Doors {
    /// A connection came; its number, from one.
    pub fn enter(&self) -> u64 {
        let open = self.open.fetch_add(1, Relaxed) + 1;
        self.peak.fetch_max(open, Relaxed);
        self.taken.fetch_add(1, Relaxed) + 1
    }

    /// Counts from now on; those that are open stay counted.
    pub fn reset(&self) {
        self.taken.store(0, Relaxed);
        self.peak.store(self.open.load(Relaxed), Relaxed);
    }

    /// A connection went.
    pub fn leave(&self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

impl Tally {
    /// A message was taken.
    pub fn take(&self, recipients: usize, octets: usize, at_us: u64) {
        let _ = self.first_us.compare_exchange(0, at_us, Relaxed, Relaxed);
        self.last_us.store(at_us, Relaxed);
        self.messages.fetch_add(1, Relaxed);
        self.recipients.fetch_add(recipients as u64, Relaxed);
        self.octets.fetch_add(octets as u64, Relaxed);
    }

    /// A command was refused.
    pub fn refuse(&self, stage: Stage, code: u16) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry((code, stage)).or_default() += 1;
    }

    /// Counts from now on.
    pub fn reset(&self) {
        for counter in
            [&self.messages, &self.recipients, &self.octets, &self.first_us, &self.last_us]
        {
            counter.store(0, Relaxed);
        }
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// When the last one was taken; zero before the first.
    pub fn last_us(&self) -> u64 {
        self.last_us.load(Relaxed)
    }

    /// Messages so far.
    pub fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }
}

/// The account of all executors.
pub fn total(tallies: &[std::sync::Arc<Tally>], doors: &Doors) -> result::Sink {
    let mut sink = result::Sink {
        connections: doors.taken.load(Relaxed),
        connections_peak: doors.peak.load(Relaxed),
        ..result::Sink::default()
    };
    let (mut first, mut last) = (u64::MAX, 0);
    let mut refusals: BTreeMap<(u16, Stage), u64> = BTreeMap::new();
    for tally in tallies {
        sink.messages += tally.messages();
        sink.recipients += tally.recipients.load(Relaxed);
        sink.octets += tally.octets.load(Relaxed);
        if tally.messages() > 0 {
            first = first.min(tally.first_us.load(Relaxed));
            last = last.max(tally.last_us.load(Relaxed));
        }
        for (kind, count) in &*tally.refusals.lock().unwrap_or_else(PoisonError::into_inner) {
            *refusals.entry(*kind).or_default() += count;
        }
    }
    sink.messages_per_s = sink.messages as f64 / between(first, last).as_secs_f64().max(1e-3);
    sink.refusals = refusals
        .into_iter()
        .map(|((code, stage), count)| {
            let text = "by the sink's rules".to_owned();
            result::Refusal { code, stage: stage.to_string(), count, text }
        })
        .collect();
    sink
}
