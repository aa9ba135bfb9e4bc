//! `ringpost status`: health, counters, latencies; once or again and again.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use engine::telemetry::Summary;

use super::client::{self, Client};
use super::queue::warn;
use super::{Failure, words, write_json};
use crate::admin::{AdminRequest, AdminVerb, Numbers, Status};

/// Beginning of the screen, and nothing behind it.
const CLEAR: &str = "\x1b[H\x1b[2J";
/// More shards than this get no column each.
const COLUMNS_MAX: usize = 8;
/// Names of histograms that hold microseconds end so.
const MICROSECONDS: &str = "_us";

pub(super) fn act(
    watch: Option<u64>,
    client: &mut Client,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut before: Option<Status> = None;
    loop {
        let answer = client.ask(&AdminRequest { admin: AdminVerb::Status })?;
        if json {
            write_json(&answer, out)?;
        } else {
            let status: Status = client::read(answer)?;
            if watch.is_some() && std::io::stdout().is_terminal() {
                out.write_all(CLEAR.as_bytes())?;
            }
            write_status(&status, before.as_ref(), out)?;
            before = Some(status);
        }
        out.flush()?;
        let Some(seconds) = watch else { return Ok(()) };
        #[allow(clippy::disallowed_methods, reason = "a program of its own, not a shard")]
        std::thread::sleep(Duration::from_secs(seconds));
    }
}

fn write_status(
    status: &Status,
    before: Option<&Status>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let about = &status.about;
    writeln!(
        out,
        "Ringpost {} on {}: up {}, {} shards on {}, process {}{}",
        words::clean(&about.version),
        words::clean(&about.hostname),
        words::span(about.uptime_ms),
        status.shards.len(),
        words::clean(&about.io),
        about.pid,
        if about.draining { ", stopping" } else { "" },
    )?;
    writeln!(out, "Health: {}", words::clean(&status.health))?;
    write_queues(status, out)?;
    warn(&status.warnings);
    write_now(&status.total.gauges, status, out)?;
    write_counters(status, before, out)?;
    write_latencies(&status.total.latencies, out)
}

fn write_queues(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let queues = || status.shards.iter().flat_map(|shard| &shard.queues);
    let sum = |pick: fn(&mail::queue::Snapshot) -> u64| queues().map(pick).sum::<u64>();
    let late_ms = queues().map(|queue| queue.late_ms).max().unwrap_or(0);
    write!(
        out,
        "Queue:  {}, {} active, {} held, {} due",
        words::messages(sum(|queue| queue.messages)),
        words::grouped(sum(|queue| queue.active)),
        words::grouped(sum(|queue| queue.held)),
        words::grouped(sum(|queue| queue.ready)),
    )?;
    if late_ms >= 1000 {
        write!(out, ", the oldest for {}", words::span(late_ms))?;
    }
    Ok(writeln!(out)?)
}

fn write_now(
    gauges: &BTreeMap<String, u64>,
    status: &Status,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if gauges.is_empty() {
        return Ok(());
    }
    write_numbers("NOW", gauges, None, status, |numbers| &numbers.gauges, out)
}

/// Counters since start; when watching also how many a second since the last look.
fn write_counters(
    status: &Status,
    before: Option<&Status>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let counters = &status.total.counters;
    let rates = before.map(|before| rates(before, status));
    write_numbers("SINCE START", counters, rates.as_ref(), status, |numbers| &numbers.counters, out)
}

fn write_numbers(
    title: &str,
    totals: &BTreeMap<String, u64>,
    rates: Option<&BTreeMap<String, u64>>,
    status: &Status,
    pick: fn(&Numbers) -> &BTreeMap<String, u64>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let has_columns = (2..=COLUMNS_MAX).contains(&status.shards.len());
    let columns = if has_columns { status.shards.as_slice() } else { &[] };
    let names: Vec<_> = columns.iter().map(|shard| format!("SHARD {}", shard.shard)).collect();
    let mut titles = vec![title, "TOTAL"];
    titles.extend(rates.map(|_| "A SECOND"));
    titles.extend(names.iter().map(String::as_str));
    let numbers: Vec<_> = (1..titles.len()).collect();
    let mut table = words::table(&titles, &numbers);
    for (name, total) in totals {
        let mut cells = vec![words::clean(name), words::grouped(*total)];
        cells.extend(rates.map(|rates| words::grouped(rates.get(name).copied().unwrap_or(0))));
        cells.extend(
            columns
                .iter()
                .map(|shard| words::grouped(pick(&shard.numbers).get(name).copied().unwrap_or(0))),
        );
        table.add_row(cells);
    }
    Ok(writeln!(out, "\n{}", table.trim_fmt())?)
}

fn rates(before: &Status, now: &Status) -> BTreeMap<String, u64> {
    let passed_ms = now.about.uptime_ms.saturating_sub(before.about.uptime_ms).max(1);
    let counters = now.total.counters.iter();
    counters
        .map(|(name, value)| {
            let earlier = before.total.counters.get(name).copied().unwrap_or(0);
            let grown = value.saturating_sub(earlier);
            (name.clone(), grown.saturating_mul(1000) / passed_ms)
        })
        .collect()
}

fn write_latencies(
    latencies: &BTreeMap<String, Summary>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if latencies.is_empty() {
        return Ok(());
    }
    let titles = ["DISTRIBUTION", "COUNT", "MEAN", "HALF", "90 %", "99 %", "MOST"];
    let mut table = words::table(&titles, &[1, 2, 3, 4, 5, 6]);
    for (name, summary) in latencies {
        let (name, show): (_, fn(u64) -> String) = match name.strip_suffix(MICROSECONDS) {
            Some(name) => (name, words::latency),
            None => (name.as_str(), words::grouped),
        };
        let mut cells = vec![words::clean(name), words::grouped(summary.count)];
        let values = [summary.mean, summary.p50, summary.p90, summary.p99, summary.max];
        cells.extend(values.map(show));
        table.add_row(cells);
    }
    Ok(writeln!(out, "\n{}", table.trim_fmt())?)
}
