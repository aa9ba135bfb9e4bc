//! Figures that the page, the tables and the markdown all show, computed in one place so that they agree.
//!
//! Also how a comparison is ordered: cases in groups, and of several rounds the median one.
//!
//! A case is named `5 KiB, 100 sessions` and may go on: `5 KiB, 100 sessions, one message a session`.
//! The first two parts name the row; what follows names the group that has a table of its own.

use std::fmt;

use crate::result::{Comparison, Document, Row, Run, Spread};
use crate::words::Unit;

/// Parts of a case's name that belong to its row.
const CASE_PARTS: usize = 2;

/// Distinct warnings that are shown at most; each run tells its own as well.
const WARNINGS_MAX: usize = 20;

/// From here on the generator's busiest thread says more about the generator than the server.
pub const GENERATOR_FULL: f64 = 0.9;

/// Messages relayed a second: those that arrived, from the first connection to the last arrival.
#[must_use]
pub fn relayed_per_s(run: &Run) -> Option<f64> {
    let sink = run.sink.as_ref()?;
    (run.elapsed_s > 0.0).then(|| sink.messages as f64 / run.elapsed_s)
}

/// Messages accepted a second.
#[must_use]
pub fn accepted_per_s(run: &Run) -> Option<f64> {
    run.source.as_ref().map(|source| source.accepted_per_s)
}

/// `value` out of `whole` as a share in percent; nothing of nothing is not a share.
#[must_use]
pub fn percent(value: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| value as f64 * 100.0 / whole as f64)
}

/// Distinct warnings of all runs in order of appearance, each with the number of runs that have it.
///
/// Of every round, not only of the one that is drawn: a warning must not vanish with its round.
/// Those that differ by their figures alone are one, with the smallest and largest: "4–112 connections".
#[must_use]
pub fn distinct_warnings(document: &Document) -> Vec<(String, u64)> {
    let mut distinct: Vec<(Vec<Piece<'_>>, u64)> = Vec::new();
    for warning in document.runs.iter().flat_map(|run| &run.warnings) {
        let pieces = pieces(warning);
        match distinct.iter().position(|(known, _)| is_alike(known, &pieces)) {
            Some(index) => {
                let (known, runs) = &mut distinct[index];
                known.iter_mut().zip(&pieces).for_each(|(known, piece)| known.widen(piece));
                *runs += 1;
            }
            None if distinct.len() < WARNINGS_MAX => distinct.push((pieces, 1)),
            None => {}
        }
    }
    let text = |pieces: &[Piece<'_>]| pieces.iter().map(Piece::to_string).collect();
    distinct.iter().map(|(pieces, runs)| (text(pieces), *runs)).collect()
}

/// A part of a warning.
enum Piece<'a> {
    Words(&'a str),
    /// The smallest and the largest that were said.
    Figure(u64, u64),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let is_digit = |c: &char| c.is_ascii_digit();
    let mut rest = text;
    let mut pieces = Vec::new();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_digit(&c) != is_digit(&first)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        let figure = piece.parse().map(|figure| Piece::Figure(figure, figure));
        pieces.push(figure.unwrap_or(Piece::Words(piece)));
        rest = after;
    }
    pieces
}

fn is_alike(one: &[Piece<'_>], other: &[Piece<'_>]) -> bool {
    let are_alike = |pair: (&Piece<'_>, &Piece<'_>)| match pair {
        (Piece::Words(one), Piece::Words(other)) => one == other,
        (Piece::Figure(..), Piece::Figure(..)) => true,
        _ => false,
    };
    one.len() == other.len() && one.iter().zip(other).all(are_alike)
}

impl Piece<'_> {
    fn widen(&mut self, other: &Self) {
        if let (Self::Figure(least, most), Self::Figure(low, high)) = (self, other) {
            (*least, *most) = ((*least).min(*low), (*most).max(*high));
        }
    }
}

impl fmt::Display for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Figure(least, most) if least == most => write!(f, "{least}"),
            Self::Figure(least, most) => write!(f, "{least}–{most}"),
        }
    }
}

/// A column of figures in a comparison: how it is called, read and written, and which way is better.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Its heading.
    pub title: &'static str,
    /// The same where room is short: a terminal's column.
    pub short: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// The figure of a row.
    pub of: fn(&Row) -> Option<Spread>,
    /// Whether more is better.
    pub more_is_better: bool,
}

/// All measures of a comparison in the order of reading.
pub const MEASURES: [Measure; 7] = [
    measure("Relayed", "RELAYED", Unit::Rate, |row| row.relayed_per_s),
    measure("Accepted", "ACCEPTED", Unit::Rate, |row| row.accepted_per_s),
    measure("CPU a message", "CPU", Unit::CpuMicros, |row| row.cpu_us_per_message),
    measure("System calls a message", "SYSCALLS", Unit::Number, |row| row.syscalls_per_message),
    measure("Peak memory", "MEMORY", Unit::Memory, |row| row.memory_peak_kib),
    measure("Accept latency, median", "50 %", Unit::Latency, |row| row.accept_p50_us),
    measure("Accept latency, 99 %", "99 %", Unit::Latency, |row| row.accept_p99_us),
];

/// The same of a comparison of mailboxes.
pub const MAILBOX_MEASURES: [Measure; 7] = [
    measure("Operations", "OPERATIONS", Unit::Rate, |row| row.operations_per_s),
    measure("Octets", "OCTETS", Unit::Flow, |row| row.octets_per_s),
    measure("CPU an operation", "CPU", Unit::CpuMicros, |row| row.cpu_us_per_message),
    measure("Memory a session", "A SESSION", Unit::Memory, |row| row.memory_per_session_kib),
    measure("Peak memory", "MEMORY", Unit::Memory, |row| row.memory_peak_kib),
    measure("Latency, median", "50 %", Unit::Latency, |row| row.accept_p50_us),
    measure("Latency, 99 %", "99 %", Unit::Latency, |row| row.accept_p99_us),
];

const fn measure(
    title: &'static str,
    short: &'static str,
    unit: Unit,
    of: fn(&Row) -> Option<Spread>,
) -> Measure {
    Measure { title, short, unit, of, more_is_better: matches!(unit, Unit::Rate | Unit::Flow) }
}

/// Cases that share a table.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// What the cases have in common, such as `one message a session`; empty when they say no more.
    pub title: &'a str,
    /// Its cases in order.
    pub cases: Vec<Case<'a>>,
    /// What there is to say of them.
    pub measures: &'static [Measure],
}

impl Group<'_> {
    /// Whether its cases are operations on mailboxes, which have nothing in common but their servers.
    #[must_use]
    pub fn is_of_mailboxes(&self) -> bool {
        self.cases.iter().flat_map(|case| &case.rows).any(|row| row.is_of_mailboxes())
    }
}

/// One case with the rows of all servers.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// Its whole name.
    pub name: &'a str,
    /// What the row is called within its group: `5 KiB, 100 sessions`.
    pub title: &'a str,
    /// One row a server, in the servers' order.
    pub rows: Vec<&'a Row>,
}

/// Splits a case's name into its row's and its group's title.
fn titles(name: &str) -> (&str, &str) {
    match name.match_indices(", ").nth(CASE_PARTS - 1) {
        Some((at, separator)) => (&name[..at], &name[at + separator.len()..]),
        None => (name, ""),
    }
}

/// The groups of a comparison, groups and cases in the order in which they first appear.
#[must_use]
pub fn groups(comparison: &Comparison) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    for row in &comparison.rows {
        let (title, group_title) = titles(&row.case);
        let group = match groups.iter().position(|group| group.title == group_title) {
            Some(index) => &mut groups[index],
            None => groups.push_mut(Group {
                title: group_title,
                cases: Vec::new(),
                measures: if row.is_of_mailboxes() { &MAILBOX_MEASURES } else { &MEASURES },
            }),
        };
        match group.cases.iter_mut().find(|case| case.name == row.case) {
            Some(case) => case.rows.push(row),
            None => group.cases.push(Case { name: &row.case, title, rows: vec![row] }),
        }
    }
    groups
}

/// Of the rounds of `case` against `server` the one with the median rate; of an even number the slower.
#[must_use]
pub fn median_run<'a>(document: &'a Document, case: &str, server: &str) -> Option<&'a Run> {
    let is_wanted = |run: &&Run| {
        let run_server = run.server.as_ref().map(|server| server.name.as_str());
        run.case.as_deref() == Some(case) && run_server == Some(server)
    };
    let operations = |run: &Run| run.mailboxes.as_ref().map(|found| found.operations_per_s);
    let rate =
        |run: &Run| relayed_per_s(run).or(accepted_per_s(run)).or(operations(run)).unwrap_or(0.0);
    let mut rounds: Vec<_> = document.runs.iter().filter(is_wanted).collect();
    rounds.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    rounds.get(rounds.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Server, Sink};

    #[test]
    fn relayed_counts_from_the_first_connection() {
        let sink = Some(Sink { messages: 300, messages_per_s: 999.0, ..Sink::default() });
        let run = Run { sink, elapsed_s: 3.0, ..Run::default() };
        assert_eq!(relayed_per_s(&run), Some(100.0));
        assert_eq!(relayed_per_s(&Run { elapsed_s: 0.0, ..run }), None, "no time, no rate");
        assert_eq!(percent(1, 0), None);
    }

    #[test]
    fn cases_are_grouped_by_what_follows_size_and_sessions() {
        let names = ["5 KiB, 20 sessions", "5 KiB, 20 sessions, one, 2 shards", "soak"];
        let rows = names.iter().flat_map(|case| {
            ["a", "b"].map(|server| Row {
                case: (*case).into(),
                server: server.into(),
                ..Row::default()
            })
        });
        let comparison = Comparison { rows: rows.collect(), ..Comparison::default() };
        let groups = groups(&comparison);
        assert_eq!(
            groups.iter().map(|group| group.title).collect::<Vec<_>>(),
            ["", "one, 2 shards"]
        );
        assert_eq!(
            groups[0].cases.iter().map(|case| case.title).collect::<Vec<_>>(),
            [names[0], "soak"]
        );
        assert!(groups.iter().flat_map(|group| &group.cases).all(|case| case.rows.len() == 2));
    }

    fn document(runs: Vec<Run>) -> Document {
        let text = r#"{"schema":1,"program":"","command":"","started":"","machine":{"cpus":1,
            "cpu_model":"","memory_mib":1,"kernel":"","disk":null,"fdatasync_us":null},"scenario":"",
            "description":"","seed":1,"runs":[],"comparison":null}"#;
        Document { runs, ..serde_json::from_str(text).expect("a document") }
    }

    #[test]
    fn a_warning_is_told_once_with_its_runs() {
        let run = |warning: &str| Run { warnings: vec![warning.into()], ..Run::default() };
        let document = document(vec![run("a"), run("b"), run("a")]);
        assert_eq!(distinct_warnings(&document), [("a".into(), 2), ("b".into(), 1)]);
    }

    #[test]
    fn warnings_that_differ_by_their_figures_are_one() {
        let run = |warning: &str| Run { warnings: vec![warning.into()], ..Run::default() };
        let told = ["20 of 5 broke", "4 of 5 broke", "1 of 5 bent", "112 of 5 broke"];
        let document = document(told.map(run).into());
        let expected = [("4–112 of 5 broke".into(), 3), ("1 of 5 bent".into(), 1)];
        assert_eq!(distinct_warnings(&document), expected);
    }

    #[test]
    fn the_median_round_is_the_middle_one_by_rate() {
        let run = |round, messages| Run {
            server: Some(Server { name: "a".into(), ..Server::default() }),
            case: Some("c".into()),
            round: Some(round),
            elapsed_s: 1.0,
            sink: Some(Sink { messages, ..Sink::default() }),
            ..Run::default()
        };
        let mut document = document(Vec::new());
        assert!(median_run(&document, "c", "a").is_none());
        document.runs = vec![run(1, 500), run(2, 100), run(3, 300)];
        assert_eq!(median_run(&document, "c", "a").and_then(|run| run.round), Some(3));
        assert!(median_run(&document, "c", "b").is_none());
        document.runs.pop();
        assert_eq!(
            median_run(&document, "c", "a").and_then(|run| run.round),
            Some(2),
            "the slower"
        );
    }
}
