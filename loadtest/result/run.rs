//! One run: what was sent, what arrived, how long it took and what it cost.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cost, Mailboxes, Server};

/// One load against one server.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The server under test, when this program started it or was told of it.
    pub server: Option<Server>,
    /// Of a comparison: the case, such as `5 KiB, 100 sessions`.
    pub case: Option<String>,
    /// Of a comparison: which round, from 1.
    pub round: Option<u32>,
    /// From the first connection to the last message's arrival (or reply, without a sink).
    pub elapsed_s: f64,
    /// The sender's view.
    pub source: Option<Source>,
    /// The next hop's view.
    pub sink: Option<Sink>,
    /// What clients of mailboxes did, in place of source and sink.
    pub mailboxes: Option<Mailboxes>,
    /// What became of every message, when both ends were ours. Of mailboxes: of those that were asked for, or that the server
    /// said to hold.
    pub ledger: Option<Ledger>,
    /// From the moment a message was due to its last reply; in a closed loop it is due when the connection is free.
    /// Of mailboxes: the time of an operation, of `idle` from a delivery's last octets to EXISTS.
    pub accept_latency: Option<Latency>,
    /// From the moment a message was due to its arrival at the sink.
    pub relay_latency: Option<Latency>,
    /// Whether latencies count from the moment a message was due by the open loop's plan, so that a
    /// server that stalls cannot hide what waited (coordinated omission).
    pub open_loop: bool,
    /// The server's processes, when they are known.
    pub server_cost: Option<Cost>,
    /// This program: source and sink.
    pub generator_cost: Option<Cost>,
    /// The busiest thread of the generator: share of one core, 0 to 1.
    pub generator_busiest: Option<f64>,
    /// About one a second.
    pub series: Vec<Sample>,
    /// What a reader should know before trusting the figures.
    pub warnings: Vec<String>,
    /// What was asked for by `--expect-…`.
    pub bounds: Vec<Bound>,
}

/// What the sender saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// Messages that were begun.
    pub messages_sent: u64,
    /// Messages that got their 250 for at least one recipient.
    pub messages_accepted: u64,
    /// Recipients among them.
    pub recipients_accepted: u64,
    /// Messages that were refused in whole, 4xx and 5xx.
    pub messages_refused: u64,
    /// Messages whose reply never came: the connection broke.
    pub messages_unanswered: u64,
    /// Octets of accepted messages, headers included.
    pub octets_accepted: u64,
    /// Accepted messages a second, from the first connection to the last reply.
    pub accepted_per_s: f64,
    /// Connections made.
    pub connections: u64,
    /// Connections that failed to open or broke.
    pub connections_failed: u64,
    /// How, with how often: `the server hung up`.
    pub failures: BTreeMap<String, u64>,
    /// Refusals by reply code.
    pub refusals: Vec<Refusal>,
    /// Seconds from the first connection to the last reply.
    pub elapsed_s: f64,
}

/// A kind of refusal.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The reply code, RFC 5321 §4.2.
    pub code: u16,
    /// At which stage: `greeting`, `hello`, `mail`, `rcpt`, `data`, `done`.
    pub stage: String,
    /// How often.
    pub count: u64,
    /// The first text of this kind.
    pub text: String,
}

/// What the next hop saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sink {
    /// Messages taken.
    pub messages: u64,
    /// Their recipients.
    pub recipients: u64,
    /// Their octets.
    pub octets: u64,
    /// Connections taken.
    pub connections: u64,
    /// Connections open at the same time, at most.
    pub connections_peak: u64,
    /// What the sink's rules refused, by code and stage.
    pub refusals: Vec<Refusal>,
    /// Messages taken a second, from the first to the last.
    pub messages_per_s: f64,
}

/// What became of every recipient of every message: nothing is estimated.
///
/// `accepted = delivered + bounced + lost`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ledger {
    /// Recipients that the server took with 250.
    pub accepted: u64,
    /// Of these, that arrived at least once.
    pub delivered: u64,
    /// Of these, that did not arrive and for which a bounce came.
    pub bounced: u64,
    /// Of these, that neither arrived nor bounced.
    pub lost: u64,
    /// Arrivals beyond the first.
    pub duplicated: u64,
    /// Arrivals whose bytes were not those that were sent.
    pub changed: u64,
    /// Arrived though the server never said 250 (a connection broke before the reply: allowed by RFC 5321 §4.5.4).
    pub unacknowledged: u64,
    /// Arrived though the server had refused it.
    pub refused_yet_delivered: u64,
    /// Some of the lost, as `message:recipient`.
    pub lost_samples: Vec<String>,
}

/// A distribution of latencies, of an HDR histogram with three digits.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// The mean.
    pub mean_us: f64,
    /// The smallest.
    pub min_us: u64,
    /// The median.
    pub p50_us: u64,
    /// 90 of 100 were not above.
    pub p90_us: u64,
    /// 99 of 100 were not above.
    pub p99_us: u64,
    /// 999 of 1000 were not above.
    pub p999_us: u64,
    /// The largest.
    pub max_us: u64,
    /// The curve for plots: ascending, ends at 1.
    pub quantiles: Vec<Quantile>,
}

/// A point of a distribution's curve.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Quantile {
    /// 0 to 1.
    pub quantile: f64,
    /// The value there.
    pub us: u64,
}

/// A moment of the run: rates are of the time since the sample before.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Seconds since the start.
    pub at_s: f64,
    /// Messages accepted.
    pub accepted_per_s: f64,
    /// Messages arrived.
    pub arrived_per_s: f64,
    /// Recipients accepted and neither delivered nor bounced yet.
    pub in_flight: u64,
    /// Refusals and broken connections.
    pub errors: u64,
    /// 99th percentile of the accept latency in this interval.
    pub accept_p99_us: Option<u64>,
    /// The server's use of CPU in cores: 1.0 is one core full.
    pub server_cores: Option<f64>,
    /// The generator's.
    pub generator_cores: Option<f64>,
    /// The server's resident memory.
    pub server_rss_kib: Option<u64>,
}

/// A stated bound and whether it was kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Bound {
    /// `rate`, `p99` or `lost`.
    pub name: String,
    /// What was asked for, with its unit.
    pub wanted: String,
    /// What was seen.
    pub seen: String,
    /// Whether it was kept.
    pub kept: bool,
}

impl Run {
    /// Whether nothing was lost or changed and every bound was kept.
    #[must_use]
    pub fn is_good(&self) -> bool {
        // A stated bound excuses losses up to it, and nothing else.
        let asked = self.bounds.iter().any(|bound| bound.name == "lost");
        let is_whole = |ledger: &Ledger| {
            (asked || ledger.lost == 0) && ledger.changed == 0 && ledger.refused_yet_delivered == 0
        };
        self.ledger.as_ref().is_none_or(is_whole) && self.bounds.iter().all(|bound| bound.kept)
    }
}
