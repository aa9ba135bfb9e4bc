//! What a group of processes used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// CPU, system calls and memory of a server, or of this program.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// User time.
    pub user_us: u64,
    /// System time.
    pub system_us: u64,
    /// User and system time a message (of those that were relayed, or accepted when there is no sink); of mailboxes an
    /// operation.
    pub cpu_us_per_message: Option<f64>,
    /// System calls a message, of a short run of their own.
    pub syscalls_per_message: Option<f64>,
    /// Highest sum of the proportional set sizes of its processes (Pss: shared pages count once).
    pub memory_peak_kib: Option<u64>,
    /// The same at the end, when the load is over.
    pub memory_final_kib: Option<u64>,
    /// Processes at the time of the peak.
    pub processes: Option<u32>,
    /// How it was read: `cgroup` or `process tree`.
    pub source: String,
}
