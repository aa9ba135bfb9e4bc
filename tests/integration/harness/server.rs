//! The server under test: started from a plan, watched through its log, stopped or killed.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{Plan, Talk, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ringpost");

/// A running (or stopped) server with its own folder.
pub struct Server {
    pub plan: Plan,
    child: Option<Child>,
    folder: TempDir,
    data_dir: PathBuf,
}

impl Server {
    /// Starts a server on an empty data directory and waits until it listens.
    pub fn start(plan: Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        Self::start_on(plan, folder, data_dir)
    }

    /// The same with a data directory elsewhere.
    pub fn start_on(plan: Plan, folder: TempDir, data_dir: PathBuf) -> Self {
        let mut server = Self { plan, child: None, folder, data_dir };
        server.launch();
        server
    }

    /// Starts it (again) with the present plan.
    pub fn launch(&mut self) {
        self.write_config();
        let said_before = self.log_text().len();
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let child = Command::new(PROGRAM)
            .arg("serve")
            .arg("--config")
            .arg(self.config_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        // A connection proves nothing: the kernel keeps the sockets of a killed ring for a moment.
        wait_until("the server to say that it listens", 60, || {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", self.log_text());
            self.log_text()[said_before..].contains("listens on")
        });
    }

    pub fn write_config(&self) {
        let text = self.plan.text(&self.data_dir, &self.folder.path().join("admin.sock"));
        fs::write(self.config_path(), text).unwrap();
    }

    pub fn port(&self) -> u16 {
        self.plan.listeners[0].port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("ringpost.toml")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn log_text(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Every log line that is a JSON object.
    pub fn events(&self) -> Vec<Value> {
        self.log_text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The events of one kind, such as `accepted`.
    pub fn events_of(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == kind).collect()
    }

    pub fn talk(&self) -> Talk {
        Talk::connect(self.address())
    }

    /// Memory of the process that is its own (`Pss`).
    pub fn memory_bytes(&self) -> u64 {
        let id = self.child.as_ref().expect("a running server").id();
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap();
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("a running server"));
        kill_process(pid, signal).unwrap();
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("a running server");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        let mut status = None;
        wait_until("the server to stop after SIGTERM", 60, || {
            status = self.child.as_mut().unwrap().try_wait().unwrap();
            status.is_some()
        });
        self.child = None;
        status.unwrap()
    }

    /// Runs `ringpost ARGUMENTS --config …`.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let config = self.config_path();
        let mut all = arguments.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        run_cli(&all)
    }

    /// The same, for JSON.
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(arguments);
        assert!(output.status.success(), "{arguments:?} failed");
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| {
            // One object a line is as good.
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect()
        })
    }
}

/// Runs the program under test to its end.
pub fn run_cli(arguments: &[&str]) -> Output {
    super::run_program(PROGRAM, arguments)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log_text();
            let from = log.len().saturating_sub(6000);
            println!("---- end of the server's log\n{}", &log[log.ceil_char_boundary(from)..]);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
