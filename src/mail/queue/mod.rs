//! The durable queue's vocabulary: ids, settings, verdicts, commands, errors and figures.
//!
//! The queue itself, one store a shard, is built on these next. What must stay true already: an id
//! is unique in the process and sorts by time; every error says which reply a client gets.

mod command;
mod error;
mod id;
mod metrics;
mod settings;
mod verdict;

pub use command::{
    Answer, Command, Detail, Filter, LIST_ROWS_MAX, Phase, ROW_RECIPIENTS_MAX, RecipientDetail,
    Row, Snapshot,
};
pub use error::QueueError;
pub use id::{IdError, MessageId, QUEUES_MAX};
pub use metrics::Metrics;
pub use settings::Settings;
pub use verdict::{Remote, Verdict};
