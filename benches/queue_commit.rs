//! How fast does the queue make messages of 4 KiB durable, with 1, 64 and 512 that wait? On a shard of
//! its own, in a temporary directory under `/var/tmp`: a disk, where `/tmp` may be memory.
#![allow(missing_docs)] // criterion's macros make public items

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    path::Path,
    rc::Rc,
    sync::{Arc, mpsc},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::{
    shard::{IoKind, Shard, probe, start, wall_ms},
    storage,
    telemetry::Events,
};
use mail::queue::{Parts, Queue, Settings};
use proto::types::{Address, BodyKind, Envelope, Recipient, Timestamp};

const BODY_BYTES: usize = 4096;

fn open(dir: &Path) -> Queue {
    let parts = Parts {
        settings: Arc::new(Settings::default()),
        storage: storage::Settings::default(),
        hostname: "bench.test".into(),
        signer: None,
        events: Events::nowhere(),
        metrics: Arc::default(),
        storage_metrics: Arc::default(),
        shards: 1,
    };
    Queue::open(dir, 0, parts).expect("the queue opens")
}

fn envelope() -> Envelope {
    let address = |text| Address::parse(text).expect("an address");
    Envelope {
        sender: Some(address("sender@source.test")),
        recipients: vec![Recipient {
            address: address("recipient@sink.test"),
            notify: None,
            orcpt: None,
        }],
        body: BodyKind::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
        arrived: Timestamp(wall_ms()),
        size: BODY_BYTES as u64,
        origin: "192.0.2.1".into(),
        require_tls: false,
        hold_until: None,
        authenticity: None,
    }
}

/// Counts tasks down; whoever waits is woken by the last.
#[derive(Default)]
struct Left {
    tasks: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Left {
    fn one_less(&self) {
        self.tasks.set(self.tasks.get() - 1);
        if self.tasks.get() == 0
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }

    async fn none(&self) {
        poll_fn(|context| {
            self.waker.replace(Some(context.waker().clone()));
            if self.tasks.get() == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Has `clients` clients put `messages` messages into a new queue, each waiting for its own.
async fn accept_all(shard: Shard, clients: u64, messages: u64) -> Duration {
    let dir = tempfile::tempdir_in("/var/tmp").expect("a temporary directory");
    let queue = open(dir.path());
    let body = vec![b'x'; BODY_BYTES];
    let left = Rc::new(Left::default());
    left.tasks.set(clients);
    let started = Instant::now();
    for client in 0..clients {
        let (queue, left, body) = (queue.clone(), Rc::clone(&left), body.clone());
        let share = messages / clients + u64::from(client < messages % clients);
        shard.spawn(async move {
            for _ in 0..share {
                let accepted = queue.accept(queue.next_id(), envelope(), body.clone().into());
                accepted.await.expect("the disk has room");
            }
            left.one_less();
        });
    }
    left.none().await;
    let took = started.elapsed();
    queue.close().await;
    took
}

/// Runs one measurement on a shard and waits for it.
fn measure(clients: u64, messages: u64) -> Duration {
    let (to, took) = mpsc::sync_channel(1);
    let backend = probe(IoKind::Auto).expect("a backend");
    let body = move |shard| {
        let to = to.clone();
        async move {
            let took = accept_all(shard, clients, messages).await;
            to.send(took).expect("somebody waits");
        }
    };
    start(1, backend, body).expect("a shard").join().expect("the shard ends well");
    took.recv().expect("it was measured")
}

fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue_commit");
    group.sample_size(10).throughput(Throughput::Elements(1));
    for clients in [1, 64, 512] {
        group.bench_function(format!("{clients} waiting"), |b| {
            b.iter_custom(|messages| measure(clients, messages));
        });
    }
    group.finish();
}

criterion_group!(benches, commits);
criterion_main!(benches);
