//! Telemetry: what the process says about itself, at almost no cost to the mail it moves.
//!
//! Two things live here. *Numbers* ([`Counter`], [`Gauge`], [`Histogram`], gathered in a [`Sheet`])
//! are written by one shard without atomic read-modify-write and read by anyone. *Words* are events
//! ([`Events`], a buffer a shard, rendered without serde) and notes ([`note`], for cold paths), both
//! written by one thread ([`Log`]).
//!
//! What must stay true: no shard ever waits for the log. When the writer falls behind, lines are
//! dropped and counted ([`Log::dropped`]), never queued without bound.

mod event;
mod histogram;
mod log;
mod metric;
mod render;
mod settings;
mod sheet;
mod stamp;
mod writer;

pub use event::{Event, Events};
pub use histogram::{Histogram, Summary, Tally, micros_since};
pub use log::{Log, note};
pub use metric::{Apart, Counter, Gauge};
pub use settings::{Format, Level, LogSettings, Target};
pub use sheet::{Measured, Sheet};
