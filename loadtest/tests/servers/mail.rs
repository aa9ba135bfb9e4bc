//! Postfix's smtp-source and smtp-sink, and places for servers.

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use loadtest::server::{Place, Recipe, has_namespaces};

const SOURCE: &str = "/usr/sbin/smtp-source";
const SINK: &str = "/usr/sbin/smtp-sink";

/// Servers of different tests would share the machine's two cores and each other's ports.
pub fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::new(());
    MACHINE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn folder() -> PathBuf {
    PathBuf::from("/var/tmp/bench-servers")
}

pub fn recipe(name: &str) -> Recipe {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("recipes/{name}.toml"));
    Recipe::load(&path).unwrap()
}

/// A free port, counted from 15525; others may run tests, too.
fn port() -> u16 {
    static NEXT: Mutex<u16> = Mutex::new(15525);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let port = *next;
        *next += 1;
        if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

pub fn place() -> Place {
    let program = std::env::var_os("RINGPOST_PROGRAM").map(PathBuf::from);
    // Built into the same folder, `cargo build --workspace --bins` first.
    let built = || Path::new(env!("CARGO_BIN_EXE_ringpost-loadtest")).with_file_name("ringpost");
    Place {
        folder: folder(),
        port: port(),
        sink_port: port(),
        imap_port: port(),
        pop3_port: port(),
        users: 4,
        dns_port: 0,
        out: 50,
        sessions: 500,
        shards: 2,
        program: Some(program.unwrap_or_else(built)),
    }
}

/// Why a test of this server cannot be run here.
pub fn skips(recipe: &Recipe, place: &Place) -> bool {
    let tools = [SOURCE, SINK].iter().find(|tool| !Path::new(tool).exists());
    let what = tools.map(|tool| format!("{tool} is missing: apt-get install postfix"));
    let ours = recipe.start.command[0] == "{program}";
    let lacks = place.program.as_ref().filter(|program| ours && !program.exists());
    let lacks = lacks.map(|program| format!("{} is missing: make build", program.display()));
    let what = what.or_else(|| recipe.missing()).or(lacks);
    if let Some(what) = &what {
        eprintln!("skipped: {what}");
    }
    what.is_some()
}

/// Why a test with a python script cannot be run here.
pub fn no_python() -> bool {
    let lacks = !Path::new("/usr/bin/python3").exists();
    if lacks {
        eprintln!("skipped: /usr/bin/python3 is missing: apt-get install python3");
    }
    lacks
}

/// Why a test with daemons and orphans cannot be run here.
pub fn no_namespaces() -> bool {
    let lacks = !has_namespaces();
    if lacks {
        eprintln!(
            "skipped: no process namespaces here: needs unshare and root, or user namespaces"
        );
    }
    lacks
}

/// smtp-sink that counts.
pub struct Sink {
    process: Child,
    counter: fs::File,
}

impl Sink {
    pub fn start(port: u16) -> Self {
        let written = tempfile::NamedTempFile::new().unwrap();
        let counter = written.reopen().unwrap();
        let mut command = Command::new(SINK);
        command.args(["-c", "-m", "1024"]);
        if rustix::process::geteuid().is_root() {
            command.args(["-u", "nobody"]);
        }
        command.arg(format!("127.0.0.1:{port}")).arg("1024").stdin(Stdio::null());
        let process = command.stdout(written.into_file()).stderr(Stdio::null()).spawn().unwrap();
        let sink = Self { process, counter };
        until("smtp-sink listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        sink
    }

    /// Messages so far: the last of the running counters `mesg=`.
    pub fn count(&mut self) -> u64 {
        let length = self.counter.metadata().unwrap().len();
        self.counter.seek(SeekFrom::Start(length.saturating_sub(400))).unwrap();
        let mut tail = String::new();
        self.counter.read_to_string(&mut tail).unwrap();
        // The last one may not be written to its end yet.
        let whole = tail.rfind("sess=").map_or("", |at| &tail[..at]);
        let whole = if tail.ends_with(char::is_whitespace) { &tail } else { whole };
        let digits = whole.rsplit("mesg=").next().unwrap_or("");
        digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or("").parse().unwrap_or(0)
    }

    /// Waits for so many, and a little longer for those that would be too many.
    pub fn wait_for(&mut self, messages: u64) {
        until(&format!("{messages} messages at the sink"), || self.count() >= messages);
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// smtp-source to its end: one message a session.
pub fn send(port: u16, sessions: u32, messages: u64) {
    let status = Command::new(SOURCE)
        .args(["-s", &sessions.to_string(), "-m", &messages.to_string(), "-l", "5120"])
        .args(["-f", "from@source.test", "-t", "to@sink.test", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "smtp-source failed");
}

/// Waits for what must come; ten minutes are the end of all hope, not a bound.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(600);
    while !done() {
        assert!(Instant::now() < end, "still waiting for: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Processes whose command line or folder speaks of this folder.
pub fn left_in(folder: &Path) -> Vec<String> {
    let needle = folder.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let read = |entry: fs::DirEntry| -> Option<String> {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let at = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let speaks = line.contains(needle) || at.starts_with(folder);
        speaks.then(|| format!("{} {line}", entry.path().display()))
    };
    entries.filter_map(read).collect()
}
