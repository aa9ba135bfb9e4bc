//! One run: accounts are prepared, sessions come to the gate, the clock runs, and what must be there is counted.
#![allow(clippy::disallowed_methods)] // the thread that watches does nothing else

use std::{
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, timer::sleep};
use hdrhistogram::Histogram;

use super::{
    books::{Bell, Books},
    desk::{self, Desk},
    idle,
    order::{Operation, Order},
    prepare,
    turns::Turns,
};
use crate::{
    cores::{Cores, placement},
    cost::{Cpu, Own, Watch},
    message::{between, now_us},
    result::{self, Ledger, Mailboxes, Run, Sample},
    source::{Security, Tally, empty},
    trial::{self, Display},
    wire::{client_config, plain},
};

/// How often the sessions are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// Until a server has settled, before its memory is looked at.
const REST: Duration = Duration::from_secs(1);
/// Between the first connections of two sessions: a server's backlog is not what is measured.
const APART: Duration = Duration::from_millis(2);

/// Does what is ordered.
///
/// # Errors
/// Accounts could not be prepared or counted, or sessions never came to the gate; in words.
pub fn run(
    order: Order,
    cores: &Cores,
    mut watch: Option<Watch>,
    display: &mut Display,
) -> Result<Run, String> {
    let order = Arc::new(order);
    prepare::prepare(&order).map_err(|error| format!("preparing the mailboxes: {error}"))?;
    let writes = matches!(order.operation, Operation::Append | Operation::Deliver);
    let count = || match writes {
        true => prepare::count(&order).map_err(|error| format!("counting messages: {error}")),
        false => Ok(0),
    };
    let before = count()?;
    let empty_kib = memory(&order, &mut watch);
    let mut course =
        Course::start(&order, cores, watch).map_err(|error| format!("an executor: {error}"))?;
    course.gather()?;
    let full_kib = memory(&order, &mut course.watch);
    course.watch(display);
    let (mut run, books) = course.close()?;
    let found = count()?.saturating_sub(before);
    run.ledger = Some(if writes { books.written(found) } else { books.read() });
    if order.operation == Operation::Login {
        run.ledger = None;
    }
    if let Some(mailboxes) = &mut run.mailboxes {
        let more = empty_kib.zip(full_kib).map(|(empty, full)| full.saturating_sub(empty));
        mailboxes.memory_per_session_kib = more.map(|kib| kib as f64 / order.sessions as f64);
    }
    Ok(run)
}

/// The server's memory when it has settled; of sessions that idle only, for others do not wait.
fn memory(order: &Order, watch: &mut Option<Watch>) -> Option<u64> {
    if order.operation != Operation::Idle {
        return None;
    }
    let watch = watch.as_mut()?;
    thread::sleep(REST);
    watch.sample().pss_kib
}

/// A run while it goes on.
struct Course {
    order: Arc<Order>,
    turns: Arc<Turns>,
    books: Arc<Books>,
    executors: Vec<ExecutorJoinHandle<()>>,
    tallies: Vec<Arc<Tally>>,
    running: Arc<AtomicU64>,
    watch: Option<Watch>,
    clock: Option<Clock>,
    busiest: Option<f64>,
    series: Vec<Sample>,
    latency: Histogram<u64>,
}

/// Where everything stood when the gate was opened.
struct Clock {
    own: Own,
    server: Option<Cpu>,
    started: Instant,
    started_us: u64,
}

impl Course {
    fn start(order: &Arc<Order>, cores: &Cores, watch: Option<Watch>) -> io::Result<Self> {
        let shares = cores.count();
        let mut this = Self {
            order: Arc::clone(order),
            turns: Arc::new(Turns::new(order.operations)),
            books: Arc::default(),
            executors: Vec::new(),
            tallies: Vec::new(),
            running: Arc::new(AtomicU64::new(shares as u64)),
            watch,
            clock: None,
            busiest: None,
            series: Vec::new(),
            latency: empty(),
        };
        let bells: Arc<[Bell]> = (0..order.accounts).map(|_| Bell::default()).collect();
        for index in 0..shares {
            let tally = Arc::new(Tally::default());
            this.tallies.push(Arc::clone(&tally));
            let (order, turns) = (Arc::clone(order), Arc::clone(&this.turns));
            let (books, bells) = (Arc::clone(&this.books), Arc::clone(&bells));
            let running = Arc::clone(&this.running);
            let executor = LocalExecutorBuilder::new(placement(cores, index))
                .name("mailbox")
                .spawn(move || async move {
                    let tls = match order.security {
                        Security::None => None,
                        _ => client_config(order.resume).ok(),
                    };
                    let desk = Desk { order, turns, books, bells, tally, tls };
                    share(Rc::new(desk), index, shares).await;
                    running.fetch_sub(1, Relaxed);
                })
                .map_err(plain)?;
            this.executors.push(executor);
        }
        Ok(this)
    }

    /// Waits until all sessions are at the gate, and opens it.
    fn gather(&mut self) -> Result<(), String> {
        let all = self.order.sessions as u64 + u64::from(self.order.operation == Operation::Idle);
        let patience = self.order.patience + APART * self.order.sessions as u32;
        let end = Instant::now() + patience;
        while self.turns.waiting() < all && self.running.load(Relaxed) > 0 {
            if Instant::now() > end {
                let came = self.turns.waiting();
                return Err(format!(
                    "only {came} of {all} sessions were ready in time{}",
                    self.why()
                ));
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// The first failure, in words.
    fn why(&self) -> String {
        let source = self.source();
        let first = source.failures.keys().next();
        first.map_or_else(String::new, |failure| format!(": {failure}"))
    }

    fn source(&self) -> result::Source {
        let mut source = result::Source::default();
        self.tallies.iter().for_each(|tally| tally.add_to(&mut source));
        source
    }

    /// Opens the gate and looks on until all is over.
    fn watch(&mut self, display: &mut Display) {
        let clock = Clock {
            own: Own::start(),
            server: self.watch.as_mut().map(Watch::cpu),
            started: Instant::now(),
            started_us: now_us(),
        };
        self.turns.open(self.order.duration);
        let mut next_sample = SAMPLE_EVERY;
        let mut before = 0;
        while self.running.load(Relaxed) > 0 {
            thread::sleep(TICK);
            if self.running.load(Relaxed) > 0 {
                self.busiest = clock.own.busiest().map(|(_, share)| share).or(self.busiest);
            }
            if clock.started.elapsed() >= next_sample {
                let sample = self.sample(&clock, before);
                let done = self.done();
                display.show(done, &sample);
                before = done;
                self.series.push(sample);
                next_sample = clock.started.elapsed() + SAMPLE_EVERY;
            }
        }
        display.end();
        self.clock = Some(clock);
    }

    fn done(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.accepted.load(Relaxed)).sum()
    }

    fn sample(&mut self, clock: &Clock, before: u64) -> Sample {
        let mut interval = empty();
        self.tallies.iter().for_each(|tally| tally.latency.drain_into(&mut interval));
        // Both have the same bounds.
        let _ = self.latency.add(&interval);
        let at_s = clock.started.elapsed().as_secs_f64();
        let elapsed_s = at_s - self.series.last().map_or(0.0, |last| last.at_s);
        let usage = self.watch.as_mut().map(Watch::sample);
        Sample {
            at_s,
            accepted_per_s: (self.done() - before) as f64 / elapsed_s.max(1e-6),
            errors: self.tallies.iter().map(|tally| tally.errors()).sum(),
            accept_p99_us: (!interval.is_empty()).then(|| interval.value_at_quantile(0.99)),
            server_rss_kib: usage.and_then(|usage| usage.pss_kib),
            ..Sample::default()
        }
    }

    fn close(mut self) -> Result<(Run, Arc<Books>), String> {
        let clock = self.clock.take().ok_or("the clock never ran")?;
        let server = self.watch.as_mut().map(Watch::cpu);
        let own = clock.own.cpu();
        for executor in self.executors.drain(..) {
            executor.join().map_err(|error| format!("an executor failed: {error}"))?;
        }
        self.tallies.iter().for_each(|tally| tally.latency.drain_into(&mut self.latency));
        let source = self.source();
        let last_us = self.tallies.iter().map(|tally| tally.last_us.load(Relaxed)).max();
        let elapsed_s = between(clock.started_us, last_us.unwrap_or(0)).as_secs_f64();
        if source.messages_accepted == 0 && self.order.operations > 0 {
            return Err(format!("no operation was finished{}", self.why()));
        }
        let operations = source.messages_accepted;
        let spent = clock.server.zip(server).map(|(before, after)| after.since(before));
        let server_cost = self
            .watch
            .as_mut()
            .zip(spent)
            .map(|(watch, spent)| trial::server_cost(watch, spent, operations));
        let mut run = Run {
            elapsed_s,
            mailboxes: Some(mailboxes(&self.order, source, elapsed_s)),
            ledger: None::<Ledger>,
            accept_latency: trial::latency(&self.latency),
            server_cost,
            generator_cost: Some(trial::cost(own, operations, "process tree")),
            generator_busiest: self.busiest,
            series: self.series,
            ..Run::default()
        };
        run.warnings = warnings(&run);
        Ok((run, self.books))
    }
}

/// One executor's sessions, to their end.
async fn share(desk: Rc<Desk>, index: usize, shares: usize) {
    let mut tasks = Vec::new();
    for (at, number) in (index..desk.order.sessions).step_by(shares).enumerate() {
        let desk = Rc::clone(&desk);
        tasks.push(glommio::spawn_local(async move {
            sleep(APART * at as u32).await;
            desk::work(desk, number).await;
        }));
    }
    if index == 0 && desk.order.operation == Operation::Idle {
        tasks.push(glommio::spawn_local(idle::ring(Rc::clone(&desk))));
    }
    for task in tasks {
        task.await;
    }
}

fn mailboxes(order: &Order, source: result::Source, elapsed_s: f64) -> Mailboxes {
    let per_s = |count: u64| count as f64 / elapsed_s.max(1e-6);
    Mailboxes {
        operation: order.operation.name(),
        sessions: order.sessions as u64,
        operations: source.messages_accepted,
        operations_per_s: per_s(source.messages_accepted),
        unfinished: source.messages_unanswered,
        octets: source.octets_accepted,
        octets_per_s: (source.octets_accepted > 0).then(|| per_s(source.octets_accepted)),
        connections: source.connections,
        connections_failed: source.connections_failed,
        failures: source.failures,
        memory_per_session_kib: None,
    }
}

fn warnings(run: &Run) -> Vec<String> {
    let mut warnings =
        trial::warnings(run, u64::MAX, thread::available_parallelism().map_or(1, usize::from));
    if let Some(found) = run.mailboxes.as_ref().filter(|found| found.connections_failed > 0) {
        let first = found.failures.keys().next().map_or("", String::as_str);
        warnings.push(format!("{} sessions broke: {first}", found.connections_failed));
    }
    warnings
}
