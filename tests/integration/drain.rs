//! SIGTERM under load: an orderly end loses nothing and repeats nothing.

use std::{thread, time::Duration};

use loadtest::sink::{Delay, Rules, Stage};

use crate::harness::{Plan, Postbox, Server, load, send};

#[test]
fn sigterm_under_load_loses_and_repeats_nothing() {
    let slow = Delay { stage: Stage::Done, time: Duration::from_millis(5), random: false };
    let rules = Rules { delay: vec![slow], ..Rules::default() };
    let postbox = Postbox::with(rules);
    let plan = Plan::relay_to(postbox.address()).set("delivery", "connections_per_site_max", "4");
    let mut server = Server::start(plan);
    let mut rounds = Vec::new();
    for round in 0..3 {
        let run = format!("drain{round}");
        let load = load(server.address(), &run, 200_000, 5 << 10);
        let outcome = thread::scope(|scope| {
            let sender = scope.spawn(|| send(load));
            thread::sleep(Duration::from_secs(1));
            let status = server.stop();
            assert!(status.success(), "{status}");
            sender.join().unwrap()
        });
        println!(
            "round {round}: {} acknowledged, {} unanswered, {} failures: {:?}",
            outcome.acknowledged.len(),
            outcome.source.messages_unanswered,
            outcome.source.connections_failed,
            outcome.source.failures
        );
        assert!(outcome.acknowledged.len() > 100, "the load was no load");
        let unanswered = outcome.source.messages_unanswered;
        assert_eq!(unanswered, 0, "a message that was sent whole gets its reply while draining");
        rounds.push((run, outcome.acknowledged));
        server.launch();
    }
    for (run, acknowledged) in &rounds {
        postbox.wait_all(run, acknowledged, 120);
        let twice = postbox.arrivals(run).values().filter(|times| times.len() > 1).count();
        assert_eq!(twice, 0, "an orderly stop repeats nothing ({run})");
    }
}

/// Idle connections do not hold up the end, and are told why.
#[test]
fn idle_clients_are_told_421() {
    let postbox = Postbox::open();
    let mut server = Server::start(Plan::relay_to(postbox.address()));
    let mut talk = crate::harness::Talk::hello(server.address());
    assert!(server.stop().success());
    talk.expect("421");
    assert!(talk.closed());
}
