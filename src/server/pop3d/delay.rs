//! When accounts last had their maildrop: LOGIN-DELAY (RFC 2449 §6.5).
//!
//! Two generations of names, so that no login looks at more than its own. What must stay true: a name is
//! remembered for as long as the delay lasts, unless more accounts log in meanwhile than are remembered:
//! then the oldest are let in early, which costs nothing but their patience.

use std::collections::HashMap;

use foldhash::quality::RandomState;

/// Names of one generation at most, a shard; two are kept.
const NAMES_MAX: usize = 1 << 16;

type Generation = HashMap<Box<str>, u64, RandomState>;

/// The last logins on a shard.
#[derive(Default)]
pub(super) struct Delays {
    young: Generation,
    old: Generation,
    /// When the young generation began.
    began_ms: u64,
}

impl Delays {
    /// Whether an account may have its maildrop again, `delay_ms` after the last time.
    pub fn is_over(&self, account: &str, now_ms: u64, delay_ms: u64) -> bool {
        let last = self.young.get(account).or_else(|| self.old.get(account));
        last.is_none_or(|last| now_ms.saturating_sub(*last) >= delay_ms)
    }

    /// An account has its maildrop.
    pub fn note(&mut self, account: &str, now_ms: u64, delay_ms: u64) {
        if delay_ms == 0 {
            return;
        }
        // What is in the old generation came before the young one began: it has waited long enough.
        if now_ms.saturating_sub(self.began_ms) >= delay_ms || self.young.len() >= NAMES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.began_ms = now_ms;
        }
        self.young.insert(account.into(), now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY_MS: u64 = 1_000;

    #[test]
    fn an_account_waits_and_others_do_not() {
        let mut delays = Delays::default();
        assert!(delays.is_over("ann", 5, DELAY_MS));
        delays.note("ann", 5, DELAY_MS);
        assert!(!delays.is_over("ann", 1_004, DELAY_MS));
        assert!(delays.is_over("bob", 1_004, DELAY_MS));
        assert!(delays.is_over("ann", 1_005, DELAY_MS));
        assert!(delays.is_over("ann", 5, 0), "nobody waits where there is no delay");
    }

    /// Whenever others log in, an account is remembered to the last millisecond.
    #[test]
    fn generations_forget_nobody_too_early() {
        for at in (0..4_000).step_by(37) {
            let mut delays = Delays::default();
            for now in 0..at + DELAY_MS {
                if now % 90 == 0 {
                    delays.note("somebody", now, DELAY_MS);
                }
                if now == at {
                    delays.note("ann", now, DELAY_MS);
                }
                assert_eq!(delays.is_over("ann", now, DELAY_MS), now < at, "{at} {now}");
            }
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut delays = Delays::default();
        for number in 0..3 * NAMES_MAX {
            delays.note(&number.to_string(), 1, DELAY_MS);
            assert!(delays.young.len() <= NAMES_MAX && delays.old.len() <= NAMES_MAX);
        }
        assert!(!delays.is_over(&(3 * NAMES_MAX - 1).to_string(), 1, DELAY_MS));
        delays.note("none", 1, 0);
        assert!(delays.is_over("none", 1, DELAY_MS));
    }
}
