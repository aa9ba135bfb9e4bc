//! kill -9 at random moments: what was acknowledged arrives, whatever the number of shards next time.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use loadtest::sink::{Delay, Rules, Stage};

use crate::harness::{Plan, Postbox, Server, load, send, wait_until};

const ROUNDS: u32 = 20;
const SHARDS: [u32; 5] = [2, 1, 3, 2, 4];

/// Messages that reached the next hop so shortly before a kill may come again: that they were
/// delivered was not on disk yet.
const IN_FLIGHT: Duration = Duration::from_secs(2);

#[test]
fn nothing_acknowledged_is_lost_in_twenty_kills() {
    // Slow enough that a backlog builds up: kills meet queued, leased and arriving messages.
    let slow = Delay { stage: Stage::Done, time: Duration::from_millis(8), random: false };
    let rules = Rules { delay: vec![slow], ..Rules::default() };
    let postbox = Postbox::with(rules);
    let plan = Plan::relay_to(postbox.address()).quick_retries().set(
        "delivery",
        "connections_per_site_max",
        "8",
    );
    let mut server = Server::start(plan);
    let mut random = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos() | 1;
    println!("seed {random}");
    let mut acknowledged = Vec::new();
    let mut kills = Vec::new();
    for round in 0..ROUNDS {
        let run = format!("round{round}");
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let alive = Duration::from_millis(u64::from(100 + random % 1200));
        let load = load(server.address(), &run, 200_000, 3 << 10);
        let outcome = thread::scope(|scope| {
            let sender = scope.spawn(|| send(load));
            thread::sleep(alive);
            server.kill();
            kills.push(Instant::now());
            sender.join().unwrap()
        });
        println!(
            "round {round}: {alive:?}, {} shards, {} acknowledged, {} unanswered, {} arrived so far",
            server.plan.shards,
            outcome.acknowledged.len(),
            outcome.source.messages_unanswered,
            postbox.count()
        );
        assert_eq!(outcome.source.messages_refused, 0, "{:?}", outcome.source.refusals);
        acknowledged.push((run, outcome.acknowledged));
        server.plan.shards = SHARDS[round as usize % SHARDS.len()];
        server.launch();
    }
    let total: usize = acknowledged.iter().map(|(_, numbers)| numbers.len()).sum();
    assert!(total > 1000, "only {total} acknowledged: the rounds proved little");
    for (run, numbers) in &acknowledged {
        postbox.wait_all(run, numbers, 120);
    }
    let runs: Vec<&str> = acknowledged.iter().map(|(run, _)| run.as_str()).collect();
    judge_duplicates(&postbox, &runs, &kills);
    drained(&server);
}

/// A message may arrive twice only when an earlier arrival was in flight at a kill.
fn judge_duplicates(postbox: &Postbox, runs: &[&str], kills: &[Instant]) {
    let mut duplicates = 0;
    for run in runs {
        for (number, times) in postbox.arrivals(run) {
            for earlier in &times[..times.len() - 1] {
                duplicates += 1;
                let in_flight = kills.iter().any(|kill| {
                    *earlier <= *kill + Duration::from_millis(100)
                        && kill.saturating_duration_since(*earlier) < IN_FLIGHT
                });
                assert!(in_flight, "{run}-{number} came again, but was not in flight at a kill");
            }
        }
    }
    println!("{duplicates} duplicates, all in flight at a kill");
}

fn drained(server: &Server) {
    wait_until("an empty queue", 60, || {
        let list = server.cli_json(&["queue", "list", "--json"]);
        crate::queue_cli::ids(&list).is_empty()
    });
    let accepted: HashSet<String> =
        server.events_of("accepted").iter().map(|event| event["id"].to_string()).collect();
    assert!(accepted.len() > 1000, "ids are never used twice: {}", accepted.len());
}
