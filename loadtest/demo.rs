//! The demo: a server, a few thousand messages through it, and an account of every one of them.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use indicatif::{ProgressBar, ProgressStyle};
use loadtest::{
    message::Label,
    sink::{Rules, Sink},
    source::{self, Load, Outcome},
};

/// Without an arrival for so long, what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(clap::Args)]
pub struct Arguments {
    /// The server's program.
    #[arg(long)]
    server: PathBuf,
    /// Its configuration; it must listen where `--to` says and relay to where `--sink` says.
    #[arg(long, default_value = "config/dev.toml")]
    config: PathBuf,
    /// Where the server listens.
    #[arg(long, default_value = "127.0.0.1:2525")]
    to: SocketAddr,
    /// Where the built-in sink listens.
    #[arg(long, default_value = "127.0.0.1:2626")]
    sink: SocketAddr,
    /// Messages to send.
    #[arg(long, default_value_t = 5000)]
    messages: u64,
    /// Connections at a time.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// Octets a message.
    #[arg(long, default_value_t = 5120)]
    size: usize,
}

/// What the sink saw.
#[derive(Default)]
struct Arrivals {
    count: HashMap<u64, u32>,
    changed: u64,
    octets: u64,
    last: Option<Instant>,
}

/// A server process; killed if it still runs when this is dropped.
struct Server {
    child: Child,
    log: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if TcpStream::connect_timeout(&arguments.to, Duration::from_secs(1)).is_ok() {
        return Err(format!("something listens on {} already; stop it first", arguments.to).into());
    }
    let name = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let load = Load {
        connections: arguments.connections,
        messages: arguments.messages,
        size: arguments.size,
        ..Load::new(arguments.to, &format!("demo{name}"))
    };
    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let sink = start_sink(arguments.sink, &load.run, &arrivals)?;
    println!("sink      listens on {}", sink.address());
    let mut server = Server::start(arguments)?;
    println!("server    {} answers on {}", arguments.server.display(), arguments.to);
    println!("log       {}", server.log.display());

    let started = Instant::now();
    let outcome = relay(&load, &arrivals, started);
    let elapsed = lock(&arrivals).last.map_or(started.elapsed(), |last| last - started);
    let cpu = server.cpu();
    let stopped = server.stop()?;
    println!("server    {stopped}");
    Ok(report(&load, &outcome, &lock(&arrivals), elapsed, cpu))
}

fn start_sink(at: SocketAddr, run: &str, arrivals: &Arc<Mutex<Arrivals>>) -> io::Result<Sink> {
    let (run, arrivals) = (run.to_owned(), Arc::clone(arrivals));
    Sink::start(at, Rules::default(), move |delivery| {
        // Mail of an earlier run may still lie in the queue: it is not ours to count.
        let Some((label, same)) = Label::check(&delivery.message) else { return };
        if label.run == run {
            let mut arrivals = lock(&arrivals);
            *arrivals.count.entry(label.number).or_default() += 1;
            arrivals.changed += u64::from(!same);
            arrivals.octets += label.size as u64;
            arrivals.last = Some(Instant::now());
        }
    })
}

/// Sends everything and waits until it has arrived, or nothing more does.
fn relay(load: &Load, arrivals: &Mutex<Arrivals>, started: Instant) -> Outcome {
    let bar = progress_bar(load.messages);
    let acknowledged = AtomicU64::new(0);
    let outcome = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            source::run(load, &|_| {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            })
        });
        let mut plain_at = Duration::ZERO;
        loop {
            let arrived = lock(arrivals).count.len() as u64;
            let sent = acknowledged.load(Ordering::Relaxed);
            bar.set_position(arrived);
            bar.set_message(format!("{sent} acknowledged"));
            if bar.is_hidden() && started.elapsed() >= plain_at {
                println!("relay     {sent} acknowledged, {arrived} arrived of {}", load.messages);
                plain_at = started.elapsed() + Duration::from_secs(1);
            }
            let quiet = lock(arrivals).last.unwrap_or(started).elapsed() > PATIENCE;
            if sender.is_finished() && (arrived >= sent || quiet) {
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
        sender.join()
    });
    bar.finish_and_clear();
    outcome.unwrap_or_default()
}

fn progress_bar(messages: u64) -> ProgressBar {
    let bar = ProgressBar::new(messages);
    let template = "relay     [{bar:40}] {pos}/{len} arrived, {msg}, {per_sec}, {elapsed}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

fn report(
    load: &Load,
    outcome: &Outcome,
    arrivals: &Arrivals,
    elapsed: Duration,
    cpu: Option<Duration>,
) -> ExitCode {
    let lost = outcome.acknowledged.iter().filter(|n| !arrivals.count.contains_key(n)).count();
    let duplicated = arrivals.count.values().filter(|count| **count > 1).count();
    let arrived = arrivals.count.len();
    let rate = arrived as f64 / elapsed.as_secs_f64().max(0.001);
    let rows = [
        ("sent", load.messages.to_string()),
        ("acknowledged", outcome.acknowledged.len().to_string()),
        ("arrived", arrived.to_string()),
        ("lost", lost.to_string()),
        ("duplicated", duplicated.to_string()),
        ("changed", arrivals.changed.to_string()),
        ("octets compared", arrivals.octets.to_string()),
        ("messages a second", format!("{rate:.0} (fsync before every 250)")),
    ];
    println!();
    for (name, value) in rows {
        println!("  {name:<18} {value}");
    }
    if let Some(cpu) = cpu {
        let each = cpu.as_micros() as f64 / (arrived as f64).max(1.0);
        println!(
            "  {:<18} {each:.0} (user and system, whole server, start included)",
            "CPU-µs a message"
        );
    }
    for failure in outcome.failures.iter().chain(outcome.refused.iter().map(|(_, r)| r)).take(5) {
        println!("  trouble            {failure}");
    }
    let whole = arrived as u64 == load.messages && lost == 0 && arrivals.changed == 0;
    println!(
        "\n{}",
        if whole { "Every message arrived, byte for byte." } else { "NOT all is well." }
    );
    if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Server {
    fn start(arguments: &Arguments) -> Result<Self, Box<dyn std::error::Error>> {
        let log = std::env::temp_dir().join("ringpost-demo.log");
        let file = File::create(&log)?;
        let child = Command::new(&arguments.server)
            .args(["serve", "--config"])
            .arg(&arguments.config)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| format!("{}: {error}", arguments.server.display()))?;
        let mut server = Self { child, log };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !greets(arguments.to) {
            if let Some(status) = server.child.try_wait()? {
                let log = fs::read_to_string(&server.log)?;
                return Err(format!("the server ended at once ({status}):\n{log}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("no greeting from {} within a minute", arguments.to).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// User and system time so far (proc(5): fields 14 and 15, in ticks of 10 ms).
    fn cpu(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: u64 =
            fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks * 10))
    }

    /// SIGTERM, and the time that the server takes for it.
    fn stop(&mut self) -> Result<String, Box<dyn std::error::Error>> {
        let started = Instant::now();
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        while started.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.child.try_wait()? {
                return Ok(format!("stopped in {} ms, {status}", started.elapsed().as_millis()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err("the server does not stop".into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn greets(address: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).is_ok() && line.starts_with("220")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
