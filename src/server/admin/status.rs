//! `status`: the numbers of every shard and their sum.

use std::collections::BTreeMap;

use engine::telemetry::{Sheet, Summary};
use mail::queue::Snapshot;
use serde::{Deserialize, Serialize};

use super::Hub;
use super::gather::each_shard;

/// What a healthy queue says of itself.
const HEALTHY: &str = "healthy";

/// What does not change while the server runs, and its age.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Ringpost's version.
    pub version: String,
    /// The name it greets with.
    pub hostname: String,
    /// The process.
    pub pid: u32,
    /// How the shards do I/O: `io_uring` or `epoll`.
    pub io: String,
    /// Milliseconds since start.
    pub uptime_ms: u64,
    /// Whether it is draining: no new mail is taken.
    #[serde(default)]
    pub draining: bool,
}

/// The server in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version, name, age.
    #[serde(flatten)]
    pub about: About,
    /// `healthy`, or what is wrong with which queue.
    pub health: String,
    /// All shards together.
    pub total: Numbers,
    /// Each shard.
    pub shards: Vec<ShardStatus>,
    /// Shards that did not answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStatus {
    /// Its index.
    pub shard: usize,
    /// Its numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// The queues that it keeps; its own first.
    pub queues: Vec<Snapshot>,
}

/// A sheet of numbers, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    /// What only grows.
    pub counters: BTreeMap<String, u64>,
    /// What goes up and down.
    pub gauges: BTreeMap<String, u64>,
    /// Distributions; names that end in `_us` are microseconds.
    pub latencies: BTreeMap<String, Summary>,
}

impl From<&Sheet> for Numbers {
    fn from(sheet: &Sheet) -> Self {
        let owned = |(name, value): (&&str, &u64)| ((*name).to_owned(), *value);
        Self {
            counters: sheet.counters().iter().map(owned).collect(),
            gauges: sheet.gauges().iter().map(owned).collect(),
            latencies: sheet
                .latencies()
                .iter()
                .map(|(name, tally)| ((*name).to_owned(), tally.summary()))
                .collect(),
        }
    }
}

/// Asks every shard for its snapshot and reads its numbers.
pub(super) async fn status(hub: &dyn Hub) -> Status {
    let (answers, mut warnings) = each_shard(hub, |shard| hub.snapshots(shard)).await;
    let mut queues: BTreeMap<usize, Vec<Snapshot>> = answers.into_iter().collect();
    let mut total = Sheet::new();
    let mut shards = Vec::with_capacity(hub.shards());
    for shard in 0..hub.shards() {
        let sheet = hub.sheet(shard);
        total.merge(&sheet);
        let queues = queues.remove(&shard).unwrap_or_default();
        shards.push(ShardStatus { shard, numbers: Numbers::from(&sheet), queues });
    }
    let health = health(&shards, &warnings);
    warnings.shrink_to_fit();
    Status { about: hub.about(), health, total: Numbers::from(&total), shards, warnings }
}

fn health(shards: &[ShardStatus], warnings: &[String]) -> String {
    let sick = shards.iter().flat_map(|shard| &shard.queues).filter(|q| q.health != HEALTHY);
    let mut complaints: Vec<_> =
        sick.map(|queue| format!("queue {}: {}", queue.queue, queue.health)).collect();
    complaints.extend(warnings.iter().cloned());
    if complaints.is_empty() { HEALTHY.into() } else { complaints.join("; ") }
}
