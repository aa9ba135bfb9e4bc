//! The directory as a whole: what it keeps through crashes, where mail goes, who may log in.

mod logins;
mod model;
mod resolution;

use std::future::Future;

use super::password::Parameters;

/// Hashes that cost next to nothing.
pub(super) const CHEAP: Parameters =
    Parameters { memory_kib: 64, passes: 1, lanes: 1, scram_iterations: 10 };

/// Runs what a shard would run.
pub(super) fn on_a_shard<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(future)
}
