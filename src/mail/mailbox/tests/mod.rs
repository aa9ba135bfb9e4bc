//! Mailboxes as a whole, on real stores in temporary directories.

mod crash;
mod isolation;
mod life;
mod model;
mod reach;
mod sessions;
mod trouble;

use std::{future::Future, path::Path, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use engine::settings::Bytes as Size;
use proto::types::Timestamp;
use tokio::task::LocalSet;

use super::*;

/// Bounds a test that hangs; nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(300);
const ANN: &str = "ann@x.example";
const BOB: &str = "bob@x.example";
const EVE: &str = "eve@y.example";

fn local<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async { tokio::time::timeout(PATIENCE, body).await.expect("the test hangs") };
    LocalSet::new().block_on(&runtime, bounded)
}

/// A directory, and what the stores that are opened in it share.
struct Place {
    dir: tempfile::TempDir,
    settings: Settings,
    metrics: Arc<Metrics>,
    domains: Arc<DomainUse>,
}

impl Place {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        Self {
            dir: tempfile::tempdir().unwrap(),
            settings,
            metrics: Arc::default(),
            domains: Arc::default(),
        }
    }

    fn open(&self) -> Store {
        self.open_at(self.dir.path())
    }

    fn open_at(&self, path: &Path) -> Store {
        let layout = Layout::open(path, 1).unwrap();
        Store::open(&layout, 0, self.parts()).unwrap()
    }

    fn parts(&self) -> Parts {
        let storage = storage::Settings {
            memory: Size::mib(4),
            free_min: Size(0),
            ballast: Size(0),
            batch_bytes_max: Size::mib(1),
        };
        Parts {
            settings: Arc::new(self.settings.clone()),
            storage,
            caches: Rc::new(Caches::new(&self.settings, Arc::clone(&self.metrics))),
            domains: Arc::clone(&self.domains),
            metrics: Arc::clone(&self.metrics),
            storage_metrics: Arc::default(),
            own: 1,
        }
    }
}

fn parcel(text: &str) -> Parcel {
    let message = format!("Message-ID: <{}@test>\r\n\r\n{text}", text.len());
    Parcel::new(Bytes::from(message), Timestamp(1_700_000_000_000))
}

/// The body that a parcel of this text has.
fn body(text: &str) -> Vec<u8> {
    format!("Message-ID: <{}@test>\r\n\r\n{text}", text.len()).into_bytes()
}

const fn to<'a>(account: &'a str, folder: Option<&'a str>) -> Delivery<'a> {
    Delivery { account, folder, limits: Limits { account: None, domain: None } }
}

/// Delivers to INBOX.
async fn deliver(store: &Store, accounts: &[&str], text: &str) -> Vec<Placed> {
    let all: Vec<_> = accounts.iter().map(|account| to(account, None)).collect();
    let answers = store.deliver(&all, &parcel(text)).await;
    answers.into_iter().collect::<Result<_, _>>().unwrap()
}

async fn inbox(store: &Store, account: &str) -> View {
    store.mailbox(account).await.unwrap().open(INBOX, false).await.unwrap()
}

async fn whole(view: &View, uid: u32) -> Vec<u8> {
    view.body(uid, 0..u64::MAX).await.unwrap().to_vec()
}

fn deleted() -> Marks {
    Marks::from(Flags::DELETED)
}

/// Marks messages and expunges them.
async fn remove(view: &View, uids: &[u32]) -> Vec<u32> {
    view.store(uids, How::Add, &deleted(), None).await.unwrap();
    view.expunge(Some(uids)).await.unwrap().uids
}

/// Moves messages, all of them.
async fn moved(view: &View, uids: &[u32], to: &str) -> Result<Copied, MailboxError> {
    let mut moved = Copied::default();
    view.move_to(uids, to, &mut moved).await.map(|()| moved)
}

async fn rows(store: &Store, family: usize) -> usize {
    let mut count = 0;
    store
        .0
        .disk
        .scan(family, &[], |_, _| {
            count += 1;
            true
        })
        .unwrap();
    count
}

/// Nothing is wrong on the disk, and nothing is pinned any more.
async fn assert_clean(store: &Store) {
    store.swept().await;
    assert!(store.0.disk.settled().await);
    let report = store.verify().unwrap();
    assert_eq!(report.faults, [] as [String; 0]);
    assert_eq!(store.0.shares.len(), 0);
}
