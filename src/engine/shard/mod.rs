//! Owns: shards. A shard is a thread pinned to a core with its own current-thread runtime, its own
//! sockets and its own clock of deadlines; shards share nothing and post work to one another.
//! This room is the house's only door to io_uring and its only unsafe code.
//!
//! Must stay true (each was a bug when broken):
//! 1. No operation is abandoned while the kernel works on it: a deadline shuts the socket down, and
//!    the operation then ends by itself. One operation a stream.
//! 2. A socket with an operation under way is shut down before it is dropped.
//! 3. No task spins: the ring's submissions leave when the thread parks.
//! 4. A pending read pins its buffer, so idle connections read into small ones.
//! 5. The backend (ring or epoll) is chosen at start and dispatched statically.
//! 6. A connection changes its shard at rest only (rule 1), and whole: what TLS holds goes along.
//!
//! Fails: [`ShardError`] at start and at the end, `io::Error` by operation.

mod backend;
mod budget;
mod buffer;
mod clock;
mod connect;
mod handle;
mod listener;
mod pin;
mod post;
mod ready;
mod secure;
mod start;
mod stream;
mod sweep;
#[cfg(test)]
mod tests;
mod travel;

use std::io;

pub use backend::{Backend, IoKind, probe};
pub use budget::{Budget, Permit};
pub use clock::{now_ms, sleep, wall_ms};
pub use handle::Shard;
pub use listener::Listener;
pub use pin::{beside, unpin_thread};
pub use post::{PostError, Remote};
pub use start::{Shards, start};
pub use stream::Stream;
pub use sweep::{Brake, Deadline};
pub use travel::Detached;

/// Why shards could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// io_uring was demanded, and the kernel or the container does not give it.
    #[error("io_uring is not available here ({0}): set io = \"auto\" or \"epoll\"")]
    NoRing(io::Error),
    /// The thread or its runtime could not be made.
    #[error("shard {index} could not start: {error}")]
    Start {
        /// Which shard.
        index: usize,
        /// What the system said.
        error: io::Error,
    },
    /// The main task of a shard panicked.
    #[error("the main task of a shard panicked")]
    Panicked,
}
