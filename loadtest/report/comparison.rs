//! The comparison on the page: bars a measure, tables with every figure, and the runs folded below.
//!
//! Of each case and server only the median round is drawn: the others differ little and
//! would treble the page. The tables are over all rounds.

use maud::{Markup, html};

use super::{plots, run};
use crate::figures::{self, Case, GENERATOR_FULL, Group, Measure};
use crate::report::bars;
use crate::result::{Comparison, Document, Row, Spread};
use crate::words;

/// Measures that have bars; the median latency and the accepted rate are in the tables.
const WITH_BARS: [&str; 7] = [
    "Relayed",
    "CPU a message",
    "Accept latency, 99 %",
    "Operations",
    "CPU an operation",
    "Memory a session",
    "Peak memory",
];

/// All sections of a comparison.
#[must_use]
pub fn comparison(document: &Document, comparison: &Comparison) -> Markup {
    let groups = figures::groups(comparison);
    let first = comparison.servers.first().map_or("", |server| server.name.as_str());
    html! {
        section {
            h2 { "Comparison" }
            p.muted { (sentence(comparison, first)) }
            (warnings(document, comparison))
            @if groups.is_empty() { p.absent { "No case was measured." } }
            @for group in &groups { (bars_of(group, first)) }
        }
        @if !groups.is_empty() {
            section {
                h2 { "All figures" }
                p.muted { "Medians with the ratio to " (first) " (×); below them the smallest and the largest." }
                @for group in &groups { (table(group)) }
            }
            @if !document.runs.is_empty() {
                section {
                    h2 { "Runs" }
                    p.muted { "By case and server; of several rounds the one with the median rate." }
                    @for case in groups.iter().flat_map(|group| &group.cases) {
                        (runs_of(document, case))
                    }
                }
            }
        }
    }
}

fn sentence(comparison: &Comparison, first: &str) -> String {
    let rounds = match comparison.rounds {
        0 | 1 => "One round.".into(),
        rounds => format!(
            "{rounds} rounds, servers interleaved. Bars are medians, whiskers smallest to largest."
        ),
    };
    if first.is_empty() { rounds } else { format!("{rounds} Ratios (×) are to {first}.") }
}

/// Rows whose rate the generator may have limited, and what any round of any run warned of.
fn warnings(document: &Document, comparison: &Comparison) -> Markup {
    let told = figures::distinct_warnings(document);
    let is_full = |row: &&Row| row.generator_busiest.is_some_and(|s| s.median >= GENERATOR_FULL);
    let full: Vec<String> = comparison
        .rows
        .iter()
        .filter(is_full)
        .map(|row| format!("{} at {}", words::clean(&row.server), words::clean(&row.case)))
        .collect();
    html! {
        @if !full.is_empty() || !told.is_empty() {
            div.warnings role="note" {
                @if !full.is_empty() {
                    p {
                        b { "Warning: " }
                        "the generator was nearly full, so that the server may be faster than shown, in: "
                        (full.join("; ")) "."
                    }
                }
                @for (warning, runs) in told {
                    p { b { "Warning: " } (words::clean(&warning)) " "
                        span.muted { "(" (words::counted(runs, "run", "runs")) ")" } }
                }
            }
        }
    }
}

fn heading(group: &Group<'_>) -> Markup {
    html! { @if !group.title.is_empty() { h3 { (words::clean(group.title)) } } }
}

fn bars_of(group: &Group<'_>, first: &str) -> Markup {
    let shown = || group.measures.iter().filter(|measure| WITH_BARS.contains(&measure.title));
    // Operations differ too much to share an axis.
    let together = if group.is_of_mailboxes() { 1 } else { group.cases.len().max(1) };
    html! {
        (heading(group))
        @for cases in group.cases.chunks(together) {
            div.plots { @for measure in shown() { (bars::bars(measure, cases, first)) } }
        }
    }
}

fn table(group: &Group<'_>) -> Markup {
    html! {
        (heading(group))
        div.scroll.wide role="region" aria-label="All figures" tabindex="0" {
            table.compared {
                thead { tr {
                    th scope="col" { "Server" }
                    th.number scope="col" { "Lost" }
                    @for measure in group.measures { th.number scope="col" { (measure.title) } }
                    th.number scope="col" { "Duplicated" }
                    th.number scope="col" { "Generator" }
                } }
                @for case in &group.cases {
                    tbody {
                        tr { th.case colspan=(group.measures.len() + 4) scope="rowgroup" {
                            span { (words::clean(case.title)) }
                        } }
                        @for row in &case.rows { (table_row(row, group.measures)) }
                    }
                }
            }
        }
    }
}

fn table_row(row: &Row, measures: &[Measure]) -> Markup {
    let busiest = row.generator_busiest.map(|spread| format!("{:.0} %", spread.median * 100.0));
    html! {
        tr.bad[row.lost > 0] {
            th scope="row" { (words::clean(&row.server)) }
            td.number { (words::count(row.lost)) }
            @for measure in measures { td.number { (cell(measure, (measure.of)(row))) } }
            td.number { (words::count(row.duplicated)) }
            td.number { (busiest.as_deref().unwrap_or(words::NOT_MEASURED)) }
        }
    }
}

fn cell(measure: &Measure, spread: Option<Spread>) -> Markup {
    let Some(spread) = spread else {
        return html! { span.muted { (words::NOT_MEASURED) } };
    };
    html! {
        (measure.unit.text(spread.median))
        @if let Some(ratio) = spread.ratio { " " span.ratio { (words::ratio(ratio)) } }
        @if measure.unit.text(spread.min) != measure.unit.text(spread.max) {
            span.range { (measure.unit.range(spread.min, spread.max)) }
        }
    }
}

/// One case: the servers' latency curves in one plot, then each server's run.
fn runs_of(document: &Document, case: &Case<'_>) -> Markup {
    let runs: Vec<_> = case
        .rows
        .iter()
        .filter_map(|row| {
            let run = figures::median_run(document, case.name, &row.server)?;
            Some((row.server.as_str(), run))
        })
        .collect();
    let accept: Vec<_> =
        runs.iter().map(|(name, run)| (*name, run.accept_latency.as_ref())).collect();
    let relay: Vec<_> =
        runs.iter().map(|(name, run)| (*name, run.relay_latency.as_ref())).collect();
    html! {
        @if !runs.is_empty() {
            details {
                summary { (words::clean(case.name)) }
                div.plots {
                    (plots::latency("Accept latency", &accept))
                    (plots::latency("Relay latency", &relay))
                }
                @for (name, run) in &runs {
                    details {
                        summary { (words::clean(name)) (round(run.round)) }
                        (run::folded(run))
                    }
                }
            }
        }
    }
}

fn round(round: Option<u32>) -> Markup {
    html! { @if let Some(round) = round { span.muted { ", round " (round) } } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{MAILBOX_MEASURES, MEASURES};
    use crate::result::Run;

    fn document(runs: Vec<Run>) -> Document {
        Document { runs, ..Document::default() }
    }

    #[test]
    fn warnings_of_rounds_that_are_not_drawn_are_told() {
        let run = Run { warnings: vec!["<b> closed".into()], round: Some(1), ..Run::default() };
        let text = warnings(&document(vec![run]), &Comparison::default()).into_string();
        assert!(text.contains("&lt;b&gt; closed") && text.contains("(1 run)"), "{text}");
    }

    #[test]
    fn every_measure_with_bars_exists() {
        let exists = |title: &&str| {
            MEASURES.iter().chain(&MAILBOX_MEASURES).any(|measure| measure.title == *title)
        };
        assert!(WITH_BARS.iter().all(exists));
    }

    #[test]
    fn a_full_generator_is_told_with_its_case() {
        let busy = |median| Some(Spread { median, ..Spread::default() });
        let row = |server: &str, median| Row {
            server: server.into(),
            case: "5 KiB, 100 sessions".into(),
            generator_busiest: busy(median),
            ..Row::default()
        };
        let rows = vec![row("Ringpost", 0.98), row("Exim", 0.1)];
        let comparison = Comparison { rows, ..Comparison::default() };
        let text = warnings(&document(Vec::new()), &comparison).into_string();
        assert!(text.contains("Ringpost at 5 KiB, 100 sessions."), "{text}");
        assert!(!text.contains("Exim"));
    }
}
