//! What a group of processes, or this program, used: CPU, memory, processes, system calls.
//!
//! Owns how it is read: [`Watch`] over a [`Cgroup`] where one can be made, else over the process
//! tree; [`Own`] for this program and its threads; [`Syscalls`] through perf. What must stay true: CPU never
//! shrinks while a group lives, and what cannot be read is absent, never zero.

mod cgroup;
mod own;
mod syscalls;
mod tree;

use std::{ops, sync::Arc};

pub use cgroup::Cgroup;
pub use own::{Own, Thread};
pub use syscalls::Syscalls;

/// CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// In user mode.
    pub user_us: u64,
    /// In the kernel.
    pub system_us: u64,
}

impl Cpu {
    /// Both.
    #[must_use]
    pub fn total_us(self) -> u64 {
        self.user_us + self.system_us
    }

    /// What was used since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            user_us: self.user_us.saturating_sub(before.user_us),
            system_us: self.system_us.saturating_sub(before.system_us),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            user_us: self.user_us.max(other.user_us),
            system_us: self.system_us.max(other.system_us),
        }
    }
}

impl ops::Add for Cpu {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { user_us: self.user_us + other.user_us, system_us: self.system_us + other.system_us }
    }
}

/// A look at a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User time since the group began.
    pub user_us: u64,
    /// System time since the group began.
    pub system_us: u64,
    /// Memory now (Pss: shared pages count once); `None` when no process lets itself be read.
    pub pss_kib: Option<u64>,
    /// Processes now.
    pub processes: u32,
}

/// What is watched.
#[derive(Clone, Debug)]
enum Group {
    Cgroup(Arc<Cgroup>),
    Tree(u32),
}

/// Looks at a group again and again.
#[derive(Clone, Debug)]
pub struct Watch {
    group: Group,
    cpu: Cpu,
    peak: Usage,
}

impl Watch {
    /// The processes that are or were in a cgroup: exact.
    #[must_use]
    pub fn cgroup(group: Arc<Cgroup>) -> Self {
        Self::new(Group::Cgroup(group))
    }

    /// A process and its descendants; a lower bound where orphans leave the tree (without
    /// [`crate::server::has_namespaces`]) or parents do not wait for their children.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self::new(Group::Tree(pid))
    }

    fn new(group: Group) -> Self {
        Self { group, cpu: Cpu::default(), peak: Usage::default() }
    }

    /// For [`crate::result::Cost::source`].
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self.group {
            Group::Cgroup(_) => "cgroup",
            Group::Tree(_) => "process tree",
        }
    }

    /// CPU so far: cheap, never less than the last time (a tree that ended keeps its last figure).
    pub fn cpu(&mut self) -> Cpu {
        let now = match &self.group {
            Group::Cgroup(group) => group.cpu().unwrap_or_default(),
            Group::Tree(pid) => tree::cpu(&tree::family(*pid)),
        };
        self.cpu = self.cpu.max(now);
        self.cpu
    }

    /// CPU and memory. Memory walks every page table of the group: about 0.1 ms a process, so not
    /// more than a few times a second.
    pub fn sample(&mut self) -> Usage {
        let Cpu { user_us, system_us } = self.cpu();
        let processes = self.processes();
        let pss_kib = tree::pss_kib(processes.iter().copied());
        let processes = u32::try_from(processes.len()).unwrap_or(u32::MAX);
        let usage = Usage { user_us, system_us, pss_kib, processes };
        if usage.pss_kib >= self.peak.pss_kib {
            self.peak = usage;
        }
        usage
    }

    /// The sample with the most memory so far.
    #[must_use]
    pub fn peak(&self) -> Usage {
        self.peak
    }

    /// The processes there are now.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        match &self.group {
            Group::Cgroup(group) => group.processes(),
            Group::Tree(pid) => tree::family(*pid).into_iter().map(|(pid, _)| pid).collect(),
        }
    }

    /// Starts to count the group's system calls; `None` where perf is missing or refuses.
    #[must_use]
    pub fn syscalls(&self) -> Option<Syscalls> {
        match &self.group {
            Group::Cgroup(group) => {
                Syscalls::of_cgroup(group).or_else(|| Syscalls::of_processes(&self.processes()))
            }
            Group::Tree(_) => Syscalls::of_processes(&self.processes()),
        }
    }
}
