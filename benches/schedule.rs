//! What does the schedule cost with a million messages in it? Filling it (as at a start), and taking
//! one that is due, putting it back behind all others (as a message that is put off).
#![allow(missing_docs)] // criterion's macros make public items

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mail::queue::{MessageId, schedule::Schedule};

const MESSAGES: u64 = 1_000_000;
/// One message a millisecond.
const FIRST_MS: u64 = 1_800_000_000_000;

fn id(number: u64) -> MessageId {
    MessageId::first(FIRST_MS + number, 0)
}

/// Due within four hours, in no order: mail that was put off by jitter.
fn due_ms(number: u64) -> u64 {
    FIRST_MS + number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (4 * 3_600_000)
}

fn filled() -> Schedule {
    let mut schedule = Schedule::default();
    for number in 0..MESSAGES {
        schedule.insert(id(number), due_ms(number), 1);
    }
    schedule
}

fn million(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("schedule");
    group.sample_size(10).throughput(Throughput::Elements(MESSAGES));
    group.bench_function("insert a million", |b| b.iter_with_large_drop(filled));
    let drain = |mut schedule: Schedule| {
        while let Some((id, _)) = schedule.take_due(u64::MAX) {
            schedule.remove(id);
        }
        assert!(schedule.is_empty());
    };
    group.bench_function("take and remove a million", |b| {
        b.iter_batched(filled, drain, BatchSize::PerIteration);
    });
    group.throughput(Throughput::Elements(1));
    let mut schedule = filled();
    let mut now_ms = FIRST_MS + 4 * 3_600_000;
    group.bench_function("put off one of a million", |b| {
        b.iter(|| {
            now_ms += 1;
            let (id, entry) = schedule.take_due(now_ms).expect("all are due");
            schedule.put_back(black_box(id), now_ms, entry.version);
        });
    });
    let mut number = MESSAGES;
    group.bench_function("one in and out beside a million", |b| {
        b.iter(|| {
            // Due before all others, as fresh mail is in a queue that is not late.
            number += 1;
            schedule.insert(id(number), 0, 0);
            let (id, _) = schedule.take_due(FIRST_MS).expect("it is due");
            schedule.remove(black_box(id))
        });
    });
    group.finish();
}

criterion_group!(benches, million);
criterion_main!(benches);
