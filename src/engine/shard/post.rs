//! Owns: work that one thread hands to a shard. Must stay true: the inbox is bounded and posting
//! never blocks; jobs of one sender run in order. Fails by refusing the job, which is dropped.

use tokio::sync::mpsc;

use super::{Shard, handle::contain};

/// Jobs that may wait for a shard.
const INBOX_JOBS_MAX: usize = 8192;

pub(super) type Job = Box<dyn FnOnce(&Shard) + Send>;

/// Posts work to one shard, from any thread.
#[derive(Clone, Debug)]
pub struct Remote {
    index: usize,
    inbox: mpsc::Sender<Job>,
}

/// Why a job was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// More than the shard can hold is waiting: try later, or give up.
    #[error("the shard's inbox is full")]
    Full,
    /// The shard has ended.
    #[error("the shard has stopped")]
    Stopped,
}

impl Remote {
    pub(super) fn pair(index: usize) -> (Self, mpsc::Receiver<Job>) {
        let (inbox, jobs) = mpsc::channel(INBOX_JOBS_MAX);
        (Self { index, inbox }, jobs)
    }

    /// The shard's number.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Runs `job` on the shard's thread soon. The job must not block; a panic in it is contained.
    pub fn post(&self, job: impl FnOnce(&Shard) + Send + 'static) -> Result<(), PostError> {
        self.inbox.try_send(Box::new(job)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => PostError::Full,
            mpsc::error::TrySendError::Closed(_) => PostError::Stopped,
        })
    }
}

/// Runs what is posted, until the shard's runtime ends.
pub(super) async fn run_inbox(shard: Shard, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        contain(&shard, || job(&shard));
    }
}
