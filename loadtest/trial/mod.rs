//! One run: source, sink, the server's processes and the ledger, watched together from start to end.
//!
//! It ends when everything was sent and nothing is owed any more, or when nothing came for the settling
//! time; what is owed then is lost. The account is exact: it is closed only after both ends are quiet.
#![allow(clippy::disallowed_methods)] // the thread that watches does nothing else

mod bounds;
mod display;
mod latency;
mod next_hop;

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    cores::Cores,
    cost::{Cpu, Own, Watch},
    ledger::Ledger,
    message::{between, now_us},
    result::{self, Cost, Run, Sample},
    scenario::ExpectOptions,
    sink::Accounts,
    source::{Latencies, Load, Source, empty},
};

pub use bounds::{rate, warnings};
pub use display::Display;
pub use latency::latency;
pub use next_hop::NextHop;

/// How often the ends are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often a sample is taken.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// After the last arrival, until memory is looked at for the last time.
const REST: Duration = Duration::from_millis(500);

/// What is to be run.
pub struct Trial<'a> {
    /// The load.
    pub load: Load,
    /// Where the source runs.
    pub cores: &'a Cores,
    /// The next hop; without one the run ends with the last reply.
    pub hop: Option<&'a NextHop>,
    /// The server's processes.
    pub watch: Option<Watch>,
    /// How long nothing may come before what is missing counts as lost.
    pub settle: Duration,
    /// What must hold.
    pub expect: ExpectOptions,
}

/// A run while it goes on.
struct Course<'a> {
    trial: Trial<'a>,
    accounts: Arc<Accounts>,
    source: Source,
    own: Own,
    server_before: Option<Cpu>,
    started: Instant,
    started_us: u64,
    accept: Histogram<u64>,
    last: Mark,
    busiest: Option<f64>,
    series: Vec<Sample>,
}

/// Counters at the last sample.
#[derive(Clone, Copy, Default)]
struct Mark {
    at_s: f64,
    accepted: u64,
    arrived: u64,
    server_us: u64,
    own_us: u64,
}

impl Trial<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// The source cannot start.
    pub fn run(self, display: &mut Display) -> io::Result<Run> {
        let (run, recipients) = (self.load.mailing.run.clone(), self.load.mailing.recipients_max());
        let ledger = Arc::new(Ledger::new(recipients));
        let accounts = Arc::new(Accounts { run, ledger, latency: Latencies::default() });
        if let Some(hop) = self.hop {
            hop.switch_to(Arc::clone(&accounts));
        }
        let mut course = Course::start(self, accounts)?;
        course.watch(display);
        display.end();
        Ok(course.close())
    }
}

impl<'a> Course<'a> {
    fn start(mut trial: Trial<'a>, accounts: Arc<Accounts>) -> io::Result<Self> {
        let server_before = trial.watch.as_mut().map(Watch::cpu);
        let own = Own::start();
        let (started, started_us) = (Instant::now(), now_us());
        let source = Source::start(trial.load.clone(), Arc::clone(&accounts.ledger), trial.cores)?;
        Ok(Self {
            trial,
            accounts,
            source,
            own,
            server_before,
            started,
            started_us,
            accept: empty(),
            last: Mark::default(),
            busiest: None,
            series: Vec::new(),
        })
    }

    fn watch(&mut self, display: &mut Display) {
        let mut next_sample = SAMPLE_EVERY;
        loop {
            thread::sleep(TICK);
            let sending = !self.source.is_finished();
            if sending {
                // The source's threads end with it: their share is told while they live.
                self.busiest = self.own.busiest().map(|(_, share)| share).or(self.busiest);
            }
            if self.started.elapsed() >= next_sample {
                let sample = self.sample();
                display.show(self.through(), &sample);
                self.series.push(sample);
                next_sample = self.started.elapsed() + SAMPLE_EVERY;
            }
            if !sending && self.is_settled() {
                return;
            }
        }
    }

    /// Messages that are through.
    fn through(&self) -> u64 {
        if self.trial.hop.is_some() {
            self.accounts.ledger.arrivals()
        } else {
            self.source.live().accepted
        }
    }

    fn is_settled(&self) -> bool {
        let Some(hop) = self.trial.hop else { return true };
        let ledger = &self.accounts.ledger;
        if ledger.owed() == 0 {
            return true;
        }
        let last_us =
            ledger.last_us().max(self.started_us + (self.source.elapsed().as_micros() as u64));
        let quiet = between(last_us, now_us());
        // A message that is on its way just now is no silence.
        quiet > self.trial.settle && hop.sink().is_idle_for(self.trial.settle)
    }

    fn sample(&mut self) -> Sample {
        let at_s = self.started.elapsed().as_secs_f64();
        let live = self.source.live();
        let mut interval = empty();
        self.source.drain_latencies(&mut interval);
        let accept_p99_us = (!interval.is_empty()).then(|| interval.value_at_quantile(0.99));
        // Both have the same bounds.
        let _ = self.accept.add(&interval);
        let usage = self.trial.watch.as_mut().map(Watch::sample);
        let now = Mark {
            at_s,
            accepted: live.accepted,
            arrived: self.accounts.ledger.arrivals(),
            server_us: usage.map_or(0, |usage| usage.user_us + usage.system_us),
            own_us: self.own.cpu().total_us(),
        };
        let before = std::mem::replace(&mut self.last, now);
        let elapsed_s = (at_s - before.at_s).max(1e-6);
        let cores = |now: u64, before: u64| now.saturating_sub(before) as f64 / 1e6 / elapsed_s;
        Sample {
            at_s,
            accepted_per_s: (now.accepted - before.accepted) as f64 / elapsed_s,
            arrived_per_s: (now.arrived - before.arrived) as f64 / elapsed_s,
            in_flight: if self.trial.hop.is_some() { self.accounts.ledger.owed() } else { 0 },
            errors: live.errors,
            accept_p99_us,
            server_cores: usage
                .filter(|_| before.server_us > 0)
                .map(|_| cores(now.server_us, before.server_us)),
            generator_cores: Some(cores(now.own_us, before.own_us)),
            server_rss_kib: usage.and_then(|usage| usage.pss_kib),
        }
    }

    fn close(mut self) -> Run {
        let ended_us = self.accounts.ledger.last_us();
        let last = self.sample();
        self.series.push(last);
        let (server_after, own) = (self.trial.watch.as_mut().map(Watch::cpu), self.own.cpu());
        let source = self.source.finish();
        let elapsed_s = match self.trial.hop {
            Some(_) => between(self.started_us, ended_us).as_secs_f64().max(source.elapsed_s),
            None => source.elapsed_s,
        };
        let mut relay = empty();
        self.accounts.latency.drain_into(&mut relay);
        let messages = source.messages_accepted;
        let server_cost = self.trial.watch.as_mut().zip(self.server_before).zip(server_after).map(
            |((watch, before), after)| {
                thread::sleep(REST);
                server_cost(watch, after.since(before), messages)
            },
        );
        let wanted = self.trial.load.limit.messages;
        let mut run = Run {
            elapsed_s,
            source: Some(source),
            sink: self.trial.hop.map(|hop| hop.sink().account()),
            ledger: self.trial.hop.map(|_| self.accounts.ledger.close()),
            accept_latency: latency::latency(&self.accept),
            relay_latency: latency::latency(&relay),
            open_loop: self.trial.load.plan.is_some(),
            server_cost,
            generator_cost: Some(cost(own, messages, "process tree")),
            generator_busiest: self.busiest,
            series: self.series,
            ..Run::default()
        };
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        run.warnings = bounds::warnings(&run, wanted, cpus);
        run.bounds = bounds::judge(&run, &self.trial.expect);
        run
    }
}

/// What was used for so many messages.
pub(crate) fn cost(cpu: Cpu, messages: u64, source: &str) -> Cost {
    let each = (messages > 0).then(|| cpu.total_us() as f64 / messages as f64);
    Cost {
        user_us: cpu.user_us,
        system_us: cpu.system_us,
        cpu_us_per_message: each,
        source: source.to_owned(),
        ..Cost::default()
    }
}

/// The same of a server, with its memory.
pub(crate) fn server_cost(watch: &mut Watch, cpu: Cpu, messages: u64) -> Cost {
    let last = watch.sample();
    let peak = watch.peak();
    Cost {
        memory_peak_kib: peak.pss_kib,
        memory_final_kib: last.pss_kib,
        processes: Some(peak.processes),
        ..cost(cpu, messages, watch.source())
    }
}

/// A document of one or more runs, as everything that measures makes it.
#[must_use]
pub fn document(
    scenario: &str,
    description: &str,
    seed: u64,
    machine: result::Machine,
) -> result::Document {
    result::Document {
        schema: result::SCHEMA,
        program: concat!("ringpost-loadtest ", env!("CARGO_PKG_VERSION")).to_owned(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        started: jiff::Timestamp::now().to_string(),
        machine,
        scenario: scenario.to_owned(),
        description: description.to_owned(),
        seed,
        ..result::Document::default()
    }
}
