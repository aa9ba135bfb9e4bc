//! A directory of a million accounts: import, start, memory, and what a look-up costs a shard.
//!
//! `ACCOUNTS=100000 cargo bench --bench directory` takes fewer.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)] // what criterion makes; a bench may panic

use std::future::Future;
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use mail::directory::{
    Account, Accounts, Answer, Command, Directory, Embedded, GuessSettings, Parameters, Parts,
    PasswordSettings, Record, ScramSecrets, Settings, Store,
};
use proto::types::{Address, Domain, Host};

const ACCOUNTS: u64 = 1_000_000;
const DOMAINS: u64 = 1000;
const PIECE: u64 = 1000;

fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// An account as a migration brings it: hash, SCRAM secrets, name, quota.
fn account(number: u64) -> Record {
    let octets: Vec<u8> = (0..4).flat_map(|n| spread(number + n).to_le_bytes()).collect();
    let hash = base64(&octets);
    Record::Account(Account {
        address: address(number),
        hash: Some(format!("$argon2id$v=19$m=19456,t=2,p=1${}${hash}", base64(&octets[..16]))),
        scram: Some(ScramSecrets {
            iterations: 100_000,
            salt: octets[..16].into(),
            stored_key: octets[..].try_into().unwrap(),
            server_key: octets[..].try_into().unwrap(),
        }),
        quota_bytes: Some(5 << 30),
        name: format!("Person Number {number}"),
        ..Account::default()
    })
}

fn address(number: u64) -> String {
    format!("user{number}.name@domain{}.example", spread(number) % DOMAINS)
}

/// Base64 without padding.
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| octets.get(at / 8).is_some_and(|octet| octet >> (7 - at % 8) & 1 == 1);
    (0..octets.len() * 8)
        .step_by(6)
        .map(|at| {
            let index = (0..6).fold(0, |index, n| index << 1 | usize::from(bit(at + n)));
            char::from(ALPHABET[index])
        })
        .collect()
}

/// The embedded directory answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the embedded directory waits for nothing"),
    }
}

/// Memory of the process, in MiB.
fn resident_mib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    (pages * 4096) >> 20
}

fn fill(data: &Path, count: u64) {
    let mut store = Store::open(data, Parameters::default()).unwrap();
    let made = Instant::now();
    let pieces: Vec<Vec<Record>> = (0..count.div_ceil(PIECE))
        .map(|piece| (piece * PIECE..((piece + 1) * PIECE).min(count)).map(account).collect())
        .collect();
    let made = made.elapsed();
    let started = Instant::now();
    for records in pieces {
        let import = Command::Import { records, replace: false, create_domains: true };
        let Answer::Imported { refused, faults, .. } = store.command("bench", import).unwrap()
        else {
            unreachable!()
        };
        assert_eq!(refused, 0, "{faults:?}");
        if store.is_long() {
            store.compact().unwrap();
        }
    }
    println!(
        "import: {count} accounts in {:.1} s, durable every {PIECE} (records made in {:.1} s)",
        started.elapsed().as_secs_f64(),
        made.as_secs_f64()
    );
}

fn directory(criterion: &mut Criterion) {
    let count = std::env::var("ACCOUNTS").map_or(ACCOUNTS, |text| text.parse().unwrap());
    let home = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or("/tmp".into())).unwrap();
    fill(home.path(), count);
    let size = |name: &str| {
        let found = std::fs::metadata(home.path().join("directory").join(name));
        found.map_or(0, |found| found.len() >> 20)
    };
    println!("files: snapshot {} MiB, audit log {} MiB", size("snapshot"), size("audit.log"));
    let before = resident_mib();
    let started = Instant::now();
    let store = Store::open(home.path(), Parameters::default()).unwrap();
    println!(
        "start: {:.2} s, records take {} MiB, the process grew by {} MiB",
        started.elapsed().as_secs_f64(),
        store.memory() >> 20,
        resident_mib().saturating_sub(before)
    );
    let embedded = Embedded::new(store.shared(), None);
    let mut names = (0..).map(move |n: u64| {
        let text = address(spread(n) % count);
        let (local, domain) = text.split_once('@').unwrap();
        (local.to_owned(), Domain::parse(domain).unwrap())
    });
    let some: Vec<(String, Domain)> = names.by_ref().take(1 << 16).collect();
    let mut next = 0;
    let mut turn = || {
        next = (next + 1) % some.len();
        next
    };
    let mut group = criterion.benchmark_group("directory");
    group.measurement_time(Duration::from_secs(3));
    group.bench_function("entry", |bencher| {
        bencher.iter(|| {
            let (local, domain) = &some[turn()];
            black_box(now(embedded.entry(domain, local)).unwrap()).unwrap()
        });
    });
    group.bench_function("entry_unknown", |bencher| {
        bencher.iter(|| {
            let (_, domain) = &some[turn()];
            black_box(now(embedded.entry(domain, "nobody")).unwrap()).is_none()
        });
    });
    group.bench_function("account", |bencher| {
        bencher.iter(|| {
            let (local, domain) = &some[turn()];
            black_box(now(embedded.account(domain, local)).unwrap()).unwrap()
        });
    });
    drop(store);
    drop(embedded);
    let parts = Parts {
        settings: Settings::default(),
        passwords: PasswordSettings::default(),
        guessing: GuessSettings::default(),
    };
    let (accounts, writer) = Accounts::open(home.path(), parts).unwrap();
    let addresses: Vec<Address> = some
        .iter()
        .map(|(local, domain)| Address::new(local, Host::Name(domain.clone())).unwrap())
        .collect();
    group.bench_function("resolve", |bencher| {
        bencher.iter(|| black_box(now(accounts.resolve(&addresses[turn()]))));
    });
    group.finish();
    writer.stop();
}

criterion_group!(benches, directory);
criterion_main!(benches);
