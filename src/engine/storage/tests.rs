//! The store against a real RocksDB, a copied directory (a crash), and a full disk.

use std::{
    cell::Cell,
    fs,
    future::Future,
    path::{Path, PathBuf},
    process::Command,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use smallvec::smallvec;
use tokio::task::LocalSet;

use super::{Family, Group, Health, Key, Metrics, Op, Settings, StorageError, Store};
use crate::settings::Bytes;

static FAMILIES: [Family; 3] = [
    Family { name: "meta", blobs: false, overwrites: false },
    Family { name: "body", blobs: true, overwrites: false },
    Family { name: "marks", blobs: false, overwrites: true },
];
const META: usize = 0;
const BODY: usize = 1;
const MARKS: usize = 2;

fn local<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

fn small() -> Settings {
    Settings {
        memory: Bytes::mib(4),
        free_min: Bytes(0),
        ballast: Bytes(0),
        batch_bytes_max: Bytes::kib(256),
    }
}

fn open(path: &Path) -> Store {
    Store::open(path, &small(), &FAMILIES, 1, Arc::default()).unwrap()
}

fn key(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

async fn put(store: &Store, id: u64, body: &[u8]) -> Result<(), StorageError> {
    let commit = store.commit(body.len(), |writer| {
        writer.put(META, &key(id), b"envelope");
        writer.put(BODY, &key(id), body);
    });
    commit.await
}

fn removal(id: u64) -> Group {
    smallvec![Op::remove(META, &key(id)), Op::remove(BODY, &key(id))]
}

/// What a crash leaves: the files as they are, without the lock.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "LOCK" {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn ids(store: &Store, family: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    let each = |key: &[u8], _: &[u8]| {
        ids.push(u64::from_be_bytes(key.try_into().unwrap()));
        true
    };
    store.scan(family, &[], each).unwrap();
    ids
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let body = vec![b'x'; 10_000];
    local(async {
        let store = open(dir.path());
        put(&store, 1, &body).await.unwrap();
        put(&store, 2, b"short").await.unwrap();
        store.ride(removal(1));
        assert!(store.close().await);
        assert_eq!(put(&store, 3, b"").await, Err(StorageError::Closed));
        assert_eq!(store.get(META, &key(2)).await, Err(StorageError::Closed));

        let store = open(dir.path());
        assert_eq!(store.get(BODY, &key(1)).await, Ok(None));
        assert_eq!(store.get(BODY, &key(2)).await, Ok(Some(b"short".to_vec())));
        assert_eq!(ids(&store, META), [2]);
        assert_eq!(store.last_key(META).unwrap().as_deref(), Some(&key(2)[..]));
        assert_eq!(store.last_key(MARKS), Ok(None));
    });
}

#[test]
fn a_store_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let _store = open(dir.path());
        let again = Store::open(dir.path(), &small(), &FAMILIES, 1, Arc::default());
        assert!(matches!(again, Err(StorageError::Open(_))));
    });
}

#[test]
fn waiters_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let metrics = Arc::new(Metrics::default());
        let store = Store::open(dir.path(), &small(), &FAMILIES, 1, Arc::clone(&metrics)).unwrap();
        let tasks: Vec<_> = (0..500)
            .map(|id| {
                let store = store.clone();
                tokio::task::spawn_local(async move { put(&store, id, b"body").await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let syncs = metrics.syncs.get();
        assert!((1..=10).contains(&syncs), "{syncs} syncs");
        assert_eq!(ids(&store, META).len(), 500);
    });
}

#[test]
fn a_batch_is_cut_by_bytes() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let metrics = Arc::new(Metrics::default());
        let store = Store::open(dir.path(), &small(), &FAMILIES, 1, Arc::clone(&metrics)).unwrap();
        let body = vec![b'x'; 100 << 10];
        let commits: Vec<_> = (0..10u64)
            .map(|id| store.commit(body.len(), |writer| writer.put(BODY, &key(id), &body)))
            .collect();
        for commit in commits {
            commit.await.unwrap();
        }
        assert_eq!(metrics.syncs.get(), 5, "two bodies of 100 KiB fit in 256 KiB");
    });
}

#[test]
fn an_acknowledged_commit_survives_a_crash() {
    let (dir, copied) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    local(async {
        let store = open(dir.path());
        for id in 0..300u64 {
            put(&store, id, &vec![id as u8; (id as usize * 37) % 5000]).await.unwrap();
            if id % 3 == 0 {
                store.ride(removal(id));
            }
        }
        assert!(store.settled().await);
        assert_eq!(store.backlog(), 0);
        copy(dir.path(), copied.path());
        let crashed = open(copied.path());
        let left: Vec<u64> = (0..300).filter(|id| id % 3 != 0).collect();
        assert_eq!(ids(&crashed, META), left);
        assert_eq!(ids(&crashed, BODY), left);
        assert_eq!(crashed.get(BODY, &key(100)).await, Ok(Some(vec![100; 3700])));
    });
}

#[test]
fn riders_leave_alone_when_nobody_commits() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let store = open(dir.path());
        put(&store, 1, b"body").await.unwrap();
        store.ride(removal(1));
        assert_eq!(store.backlog(), 1);
        let patience = Instant::now() + Duration::from_secs(5);
        while store.backlog() > 0 {
            assert!(Instant::now() < patience);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(ids(&store, META), Vec::<u64>::new());
    });
}

#[test]
fn a_key_removed_and_put_again_stays() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let store = open(dir.path());
        for round in 0..20u8 {
            store.ride(smallvec![Op::put(META, &key(1), vec![round])]);
            store.ride(smallvec![Op::remove(META, &key(1)), Op::put(META, &key(2), vec![round]),]);
            store.ride(smallvec![Op::remove(META, &key(2))]);
        }
        store.ride(smallvec![Op::put(META, &key(1), vec![99])]);
        assert!(store.close().await);
        let store = open(dir.path());
        assert_eq!(ids(&store, META), [1]);
        assert_eq!(store.get(META, &key(1)).await, Ok(Some(vec![99])));
    });
}

#[test]
fn pages_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let store = open(dir.path());
        for id in 0..25u64 {
            store.ride(smallvec![Op::put(META, &key(id), vec![0])]);
        }
        assert!(store.settled().await);
        let (mut from, mut seen) = (key(0), Vec::new());
        loop {
            let page = store.page(META, &from, 10).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            assert!(page.len() <= 10);
            from = key(u64::from_be_bytes(last[..].try_into().unwrap()) + 1);
            seen.extend(page.iter().map(|(key, _)| key[7]));
        }
        assert_eq!(seen, (0..25).collect::<Vec<u8>>());
    });
}

#[test]
fn an_overwriting_family_takes_removals() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let store = open(dir.path());
        for round in 0..3_u8 {
            for id in 0..6 {
                let put = store.commit(1, |writer| writer.put(MARKS, &key(id), &[round]));
                put.await.unwrap();
            }
        }
        store.commit(1, |writer| writer.remove(MARKS, &key(1))).await.unwrap();
        store.ride(smallvec![Op::remove(MARKS, &key(2))]);
        assert!(store.close().await);
        let store = open(dir.path());
        assert_eq!(ids(&store, MARKS), [0, 3, 4, 5]);
        let keys = [5, 1, 0].map(|id| Key::from_slice(&key(id))).to_vec();
        let values = store.get_many(MARKS, keys).await.unwrap();
        assert_eq!(values, [Some(vec![2]), None, Some(vec![2])]);
        let rows = store.range(MARKS, &key(2), &key(5), 10).await.unwrap();
        assert_eq!(rows.iter().map(|(key, _)| key[7]).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(store.range(MARKS, &key(2), &key(5), 1).await.unwrap().len(), 1);
    });
}

#[test]
fn a_watcher_hears_before_waiters_go_on() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let store = open(dir.path());
        let told = Rc::new(Cell::new(0));
        let commits = [1, 2].map(|id| {
            let teller = Rc::clone(&told);
            let commit = store.commit(1, |writer| writer.put(META, &key(id), b""));
            commit.watch(move |is_ok| {
                assert!(is_ok && teller.get() + 1 == id);
                teller.set(id);
            });
            commit
        });
        let [one, other] = commits;
        one.await.unwrap();
        assert_eq!(told.get(), 2);
        other.await.unwrap();
    });
}

#[test]
fn a_waiter_that_goes_away_can_leave_word() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let store = open(dir.path());
        let told = Rc::new(Cell::new(None));
        let teller = Rc::clone(&told);
        store.commit(1, |w| w.put(META, &key(1), b"")).detach(move |ok| teller.set(Some(ok)));
        assert_eq!(told.get(), None);
        assert!(store.settled().await);
        assert_eq!(told.get(), Some(true));
    });
}

#[test]
fn too_little_room_is_seen_in_time() {
    let dir = tempfile::tempdir().unwrap();
    local(async {
        let settings = Settings { free_min: Bytes(u64::MAX), ..small() };
        let store = Store::open(dir.path(), &settings, &FAMILIES, 1, Arc::default()).unwrap();
        assert!(matches!(store.health(), Health::Full { .. }));
        put(&store, 1, b"still written: the caller decides").await.unwrap();
    });
}

/// A small file system of its own, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        if status.is_ok_and(|status| status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: mounting a tmpfs is not allowed here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills the disk to the last byte with a file of somebody else.
fn fill(file: &Path) {
    use std::io::Write as _;
    let mut out = fs::File::create(file).unwrap();
    for size in [1 << 20, 4096, 1] {
        while out.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn in_a_chained_store_what_rests_on_a_lost_batch_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(dir.path(), "64m") else { return };
    local(async {
        let path = disk.0.join("store");
        let store = open(&path);
        store.chain();
        let mut last = None;
        for id in 0..4000 {
            fill(&disk.0.join(format!("filler{id}")));
            let first = store.commit(4000, |writer| writer.put(BODY, &key(2 * id), &[7; 4000]));
            // It is on its way.
            tokio::task::yield_now().await;
            let second = store.commit(1, |writer| writer.put(META, &key(2 * id + 1), b""));
            let riders = store.backlog();
            let (first, second) = (first.await, second.await);
            assert_eq!(riders, 0);
            assert!(first.is_ok() || second.is_err(), "{second:?} rests on {first:?}");
            if first.is_err() {
                last = Some(2 * id + 1);
                break;
            }
        }
        let last = last.expect("the disk is full");
        assert_eq!(store.get(META, &key(last)).await, Ok(None));
        assert!(store.settled().await, "nothing is left of them");
    });
}

#[test]
fn a_full_disk_loses_nothing_and_the_handle_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(dir.path(), "96m") else { return };
    local(async {
        let settings = Settings { ballast: Bytes::mib(2), ..small() };
        let path = disk.0.join("store");
        let store = Store::open(&path, &settings, &FAMILIES, 1, Arc::default()).unwrap();
        assert_eq!(store.health(), Health::Healthy);
        assert!(path.join("ballast").exists());

        let (mut stored, filler) = (Vec::new(), disk.0.join("filler"));
        for id in 0..200 {
            put(&store, id, &[7; 4000]).await.unwrap();
            stored.push(id);
        }
        fill(&filler);
        let mut first_failure = None;
        for id in 200..4000 {
            match put(&store, id, &[7; 4000]).await {
                Ok(()) => stored.push(id),
                Err(error) => {
                    first_failure = Some(error);
                    break;
                }
            }
            fill(&filler.with_extension(id.to_string()));
        }
        assert_eq!(first_failure, Some(StorageError::Full));
        assert!(matches!(store.health(), Health::Full { .. }), "{:?}", store.health());
        assert!(!path.join("ballast").exists());
        fill(&filler.with_extension("ballast"));
        for id in 0..100 {
            store.ride(removal(id));
        }
        tokio::time::sleep(Duration::from_millis(1500)).await;

        for entry in fs::read_dir(&disk.0).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_file() {
                fs::remove_file(entry).unwrap();
            }
        }
        let patience = Instant::now() + Duration::from_secs(60);
        while store.backlog() > 0 || store.health() != Health::Healthy {
            assert!(Instant::now() < patience, "{:?} {}", store.health(), store.backlog());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        put(&store, 9999, b"works again").await.unwrap();
        stored.push(9999);
        stored.retain(|id| *id >= 100);
        assert!(store.close().await);
        let store = open(&path);
        let found = ids(&store, META);
        // A batch that failed is in doubt: it may be there, what was acknowledged must be.
        assert!(stored.iter().all(|id| found.contains(id)));
        assert!(found.iter().all(|id| *id >= 100), "a removal was lost");
        store.close().await;
    });
}
