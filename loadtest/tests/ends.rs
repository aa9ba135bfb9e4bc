//! Source and sink against each other, without a server: every way of sending, every count.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods)] // tests may sleep

use std::{sync::Arc, time::Duration};

use loadtest::{
    cores::Cores,
    ledger::Ledger,
    message::{Domains, Framing, Mailing, Spread, synthetic},
    sink::{Accounts, Delay, Drop, Failure, Rules, Sink, Stage},
    source::{Arrivals, Load, Plan, Source},
};

struct Ends {
    sink: Sink,
    ledger: Arc<Ledger>,
}

fn ends(rules: Rules, recipients_max: u64) -> Ends {
    let ledger = Arc::new(Ledger::new(recipients_max));
    let accounts =
        Accounts { run: "t".into(), ledger: Arc::clone(&ledger), latency: Default::default() };
    let sink = Sink::single("127.0.0.1:0".parse().unwrap(), rules, accounts).unwrap();
    Ends { sink, ledger }
}

fn load(ends: &Ends, messages: u64) -> Load {
    Load::new(ends.sink.address(), "t", messages, Spread::Fixed(4096))
}

fn run(ends: &Ends, load: Load) -> loadtest::result::Source {
    Source::start(load, Arc::clone(&ends.ledger), &Cores::Free(2)).unwrap().finish()
}

#[test]
fn all_ways_of_sending_arrive_whole() {
    for (framing, pipelining) in [
        (Framing::Data, true),
        (Framing::Data, false),
        (Framing::Chunk, true),
        (Framing::Chunk, false),
    ] {
        let ends = ends(Rules::default(), 5);
        let mut load = load(&ends, 2000);
        load.mailing = Arc::new(Mailing {
            run: "t".into(),
            seed: 3,
            templates: synthetic(&"100..100 KiB".parse().unwrap(), 3, framing),
            recipients: "1..5".parse().unwrap(),
            domains: Domains::new(vec!["a.test".into(), "b.test".into()], None).unwrap(),
        });
        load.framing = framing;
        load.pipelining = pipelining;
        load.per_connection = 7;
        let source = run(&ends, load);
        let account = ends.ledger.close();
        assert_eq!(source.messages_accepted, 2000, "{source:?}");
        assert_eq!(account.delivered, source.recipients_accepted, "{framing:?} {account:?}");
        assert_eq!((account.lost, account.duplicated, account.changed), (0, 0, 0), "{framing:?}");
        assert_eq!(ends.sink.account().messages, 2000);
        assert!(source.connections >= 2000 / 7);
    }
}

#[test]
fn refusals_are_counted_by_code_and_stage_and_nothing_refused_arrives() {
    let rules = Rules {
        fail: vec![
            Failure { share: 0.2, ..Failure::new(Stage::Rcpt, 450) },
            Failure { share: 0.1, ..Failure::new(Stage::Done, 552) },
            Failure { share: 0.1, ..Failure::new(Stage::Mail, 451) },
            Failure { share: 0.1, ..Failure::new(Stage::Data, 452) },
        ],
        ..Rules::default()
    };
    for pipelining in [true, false] {
        let ends = ends(rules.clone(), 1);
        let source = run(&ends, Load { pipelining, ..load(&ends, 3000) });
        let account = ends.ledger.close();
        assert_eq!(source.messages_accepted + source.messages_refused, 3000, "{source:?}");
        assert_eq!(account.delivered, source.messages_accepted);
        assert_eq!(account.refused_yet_delivered, 0);
        for (code, stage) in [(450, "rcpt"), (552, "done"), (451, "mail"), (452, "data")] {
            let heard =
                source.refusals.iter().find(|one| one.code == code && one.stage == stage).unwrap();
            let said = ends.sink.account().refusals;
            let said = said.iter().find(|one| one.code == code && one.stage == stage).unwrap();
            assert_eq!(heard.count, said.count, "{code}");
        }
    }
}

#[test]
fn lmtp_recipients_are_answered_one_by_one() {
    let rules = Rules { lmtp: true, ..Rules::default() };
    let ends = ends(rules, 3);
    let mut load = load(&ends, 300);
    let mailing = Arc::get_mut(&mut load.mailing).unwrap();
    mailing.recipients = Spread::Fixed(3);
    let source = run(&ends, Load { lmtp: true, ..load });
    assert_eq!((source.messages_accepted, source.recipients_accepted), (300, 900));
    assert_eq!(ends.ledger.close().delivered, 900);
}

#[test]
fn broken_connections_leave_doubt_but_no_loss() {
    let rules = Rules { drop: vec![Drop { stage: Stage::Done, share: 0.1 }], ..Rules::default() };
    let ends = ends(rules, 1);
    let source = run(&ends, Load { failure_pause: Duration::from_millis(1), ..load(&ends, 1000) });
    let account = ends.ledger.close();
    assert!(source.messages_unanswered > 50, "{source:?}");
    assert_eq!(source.messages_accepted + source.messages_unanswered, 1000);
    assert_eq!((account.delivered, account.lost), (source.messages_accepted, 0));
}

/// A server that takes 20 ms for each message cannot do more than 50 a second over one connection. A closed loop calls that
/// 20 ms; the open loop of 200 a second tells how long mail really waits.
#[test]
fn an_open_loop_charges_the_server_with_what_waited() {
    let slow = || Rules {
        delay: vec![Delay { stage: Stage::Done, time: Duration::from_millis(20), random: false }],
        ..Rules::default()
    };
    let p99 = |plan: Option<Plan>| {
        let ends = ends(slow(), 1);
        let load = Load { connections: 1, plan, ..load(&ends, 100) };
        let source = Source::start(load, Arc::clone(&ends.ledger), &Cores::Free(1)).unwrap();
        while !source.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut histogram = loadtest::source::empty();
        source.drain_latencies(&mut histogram);
        assert_eq!(source.finish().messages_accepted, 100);
        histogram.value_at_quantile(0.99)
    };
    let closed = p99(None);
    let open =
        p99(Some(Plan { rate_per_s: 200.0, arrivals: Arrivals::Steady, ramp: Duration::ZERO }));
    // 100 messages of 20 ms take 2 s, the last was due after 0.5 s.
    assert!(closed < 500_000, "{closed}");
    assert!(open > 1_000_000, "{open}");
}

#[test]
fn a_server_that_is_not_there_ends_the_run_with_its_reason() {
    let load = Load {
        connections: 2,
        failures_max: 2,
        failure_pause: Duration::from_millis(1),
        ..Load::new("127.0.0.1:1".parse().unwrap(), "t", 10, Spread::Fixed(100))
    };
    let (source, ledger) = Source::run(load).unwrap();
    assert_eq!((source.messages_accepted, source.connections_failed), (0, 4));
    assert!(source.failures.keys().any(|text| text.contains("refused")), "{:?}", source.failures);
    assert!(ledger.acknowledged().is_empty());
}
