//! What was asked to hold, and what a reader must know before trusting the figures.

use crate::{
    figures::GENERATOR_FULL,
    result::{Bound, Run},
    scenario::ExpectOptions,
};

/// A shorter run says nothing about processors, in seconds.
const ELAPSED_MIN_S: f64 = 0.1;

/// Judges the stated bounds.
#[must_use]
pub fn judge(run: &Run, expect: &ExpectOptions) -> Vec<Bound> {
    let mut bounds = Vec::new();
    if let Some(wanted) = expect.expect_rate {
        let seen = rate(run);
        bounds.push(Bound {
            name: "rate".to_owned(),
            wanted: format!("at least {wanted} messages a second"),
            seen: format!("{seen:.1}"),
            kept: seen >= wanted,
        });
    }
    if let Some(wanted) = expect.expect_p99 {
        let seen_us = run.accept_latency.as_ref().map(|latency| latency.p99_us);
        bounds.push(Bound {
            name: "p99".to_owned(),
            wanted: format!("99 of 100 accepted within {}", humantime::format_duration(wanted)),
            seen: seen_us.map_or("nothing was accepted".to_owned(), |us| {
                format!("{:.3} ms", us as f64 / 1e3)
            }),
            kept: seen_us.is_some_and(|us| u128::from(us) <= wanted.as_micros()),
        });
    }
    if let Some(wanted) = expect.expect_lost {
        let seen = run.ledger.as_ref().map(|ledger| ledger.lost);
        bounds.push(Bound {
            name: "lost".to_owned(),
            wanted: format!("no more than {wanted} lost"),
            seen: seen
                .map_or("nobody counted: there was no sink".to_owned(), |lost| lost.to_string()),
            kept: seen.is_some_and(|lost| lost <= wanted),
        });
    }
    bounds
}

/// Messages a second: relayed where there is a sink, else accepted.
#[must_use]
pub fn rate(run: &Run) -> f64 {
    let Some(source) = &run.source else { return 0.0 };
    match &run.ledger {
        Some(_) => source.messages_accepted as f64 / run.elapsed_s.max(1e-6),
        None => source.accepted_per_s,
    }
}

/// What makes figures less than they seem.
#[must_use]
pub fn warnings(run: &Run, wanted_messages: u64, cpus: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(share) = run.generator_busiest.filter(|share| *share > GENERATOR_FULL) {
        warnings.push(format!(
            "the generator was full: its busiest thread used {:.0} % of a core, so the server may be able to do more; \
             give it more cores (--source-cores, --sink-cores)",
            share * 100.0
        ));
    }
    let used: u64 = [&run.server_cost, &run.generator_cost]
        .into_iter()
        .flatten()
        .map(|cost| cost.user_us + cost.system_us)
        .sum();
    let share = used as f64 / 1e6 / (run.elapsed_s.max(1e-6) * cpus as f64);
    // A run that only looked at memory took no time.
    let took_time = run.elapsed_s >= ELAPSED_MIN_S;
    if run.server_cost.is_some() && took_time && share > GENERATOR_FULL {
        warnings.push(format!(
            "server and generator together filled this machine's {cpus} processors ({:.0} %): the rate is that of both; \
             compare CPU a message",
            share * 100.0
        ));
    }
    let Some(source) = &run.source else { return warnings };
    if wanted_messages != u64::MAX && source.messages_sent < wanted_messages {
        warnings.push(format!(
            "only {} of {wanted_messages} messages were sent: connections failed too often in a row",
            source.messages_sent
        ));
    }
    if source.connections_failed > 0 {
        warnings.push(format!("{} connections failed or broke", source.connections_failed));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::result::{Latency, Ledger, Source};

    fn run() -> Run {
        Run {
            elapsed_s: 10.0,
            source: Some(Source {
                messages_accepted: 100,
                messages_sent: 100,
                ..Default::default()
            }),
            ledger: Some(Ledger { lost: 1, ..Default::default() }),
            accept_latency: Some(Latency { p99_us: 1500, ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn bounds_are_kept_or_not() {
        let expect = |rate, p99_ms, lost| ExpectOptions {
            expect_rate: Some(rate),
            expect_p99: Some(Duration::from_millis(p99_ms)),
            expect_lost: Some(lost),
        };
        let kept =
            |expect| judge(&run(), &expect).iter().map(|bound| bound.kept).collect::<Vec<_>>();
        assert_eq!(kept(expect(10.0, 2, 1)), [true, true, true]);
        assert_eq!(kept(expect(10.1, 1, 0)), [false, false, false]);
        assert!(judge(&run(), &ExpectOptions::default()).is_empty());
    }

    #[test]
    fn a_full_generator_is_told() {
        let full = Run { generator_busiest: Some(0.97), ..run() };
        let told = warnings(&full, 100, 2);
        assert!(told[0].contains("generator was full") && told[0].contains("97 %"), "{told:?}");
        assert_eq!(told.len(), 1, "told once");
        let half = Run { generator_busiest: Some(0.5), ..run() };
        assert!(warnings(&half, 100, 2).is_empty());
        assert!(warnings(&run(), 100, 2).is_empty());
        assert!(warnings(&run(), 101, 2)[0].contains("only 100 of 101"));
    }
}
