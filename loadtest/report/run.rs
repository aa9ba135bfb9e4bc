//! One run on the page: warnings, the headline figures, plots and tables.

use maud::{Markup, html};

use super::{plots, tables};
use crate::figures;
use crate::result::{Latency, Run};
use crate::words::{self, Unit};

/// The run of a document that holds only this one: figures first, all open.
#[must_use]
pub fn whole(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Figures" }
            (warnings(run))
            (headline(run))
        }
        section { h2 { "Plots" } (plots::of_run(run)) }
        section { h2 { "Tables" } (tables::of_run(run)) }
    }
}

/// The same folded in a larger document.
#[must_use]
pub fn folded(run: &Run) -> Markup {
    html! { (warnings(run)) (headline(run)) (plots::of_run(run)) (tables::of_run(run)) }
}

/// What a reader should know before trusting the figures. Words mark it, not only colour.
#[must_use]
pub fn warnings(run: &Run) -> Markup {
    html! {
        @if !run.warnings.is_empty() {
            div.warnings role="note" {
                @for warning in run.warnings.iter().map(|text| words::clean(text)) {
                    p { b { "Warning: " } (warning) }
                }
            }
        }
    }
}

/// The figures that are asked for first.
#[must_use]
pub fn headline(run: &Run) -> Markup {
    let at = |latency: Option<&Latency>, of: fn(&Latency) -> u64| {
        Unit::Latency.text_or_absent(latency.map(|found| of(found) as f64))
    };
    let accept = run.accept_latency.as_ref();
    let relay = run.relay_latency.as_ref();
    let cost = run.server_cost.as_ref();
    let peak = cost.and_then(|cost| cost.memory_peak_kib).map(|kib| kib as f64);
    let cpu = cost.and_then(|cost| cost.cpu_us_per_message);
    let source = run.source.as_ref();
    let messages = source.map(|source| source.messages_accepted);
    let messages = messages.or(run.sink.as_ref().map(|sink| sink.messages));
    let mut facts = vec![
        ("Accepted", Unit::Rate.text_or_absent(figures::accepted_per_s(run))),
        ("Relayed", Unit::Rate.text_or_absent(figures::relayed_per_s(run))),
        ("Accept latency, median", at(accept, |found| found.p50_us)),
        ("Accept latency, 99 %", at(accept, |found| found.p99_us)),
        ("Relay latency, 99 %", at(relay, |found| found.p99_us)),
        ("CPU a message", Unit::CpuMicros.text_or_absent(cpu)),
        ("Peak memory", Unit::Memory.text_or_absent(peak)),
        ("Messages", Unit::Count.text_or_absent(messages.map(|count| count as f64))),
        ("Time", words::duration(run.elapsed_s)),
    ];
    if let Some(found) = &run.mailboxes {
        facts = vec![
            ("Operations", Unit::Rate.text(found.operations_per_s)),
            ("Octets", Unit::Flow.text_or_absent(found.octets_per_s)),
            ("Latency, median", at(accept, |found| found.p50_us)),
            ("Latency, 99 %", at(accept, |found| found.p99_us)),
            ("CPU an operation", Unit::CpuMicros.text_or_absent(cpu)),
            ("Memory a session", Unit::Memory.text_or_absent(found.memory_per_session_kib)),
            ("Peak memory", Unit::Memory.text_or_absent(peak)),
            ("Time", words::duration(run.elapsed_s)),
        ];
    }
    html! {
        dl.figures {
            @for (name, value) in facts {
                div.absent[value == words::NOT_MEASURED] { dt { (name) } dd { (value) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_before_the_figures_and_are_escaped() {
        let run = Run { warnings: vec!["<img src=x> is full".into()], ..Run::default() };
        let text = whole(&run).into_string();
        let (warning, figures) = (text.find("Warning: "), text.find("class=\"figures\""));
        assert!(warning.is_some() && warning < figures, "{text}");
        assert!(text.contains("&lt;img src=x&gt; is full"));
    }

    #[test]
    fn what_was_not_measured_is_not_zero() {
        let text = headline(&Run::default()).into_string();
        assert!(text.contains("not measured") && !text.contains("0/s"), "{text}");
    }
}
