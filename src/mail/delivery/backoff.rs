//! How long a site is left alone after all of its hosts have failed.
//!
//! Pure. What must stay true: the delay doubles with every failure in a row, up to a bound, and is
//! spread by a fifth either way, so that sites which died together do not come back together.

use std::time::Duration;

use crate::random::Random;

/// The bounds of the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// After many.
    pub max: Duration,
}

impl Backoff {
    /// The delay after `failures` failures in a row, the last one included; milliseconds, never 0.
    pub fn delay_ms(&self, failures: u32, random: &Random) -> u64 {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let doublings = failures.saturating_sub(1).min(30);
        let plain = ms(self.first).saturating_mul(1 << doublings).min(ms(self.max)).max(1);
        let fifth = plain / 5;
        plain - fifth + random.below(fifth.saturating_mul(2).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_bound() {
        let backoff = Backoff { first: Duration::from_secs(60), max: Duration::from_secs(1800) };
        let random = Random::seeded(1);
        for (failures, plain_s) in
            [(1, 60), (2, 120), (3, 240), (5, 960), (6, 1800), (4_000_000, 1800)]
        {
            for _ in 0..50 {
                let delay = backoff.delay_ms(failures, &random);
                assert!((plain_s * 800..=plain_s * 1200).contains(&delay), "{failures}: {delay}");
            }
        }
    }

    #[test]
    fn it_is_spread_and_never_nothing() {
        let random = Random::seeded(1);
        let backoff = Backoff { first: Duration::from_secs(60), max: Duration::from_secs(60) };
        let some: std::collections::HashSet<u64> =
            (0..20).map(|_| backoff.delay_ms(1, &random)).collect();
        assert!(some.len() > 10);
        let none = Backoff { first: Duration::ZERO, max: Duration::ZERO };
        assert!(none.delay_ms(3, &random) >= 1);
    }
}
