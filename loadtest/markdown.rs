//! A comparison as markdown, for `docs/performance.md`: what was measured where, then a table a group of cases.
//!
//! Texts of the document cannot break out of a cell: bars are escaped, line ends become spaces, and
//! what would be HTML or markup is written as itself.

use std::fmt::Write;

use crate::figures::{self, Group};
use crate::report;
use crate::result::{Document, Row, Spread};
use crate::words::{self, Unit};

const HEADER: &str = "\
| case | server | accepted/s | relayed/s | ratio | CPU-µs/msg (min–max) | ratio | syscalls/msg | peak MiB \
| p50 accept | p99 accept | lost |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

const MAILBOX_HEADER: &str = "\
| case | server | operations/s | ratio | MiB/s | CPU-µs/operation (min–max) | ratio | KiB/session | ratio | peak MiB \
| p50 | p99 | lost |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

/// The comparison of `document`; a sentence when it has none.
#[must_use]
pub fn markdown(document: &Document) -> String {
    let mut out = String::new();
    setting(document, &mut out);
    let Some(comparison) = &document.comparison else {
        out.push_str("There is no comparison in this result.\n");
        return out;
    };
    let first = comparison.servers.first().map_or("the first", |server| server.name.as_str());
    let _ = writeln!(
        out,
        "{}, servers interleaved; figures are medians, ratios are to {}.",
        words::counted(u64::from(comparison.rounds), "round", "rounds"),
        escaped(first)
    );
    for group in figures::groups(comparison) {
        table(&group, &mut out);
    }
    out
}

/// Machine, command and the servers with version, durability and tuning.
fn setting(document: &Document, out: &mut String) {
    let facts: Vec<_> = report::machine(&document.machine)
        .into_iter()
        .map(|(name, value)| format!("{name}: {}", escaped(&value)))
        .collect();
    let _ = writeln!(out, "{}.\n", facts.join("; "));
    let (program, started) = (escaped(&document.program), escaped(&document.started));
    let _ = writeln!(out, "{program}, started {started}, seed {}:\n", document.seed);
    // Four spaces make a code block, in which nothing has to be escaped.
    let _ = writeln!(out, "    {}\n", words::clean(&document.command));
    for server in report::servers(document) {
        let version = server.version.as_deref().unwrap_or("version not known");
        let _ = write!(out, "- **{}** {}: ", escaped(&server.name), escaped(version));
        match server.durability.as_str() {
            "" => out.push_str("durability not stated"),
            durability => out.push_str(&escaped(durability)),
        }
        if let Some(tuning) = &server.tuning {
            let _ = write!(out, "; tuning: {}", escaped(tuning));
        }
        out.push('\n');
    }
    out.push('\n');
}

fn table(group: &Group<'_>, out: &mut String) {
    if !group.title.is_empty() {
        let _ = write!(out, "\n### {}\n", escaped(&capitalised(group.title)));
    }
    let is_of_mailboxes = group.is_of_mailboxes();
    let header = if is_of_mailboxes { MAILBOX_HEADER } else { HEADER };
    let _ = write!(out, "\n{header}");
    for case in &group.cases {
        for row in &case.rows {
            let row_of = if is_of_mailboxes { mailbox_row } else { table_row };
            row_of(case.title, row, out);
        }
    }
}

fn table_row(case: &str, row: &Row, out: &mut String) {
    let number = |spread: Option<Spread>| median(spread, words::number);
    let latency = |spread: Option<Spread>| median(spread, |us| Unit::Latency.text(us));
    let cells = [
        escaped(case),
        escaped(&row.server),
        number(row.accepted_per_s),
        number(row.relayed_per_s),
        ratio(row.relayed_per_s),
        row.cpu_us_per_message.map_or_else(absent, with_range),
        ratio(row.cpu_us_per_message),
        number(row.syscalls_per_message),
        median(row.memory_peak_kib, |kib| words::number(kib / 1024.0)),
        latency(row.accept_p50_us),
        latency(row.accept_p99_us),
        words::count(row.lost),
    ];
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn mailbox_row(case: &str, row: &Row, out: &mut String) {
    let number = |spread: Option<Spread>| median(spread, words::number);
    let latency = |spread: Option<Spread>| median(spread, |us| Unit::Latency.text(us));
    let mib = |octets: f64| words::number(octets / f64::from(1 << 20));
    let cells = [
        escaped(case),
        escaped(&row.server),
        number(row.operations_per_s),
        ratio(row.operations_per_s),
        median(row.octets_per_s, mib),
        row.cpu_us_per_message.map_or_else(absent, with_range),
        ratio(row.cpu_us_per_message),
        number(row.memory_per_session_kib),
        ratio(row.memory_per_session_kib),
        median(row.memory_peak_kib, |kib| words::number(kib / 1024.0)),
        latency(row.accept_p50_us),
        latency(row.accept_p99_us),
        words::count(row.lost),
    ];
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn median(spread: Option<Spread>, text: impl Fn(f64) -> String) -> String {
    spread.map_or_else(absent, |spread| text(spread.median))
}

fn with_range(spread: Spread) -> String {
    let number = words::number;
    if spread.min < spread.max {
        format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max))
    } else {
        number(spread.median)
    }
}

fn ratio(spread: Option<Spread>) -> String {
    spread.and_then(|spread| spread.ratio).map_or_else(absent, words::ratio)
}

/// A dash: the words would make every column wide.
fn absent() -> String {
    "–".into()
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + chars.as_str()
}

/// Control characters become dots, and what markdown or HTML would read gets a backslash.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in words::clean(text).chars() {
        if matches!(c, '\\' | '|' | '<' | '>' | '*' | '_' | '`' | '[' | ']' | '&' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Comparison;

    #[test]
    fn a_row_has_a_cell_a_column() {
        let spread = |median| Some(Spread { median, min: median, max: median, ratio: Some(1.0) });
        let row = Row {
            server: "a|b".into(),
            relayed_per_s: spread(3_400.0),
            cpu_us_per_message: Some(Spread { median: 212.0, min: 200.0, max: 231.0, ratio: None }),
            memory_peak_kib: spread(88.0 * 1024.0),
            accept_p99_us: spread(12_300.0),
            ..Row::default()
        };
        let mut out = String::new();
        table_row("5 KiB, 100 sessions", &row, &mut out);
        let expected = "| 5 KiB, 100 sessions | a\\|b | – | 3,400 | ×1 | 212 (200–231) | – | – \
                        | 88 | – | 12.3 ms | 0 |\n";
        assert_eq!(out, expected);
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(HEADER.lines().all(|line| columns(line) == columns(&out)));
    }

    #[test]
    fn a_row_of_mailboxes_has_a_cell_a_column() {
        let spread = |median| Some(Spread { median, min: median, max: median, ratio: Some(0.5) });
        let row = Row {
            server: "a".into(),
            operations_per_s: spread(940.0),
            octets_per_s: spread(4.0 * 1024.0 * 1024.0),
            memory_per_session_kib: spread(12.0),
            ..Row::default()
        };
        let mut out = String::new();
        mailbox_row("APPEND", &row, &mut out);
        let expected = "| APPEND | a | 940 | ×0.50 | 4 | – | – | 12 | ×0.50 | – | – | – | 0 |\n";
        assert_eq!(out, expected);
        let columns = |line: &str| line.matches('|').count();
        assert!(MAILBOX_HEADER.lines().all(|line| columns(line) == columns(&out)));
    }

    #[test]
    fn groups_have_their_headings() {
        let row = |case: &str| Row { case: case.into(), ..Row::default() };
        let rows =
            vec![row("5 KiB, 20 sessions"), row("5 KiB, 20 sessions, one message a session")];
        let comparison = Comparison { rows, ..Comparison::default() };
        let mut out = String::new();
        figures::groups(&comparison).iter().for_each(|group| table(group, &mut out));
        assert_eq!(out.matches(HEADER).count(), 2);
        assert!(out.contains("### One message a session\n"), "{out}");
    }

    #[test]
    fn markup_is_written_as_itself() {
        assert_eq!(escaped("<b>\n*x*"), r"\<b\>·\*x\*");
    }
}
