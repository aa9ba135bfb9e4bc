//! How much an account, and all accounts of a domain together, may send in an hour.
//!
//! Each limit is a bucket that holds an hour's worth and fills evenly (GCRA, as one atomic number:
//! the moment at which the bucket would be full again). The buckets are found once, at login; a
//! message then costs one atomic exchange a limit, on a cache line that only sessions of the same
//! account or domain share. What must stay true: a message that is refused has used nothing up;
//! buckets are dropped when nobody holds them and they are full, so memory is bounded by what was
//! sent in the last hour; after a restart every bucket is full.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The hour, in microseconds.
const HOUR_US: u64 = 3_600_000_000;
const STRIPES: usize = 16;
/// Buckets of a stripe, before the full ones are looked for.
const SWEEP_MIN: usize = 1024;

/// Limits; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Messages an hour.
    pub messages: u32,
    /// Recipients an hour.
    pub recipients: u32,
}

/// Why a message may not be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("over the limit of {what} an hour of the {whose}")]
pub struct Refusal {
    /// `account` or `domain`.
    pub whose: &'static str,
    /// `messages` or `recipients`.
    pub what: &'static str,
    /// When there is room again, in milliseconds; `u64::MAX`: never, since it asks for more than
    /// an hour's worth.
    pub after_ms: u64,
}

/// One limit.
#[derive(Debug, Default)]
struct Bucket {
    /// An hour's worth; 0 is no limit.
    limit: AtomicU32,
    /// When it is full again, in microseconds of the clock that callers give.
    full_us: AtomicU64,
}

/// The limits of one account or domain.
#[derive(Debug, Default)]
struct Meter {
    messages: Bucket,
    recipients: Bucket,
}

/// What one session may use up: the account's limits, and its domain's.
#[derive(Clone, Debug)]
pub struct Allowance {
    account: Arc<Meter>,
    domain: Arc<Meter>,
}

/// All limits that were touched lately.
#[derive(Debug, Default)]
pub struct Allowances {
    stripes: [Mutex<HashMap<Box<str>, Arc<Meter>>>; STRIPES],
    hasher: foldhash::quality::RandomState,
}

impl Allowances {
    /// The allowance of an account (its folded address) and its domain. Once a session.
    #[must_use]
    pub fn of(
        &self,
        account: &str,
        account_limits: Limits,
        domain: &str,
        domain_limits: Limits,
        now_ms: u64,
    ) -> Allowance {
        // No address is a domain: one map holds both.
        let account = self.meter(account, account_limits, now_ms);
        let domain = self.meter(domain, domain_limits, now_ms);
        Allowance { account, domain }
    }

    fn meter(&self, name: &str, limits: Limits, now_ms: u64) -> Arc<Meter> {
        use std::hash::BuildHasher;
        let stripe = self.hasher.hash_one(name) as usize % STRIPES;
        let mut stripe = self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner);
        // Doubling bounds the work: a sweep has freed half, or the map grows by as much.
        if stripe.len() >= SWEEP_MIN && stripe.len() == stripe.capacity() {
            stripe.retain(|_, meter| Arc::strong_count(meter) > 1 || !meter.is_full(now_ms));
        }
        let meter = match stripe.get(name) {
            Some(meter) => Arc::clone(meter),
            None => {
                let meter = Arc::new(Meter::default());
                stripe.insert(name.into(), Arc::clone(&meter));
                meter
            }
        };
        meter.messages.limit.store(limits.messages, Ordering::Relaxed);
        meter.recipients.limit.store(limits.recipients, Ordering::Relaxed);
        meter
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().unwrap().len()).sum()
    }
}

impl Allowance {
    /// Takes one message with so many recipients, or nothing at all. `now_ms` is monotonic
    /// ([`engine::shard::now_ms`]).
    ///
    /// # Errors
    /// Which limit is reached, and when there is room again.
    pub fn take(&self, recipients: u32, now_ms: u64) -> Result<(), Refusal> {
        let wanted = [
            (&self.account.messages, 1, "account", "messages"),
            (&self.account.recipients, recipients, "account", "recipients"),
            (&self.domain.messages, 1, "domain", "messages"),
            (&self.domain.recipients, recipients, "domain", "recipients"),
        ];
        for (index, (bucket, count, whose, what)) in wanted.into_iter().enumerate() {
            if let Err(after_ms) = bucket.take(count, now_ms) {
                for (bucket, count, ..) in &wanted[..index] {
                    bucket.give_back(*count);
                }
                return Err(Refusal { whose, what, after_ms });
            }
        }
        Ok(())
    }
}

impl Meter {
    fn is_full(&self, now_ms: u64) -> bool {
        let now_us = now_ms.saturating_mul(1000);
        [&self.messages, &self.recipients]
            .iter()
            .all(|bucket| bucket.full_us.load(Ordering::Relaxed) <= now_us)
    }
}

impl Bucket {
    /// How long `count` take to come back.
    fn cost_us(&self, count: u32) -> Option<u64> {
        let limit = self.limit.load(Ordering::Relaxed);
        (limit > 0).then(|| u64::from(count) * HOUR_US / u64::from(limit))
    }

    /// Takes `count`, or says in how many milliseconds there will be room for them.
    fn take(&self, count: u32, now_ms: u64) -> Result<(), u64> {
        let Some(cost_us) = self.cost_us(count) else { return Ok(()) };
        if cost_us > HOUR_US {
            return Err(u64::MAX);
        }
        let now_us = now_ms.saturating_mul(1000);
        let next = |full_us: u64| full_us.max(now_us).saturating_add(cost_us);
        let latest_us = now_us.saturating_add(HOUR_US);
        self.full_us
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |full_us| {
                Some(next(full_us)).filter(|next| *next <= latest_us)
            })
            .map(drop)
            .map_err(|full_us| (next(full_us) - latest_us).div_ceil(1000))
    }

    fn give_back(&self, count: u32) {
        let cost_us = self.cost_us(count).unwrap_or(0);
        // Below now is as full as now.
        let back = |full_us: u64| Some(full_us.saturating_sub(cost_us));
        let _ = self.full_us.try_update(Ordering::Relaxed, Ordering::Relaxed, back);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Limits = Limits { messages: 0, recipients: 0 };
    const HOUR_MS: u64 = 3_600_000;

    fn of(all: &Allowances, account: &str, account_limits: Limits, domain: Limits) -> Allowance {
        all.of(account, account_limits, "x.example", domain, 0)
    }

    #[test]
    fn an_hours_worth_and_then_evenly() {
        let all = Allowances::default();
        let limits = Limits { messages: 6, recipients: 0 };
        let allowance = of(&all, "a@x.example", limits, NONE);
        for _ in 0..6 {
            allowance.take(1000, 5000).unwrap();
        }
        let refusal = allowance.take(1, 5000).unwrap_err();
        assert_eq!((refusal.whose, refusal.what), ("account", "messages"));
        assert_eq!(refusal.after_ms, HOUR_MS / 6);
        assert!(allowance.take(1, 5000 + HOUR_MS / 6 - 1).is_err());
        allowance.take(1, 5000 + HOUR_MS / 6).unwrap();
        assert!(allowance.take(1, 5000 + HOUR_MS / 6).is_err());
        // Another session of the same account shares it; another account does not.
        assert!(of(&all, "a@x.example", limits, NONE).take(1, 5000 + HOUR_MS / 6).is_err());
        of(&all, "b@x.example", limits, NONE).take(1, 5000).unwrap();
    }

    #[test]
    fn what_is_refused_uses_nothing_up() {
        let all = Allowances::default();
        let account = Limits { messages: 3, recipients: 50 };
        let domain = Limits { messages: 0, recipients: 20 };
        let allowance = of(&all, "a@x.example", account, domain);
        assert_eq!(allowance.take(51, 0).unwrap_err().after_ms, u64::MAX);
        for _ in 0..100 {
            let refusal = allowance.take(21, 0).unwrap_err();
            assert_eq!((refusal.whose, refusal.what), ("domain", "recipients"));
        }
        for recipients in [5, 5, 10] {
            allowance.take(recipients, 0).unwrap();
        }
        let other = of(&all, "b@x.example", account, domain);
        assert_eq!(other.take(1, 0).unwrap_err().whose, "domain");
        assert_eq!(other.take(1, HOUR_MS / 20), Ok(()));
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let all = Allowances::default();
        let limits = Limits { messages: 1000, recipients: 0 };
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let allowance = of(&all, "a@x.example", limits, NONE);
                    scope.spawn(move || (0..1000).filter(|_| allowance.take(1, 7).is_ok()).count())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken, 1000);
    }

    #[test]
    fn memory_is_what_was_used_in_the_last_hour() {
        let all = Allowances::default();
        let limits = Limits { messages: 10, recipients: 10 };
        for number in 0_u64..400_000 {
            let now_ms = number * 100;
            let account = format!("a{number}@x.example");
            all.of(&account, limits, "x.example", NONE, now_ms).take(1, now_ms).unwrap();
        }
        assert!(all.len() < 150_000, "{}", all.len());
        // New limits hold at once.
        let last = "a399999@x.example";
        assert!(
            of(&all, last, Limits { messages: 1, recipients: 0 }, NONE)
                .take(1, 40_000_000)
                .is_err()
        );
    }
}
