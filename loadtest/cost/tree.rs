//! A process and its descendants, read from /proc.
//!
//! Ended processes are counted by what their parents collected when they waited for them (`cutime`,
//! `cstime`, proc(5)). What must be true for that: orphans stay below the root (the keeper of
//! a server is the first process of a namespace, which adopts and collects them), and parents wait.
//! A parent that ignores SIGCHLD, as Exim's receiving processes do, never collects: what its
//! children used is then lost to the tree; only a cgroup knows it. Figures are of
//! 10 ms a process, rounded down by the kernel when it shows them, not when it adds them up.

use std::{collections::HashMap, fs};

use super::Cpu;

/// What /proc/PID/stat says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) parent: u32,
    /// Clock ticks: own user, own system, collected user, collected system.
    ticks: [u64; 4],
}

/// The fields behind the program's name, which may itself contain spaces and brackets.
pub(super) fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: [number(11)?, number(12)?, number(13)?, number(14)?],
    })
}

/// The process's own figures; `None` when it has ended and was collected.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

impl Stat {
    /// Own and collected time.
    pub(super) fn cpu(&self) -> Cpu {
        let [user, system, ended_user, ended_system] = self.ticks;
        let tick_us = 1_000_000 / rustix::param::clock_ticks_per_second().max(1);
        Cpu { user_us: (user + ended_user) * tick_us, system_us: (system + ended_system) * tick_us }
    }
}

/// This program's own time, without its children's: how the kernel splits it.
pub(super) fn own_split() -> Cpu {
    let Some(stat) = stat(std::process::id()) else { return Cpu::default() };
    let [user, system, ..] = stat.ticks;
    Stat { ticks: [user, system, 0, 0], ..stat }.cpu()
}

/// The root and all below it that are there now, with their figures, root first.
///
/// One pass over /proc: a process whose parent ends meanwhile may be missed and is seen the next time.
pub(super) fn family(root: u32) -> Vec<(u32, Stat)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut of_parent: HashMap<u32, Vec<(u32, Stat)>> = HashMap::new();
    let mut found = Vec::new();
    for pid in entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()) {
        let Some(stat) = stat(pid) else { continue };
        if pid == root {
            found.push((pid, stat));
        } else {
            of_parent.entry(stat.parent).or_default().push((pid, stat));
        }
    }
    let mut next = 0;
    while let Some((pid, _)) = found.get(next) {
        let children = of_parent.remove(pid).unwrap_or_default();
        found.extend(children);
        next += 1;
    }
    found
}

/// The time of a whole family.
pub(super) fn cpu(family: &[(u32, Stat)]) -> Cpu {
    family.iter().fold(Cpu::default(), |sum, (_, stat)| sum + stat.cpu())
}

/// Memory of these processes, pages that they share counted once (Pss); `None` when no process
/// lets itself be read (other users' do not).
pub(super) fn pss_kib(processes: impl Iterator<Item = u32>) -> Option<u64> {
    let of = |pid: u32| -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").trim().parse().ok()
    };
    processes.filter_map(of).fold(None, |sum, kib| Some(sum.unwrap_or(0) + kib))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let line = "7 (a) R (b) S 3 7 7 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 1 0 99 1 1";
        assert_eq!(parse_stat(line), Some(Stat { parent: 3, ticks: [11, 12, 13, 14] }));
        assert_eq!(parse_stat("7 (a"), None);
    }

    #[test]
    fn this_process_is_its_own_root() {
        let pid = std::process::id();
        assert_eq!(family(pid)[0].0, pid);
        assert!(pss_kib([pid].into_iter()).unwrap() > 100);
        assert_eq!(pss_kib(std::iter::empty()), None);
    }
}
