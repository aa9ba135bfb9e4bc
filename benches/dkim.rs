//! What does a signature cost a core? The digest of a body, and the signatures of RSA-2048 and Ed25519 for
//! headers as mail has them; a message has one digest and a signature for each key. `checks` adds what
//! verifying costs.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros make public items

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mail::authentication::signing::{
    Algorithm, BodyDigest, Command, Keyring, Keys, Settings, author_domain,
};
use proto::types::Timestamp;

const SIZES: [(&str, usize); 2] = [("5 KiB", 5 << 10), ("1 MiB", 1 << 20)];
const HEADER: &str = "Received: from client.test (client.test [192.0.2.1])\r\n\
    \tby mx.test (Ringpost) with ESMTPS id 01KB2Y7Q3Z5V8\r\n\
    \tfor <ann@sink.test>; Fri, 27 Nov 2026 10:00:00 +0000\r\n\
    From: Joe Sender <joe@x.test>\r\nTo: Ann Receiver <ann@sink.test>,\r\n Bob <bob@sink.test>\r\n\
    Subject: What a message is called, folded once\r\n as long subjects are\r\n\
    Date: Fri, 27 Nov 2026 10:00:00 +0000\r\nMessage-ID: <20261127100000.1234@x.test>\r\n\
    In-Reply-To: <20261126090000.99@sink.test>\r\nReferences: <20261126090000.99@sink.test>\r\n\
    MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8; format=flowed\r\n\
    Content-Transfer-Encoding: 8bit\r\nX-Mailer: bench\r\nUser-Agent: bench/1.0\r\n";
const LINE: &str = "The quick brown fox jumps over the lazy dog, and then it does so again.\r\n";
const BASE64: &str =
    "TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFu\r\n";
const MARKUP: &str = "    <tr>\r\n        <td class=\"a\">  cell </td>\r\n    </tr>\r\n\r\n";

fn body(line: &str, octets: usize) -> Vec<u8> {
    line.bytes().cycle().take(octets).collect()
}

fn digest(body: &[u8]) -> [u8; 32] {
    let mut digest = BodyDigest::new();
    digest.update(body);
    digest.finish()
}

fn digests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dkim_body");
    for (size, octets) in SIZES {
        group.throughput(Throughput::Bytes(octets as u64));
        for (kind, line) in [("text", LINE), ("base64", BASE64), ("markup", MARKUP)] {
            let body = body(line, octets);
            group.bench_with_input(BenchmarkId::new(kind, size), &body, |bencher, body| {
                bencher.iter(|| digest(body));
            });
        }
    }
    group.finish();
}

fn keyring(folder: &tempfile::TempDir, algorithm: Algorithm) -> std::sync::Arc<Keyring> {
    let keys = Keys::open(folder.path(), &Settings::default()).unwrap();
    let command = Command::Generate {
        domain: "x.test".into(),
        selector: Some(algorithm.name().into()),
        algorithm: Some(algorithm),
        bits: None,
        pending: false,
        subdomains: None,
    };
    keys.command(command, &mut |_, _| ()).unwrap();
    keys.keyring()
}

fn signatures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("dkim_sign");
    for algorithm in Algorithm::ALL {
        let folder = tempfile::tempdir().unwrap();
        let keyring = keyring(&folder, algorithm);
        let author = author_domain(HEADER.as_bytes()).unwrap();
        let signer = &keyring.signers(&author).unwrap()[0];
        let (bodies, mut out) = (digest(b"a body"), Vec::new());
        group.bench_function(format!("{algorithm}, header only"), |bencher| {
            bencher.iter(|| {
                out.clear();
                signer.sign(HEADER.as_bytes(), &bodies, Timestamp(1_795_860_000_000), &mut out)
            });
        });
        for (size, octets) in SIZES {
            let message = [HEADER.as_bytes(), b"\r\n", &body(LINE, octets)].concat();
            group.bench_function(format!("{algorithm}, {size}"), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    keyring.sign(&message, Timestamp(1_795_860_000_000), &mut out)
                });
            });
        }
    }
    group.bench_function("author_domain", |bencher| {
        bencher.iter(|| author_domain(HEADER.as_bytes()));
    });
    group.finish();
}

criterion_group!(benches, digests, signatures);
criterion_main!(benches);
