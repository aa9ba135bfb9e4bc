//! What does TLS cost a core? Both sides of a handshake in memory, full and resumed, and the records of
//! a message of 5 KiB; halve a handshake for one side's share of an ECDSA one.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros make public items

use std::path::Path;

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

fn pass(from: &mut Channel, to: &mut Channel) {
    let out = from.outgoing().unwrap();
    let mut records = to.buffer(out.len().max(1));
    records.extend_from_slice(&out);
    from.sent(out);
    to.records(records);
    while to.has_records() {
        to.process().unwrap();
    }
}

fn meet(acceptor: &Acceptor, connector: &Connector) -> (Channel, Channel) {
    let mut client = connector.channel("mx.test", &Trust::Anyone).unwrap();
    let mut server = acceptor.channel().unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        pass(&mut client, &mut server);
        pass(&mut server, &mut client);
    }
    // The tickets.
    pass(&mut server, &mut client);
    (client, server)
}

fn handshakes(criterion: &mut Criterion) {
    let world = world();
    let mut group = criterion.benchmark_group("tls_handshake");
    for (kind, acceptor) in [("ecdsa", &world.ecdsa), ("rsa", &world.rsa)] {
        group.bench_function(format!("full, {kind}"), |bencher| {
            // Authorities are read once: each connection gets a memory without sessions.
            let connector = Connector::new(Path::new("")).unwrap();
            bencher.iter(|| {
                let (client, server) = meet(acceptor, &connector.forgetful());
                assert!(!client.is_resumed());
                (client, server)
            });
        });
        group.bench_function(format!("resumed, {kind}"), |bencher| {
            let connector = Connector::new(Path::new("")).unwrap();
            drop(meet(acceptor, &connector));
            bencher.iter(|| {
                let (client, server) = meet(acceptor, &connector);
                assert!(client.is_resumed());
                (client, server)
            });
        });
    }
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let world = world();
    let connector = Connector::new(Path::new("")).unwrap();
    let (mut client, mut server) = meet(&world.ecdsa, &connector);
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
