//! When messages are due: at once (closed loop) or by a plan that no server can slow (open loop).
//!
//! In a closed loop a message is due when a connection is free for it. In an open loop moments are drawn ahead of
//! time at the asked rate, evenly or as a Poisson process; a connection that comes late takes the oldest
//! moment that passed, and the latency counts from there. So a server that stalls is charged with
//! everything that waited, and coordinated omission cannot hide it.

use std::{
    cell::{Cell, RefCell},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use glommio::timer::sleep;
use rand::SeedableRng;
use rand_distr::{Distribution, Exp1};
use rand_pcg::Pcg64Mcg;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::load::Load;
use crate::message::{between, now_us};

/// How arrivals of an open loop lie in time.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// Independent of each other, as those of many strangers are.
    #[default]
    Poisson,
    /// One after the other at the same distance.
    Steady,
}

/// An open loop.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Messages a second, once the ramp is over.
    pub rate_per_s: f64,
    /// How they lie in time.
    pub arrivals: Arrivals,
    /// The rate rises evenly from nothing for so long.
    pub ramp: Duration,
}

/// What ends a run.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Messages in all.
    pub messages: u64,
    /// No message is due after this long.
    pub duration: Option<Duration>,
}

/// A message's turn.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// Its number in the run.
    pub number: u64,
    /// When it was due, [`now_us`].
    pub due_us: u64,
}

/// One executor's share of the plan: numbers `first`, `first + step` …
pub struct Pace {
    next: Cell<u64>,
    step: u64,
    limit: Limit,
    started_us: u64,
    open: Option<Moments>,
    stop: Arc<AtomicBool>,
}

impl Pace {
    /// The share number `index` of `shares`; the clock starts now. Setting `stop` ends it.
    pub fn new(load: &Load, index: u64, shares: u64, stop: Arc<AtomicBool>) -> Self {
        let (plan, limit, seed) = (load.plan, load.limit, load.mailing.seed);
        let part = |plan: Plan| Plan { rate_per_s: plan.rate_per_s / shares as f64, ..plan };
        Self {
            next: Cell::new(index),
            step: shares,
            limit,
            started_us: now_us(),
            open: plan.map(|plan| Moments::new(part(plan), seed ^ index)),
            stop,
        }
    }

    /// Waits for the next turn; `None` when there is no more.
    pub async fn turn(&self) -> Option<Turn> {
        let number = self.next.get();
        if self.stop.load(Relaxed) || number >= self.limit.messages {
            return None;
        }
        let now = now_us();
        let due_us = match &self.open {
            None => now,
            Some(moments) => self.started_us + moments.next().as_micros() as u64,
        };
        let spent = between(self.started_us, due_us);
        if self.limit.duration.is_some_and(|duration| spent >= duration) {
            self.stop.store(true, Relaxed);
            return None;
        }
        self.next.set(number + self.step);
        if due_us > now {
            sleep(between(now, due_us)).await;
        }
        Some(Turn { number, due_us })
    }
}

/// The moments of an open loop, ascending.
struct Moments {
    plan: Plan,
    /// Messages that should have come up to the last moment, in units of one.
    progress: Cell<f64>,
    random: RefCell<Pcg64Mcg>,
}

impl Moments {
    fn new(plan: Plan, seed: u64) -> Self {
        let random = RefCell::new(Pcg64Mcg::seed_from_u64(seed));
        Self { plan, progress: Cell::new(0.0), random }
    }

    /// The next moment, since the start.
    fn next(&self) -> Duration {
        let gap: f64 = match self.plan.arrivals {
            Arrivals::Steady => 1.0,
            Arrivals::Poisson => Exp1.sample(&mut *self.random.borrow_mut()),
        };
        self.progress.set(self.progress.get() + gap);
        self.plan.moment(self.progress.get())
    }
}

impl Plan {
    /// When so many messages should have come: the inverse of the rate's integral.
    fn moment(&self, messages: f64) -> Duration {
        let ramp = self.ramp.as_secs_f64();
        let in_ramp = self.rate_per_s * ramp / 2.0;
        let seconds = if messages < in_ramp {
            (2.0 * ramp * messages / self.rate_per_s).sqrt()
        } else {
            ramp + (messages - in_ramp) / self.rate_per_s
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(arrivals: Arrivals, ramp_s: u64) -> Plan {
        Plan { rate_per_s: 100.0, arrivals, ramp: Duration::from_secs(ramp_s) }
    }

    fn moments(plan: Plan, count: usize) -> Vec<f64> {
        let moments = Moments::new(plan, 1);
        (0..count).map(|_| moments.next().as_secs_f64()).collect()
    }

    #[test]
    fn steady_arrivals_keep_their_distance() {
        let moments = moments(plan(Arrivals::Steady, 0), 100);
        assert!((moments[0] - 0.01).abs() < 1e-9 && (moments[99] - 1.0).abs() < 1e-9);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread() {
        let moments = moments(plan(Arrivals::Poisson, 0), 10_000);
        assert!((moments[9999] - 100.0).abs() < 3.0, "{}", moments[9999]);
        let gaps: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Of an exponential distribution the standard deviation is the mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05);
    }

    #[test]
    fn a_ramp_sends_half_as_much_and_then_all() {
        let moments = moments(plan(Arrivals::Steady, 10), 1000);
        let within =
            |from: f64, to: f64| moments.iter().filter(|at| (from..to).contains(*at)).count();
        assert!(within(0.0, 10.0).abs_diff(500) <= 1);
        assert!(within(0.0, 5.0).abs_diff(125) <= 1);
        assert!(within(10.0, 12.0).abs_diff(200) <= 1);
    }
}
