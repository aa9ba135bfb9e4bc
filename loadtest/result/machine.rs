//! Where a measurement was made, and of what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Processors that this program may use.
    pub cpus: usize,
    /// Their name.
    pub cpu_model: String,
    /// Memory.
    pub memory_mib: u64,
    /// `Linux 6.18.44`.
    pub kernel: String,
    /// Device and file system that hold the servers' queues: `/dev/vda ext4`.
    pub disk: Option<String>,
    /// Median of 200 writes of 4 KiB, each with fdatasync, in the folder of the queues.
    pub fdatasync_us: Option<u64>,
}

/// A server under test.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Server {
    /// `Postfix`.
    pub name: String,
    /// Its version, as it says it.
    pub version: Option<String>,
    /// What is on stable storage before its 250, in words.
    pub durability: String,
    /// How it was tuned, in words.
    pub tuning: Option<String>,
}
