//! What does the server machine cost, from bytes to events? One pipelined transaction of 5 KiB,
//! and a body of 1 MiB.
#![allow(missing_docs)] // criterion's macros make public items

use std::{hint::black_box, rc::Rc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use proto::{
    smtp::server::{Answer, Profile, Question, Server, Step},
    types::{Moment, Timestamp},
};

const NOW: Moment = Moment(1);

/// A whole session as a client that pipelines sends it.
fn session(body_bytes: usize) -> Vec<u8> {
    let line = format!("{}\r\n", "x".repeat(70));
    let body = line.repeat(body_bytes / line.len());
    format!(
        "EHLO c.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n\
         Subject: bench\r\n\r\n{body}.\r\nQUIT\r\n"
    )
    .into_bytes()
}

/// Feeds `input` in reads of 64 KiB; returns the octets of the body.
fn serve(profile: &Rc<Profile>, input: &[u8], out: &mut Vec<u8>) -> usize {
    let mut server = Server::new(Rc::clone(profile), NOW);
    let (mut rest, mut body) = (input, 0);
    out.clear();
    server.greet(NOW, out);
    loop {
        let (used, mut step) = server.feed(NOW, &rest[..rest.len().min(64 << 10)], out);
        rest = &rest[used..];
        loop {
            step = match step {
                Step::Ask(Question::Commit) => {
                    black_box(server.take_envelope(Timestamp(0), "bench"));
                    server.answer(NOW, Answer::Queued("0123456789ABC".into()), out)
                }
                Step::Ask(_) => server.answer(NOW, Answer::Accept, out),
                Step::Body(piece) => {
                    body += piece.len();
                    break;
                }
                Step::NeedInput if !rest.is_empty() => break,
                Step::NeedInput | Step::Upgrade | Step::Close => return body,
            };
        }
    }
}

fn transactions(criterion: &mut Criterion) {
    let profile = Rc::new(Profile::default());
    let mut out = Vec::new();
    let mut group = criterion.benchmark_group("smtp_server");
    for (name, bytes) in [("5 KiB", 5 << 10), ("1 MiB", 1 << 20)] {
        let input = session(bytes);
        let taken = serve(&profile, &input, &mut out);
        assert!(taken > bytes - 100, "the whole body came through: {taken}");
        group.throughput(Throughput::Bytes(input.len() as u64));
        group.bench_function(name, |b| b.iter(|| serve(&profile, black_box(&input), &mut out)));
    }
    group.finish();
}

criterion_group!(benches, transactions);
criterion_main!(benches);
