//! Owns: what code on a shard can ask of it. Must stay true: a handle never leaves its thread; a
//! panic in a task ends that task and nothing else. Fails: panics are counted and noted.

use std::{
    any::Any,
    cell::Cell,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::{Backend, Listener, Remote, Stream, clock, connect, sweep::Registry};
use crate::telemetry::{self, Level};

/// One shard, as its own tasks see it.
#[derive(Clone)]
pub struct Shard {
    core: Rc<Core>,
}

struct Core {
    index: usize,
    backend: Backend,
    registry: Rc<Registry>,
    remotes: Arc<[Remote]>,
    panics: Cell<u64>,
}

impl Shard {
    pub(super) fn new(index: usize, backend: Backend, remotes: Arc<[Remote]>) -> Self {
        let registry = Rc::new(Registry::default());
        Self { core: Rc::new(Core { index, backend, registry, remotes, panics: Cell::new(0) }) }
    }

    pub(super) fn registry(&self) -> &Rc<Registry> {
        &self.core.registry
    }

    /// Its number, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.core.index
    }

    /// How many shards there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.core.remotes.len()
    }

    /// How it talks to the kernel.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.core.backend
    }

    /// Monotonic milliseconds since the process started; see [`super::now_ms`].
    #[must_use]
    pub fn now(&self) -> u64 {
        clock::now_ms()
    }

    /// Milliseconds since 1970; see [`super::wall_ms`].
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        clock::wall_ms()
    }

    /// Runs `future` beside everything else on this thread. A panic in it ends it alone: what it
    /// owns is dropped, so its connection closes.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let shard = self.clone();
        // Boxed, since each async block on its way would hold room for it twice: as what it was
        // given and as what it awaits.
        let future = Box::pin(future);
        tokio::task::spawn_local(async move {
            shard.contained(future).await;
        });
    }

    /// Listens on `addr`, beside the other shards that do the same. An IPv6 address takes IPv6
    /// connections only. `backlog` is bounded by net.core.somaxconn.
    pub fn listen(&self, addr: SocketAddr, backlog: i32) -> io::Result<Listener> {
        Listener::open(&self.core.registry, self.core.backend, addr, backlog)
    }

    /// Opens a connection, from the address `bind` if one is given. Fails with `TimedOut` after
    /// `timeout`. May be dropped while it waits.
    pub async fn connect(
        &self,
        addr: SocketAddr,
        bind: Option<IpAddr>,
        timeout: Duration,
    ) -> io::Result<Stream> {
        connect::connect(&self.core.registry, self.core.backend, addr, bind, timeout).await
    }

    /// All shards, by number, to post work to; this one too.
    #[must_use]
    pub fn remotes(&self) -> Arc<[Remote]> {
        Arc::clone(&self.core.remotes)
    }

    /// Panics that were contained here so far.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.core.panics.get()
    }

    /// Streams and listeners that are open here.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.core.registry.len()
    }

    /// Awaits `future`; `None` when it panicked.
    pub(super) async fn contained<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let ended =
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            });
        match ended.await {
            Ok(output) => Some(output),
            Err(panic) => {
                self.panicked(&*panic);
                None
            }
        }
    }

    fn panicked(&self, panic: &(dyn Any + Send)) {
        self.core.panics.set(self.core.panics.get() + 1);
        let what = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let index = self.core.index;
        telemetry::note(Level::Error, format_args!("a task of shard {index} panicked: {what}"));
    }
}

/// Calls `job`; a panic in it is counted on `shard` and goes no further.
pub(super) fn contain(shard: &Shard, job: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(job)) {
        shard.panicked(&*panic);
    }
}
