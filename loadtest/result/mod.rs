//! The result of a measurement as one document: what `--json` prints and what tables and reports show.
//!
//! Every figure is named with its unit, `_us` microseconds, `_s` seconds, `_per_s` a second, `_kib` KiB. What was
//! not measured is absent (`null`), never zero. [`SCHEMA`] grows by one when a field changes its
//! meaning or goes; new fields may come at any time. `ringpost-loadtest schema` prints the JSON schema.

mod comparison;
mod cost;
mod machine;
mod mailboxes;
mod run;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use comparison::{Comparison, Row, Spread};
pub use cost::Cost;
pub use machine::{Machine, Server};
pub use mailboxes::Mailboxes;
pub use run::{Bound, Latency, Ledger, Quantile, Refusal, Run, Sample, Sink, Source};

/// The version of the document's schema.
pub const SCHEMA: u32 = 1;

/// One measurement, of one run or of many.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// [`SCHEMA`] of the program that wrote this.
    pub schema: u32,
    /// Program and version: `ringpost-loadtest 0.1.0`.
    pub program: String,
    /// The command line, for whoever wants to measure again.
    pub command: String,
    /// When it started (RFC 3339).
    pub started: String,
    /// Where it ran.
    pub machine: Machine,
    /// The scenario's name: that of its file, or the command's.
    pub scenario: String,
    /// What the scenario is for, in a sentence.
    pub description: String,
    /// The seed of all that was random.
    pub seed: u64,
    /// The runs in the order in which they were made. `smtp`, `sink` and `relay` make one.
    pub runs: Vec<Run>,
    /// Of `compare`: medians by case and server.
    pub comparison: Option<Comparison>,
}

impl Document {
    /// Whether nothing was lost or changed and every stated bound was kept, in all runs.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.runs.iter().all(Run::is_good)
    }
}
