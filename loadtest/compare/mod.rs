//! Many runs to one comparison: medians with their smallest and largest, ratios to the first server.

use crate::{
    result::{Comparison, Mailboxes, Row, Run, Server, Spread},
    trial::rate,
};

/// Sums up runs that have a case and a server.
#[must_use]
pub fn summarise(runs: &[Run], rounds: u32) -> Comparison {
    let mut servers: Vec<Server> = Vec::new();
    let mut cases: Vec<&str> = Vec::new();
    for run in runs {
        if let Some(server) = run
            .server
            .as_ref()
            .filter(|server| servers.iter().all(|known| known.name != server.name))
        {
            servers.push(server.clone());
        }
        if let Some(case) = run.case.as_deref().filter(|case| !cases.contains(case)) {
            cases.push(case);
        }
    }
    let mut rows = Vec::new();
    for case in cases {
        let start = rows.len();
        for server in &servers {
            let of = |run: &&Run| {
                run.case.as_deref() == Some(case)
                    && run.server.as_ref().is_some_and(|one| one.name == server.name)
            };
            let runs: Vec<&Run> = runs.iter().filter(of).collect();
            if !runs.is_empty() {
                rows.push(row(case, &server.name, &runs));
            }
        }
        add_ratios(&mut rows[start..]);
    }
    Comparison { servers, rounds, rows }
}

fn row(case: &str, server: &str, runs: &[&Run]) -> Row {
    let cost = |run: &Run| run.server_cost.clone().unwrap_or_default();
    let latency = |run: &Run| run.accept_latency.clone();
    let sum = |of: fn(&crate::result::Ledger) -> u64| {
        runs.iter().filter_map(|run| run.ledger.as_ref()).map(of).sum()
    };
    Row {
        case: case.to_owned(),
        server: server.to_owned(),
        accepted_per_s: spread(runs, |run| run.source.as_ref().map(|source| source.accepted_per_s)),
        relayed_per_s: spread(runs, |run| run.mailboxes.is_none().then(|| rate(run))),
        operations_per_s: spread(runs, |run| {
            mailboxes(run).filter(|found| found.operations > 0).map(|found| found.operations_per_s)
        }),
        octets_per_s: spread(runs, |run| mailboxes(run)?.octets_per_s),
        memory_per_session_kib: spread(runs, |run| mailboxes(run)?.memory_per_session_kib),
        cpu_us_per_message: spread(runs, |run| cost(run).cpu_us_per_message),
        syscalls_per_message: spread(runs, |run| cost(run).syscalls_per_message),
        memory_peak_kib: spread(runs, |run| cost(run).memory_peak_kib.map(|kib| kib as f64)),
        accept_p50_us: spread(runs, |run| latency(run).map(|latency| latency.p50_us as f64)),
        accept_p99_us: spread(runs, |run| latency(run).map(|latency| latency.p99_us as f64)),
        lost: sum(|ledger| ledger.lost),
        duplicated: sum(|ledger| ledger.duplicated),
        generator_busiest: spread(runs, |run| run.generator_busiest),
    }
}

fn mailboxes(run: &Run) -> Option<&Mailboxes> {
    run.mailboxes.as_ref()
}

/// `None` when no run has the figure.
fn spread(runs: &[&Run], figure: impl Fn(&Run) -> Option<f64>) -> Option<Spread> {
    let mut values: Vec<f64> = runs.iter().filter_map(|run| figure(run)).collect();
    values.sort_by(f64::total_cmp);
    let (min, max) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    };
    Some(Spread { median, min, max, ratio: None })
}

/// Ratios to the first row of a case.
fn add_ratios(rows: &mut [Row]) {
    let Some(first) = rows.first().cloned() else { return };
    for row in rows {
        let pairs = [
            (&mut row.accepted_per_s, first.accepted_per_s),
            (&mut row.relayed_per_s, first.relayed_per_s),
            (&mut row.operations_per_s, first.operations_per_s),
            (&mut row.octets_per_s, first.octets_per_s),
            (&mut row.memory_per_session_kib, first.memory_per_session_kib),
            (&mut row.cpu_us_per_message, first.cpu_us_per_message),
            (&mut row.syscalls_per_message, first.syscalls_per_message),
            (&mut row.memory_peak_kib, first.memory_peak_kib),
            (&mut row.accept_p50_us, first.accept_p50_us),
            (&mut row.accept_p99_us, first.accept_p99_us),
            (&mut row.generator_busiest, first.generator_busiest),
        ];
        for (spread, first) in pairs {
            if let (Some(spread), Some(first)) = (spread, first.filter(|first| first.median > 0.0))
            {
                spread.ratio = Some(spread.median / first.median);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Cost, Ledger, Source};

    fn run(case: &str, server: &str, rate: u64, cpu: f64) -> Run {
        Run {
            case: Some(case.to_owned()),
            server: Some(Server { name: server.to_owned(), ..Server::default() }),
            elapsed_s: 1.0,
            source: Some(Source { messages_accepted: rate, ..Source::default() }),
            ledger: Some(Ledger { lost: 1, ..Ledger::default() }),
            server_cost: Some(Cost { cpu_us_per_message: Some(cpu), ..Cost::default() }),
            ..Run::default()
        }
    }

    #[test]
    fn medians_and_ratios() {
        let runs = [
            run("x", "a", 100, 10.0),
            run("x", "b", 50, 30.0),
            run("x", "a", 300, 30.0),
            run("x", "b", 70, 10.0),
            run("x", "a", 200, 20.0),
            run("y", "a", 1, 1.0),
        ];
        let comparison = summarise(&runs, 3);
        let names: Vec<_> = comparison.rows.iter().map(|row| (&*row.case, &*row.server)).collect();
        assert_eq!(names, [("x", "a"), ("x", "b"), ("y", "a")]);
        let rate = comparison.rows[0].relayed_per_s.unwrap();
        assert_eq!((rate.median, rate.min, rate.max, rate.ratio), (200.0, 100.0, 300.0, Some(1.0)));
        let rate = comparison.rows[1].relayed_per_s.unwrap();
        assert_eq!((rate.median, rate.ratio), (60.0, Some(0.3)));
        assert_eq!(comparison.rows[1].cpu_us_per_message.unwrap().ratio, Some(1.0));
        assert_eq!(
            (comparison.rows[0].lost, comparison.rows[0].syscalls_per_message.is_none()),
            (3, true)
        );
    }
}
