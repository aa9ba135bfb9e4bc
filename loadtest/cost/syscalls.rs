//! System calls of a group, counted in the kernel by `perf stat` on `raw_syscalls:sys_enter`.
//!
//! Counting costs the server some speed: do it in a short run of its own. By cgroup every process
//! counts; by process list those that exist at the start and what they fork later. It is `None` when
//! perf is missing, may not (perf_event_paranoid), or has no tracepoints: then nobody counted. perf
//! ends when this program does, for it runs a `cat` that reads from us and ends with it.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use super::Cgroup;

/// Says that counting has begun, then lasts as long as its input.
const WORKLOAD: [&str; 3] = ["sh", "-c", "echo; exec cat >/dev/null"];

/// A count under way. Dropping it ends perf.
#[derive(Debug)]
pub struct Syscalls {
    perf: Child,
}

impl Syscalls {
    /// Counts for all processes of a cgroup, those to come included.
    #[must_use]
    pub fn of_cgroup(group: &Cgroup) -> Option<Self> {
        Self::start(&["--all-cpus", "--cgroup", group.perf_name()?])
    }

    /// Counts for these processes and what they fork from now on.
    #[must_use]
    pub fn of_processes(processes: &[u32]) -> Option<Self> {
        if processes.is_empty() {
            return None;
        }
        let list = processes.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        Self::start(&["--pid", &list])
    }

    fn start(whose: &[&str]) -> Option<Self> {
        let mut command = Command::new("perf");
        command.args(["stat", "--event", "raw_syscalls:sys_enter", "--field-separator", ","]);
        command.args(whose).arg("--").args(WORKLOAD).env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut count = Self { perf: command.spawn().ok()? };
        let mut line = String::new();
        let stdout = count.perf.stdout.take()?;
        // Nothing comes from a perf that gave up.
        let begun = BufReader::new(stdout).read_line(&mut line).ok()? > 0;
        begun.then_some(count)
    }

    /// Ends the count: system calls since it began.
    #[must_use]
    pub fn stop(mut self) -> Option<u64> {
        drop(self.perf.stdin.take());
        let mut text = String::new();
        self.perf.stderr.take()?.read_to_string(&mut text).ok()?;
        self.perf.wait().ok()?.success().then(|| parse(&text))?
    }
}

impl Drop for Syscalls {
    fn drop(&mut self) {
        drop(self.perf.stdin.take());
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// The count in perf's line `351,,raw_syscalls:sys_enter,…`; `<not counted>` is none.
fn parse(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("raw_syscalls:sys_enter"))?;
    line.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_count() {
        assert_eq!(parse("\n351,,raw_syscalls:sys_enter,x1,5003996,100.00,,\n"), Some(351));
        assert_eq!(parse("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
        assert_eq!(parse("no access\n"), None);
    }

    #[test]
    fn no_process_is_no_count() {
        assert!(Syscalls::of_processes(&[]).is_none());
    }
}
