//! The queue as a whole, on real stores in temporary directories.

mod commands;
mod life;
mod model;
mod reports;
mod trouble;

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use engine::settings::{Bytes as Size, Span};
use engine::telemetry::{Events, Format};
use proto::smtp::client::Stage;
use proto::types::{
    Address, Authenticity, BodyKind, Enhanced, Envelope, Recipient, Reply, Timestamp,
};
use tokio::task::LocalSet;

use super::*;

const BODY: &[u8] = b"From: <a@source.test>\r\nSubject: hi\r\n\r\nhello\r\n";
/// Bounds a test that hangs; nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(120);

fn local<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(PATIENCE, body).await.expect("the test hangs") };
    LocalSet::new().block_on(&runtime, bounded)
}

/// A directory, and what the queues that are opened in it share.
struct Place {
    dir: tempfile::TempDir,
    settings: Settings,
    signer: Option<Rc<dyn Sign>>,
    events: Events,
    metrics: Arc<Metrics>,
    storage_metrics: Arc<engine::storage::Metrics>,
}

impl Place {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { retry_first: Span::hours(1), ..Settings::default() };
        change(&mut settings);
        Self {
            dir: tempfile::tempdir().unwrap(),
            settings,
            signer: None,
            events: Events::to_memory(0, Format::Text),
            metrics: Arc::default(),
            storage_metrics: Arc::default(),
        }
    }

    fn try_open(&self) -> Result<Queue, QueueError> {
        let storage = engine::storage::Settings {
            memory: Size::mib(4),
            free_min: Size(0),
            ballast: Size(0),
            batch_bytes_max: Size::mib(1),
        };
        let parts = Parts {
            settings: Arc::new(self.settings.clone()),
            storage,
            hostname: "mx.home.test".into(),
            signer: self.signer.clone(),
            events: self.events.clone(),
            metrics: Arc::clone(&self.metrics),
            storage_metrics: Arc::clone(&self.storage_metrics),
            shards: 1,
        };
        Queue::open(&queue_dir(self.dir.path(), 0), 0, parts)
    }

    fn open(&self) -> Queue {
        self.try_open().unwrap()
    }
}

fn recipient(address: &str) -> Recipient {
    Recipient { address: Address::parse(address).unwrap(), notify: None, orcpt: None }
}

/// From `a@source.test`, arrived just now.
fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        sender: Address::parse("a@source.test").ok(),
        recipients: recipients.iter().map(|address| recipient(address)).collect(),
        body: BodyKind::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
        arrived: Timestamp(engine::shard::wall_ms()),
        size: BODY.len() as u64,
        origin: "192.0.2.1".into(),
        require_tls: false,
        hold_until: None,
        authenticity: None,
    }
}

/// One that arrived long ago.
fn aged(recipients: &[&str], age: Span) -> Envelope {
    let arrived = Timestamp(engine::shard::wall_ms() - age.as_ms());
    Envelope { arrived, ..envelope(recipients) }
}

async fn put(queue: &Queue, envelope: Envelope) -> MessageId {
    let id = queue.next_id();
    queue.accept(id, envelope, Bytes::from_static(BODY)).await.unwrap();
    id
}

/// Leases what is due; fails at once if nothing is.
async fn lease(queue: &Queue) -> Lease {
    assert!(queue.snapshot().ready > 0, "nothing is due: {:?}", queue.snapshot());
    queue.lease().await.expect("the queue is open")
}

/// Waits until what rides is on the disk and what is to be reported is.
async fn quiet(queue: &Queue) {
    while queue.0.ending.get() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(queue.0.store.settled().await);
}

fn remote() -> Option<Remote> {
    Some(Remote { name: "mx.sink.test".into(), addr: Some(([192, 0, 2, 9], 25).into()) })
}

fn delivered() -> Verdict {
    let reply = Reply::new(250, Enhanced(2, 0, 0), "queued");
    Verdict::Delivered { reply, remote: remote(), dsn_passed_on: false }
}

fn deferred() -> Verdict {
    Verdict::Deferred {
        reply: Reply::new(450, Enhanced(4, 2, 0), "come back"),
        stage: Stage::Rcpt,
        remote: remote(),
        not_before: None,
    }
}

fn failed() -> Verdict {
    Verdict::Failed { reply: Reply::new(550, Enhanced(5, 1, 1), "no such user"), remote: remote() }
}

/// Settles every recipient of the lease alike.
fn settle_all(lease: &Lease, verdict: &Verdict) {
    let part: Vec<_> = lease.recipients.iter().map(|at| (*at, verdict.clone())).collect();
    lease.settle(&part);
}

async fn count(queue: &Queue, command: Command) -> u64 {
    match queue.command(command).await.unwrap() {
        Answer::Done { count } => count,
        other => panic!("{other:?}"),
    }
}

async fn flush(queue: &Queue) -> u64 {
    count(queue, Command::Flush { filter: Filter::default() }).await
}

fn only(id: MessageId) -> Filter {
    Filter { id: Some(id), ..Filter::default() }
}

async fn detail(queue: &Queue, id: MessageId) -> Option<Box<Detail>> {
    match queue.command(Command::Show { id }).await.unwrap() {
        Answer::Show { detail } => detail,
        other => panic!("{other:?}"),
    }
}

/// Lines of the log that tell of `name`, since the last call that took them.
fn told(text: &str, name: &str) -> usize {
    let word = format!(" {name} ");
    text.lines().filter(|line| line.contains(&word)).count()
}
