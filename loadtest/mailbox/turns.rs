//! The gate before the clock, and whose turn it is behind it.
//!
//! Sessions that are ready wait at the gate until all are, so that what is measured has no logins in it. Behind it every operation
//! takes a turn, until the operations or the time are used up. One counter for all executors: sessions on a slow one leave
//! turns to the others.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
    time::Duration,
};

use glommio::timer::sleep;

use crate::message::now_us;

/// How often those at the gate look.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// See the module.
#[derive(Debug)]
pub struct Turns {
    waiting: AtomicU64,
    is_open: AtomicBool,
    /// No turn is given from then on.
    end_us: AtomicU64,
    taken: AtomicU64,
    limit: u64,
}

impl Turns {
    /// So many turns; the gate is closed.
    pub fn new(limit: u64) -> Self {
        Self {
            waiting: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
            end_us: AtomicU64::new(u64::MAX),
            taken: AtomicU64::new(0),
            limit,
        }
    }

    /// Opens the gate: the clock starts.
    pub fn open(&self, duration: Option<Duration>) {
        if let Some(duration) = duration {
            let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
            self.end_us.store(now_us().saturating_add(us), Relaxed);
        }
        self.is_open.store(true, Release);
    }

    /// How many have come to the gate.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Somebody has come to the gate who does not wait there.
    pub fn come(&self) {
        self.waiting.fetch_add(1, Relaxed);
    }

    /// Waits at the gate.
    pub async fn wait(&self) {
        while !self.is_open.load(Acquire) {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Takes so many turns at once: the number of the first; `None` when there are none left.
    pub fn take(&self, turns: u64) -> Option<u64> {
        if now_us() >= self.end_us.load(Relaxed) || self.taken.load(Relaxed) >= self.limit {
            return None;
        }
        let first = self.taken.fetch_add(turns, Relaxed);
        (first < self.limit).then_some(first)
    }

    /// The number of the next turn, for one who alone takes turns and says when each is done ([`Self::finish`]).
    pub fn begin(&self) -> Option<u64> {
        (!self.is_over()).then(|| self.taken.load(Relaxed))
    }

    /// So many turns are done.
    pub fn finish(&self, turns: u64) {
        self.taken.fetch_add(turns, Relaxed);
    }

    /// There are no more turns, and what was begun is finished.
    pub fn end(&self) {
        self.end_us.store(0, Relaxed);
    }

    /// Whether [`Self::end`] was called: the time alone does not finish what was begun.
    pub fn has_ended(&self) -> bool {
        self.end_us.load(Relaxed) == 0
    }

    /// Whether there is no turn left.
    pub fn is_over(&self) -> bool {
        now_us() >= self.end_us.load(Relaxed) || self.taken.load(Relaxed) >= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_end_with_their_number_or_the_time() {
        let turns = Turns::new(3);
        turns.open(None);
        assert_eq!([2, 2, 2].map(|count| turns.take(count)), [Some(0), Some(2), None]);
        let turns = Turns::new(u64::MAX);
        turns.open(Some(Duration::ZERO));
        assert_eq!(turns.take(1), None);
        assert!(turns.is_over() && !turns.has_ended());
        turns.end();
        assert!(turns.has_ended());
    }
}
