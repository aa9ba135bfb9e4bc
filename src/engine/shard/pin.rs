//! Owns: which core a thread runs on. Must stay true: only cores that the process may use are
//! chosen. Fails quietly: a shard that cannot be pinned runs all the same.

use std::{io, sync::OnceLock};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What the process was allowed before any shard was pinned.
static ALLOWED: OnceLock<CpuSet> = OnceLock::new();

/// Remembers the cores of the calling thread as those of the process; called before the first pin.
pub(super) fn remember() {
    if let Ok(set) = sched_getaffinity(None) {
        let _ = ALLOWED.set(set);
    }
}

/// Pins the calling thread to the `index`th allowed core, round and round.
pub(super) fn pin_thread(index: usize) -> io::Result<usize> {
    let allowed = ALLOWED.get().ok_or(io::ErrorKind::Unsupported)?;
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
    let core = *index
        .checked_rem(cores.len())
        .and_then(|nth| cores.get(nth))
        .ok_or(io::ErrorKind::Unsupported)?;
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one)?;
    Ok(core)
}

/// Lets the calling thread run on every core of the process again. A thread inherits the pin of the
/// shard that starts it: helper threads (a committer, RocksDB's own) call this first, or they
/// share the core of their shard for ever.
pub fn unpin_thread() {
    if let Some(allowed) = ALLOWED.get() {
        // Nothing to do about a refusal: the thread works, on one core.
        let _ = sched_setaffinity(None, allowed);
    }
}

/// Does work on a helper thread that would hold the shard up, while the shard goes on.
///
/// # Errors
/// The work panicked, or there is no such thread.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(move || {
        unpin_thread();
        work()
    });
    Ok(done.await?)
}
