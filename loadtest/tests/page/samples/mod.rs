//! Result documents as the load test would write them: made of sines and noise, the same each time.

use std::f64::consts::TAU;

use loadtest::result::{
    Bound, Comparison, Cost, Document, Latency, Ledger, Machine, Quantile, Refusal, Row, Run,
    SCHEMA, Sample, Server, Sink, Source, Spread,
};

/// What a stranger's reply may hold.
pub const HOSTILE: &str = "<script>document.title='owned'</script>\"'&<img src=x onerror=alert(1)>";

/// Noise between -1 and 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    }
}

/// What a server is like: its rate, costs and latencies at 5 KiB and 100 sessions.
pub struct Peer {
    name: &'static str,
    version: Option<&'static str>,
    durability: &'static str,
    rate: f64,
    cpu_us: f64,
    memory_kib: f64,
    p50_us: f64,
}

/// Five servers, figures near those that were measured.
pub const PEERS: [Peer; 5] = [
    Peer {
        name: "Ringpost",
        version: Some("0.1.0"),
        durability: "one fdatasync of the log for all messages that wait at that moment",
        rate: 4300.0,
        cpu_us: 212.0,
        memory_kib: 88.0 * 1024.0,
        p50_us: 21_000.0,
    },
    Peer {
        name: "Postfix",
        version: Some("3.7.11"),
        durability: "fsync of the queue file of every message",
        rate: 430.0,
        cpu_us: 2_600.0,
        memory_kib: 288.0 * 1024.0,
        p50_us: 190_000.0,
    },
    Peer {
        name: "Exim",
        version: Some("4.96"),
        durability: "fsync of the body, the header and the folder",
        rate: 144.0,
        cpu_us: 8_900.0,
        memory_kib: 410.0 * 1024.0,
        p50_us: 610_000.0,
    },
    Peer {
        name: "OpenSMTPD",
        version: Some("6.8.0p2"),
        durability: "nothing: the queue is written without fsync",
        rate: 465.0,
        cpu_us: 1_450.0,
        memory_kib: 61.0 * 1024.0,
        p50_us: 170_000.0,
    },
    Peer {
        name: "Haraka",
        version: None,
        durability: "fsync and rename of the queue file",
        rate: 478.0,
        cpu_us: 2_400.0,
        memory_kib: 240.0 * 1024.0,
        p50_us: 165_000.0,
    },
];

impl Peer {
    fn server(&self) -> Server {
        Server {
            name: self.name.into(),
            version: self.version.map(Into::into),
            durability: self.durability.into(),
            tuning: Some("process limits raised to 500, DNS and ident look-ups off".into()),
        }
    }
}

/// A document without any run.
pub fn empty() -> Document {
    Document {
        schema: SCHEMA,
        program: "ringpost-loadtest 0.1.0".into(),
        command:
            "ringpost-loadtest relay --connections 100 --messages 200000 --size 5KiB --seed 42 \
                  --server 127.0.0.1:2525 --sink 127.0.0.1:2526 --expect-lost 0 --report out.html"
                .into(),
        started: "2026-11-27T16:41:08Z".into(),
        machine: Machine {
            cpus: 2,
            cpu_model: "AMD EPYC 9B14".into(),
            memory_mib: 24_105,
            kernel: "Linux 6.18.44".into(),
            disk: Some("/dev/vda ext4".into()),
            fdatasync_us: Some(1_180),
        },
        scenario: "isp-mixed".into(),
        description: "Sizes and recipient spread of an internet provider's outbound relay.".into(),
        seed: 42,
        runs: Vec::new(),
        comparison: None,
    }
}

/// One run with everything measured.
pub fn relay() -> Document {
    let mut run = full_run(&PEERS[0], 1.0, 60, 7);
    run.bounds = vec![
        Bound { name: "lost".into(), wanted: "0".into(), seen: "0".into(), kept: true },
        Bound { name: "p99".into(), wanted: "200 ms".into(), seen: "93 ms".into(), kept: true },
    ];
    Document { runs: vec![run], ..empty() }
}

/// One run in which much went wrong; names and replies are hostile.
pub fn failed() -> Document {
    let mut run = full_run(&PEERS[2], 1.0, 45, 11);
    run.server =
        Some(Server { name: HOSTILE.into(), durability: HOSTILE.into(), ..Server::default() });
    run.generator_busiest = Some(0.98);
    run.warnings = vec!["the sink closed 12 connections at its limit".into(), HOSTILE.into()];
    run.ledger = Some(Ledger {
        accepted: 6_480,
        delivered: 6_466,
        bounced: 2,
        lost: 12,
        duplicated: 3,
        changed: 1,
        lost_samples: (0..12).map(|n| format!("{}:{n}", 4_400 + n * 7)).collect(),
        ..Ledger::default()
    });
    run.bounds = vec![
        Bound { name: "lost".into(), wanted: "0".into(), seen: "12".into(), kept: false },
        Bound { name: "rate".into(), wanted: "100/s".into(), seen: "144/s".into(), kept: true },
    ];
    let source = run.source.get_or_insert_default();
    source.refusals = vec![
        Refusal { code: 451, stage: "done".into(), count: 210, text: "4.3.0 Try again".into() },
        Refusal { code: 550, stage: "rcpt".into(), count: 3, text: HOSTILE.into() },
        Refusal { code: 554, stage: "data".into(), count: 1, text: "x".repeat(300) },
    ];
    source.failures.insert("read: connection reset by peer".into(), 7);
    source.failures.insert(HOSTILE.into(), 19);
    for (index, sample) in run.series.iter_mut().enumerate() {
        sample.errors = u64::from(index % 9 == 4) * 23;
        if (15..20).contains(&index) {
            (sample.server_cores, sample.server_rss_kib, sample.accept_p99_us) = (None, None, None);
        }
    }
    Document { runs: vec![run], scenario: HOSTILE.into(), ..empty() }
}

/// A source alone against a stranger's server: no sink, no ledger, no cost.
pub fn source_only() -> Document {
    let run = Run {
        server: None,
        sink: None,
        ledger: None,
        relay_latency: None,
        server_cost: None,
        ..full_run(&PEERS[1], 1.0, 3, 5)
    };
    let mut document = Document { runs: vec![run], scenario: "smtp".into(), ..empty() };
    for sample in &mut document.runs[0].series {
        (sample.server_cores, sample.server_rss_kib) = (None, None);
    }
    document.description = String::new();
    document.machine.fdatasync_us = None;
    document
}

/// Two hours, a sample a second.
pub fn soak() -> Document {
    Document { runs: vec![full_run(&PEERS[0], 0.4, 7_200, 3)], scenario: "soak".into(), ..empty() }
}

/// Five servers, twelve cases, three rounds.
pub fn comparison() -> Document {
    let (mut runs, mut rows) = (Vec::new(), Vec::new());
    let mut noise = Noise(99);
    for (index, (case, speed)) in cases().into_iter().enumerate() {
        let mut firsts: Option<Row> = None;
        for peer in &PEERS {
            for round in 1..=3 {
                let seed = (index * 100 + round as usize) as u64 + peer.rate as u64;
                let speed = speed * (1.0 + noise.next() * 0.08);
                let mut run = full_run(peer, speed, 40, seed);
                (run.case, run.round) = (Some(case.clone()), Some(round));
                if peer.name == "Exim" && round == 1 {
                    run.warnings.push("the sink closed connections at its limit".into());
                }
                runs.push(run);
            }
            let made = row(&case, peer, &runs[runs.len() - 3..], firsts.as_ref());
            firsts.get_or_insert_with(|| made.clone());
            rows.push(made);
        }
    }
    let servers = PEERS.iter().map(Peer::server).collect();
    Document {
        scenario: "compare".into(),
        description: "Relay of one scenario by five servers on one machine.".into(),
        runs,
        comparison: Some(Comparison { servers, rounds: 3, rows }),
        ..empty()
    }
}

fn cases() -> Vec<(String, f64)> {
    let mut cases = Vec::new();
    for (suffix, slower) in [("", 1.0), (", one message a session", 0.4)] {
        for (size, heavy) in [("5 KiB", 1.0), ("64 KiB", 0.25)] {
            for (sessions, busy) in [(20, 0.9), (100, 1.0), (500, 0.8)] {
                cases.push((format!("{size}, {sessions} sessions{suffix}"), slower * heavy * busy));
            }
        }
    }
    cases
}

fn row(case: &str, peer: &Peer, runs: &[Run], first: Option<&Row>) -> Row {
    let figure = |of: &dyn Fn(&Run) -> f64, first: Option<Spread>| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let (min, median, max) = (values[0], values[1], values[2]);
        Some(Spread { median, min, max, ratio: Some(first.map_or(1.0, |f| median / f.median)) })
    };
    let cost = |run: &Run| run.server_cost.clone().unwrap_or_default();
    let latency = |run: &Run| run.accept_latency.clone().unwrap_or_default();
    let of = |read: fn(&Row) -> Option<Spread>| first.and_then(read);
    let has_syscalls = peer.name != "Haraka";
    Row {
        case: case.into(),
        server: peer.name.into(),
        accepted_per_s: figure(&|r| accepted(r), of(|row| row.accepted_per_s)),
        relayed_per_s: figure(&|r| accepted(r) * 0.97, of(|row| row.relayed_per_s)),
        cpu_us_per_message: figure(
            &|r| cost(r).cpu_us_per_message.unwrap_or(0.0),
            of(|row| row.cpu_us_per_message),
        ),
        syscalls_per_message: if has_syscalls {
            figure(&|_| peer.cpu_us / 11.0, of(|row| row.syscalls_per_message))
        } else {
            None
        },
        memory_peak_kib: figure(
            &|r| cost(r).memory_peak_kib.unwrap_or(0) as f64,
            of(|row| row.memory_peak_kib),
        ),
        accept_p50_us: figure(&|r| latency(r).p50_us as f64, of(|row| row.accept_p50_us)),
        accept_p99_us: figure(&|r| latency(r).p99_us as f64, of(|row| row.accept_p99_us)),
        lost: 0,
        duplicated: u64::from(peer.name == "Exim") * 2,
        generator_busiest: figure(&|r| r.generator_busiest.unwrap_or(0.0), None),
        ..Row::default()
    }
}

fn accepted(run: &Run) -> f64 {
    run.source.as_ref().map_or(0.0, |source| source.accepted_per_s)
}

fn full_run(peer: &Peer, speed: f64, seconds: u32, seed: u64) -> Run {
    let rate = peer.rate * speed;
    let series = series(peer, rate, seconds, seed);
    let elapsed_s = f64::from(seconds) + 0.4;
    let messages = (rate * elapsed_s) as u64;
    let octets = messages * 5_400;
    Run {
        server: Some(peer.server()),
        elapsed_s,
        source: Some(Source {
            messages_sent: messages,
            messages_accepted: messages,
            recipients_accepted: messages,
            octets_accepted: octets,
            accepted_per_s: rate,
            connections: 100,
            elapsed_s: f64::from(seconds),
            ..Source::default()
        }),
        sink: Some(Sink {
            messages,
            recipients: messages,
            octets: octets + messages * 190,
            connections: 64,
            connections_peak: 64,
            messages_per_s: rate,
            ..Sink::default()
        }),
        ledger: Some(Ledger { accepted: messages, delivered: messages, ..Ledger::default() }),
        accept_latency: Some(latency(peer.p50_us / speed, messages, seed)),
        relay_latency: Some(latency(peer.p50_us * 2.3 / speed, messages, seed + 1)),
        server_cost: Some(cost(peer.cpu_us, messages, peer.memory_kib as u64, 4)),
        generator_cost: Some(cost(31.0, messages, 40_960, 1)),
        generator_busiest: Some((rate * 60e-6).min(0.95)),
        series,
        ..Run::default()
    }
}

fn cost(cpu_us: f64, messages: u64, peak_kib: u64, processes: u32) -> Cost {
    let total_us = cpu_us * messages as f64;
    Cost {
        user_us: (total_us * 0.4) as u64,
        system_us: (total_us * 0.6) as u64,
        cpu_us_per_message: Some(cpu_us),
        syscalls_per_message: Some(cpu_us / 11.0),
        memory_peak_kib: Some(peak_kib),
        memory_final_kib: Some(peak_kib * 3 / 4),
        processes: Some(processes),
        source: "cgroup".into(),
    }
}

fn series(peer: &Peer, rate: f64, seconds: u32, seed: u64) -> Vec<Sample> {
    let mut noise = Noise(seed);
    let sample = |second: u32| {
        let at_s = f64::from(second);
        let wave = 1.0 + 0.12 * (at_s / 17.0 * TAU).sin();
        let accepted_per_s = rate * (wave + noise.next() * 0.06);
        let arrived_per_s =
            rate * (1.0 + 0.12 * ((at_s - 2.0) / 17.0 * TAU).sin() + noise.next() * 0.04);
        let growth = 1.0 - (-at_s / 8.0).exp();
        Sample {
            at_s,
            accepted_per_s,
            arrived_per_s,
            in_flight: (rate * (0.3 + 0.2 * (at_s / 17.0 * TAU).cos() + noise.next() * 0.05))
                as u64,
            errors: 0,
            accept_p99_us: Some((peer.p50_us * (3.0 + noise.next()) * wave) as u64),
            server_cores: Some(accepted_per_s * peer.cpu_us / 1e6),
            generator_cores: Some(accepted_per_s * 31.0 / 1e6),
            server_rss_kib: Some((peer.memory_kib * (0.3 + 0.7 * growth)) as u64),
        }
    };
    (1..=seconds).map(sample).collect()
}

fn latency(p50_us: f64, count: u64, seed: u64) -> Latency {
    let mut noise = Noise(seed);
    let tail = 0.55 + noise.next() * 0.05;
    // About log-normal, with a step where an fsync was slow.
    let at = |quantile: f64| {
        let nines = -(1.0 - quantile).max(1.0 / count as f64).log10();
        let slow = if nines > 2.6 { 1.6 } else { 1.0 };
        (p50_us * (0.35 + nines.powf(1.15) * tail * 1.9) * slow) as u64
    };
    let steps = (0..40).map(|step| 1.0 - 10f64.powf(-f64::from(step) / 8.0));
    let mut quantiles: Vec<Quantile> =
        steps.map(|quantile| Quantile { quantile, us: at(quantile) }).collect();
    quantiles.push(Quantile { quantile: 1.0, us: at(1.0) });
    Latency {
        count,
        mean_us: at(0.6) as f64,
        min_us: at(0.0),
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        max_us: at(1.0),
        quantiles,
    }
}
