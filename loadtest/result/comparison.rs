//! Servers side by side: medians over interleaved rounds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Server;

/// What `compare` found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The servers, in the order in which they were named; ratios are to the first.
    pub servers: Vec<Server>,
    /// Rounds a case.
    pub rounds: u32,
    /// One a case and server, cases in order, servers in order.
    pub rows: Vec<Row>,
}

/// One server in one case.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The case: `5 KiB, 100 sessions`.
    pub case: String,
    /// The server's name.
    pub server: String,
    /// Messages accepted a second.
    pub accepted_per_s: Option<Spread>,
    /// Messages relayed a second, from the first connection to the last arrival.
    pub relayed_per_s: Option<Spread>,
    /// Of mailboxes: operations a second.
    pub operations_per_s: Option<Spread>,
    /// Of mailboxes: octets of messages a second.
    pub octets_per_s: Option<Spread>,
    /// Of mailboxes: the server's memory for a session that idles.
    pub memory_per_session_kib: Option<Spread>,
    /// CPU a message (of mailboxes: an operation), all the server's processes.
    pub cpu_us_per_message: Option<Spread>,
    /// System calls a message.
    pub syscalls_per_message: Option<Spread>,
    /// Peak memory.
    pub memory_peak_kib: Option<Spread>,
    /// Median accept latency; of mailboxes of an operation.
    pub accept_p50_us: Option<Spread>,
    /// 99th percentile of the accept latency.
    pub accept_p99_us: Option<Spread>,
    /// Recipients lost in all rounds.
    pub lost: u64,
    /// Arrivals beyond the first in all rounds.
    pub duplicated: u64,
    /// Busiest thread of the generator, median over the rounds: near 1 the generator was what was full.
    pub generator_busiest: Option<Spread>,
}

impl Row {
    /// Whether it is of mailboxes, which have measures of their own.
    #[must_use]
    pub fn is_of_mailboxes(&self) -> bool {
        self.operations_per_s.is_some() || self.memory_per_session_kib.is_some()
    }
}

/// A figure over the rounds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The median, divided by the first server's in this case (1 for the first itself).
    pub ratio: Option<f64>,
}
