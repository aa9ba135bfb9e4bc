//! What does a message cost a mailbox: the digest that is made of it, and a delivery of 5 KiB to stable
//! storage with 1, 64 and 512 that wait, to a hundred accounts? Stores are in a temporary directory under
//! `/var/tmp`: a disk, where `/tmp` may be memory.
#![allow(missing_docs)] // criterion's macros make public items

use std::{
    hint::black_box,
    rc::Rc,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::shard::{IoKind, Shard, probe, start, wall_ms};
use engine::storage;
use mail::mailbox::{
    Caches, Delivery, Layout, Limits, Parcel, Parts, Settings, Stores, Ways, digest,
};
use proto::types::Timestamp;
use tokio::sync::Semaphore;

const ACCOUNTS: u64 = 100;

/// A message of two alternatives and an attachment, of about so many octets.
fn message(bytes: usize) -> Bytes {
    let line = "The quick brown fox jumps over the lazy dog, again and again.\r\n";
    let attachment = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5eg==\r\n";
    let text = line.repeat(1 + bytes / 4 / line.len());
    let data = attachment.repeat(1 + bytes / 4 / attachment.len());
    format!(
        "Return-Path: <ann@source.test>\r\n\
         Received: from source.test ([192.0.2.7]) by mx.test with ESMTPS id 0000000000001\r\n\
         \tfor <joe@x.test>; Sat, 28 Nov 2026 04:00:00 +0000\r\n\
         From: =?UTF-8?Q?Ann_L=C3=BCder?= <ann@source.test>\r\nTo: Joe <joe@x.test>, bob@y.test\r\n\
         Subject: Re: [list] figures of the week\r\nDate: Sat, 28 Nov 2026 04:00:00 +0000\r\n\
         Message-ID: <3@source.test>\r\nIn-Reply-To: <2@x.test>\r\nReferences: <1@x.test> <2@x.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n\
         --out\r\nContent-Type: multipart/alternative; boundary=in\r\n\r\n\
         --in\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n\
         --in\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>{text}</p></body></html>\r\n\
         --in--\r\n--out\r\nContent-Type: application/pdf; name=figures.pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{data}\r\n--out--\r\n"
    )
    .into()
}

fn digests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox_digest");
    for (name, bytes) in [("5 KiB", 5 << 10), ("1 MiB", 1 << 20)] {
        let message = message(bytes);
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |b| b.iter(|| digest(black_box(&message))));
    }
    group.finish();
}

fn open(dir: &std::path::Path) -> Stores {
    let (ways, _) = Ways::new(1);
    let (settings, metrics) = (Settings::default(), Arc::default());
    let parts = Parts {
        storage: settings.storage(&storage::Settings::default()),
        caches: Rc::new(Caches::new(&settings, Arc::clone(&metrics))),
        settings: Arc::new(settings),
        domains: Arc::default(),
        metrics,
        storage_metrics: Arc::default(),
        own: 1,
    };
    let layout = Layout::open(dir, 1).expect("a new layout");
    Stores::open(layout, 0, ways, parts).expect("the stores open")
}

async fn deliver(stores: &Stores, number: u64, body: &Bytes) {
    let account = format!("u{}@x.test", number % ACCOUNTS);
    let to = [Delivery { account: &account, folder: None, limits: Limits::default() }];
    let parcel = Parcel::new(body.clone(), Timestamp(wall_ms()));
    let placed = stores.deliver(&to, &parcel).await.pop();
    assert!(matches!(placed, Some(Ok(_))), "{placed:?}");
}

/// Has `clients` clients deliver `messages` messages into new stores, each waiting for its own.
async fn deliver_all(shard: Shard, clients: u64, messages: u64) -> Duration {
    let dir = tempfile::tempdir_in("/var/tmp").expect("a temporary directory");
    let stores = open(dir.path());
    let body = message(5 << 10);
    // Accounts are made at their first message.
    for number in 0..ACCOUNTS {
        deliver(&stores, number, &body).await;
    }
    let ended = Rc::new(Semaphore::new(0));
    let started = Instant::now();
    for client in 0..clients {
        let (stores, body, ended) = (stores.clone(), body.clone(), Rc::clone(&ended));
        let share = messages / clients + u64::from(client < messages % clients);
        shard.spawn(async move {
            for number in 0..share {
                deliver(&stores, client * 31 + number, &body).await;
            }
            ended.add_permits(1);
        });
    }
    let all = ended.acquire_many(u32::try_from(clients).expect("few")).await;
    let took = started.elapsed();
    drop(all);
    stores.close().await;
    took
}

/// Runs one measurement on a shard and waits for it.
fn measure(clients: u64, messages: u64) -> Duration {
    let (to, took) = mpsc::sync_channel(1);
    let backend = probe(IoKind::Auto).expect("a backend");
    let body = move |shard| {
        let to = to.clone();
        async move {
            let took = deliver_all(shard, clients, messages).await;
            to.send(took).expect("somebody waits");
        }
    };
    start(1, backend, body).expect("a shard").join().expect("the shard ends well");
    took.recv().expect("it was measured")
}

fn deliveries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox_delivery");
    group.sample_size(10).throughput(Throughput::Elements(1));
    for clients in [1, 64, 512] {
        group.bench_function(format!("{clients} waiting"), |b| {
            b.iter_custom(|messages| measure(clients, messages));
        });
    }
    group.finish();
}

criterion_group!(benches, digests, deliveries);
criterion_main!(benches);
