//! The source: numbered messages over many connections, one executor a core, and what became of them.
//!
//! Executors share nothing but the ledger and, for the display, counters that are each one's own. The source ends when
//! every turn was taken, its time is over, or all its connections gave up.

mod dialogue;
mod load;
mod pace;
mod proxy;
mod session;
mod tally;

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, timer::sleep};
use hdrhistogram::Histogram;

use self::{
    pace::Pace,
    session::{Desk, Place, idle},
};
use crate::{
    cores::{Cores, placement},
    ledger::Ledger,
    message::{between, now_us},
    result,
    wire::{client_config, plain},
};

pub(crate) use dialogue::{Closed, Dialogue};
pub use load::{Load, Login, ProxyHeader, Security};
pub use pace::{Arrivals, Limit, Plan};
pub(crate) use tally::count;
pub use tally::{Latencies, Tally, empty};

/// See the module.
pub struct Source {
    executors: Vec<ExecutorJoinHandle<()>>,
    tallies: Vec<Arc<Tally>>,
    running: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    started_us: u64,
    ended_us: Arc<AtomicU64>,
}

/// A source's counters at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Live {
    /// Messages accepted.
    pub accepted: u64,
    /// Refusals and broken connections.
    pub errors: u64,
}

impl Source {
    /// Starts to send.
    ///
    /// # Errors
    /// An executor cannot start: io_uring is missing, or the core does not exist.
    pub fn start(load: Load, ledger: Arc<Ledger>, cores: &Cores) -> io::Result<Self> {
        let (load, shares) = (Arc::new(load), cores.count());
        let mut this = Self {
            executors: Vec::new(),
            tallies: Vec::new(),
            running: Arc::new(AtomicU64::new(shares as u64)),
            stop: Arc::default(),
            started_us: now_us(),
            ended_us: Arc::default(),
        };
        for index in 0..shares {
            let tally = Arc::new(Tally::default());
            this.tallies.push(Arc::clone(&tally));
            let (load, ledger, stop) =
                (Arc::clone(&load), Arc::clone(&ledger), Arc::clone(&this.stop));
            let (running, ended_us) = (Arc::clone(&this.running), Arc::clone(&this.ended_us));
            let executor = LocalExecutorBuilder::new(placement(cores, index))
                .name("source")
                .spawn(move || async move {
                    let tls = if load.security == Security::None {
                        None
                    } else {
                        client_config(load.resume).ok()
                    };
                    let pace = Pace::new(&load, index as u64, shares as u64, stop);
                    send(Rc::new(Desk { load, pace, ledger, tally, tls }), index, shares).await;
                    ended_us.fetch_max(now_us(), Relaxed);
                    running.fetch_sub(1, Relaxed);
                })
                .map_err(plain)?;
            this.executors.push(executor);
        }
        Ok(this)
    }

    /// Sends a load to its end with one executor that is not pinned.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn run(load: Load) -> io::Result<(result::Source, Arc<Ledger>)> {
        let ledger = Arc::new(Ledger::new(load.mailing.recipients_max()));
        let source = Self::start(load, Arc::clone(&ledger), &Cores::Free(1))?;
        Ok((source.finish(), ledger))
    }

    /// Whether all is sent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.running.load(Relaxed) == 0
    }

    /// From the first connection to the last reply so far.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let ended_us = if self.is_finished() { self.ended_us.load(Relaxed) } else { now_us() };
        between(self.started_us, ended_us)
    }

    /// No new message is begun.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// What is known by now.
    #[must_use]
    pub fn live(&self) -> Live {
        self.tallies.iter().fold(Live::default(), |live, tally| Live {
            accepted: live.accepted + tally.accepted.load(Relaxed),
            errors: live.errors + tally.errors(),
        })
    }

    /// Moves the accept latencies since the last call into `total`.
    pub fn drain_latencies(&self, total: &mut Histogram<u64>) {
        for tally in &self.tallies {
            tally.latency.drain_into(total);
        }
    }

    /// Waits for the end.
    #[must_use]
    pub fn finish(self) -> result::Source {
        let mut total = result::Source::default();
        for executor in self.executors {
            if let Err(error) = executor.join() {
                *total.failures.entry(format!("an executor failed: {error}")).or_default() += 1;
            }
        }
        for tally in &self.tallies {
            tally.add_to(&mut total);
        }
        let last_us =
            self.tallies.iter().map(|tally| tally.last_us.load(Relaxed)).max().unwrap_or(0);
        let ended_us = if last_us == 0 { self.ended_us.load(Relaxed) } else { last_us };
        total.elapsed_s = between(self.started_us, ended_us).as_secs_f64();
        total.accepted_per_s = total.messages_accepted as f64 / total.elapsed_s.max(1e-6);
        total
    }
}

/// One executor's connections, to their end.
async fn send(desk: Rc<Desk>, index: usize, shares: usize) {
    let mine = |all: usize| all / shares + usize::from(index < all % shares);
    let quiet: Vec<_> = (0..mine(desk.load.idle_connections))
        .map(|_| glommio::spawn_local(idle(Rc::clone(&desk))))
        .collect();
    let count = mine(desk.load.connections);
    let ramp = if desk.load.plan.is_some() { Duration::ZERO } else { desk.load.ramp };
    let places: Vec<_> = (0..count)
        .map(|at| {
            let place = Place::new(Rc::clone(&desk));
            let wait = ramp.mul_f64(at as f64 / count as f64);
            glommio::spawn_local(async move {
                if !wait.is_zero() {
                    sleep(wait).await;
                }
                place.work().await;
            })
        })
        .collect();
    for place in places {
        place.await;
    }
    drop(quiet);
}
