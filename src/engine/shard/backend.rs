//! Owns: which of the two ways a shard talks to the kernel, and the runtime for each. Must stay
//! true: both give a current-thread tokio runtime on which `spawn_local`, timers and tokio's own
//! sockets work. Fails: [`ShardError::NoRing`] when io_uring was demanded and is not to be had
//! (containers often forbid it; kernels before 6.0 lack the flags).

use std::{fmt, future::Future, io, sync::mpsc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ShardError;

/// Entries of the submission queue: it is flushed when full or when the thread parks.
const SUBMISSIONS: u32 = 512;
/// Entries of the completion queue. Every connection has at most one operation under way; beyond
/// this the kernel queues completions itself, at a cost.
const COMPLETIONS: u32 = 16_384;
/// How long a probe may take before the ring counts as broken.
const PROBE_SECS: u64 = 2;

/// How sockets are driven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IoKind {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// io_uring, or refuse to start.
    Uring,
    /// epoll.
    Epoll,
}

/// What was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// tokio-uring.
    Uring,
    /// Plain tokio.
    Epoll,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uring => "io_uring",
            Self::Epoll => "epoll",
        })
    }
}

/// Decides on a backend by trying a ring, on a thread of its own, with the flags that shards use.
pub fn probe(kind: IoKind) -> Result<Backend, ShardError> {
    if kind == IoKind::Epoll {
        return Ok(Backend::Epoll);
    }
    match (try_ring(), kind) {
        (Ok(()), _) => Ok(Backend::Uring),
        (Err(_), IoKind::Auto) => Ok(Backend::Epoll),
        (Err(error), _) => Err(ShardError::NoRing(error)),
    }
}

fn try_ring() -> io::Result<()> {
    let (report, outcome) = mpsc::channel();
    let attempt = move || {
        let works =
            Runtime::new(Backend::Uring).and_then(|runtime| runtime.block_on(tokio_uring::no_op()));
        let _ = report.send(works);
    };
    std::thread::Builder::new().name("ring-probe".into()).spawn(attempt)?;
    outcome.recv_timeout(Duration::from_secs(PROBE_SECS)).unwrap_or_else(|_| {
        Err(io::Error::new(io::ErrorKind::TimedOut, "the ring does not answer"))
    })
}

/// The runtime of one shard; made and used on the shard's own thread (SINGLE_ISSUER asks for it).
pub(super) enum Runtime {
    Uring(tokio_uring::Runtime),
    Epoll(tokio::runtime::Runtime, tokio::task::LocalSet),
}

impl Runtime {
    pub(super) fn new(backend: Backend) -> io::Result<Self> {
        match backend {
            Backend::Uring => {
                // Never DEFER_TASKRUN: tokio waits in epoll, not in io_uring_enter, and would not
                // see completions that only entering the ring produces.
                let mut ring = tokio_uring::uring_builder();
                ring.setup_coop_taskrun()
                    .setup_taskrun_flag()
                    .setup_single_issuer()
                    .setup_clamp()
                    .setup_cqsize(COMPLETIONS);
                let mut builder = tokio_uring::builder();
                builder.entries(SUBMISSIONS).uring_builder(&ring);
                tokio_uring::Runtime::new(&builder).map(Self::Uring)
            }
            Backend::Epoll => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map(|runtime| Self::Epoll(runtime, tokio::task::LocalSet::new())),
        }
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Uring(runtime) => runtime.block_on(future),
            Self::Epoll(runtime, tasks) => tasks.block_on(runtime, future),
        }
    }
}
