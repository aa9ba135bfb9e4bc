//! What this program itself used, in whole and by thread.
//!
//! The generator must not be what is full: its busiest thread tells. Threads are known by number; one that ended
//! keeps its last figure, so look while they run. Reads /proc/self; where that is not mounted all is zero and empty.

use std::{collections::BTreeMap, fs, time::Instant};

use rustix::time::{ClockId, clock_gettime};

use super::{Cpu, tree};

/// A thread of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its name (the first 15 octets of what it was given).
    pub name: String,
    /// CPU since it began.
    pub cpu_us: u64,
}

/// What this program used since a moment.
#[derive(Debug)]
pub struct Own {
    started: Instant,
    cpu: Cpu,
    threads: BTreeMap<u32, Thread>,
}

impl Own {
    /// From now on.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now(), cpu: cpu(), threads: threads() }
    }

    /// CPU since the start: all threads, those that ended too, no child processes. User and system are
    /// split as the kernel's ticks say, their sum is exact.
    #[must_use]
    pub fn cpu(&self) -> Cpu {
        cpu().since(self.cpu)
    }

    /// CPU of each thread that lives, since the start, busiest first.
    #[must_use]
    pub fn threads(&self) -> Vec<Thread> {
        let mut used: Vec<Thread> = threads()
            .into_iter()
            .map(|(number, thread)| {
                let before = self.threads.get(&number).map_or(0, |thread| thread.cpu_us);
                Thread { cpu_us: thread.cpu_us.saturating_sub(before), ..thread }
            })
            .collect();
        used.sort_by_key(|thread| std::cmp::Reverse(thread.cpu_us));
        used
    }

    /// The busiest living thread and its share of one core since the start, 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn busiest(&self) -> Option<(String, f64)> {
        let elapsed_us = self.started.elapsed().as_micros().max(1) as f64;
        let thread = self.threads().into_iter().next()?;
        Some((thread.name, (thread.cpu_us as f64 / elapsed_us).min(1.0)))
    }
}

/// All that this program used since it began.
fn cpu() -> Cpu {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    let total_us = u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1000).unwrap_or(0);
    let split = tree::own_split();
    let seen = split.total_us();
    let user_us = total_us.saturating_mul(split.user_us).checked_div(seen).unwrap_or(0);
    Cpu { user_us, system_us: total_us - user_us }
}

/// All threads by number.
fn threads() -> BTreeMap<u32, Thread> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return BTreeMap::new() };
    tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            // Nanoseconds on the CPU, then what does not matter here.
            let run = fs::read_to_string(path.join("schedstat")).ok()?;
            let cpu_us = run.split(' ').next()?.parse::<u64>().ok()? / 1000;
            let name = fs::read_to_string(path.join("comm")).ok()?.trim_end().to_owned();
            Some((number, Thread { name, cpu_us }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::{hint::black_box, sync::mpsc, thread, time::Duration};

    use super::*;

    fn burn(us: u64) {
        let start = clock_gettime(ClockId::ThreadCPUTime);
        let used = |now: rustix::time::Timespec| {
            (now.tv_sec - start.tv_sec) * 1_000_000 + (now.tv_nsec - start.tv_nsec) / 1000
        };
        while used(clock_gettime(ClockId::ThreadCPUTime)) < i64::try_from(us).unwrap() {
            black_box(0);
        }
    }

    #[test]
    fn the_busiest_thread_is_told_by_name() {
        let own = Own::start();
        let (ended, end) = mpsc::channel::<()>();
        let (burnt, done) = mpsc::channel();
        let busy = thread::Builder::new().name("source-1".to_owned()).spawn(move || {
            burn(300_000);
            burnt.send(()).unwrap();
            let _ = end.recv();
        });
        done.recv_timeout(Duration::from_secs(60)).unwrap();
        let (name, share) = own.busiest().unwrap();
        assert_eq!(name, "source-1");
        assert!(share > 0.0 && share <= 1.0, "{share}");
        assert!(own.threads()[0].cpu_us >= 295_000, "{:?}", own.threads());
        assert!(own.cpu().total_us() >= 300_000, "{:?}", own.cpu());
        drop(ended);
        busy.unwrap().join().unwrap();
    }
}
