//! Owns: the threads of the shards, from start to end. Must stay true: either every shard has its
//! runtime or none runs; a runtime is torn down only when the kernel holds none of its memory.
//! Fails: [`ShardError::Start`] with the shard that could not, [`ShardError::Panicked`] at the end.

use std::{
    future::Future,
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use super::{Backend, Remote, Shard, ShardError, backend::Runtime, clock, pin, post, sweep};
use crate::telemetry::{self, Level};

/// How often a stopping shard looks whether the kernel is done, and how many times at most.
const DRAIN_POLL_MS: u64 = 5;
const DRAIN_POLLS_MAX: u32 = 400;

/// All running shards.
#[derive(Debug)]
pub struct Shards {
    threads: Vec<JoinHandle<()>>,
    remotes: Arc<[Remote]>,
    /// What each thread says when it ends: whether its `main` returned.
    ended: mpsc::Receiver<bool>,
}

/// What a shard's thread is started with.
struct Seat {
    index: usize,
    backend: Backend,
    remotes: Arc<[Remote]>,
    jobs: tokio::sync::mpsc::Receiver<post::Job>,
    ready: mpsc::Sender<(usize, io::Result<()>)>,
    go: mpsc::Receiver<()>,
    ended: mpsc::Sender<bool>,
}

/// Starts `count` shards (at least one), each a thread pinned to a core of its own, and runs
/// `main(shard)` on each until that future ends. What a shard's tasks still do then is cut off.
pub fn start<F, Fut>(count: usize, backend: Backend, main: F) -> Result<Shards, ShardError>
where
    F: Fn(Shard) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    pin::remember();
    let _ = clock::now_ms();
    let (remotes, inboxes): (Vec<_>, Vec<_>) = (0..count.max(1)).map(Remote::pair).unzip();
    let remotes: Arc<[Remote]> = remotes.into();
    let (ready, readiness) = mpsc::channel();
    let (ending, ended) = mpsc::channel();
    let (mut threads, mut starters) = (Vec::new(), Vec::new());
    for (index, jobs) in inboxes.into_iter().enumerate() {
        let (starter, go) = mpsc::channel();
        let (remotes, ready, ended) = (Arc::clone(&remotes), ready.clone(), ending.clone());
        let seat = Seat { index, backend, remotes, jobs, ready, go, ended };
        let main = main.clone();
        let thread = thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || sit(seat, main))
            .map_err(|error| ShardError::Start { index, error })?;
        threads.push(thread);
        starters.push(starter);
    }
    // Leaving early drops the starters, and the threads that wait for them end.
    for _ in &threads {
        if let Ok((index, Err(error))) = readiness.recv() {
            return Err(ShardError::Start { index, error });
        }
    }
    for starter in starters {
        let _ = starter.send(());
    }
    Ok(Shards { threads, remotes, ended })
}

impl Shards {
    /// Waits until every shard has ended; returns an error as soon as the `main` of one panicked,
    /// for then the process must not go on as if it were whole.
    pub fn join(self) -> Result<(), ShardError> {
        for _ in &self.threads {
            if !self.ended.recv().unwrap_or(false) {
                return Err(ShardError::Panicked);
            }
        }
        for thread in self.threads {
            thread.join().map_err(|_| ShardError::Panicked)?;
        }
        Ok(())
    }

    /// All shards, by number, to post work to.
    #[must_use]
    pub fn remotes(&self) -> Arc<[Remote]> {
        Arc::clone(&self.remotes)
    }
}

/// The life of a shard's thread.
fn sit<F, Fut>(seat: Seat, main: F)
where
    F: Fn(Shard) -> Fut,
    Fut: Future<Output = ()>,
{
    let Seat { index, backend, remotes, jobs, ready, go, ended } = seat;
    if let Err(error) = pin::pin_thread(index) {
        telemetry::note(
            Level::Warn,
            format_args!("shard {index} is not pinned to a core: {error}"),
        );
    }
    let runtime = match Runtime::new(backend) {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send((index, Err(error)))),
    };
    let _ = ready.send((index, Ok(())));
    drop(ready);
    if go.recv().is_err() {
        return;
    }
    let shard = Shard::new(index, backend, remotes);
    let (returned, idle) = runtime.block_on(live(shard.clone(), jobs, main));
    if idle {
        drop(runtime);
    } else {
        // tokio-uring frees the buffers of operations before it cancels them. Their memory is lost
        // instead: the process ends soon.
        telemetry::note(Level::Warn, format_args!("shard {index}: the ring did not come to rest"));
        std::mem::forget(runtime);
    }
    let _ = ended.send(returned);
}

/// Runs `main`, then brings the shard to rest: whether `main` returned, and whether the kernel is
/// done with all operations.
async fn live<F, Fut>(
    shard: Shard,
    jobs: tokio::sync::mpsc::Receiver<post::Job>,
    main: F,
) -> (bool, bool)
where
    F: Fn(Shard) -> Fut,
    Fut: Future<Output = ()>,
{
    shard.spawn(sweep::run(std::rc::Rc::clone(shard.registry())));
    shard.spawn(post::run_inbox(shard.clone(), jobs));
    let running = shard.clone();
    let returned = shard.contained(async move { main(running).await }).await.is_some();
    let mut idle = shard.registry().stop();
    for _ in 0..DRAIN_POLLS_MAX {
        if idle {
            break;
        }
        clock::sleep(DRAIN_POLL_MS).await;
        idle = shard.registry().stop();
    }
    (returned, idle)
}
