//! The result as tables for a terminal, in the style of the server's own: no borders, bold headings.
//!
//! The verdict and the warnings stand first: whoever reads only the top knows what matters. Strangers'
//! texts are cleaned of control characters, which could drive the terminal. Cut to the
//! terminal's width for a person, never for a pipe.

use std::fmt::Write;

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};

use crate::figures::{self, GENERATOR_FULL, Group, Measure};
use crate::report;
use crate::result::{Comparison, Cost, Document, Latency, Ledger, Mailboxes, Row, Run};
use crate::verdict::verdict;
use crate::words::{self, Unit};

/// The tables of `document`.
#[must_use]
pub fn table(document: &Document) -> String {
    let mut out = String::new();
    let verdict = verdict(document);
    let _ = writeln!(out, "{}: {}", words::clean(&document.scenario), verdict.headline);
    for detail in &verdict.details {
        let _ = writeln!(out, "  {}", words::clean(detail));
    }
    match &document.comparison {
        Some(found) => comparison(document, found, &mut out),
        None => document.runs.iter().for_each(|found| run(found, &mut out)),
    }
    out
}

/// A table with `titles` as its header; columns from `numbers_from` on are aligned right.
fn titled(titles: &[&str], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let is_for_person = table.is_tty();
    table.set_content_arrangement(if is_for_person {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    let bold = |title: &&str| Cell::new(title).add_attribute(Attribute::Bold);
    table.set_header(titles.iter().map(bold).collect::<Vec<_>>());
    for index in numbers_from..titles.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn write_table(table: &Table, out: &mut String) {
    let _ = writeln!(out, "\n{}", table.trim_fmt());
}

fn run(run: &Run, out: &mut String) {
    warnings(run, out);
    match &run.mailboxes {
        Some(found) => operations(found, run.elapsed_s, out),
        None => rates(run, out),
    }
    match (&run.ledger, &run.mailboxes) {
        (Some(found), None) => ledger(found, out),
        (Some(found), Some(_)) => messages(found, out),
        (None, _) => {}
    }
    latencies(run, out);
    costs(run, out);
    refusals(run, out);
    bounds(run, out);
}

fn warnings(run: &Run, out: &mut String) {
    for warning in &run.warnings {
        let _ = writeln!(out, "Warning: {}", words::clean(warning));
    }
}

fn rates(run: &Run, out: &mut String) {
    let mut table = titled(&["RATES", "MESSAGES", "A SECOND", "SIZE", "CONNECTIONS"], 1);
    let absent = || words::NOT_MEASURED.to_owned();
    match &run.source {
        Some(source) => table.add_row([
            "accepted".to_owned(),
            words::count(source.messages_accepted),
            Unit::Rate.text(source.accepted_per_s),
            words::octets(source.octets_accepted),
            words::count(source.connections),
        ]),
        None => table.add_row(["accepted".to_owned(), absent()]),
    };
    match &run.sink {
        Some(sink) => table.add_row([
            "relayed".to_owned(),
            words::count(sink.messages),
            Unit::Rate.text_or_absent(figures::relayed_per_s(run)),
            words::octets(sink.octets),
            words::count(sink.connections),
        ]),
        None => table.add_row(["relayed".to_owned(), absent()]),
    };
    write_table(&table, out);
    let _ = writeln!(out, " in {}", words::duration(run.elapsed_s));
}

fn operations(found: &Mailboxes, elapsed_s: f64, out: &mut String) {
    let titles = [
        "OPERATION",
        "DONE",
        "A SECOND",
        "OCTETS",
        "A SECOND",
        "SESSIONS",
        "UNFINISHED",
        "MEMORY A SESSION",
    ];
    let mut table = titled(&titles, 1);
    table.add_row([
        words::clean(&found.operation),
        words::count(found.operations),
        Unit::Rate.text(found.operations_per_s),
        words::octets(found.octets),
        found.octets_per_s.map_or_else(|| "–".into(), |octets| Unit::Flow.text(octets)),
        words::count(found.sessions),
        words::count(found.unfinished),
        Unit::Memory.text_or_absent(found.memory_per_session_kib),
    ]);
    write_table(&table, out);
    let _ = writeln!(out, " in {}", words::duration(elapsed_s));
    for (failure, count) in &found.failures {
        let _ = writeln!(out, " {}: {}", words::count(*count), words::clean(failure));
    }
}

/// What became of messages that were asked for, or that the server said to hold.
fn messages(ledger: &Ledger, out: &mut String) {
    let mut table = titled(&["MESSAGES", ""], 1);
    let rows = [
        ("expected", ledger.accepted),
        ("found", ledger.delivered),
        ("lost", ledger.lost),
        ("of another size", ledger.changed),
        ("found twice", ledger.duplicated),
        ("found without an OK", ledger.unacknowledged),
    ];
    for (name, value) in rows {
        table.add_row([name.to_owned(), words::count(value)]);
    }
    write_table(&table, out);
}

fn ledger(ledger: &Ledger, out: &mut String) {
    let mut table = titled(&["RECIPIENTS", ""], 1);
    let rows = [
        ("accepted", ledger.accepted),
        ("delivered", ledger.delivered),
        ("bounced", ledger.bounced),
        ("lost", ledger.lost),
        ("duplicated", ledger.duplicated),
        ("changed", ledger.changed),
        ("arrived without a 250", ledger.unacknowledged),
        ("arrived though refused", ledger.refused_yet_delivered),
    ];
    for (name, value) in rows {
        table.add_row([name.to_owned(), words::count(value)]);
    }
    write_table(&table, out);
    if !ledger.lost_samples.is_empty() {
        let _ =
            writeln!(out, " some of the lost: {}", words::clean(&ledger.lost_samples.join(", ")));
    }
}

fn latencies(run: &Run, out: &mut String) {
    let titles = ["LATENCY", "MEAN", "50 %", "90 %", "99 %", "99.9 %", "LARGEST"];
    let mut table = titled(&titles, 1);
    let row = |name: &str, found: &Latency| {
        let us = |us: u64| Unit::Latency.text(us as f64);
        [
            name.to_owned(),
            Unit::Latency.text(found.mean_us),
            us(found.p50_us),
            us(found.p90_us),
            us(found.p99_us),
            us(found.p999_us),
            us(found.max_us),
        ]
    };
    let named = [("accepted", &run.accept_latency), ("relayed", &run.relay_latency)];
    let operation = [("operation", &run.accept_latency)];
    let shown = if run.mailboxes.is_some() { &operation[..] } else { &named };
    for (name, latency) in shown.iter().copied() {
        match latency {
            Some(found) => table.add_row(row(name, found)),
            None => table.add_row([name, words::NOT_MEASURED]),
        };
    }
    write_table(&table, out);
    let _ = writeln!(out, " {}", report::due(run.open_loop));
}

fn costs(run: &Run, out: &mut String) {
    let (cpu, syscalls) = match run.mailboxes {
        Some(_) => ("CPU AN OPERATION", "SYSCALLS AN OPERATION"),
        None => ("CPU A MESSAGE", "SYSCALLS A MESSAGE"),
    };
    let titles = ["COST", cpu, syscalls, "PEAK MEMORY", "AT THE END"];
    let mut table = titled(&titles, 1);
    let kib = |kib: Option<u64>| Unit::Memory.text_or_absent(kib.map(|kib| kib as f64));
    let row = |name: &str, cost: &Cost| {
        [
            name.to_owned(),
            Unit::CpuMicros.text_or_absent(cost.cpu_us_per_message),
            Unit::Number.text_or_absent(cost.syscalls_per_message),
            kib(cost.memory_peak_kib),
            kib(cost.memory_final_kib),
        ]
    };
    for (name, cost) in [("server", &run.server_cost), ("generator", &run.generator_cost)] {
        match cost {
            Some(found) => table.add_row(row(name, found)),
            None => table.add_row([name, words::NOT_MEASURED]),
        };
    }
    write_table(&table, out);
    if let Some(busiest) = run.generator_busiest {
        let share = busiest * 100.0;
        let _ = writeln!(out, " busiest thread of the generator: {share:.0} % of one core");
    }
}

fn refusals(run: &Run, out: &mut String) {
    let mut table = titled(&["REFUSED BY", "CODE", "STAGE", "COUNT", "FIRST TEXT"], usize::MAX);
    let by_server = run.source.iter().flat_map(|source| &source.refusals);
    let by_sink = run.sink.iter().flat_map(|sink| &sink.refusals);
    let named =
        by_server.map(|found| ("server", found)).chain(by_sink.map(|found| ("sink", found)));
    for (who, refusal) in named {
        table.add_row([
            who.to_owned(),
            refusal.code.to_string(),
            words::clean(&refusal.stage),
            words::count(refusal.count),
            words::clean(&refusal.text),
        ]);
    }
    if !table.is_empty() {
        write_table(&table, out);
    }
    let failures = run.source.as_ref().map(report::failures_by_count).unwrap_or_default();
    for (how, count) in failures {
        let times = words::counted(count, "connection", "connections");
        let _ = writeln!(out, " {times} failed: {}", words::clean(how));
    }
}

fn bounds(run: &Run, out: &mut String) {
    if run.bounds.is_empty() {
        return;
    }
    let mut table = titled(&["BOUND", "WANTED", "SEEN", ""], usize::MAX);
    for bound in &run.bounds {
        let kept = if bound.kept { "kept" } else { "missed" };
        let (wanted, seen) = (words::clean(&bound.wanted), words::clean(&bound.seen));
        table.add_row([words::clean(&bound.name), wanted, seen, kept.into()]);
    }
    write_table(&table, out);
}

/// Measures whose ratio to the first server is shown: all would make the table too wide.
const WITH_RATIO: [&str; 4] = ["RELAYED", "CPU", "OPERATIONS", "A SESSION"];

fn comparison(document: &Document, comparison: &Comparison, out: &mut String) {
    warnings_once(document, comparison, out);
    for group in figures::groups(comparison) {
        if !group.title.is_empty() {
            let _ = writeln!(out, "\n{}:", words::clean(group.title));
        }
        group_table(&group, out);
    }
    if let Some(first) = comparison.servers.first() {
        let rounds = words::counted(u64::from(comparison.rounds), "round", "rounds");
        let first = words::clean(&first.name);
        let what = match comparison.rows.iter().any(Row::is_of_mailboxes) {
            true => "CPU and latency of an operation",
            false => "CPU and system calls a message; accept latency",
        };
        let _ = writeln!(out, " medians of {rounds}; {what}; × is the ratio to {first}");
    }
}

/// Hundreds of runs may have the same to say; of a full generator the rows tell.
fn warnings_once(document: &Document, comparison: &Comparison, out: &mut String) {
    for (warning, runs) in figures::distinct_warnings(document) {
        let runs = words::counted(runs, "run", "runs");
        let _ = writeln!(out, "Warning: {} ({runs})", words::clean(&warning));
    }
    for row in &comparison.rows {
        let busiest = row.generator_busiest.map_or(0.0, |spread| spread.median);
        if busiest >= GENERATOR_FULL {
            let (server, case) = (words::clean(&row.server), words::clean(&row.case));
            let _ = writeln!(out, "Warning: the generator was nearly full: {server} at {case}");
        }
    }
}

fn group_table(group: &Group<'_>, out: &mut String) {
    let mut titles = vec!["CASE", "SERVER"];
    titles.extend(group.measures.iter().map(|measure| measure.short));
    titles.push("LOST");
    let mut table = titled(&titles, 2);
    for case in &group.cases {
        for row in &case.rows {
            let mut cells = vec![words::clean(case.title), words::clean(&row.server)];
            cells.extend(group.measures.iter().map(|measure| cell(measure, row)));
            cells.push(words::count(row.lost));
            table.add_row(cells);
        }
    }
    write_table(&table, out);
}

/// A dash where nothing was measured: the words would make every column wide.
fn cell(measure: &Measure, row: &Row) -> String {
    let Some(spread) = (measure.of)(row) else { return "–".into() };
    let text = measure.unit.text(spread.median);
    match spread.ratio.filter(|_| WITH_RATIO.contains(&measure.short)) {
        Some(ratio) => format!("{text} {}", words::ratio(ratio)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{MAILBOX_MEASURES, MEASURES};
    use crate::result::{Bound, Refusal, Source};

    fn text(run_shown: &Run) -> String {
        let mut out = String::new();
        run(run_shown, &mut out);
        out
    }

    #[test]
    fn every_measure_with_a_ratio_exists() {
        let exists = |short: &&str| {
            MEASURES.iter().chain(&MAILBOX_MEASURES).any(|measure| measure.short == *short)
        };
        assert!(WITH_RATIO.iter().all(exists));
    }

    #[test]
    fn a_run_without_anything_claims_nothing() {
        let text = text(&Run::default());
        assert!(text.matches(words::NOT_MEASURED).count() >= 6, "{text}");
        assert!(!text.contains("RECIPIENTS") && !text.contains("BOUND"));
    }

    #[test]
    fn replies_cannot_drive_the_terminal() {
        let reply = "\u{1b}]0;owned\u{7}".to_owned();
        let refusals = vec![Refusal { code: 550, count: 1, text: reply, ..Refusal::default() }];
        let bounds = vec![Bound { name: "p99".into(), ..Bound::default() }];
        let run = Run {
            source: Some(Source { refusals, ..Source::default() }),
            warnings: vec!["\u{9b}31m".into()],
            bounds,
            ..Run::default()
        };
        let text = text(&run);
        assert!(!text.contains(['\u{7}', '\u{9b}']) && !text.contains("\u{1b}]"), "{text:?}");
        assert!(text.contains("·]0;owned·") && text.contains("missed"));
    }
}
