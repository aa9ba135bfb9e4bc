//! What does TLS cost a core? The server's side of a handshake in memory, full and resumed, both sides
//! together, and the records of a message of 5 KiB.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros make public items

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::tls::{
    Acceptor, CertificateSettings, Channel, ClientCertificates, Connector, Keeper, Trust,
};

const MESSAGE_BYTES: usize = 5 << 10;

struct World {
    ecdsa: Acceptor,
    rsa: Acceptor,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(folder.path(), "mx.test").unwrap();
    let acceptor = |certificates: &[CertificateSettings]| {
        keeper.acceptor(certificates, ClientCertificates::Ignore, Path::new("")).unwrap()
    };
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
        .unwrap();
    let params = rcgen::CertificateParams::new(vec!["mx.test".to_owned()]).unwrap();
    let place = CertificateSettings {
        chain: folder.path().join("rsa.pem"),
        key: folder.path().join("rsa.key"),
    };
    std::fs::write(&place.chain, params.self_signed(&key).unwrap().pem()).unwrap();
    std::fs::write(&place.key, key.serialize_pem()).unwrap();
    World { ecdsa: acceptor(&[]), rsa: acceptor(&[place]), _folder: folder }
}

/// Both sides of a connection, and the time that the server's took.
fn meet(acceptor: &Acceptor, connector: &Connector) -> (Channel, Channel, Duration) {
    let mut client = connector.channel("mx.test", &Trust::Anyone).unwrap();
    let began = Instant::now();
    let mut server = acceptor.channel().unwrap();
    let mut spent = began.elapsed();
    while client.is_handshaking() || server.is_handshaking() {
        let out = client.outgoing().unwrap();
        let mut records = server.buffer(out.len().max(1));
        records.extend_from_slice(&out);
        client.sent(out);
        let began = Instant::now();
        server.records(records);
        while server.has_records() {
            server.process().unwrap();
        }
        let out = server.outgoing().unwrap();
        spent += began.elapsed();
        // With the last of them come the tickets.
        let mut records = client.buffer(out.len().max(1));
        records.extend_from_slice(&out);
        server.sent(out);
        client.records(records);
        while client.has_records() {
            client.process().unwrap();
        }
    }
    (client, server, spent)
}

/// Handshakes as they come, each with a client that knows the server or not.
struct Meetings<'a> {
    acceptor: &'a Acceptor,
    connector: Connector,
    is_resumed: bool,
}

impl<'a> Meetings<'a> {
    fn new(acceptor: &'a Acceptor, is_resumed: bool) -> Self {
        // Authorities are read once: each connection gets a memory without sessions.
        let connector = Connector::new(Path::new("")).unwrap();
        drop(meet(acceptor, &connector));
        Self { acceptor, connector, is_resumed }
    }

    fn next(&self) -> Duration {
        let (client, _server, spent) = if self.is_resumed {
            meet(self.acceptor, &self.connector)
        } else {
            meet(self.acceptor, &self.connector.forgetful())
        };
        assert_eq!(client.is_resumed(), self.is_resumed);
        spent
    }
}

fn handshakes(criterion: &mut Criterion) {
    let world = world();
    let mut group = criterion.benchmark_group("tls_handshake");
    for (kind, acceptor) in [("ecdsa", &world.ecdsa), ("rsa", &world.rsa)] {
        for (how, is_resumed) in [("full", false), ("resumed", true)] {
            let meetings = Meetings::new(acceptor, is_resumed);
            group.bench_function(format!("both sides, {how}, {kind}"), |bencher| {
                bencher.iter(|| meetings.next());
            });
            group.bench_function(format!("server, {how}, {kind}"), |bencher| {
                bencher.iter_custom(|times| (0..times).map(|_| meetings.next()).sum());
            });
        }
    }
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let world = world();
    let connector = Connector::new(Path::new("")).unwrap();
    let (mut client, mut server, _) = meet(&world.ecdsa, &connector);
    let message = vec![b'x'; MESSAGE_BYTES];
    let mut got = Vec::with_capacity(32 << 10);
    let mut group = criterion.benchmark_group("tls_records");
    group.throughput(Throughput::Bytes(MESSAGE_BYTES as u64));
    group.bench_function("seal and open 5 KiB", |bencher| {
        bencher.iter(|| {
            client.seal(&message).unwrap();
            let records = client.outgoing().unwrap();
            server.records(records);
            got.clear();
            while server.open(&mut got).unwrap() > 0 {}
            assert_eq!(got.len(), MESSAGE_BYTES);
            client.sent(server.buffer(1 << 10));
        });
    });
    group.finish();
}

criterion_group!(benches, handshakes, records);
criterion_main!(benches);
