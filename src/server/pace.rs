//! How fast one session may have commands executed: a bucket of tokens, kept as one number (GCRA).
//!
//! What must stay true: a session that was quiet has ten seconds' worth at once; one that is not waits, and
//! loses nothing. Whoever asks sends first what there is to say, then waits, then executes.

/// How many seconds' worth of commands a session that was quiet has at once.
const BURST_S: u64 = 10;
const SECOND_US: u64 = 1_000_000;

/// The pace of one session.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the bucket is full again, in microseconds on the clock that [`Pace::take`] is told.
    full_at_us: u64,
}

impl Pace {
    /// One command is to be executed: how long it waits, in milliseconds. `per_second` 0 is no limit.
    pub fn take(&mut self, now_ms: u64, per_second: u32) -> u64 {
        if per_second == 0 {
            return 0;
        }
        let now_us = now_ms.saturating_mul(1000);
        let cost_us = SECOND_US / u64::from(per_second);
        self.full_at_us = self.full_at_us.max(now_us).saturating_add(cost_us);
        let ahead_us = self.full_at_us - now_us;
        ahead_us.saturating_sub(BURST_S * SECOND_US).div_ceil(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_waits_its_turn() {
        let mut pace = Pace::default();
        let waits: Vec<u64> = (0..1002).map(|_| pace.take(5, 100)).collect();
        assert!(waits[..1000].iter().all(|wait| *wait == 0));
        assert_eq!(waits[1000..], [10, 20]);
        // Whoever waits as told is served at the pace.
        assert_eq!(pace.take(25, 100), 10);
        // Quiet for a while, all is well again; and never better than that.
        assert_eq!(pace.take(3_600_000, 100), 0);
        assert!((0..999).all(|_| pace.take(3_600_000, 100) == 0));
        assert_eq!(pace.take(3_600_000, 100), 10);
    }

    #[test]
    fn no_limit_is_none() {
        let mut pace = Pace::default();
        assert!((0..100_000).all(|_| pace.take(0, 0) == 0));
        assert_eq!(pace.take(0, u32::MAX), 0);
    }
}
