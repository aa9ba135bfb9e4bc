//! The tables of one run: what became of the messages, latencies, cost, both ends, refusals, bounds.
//!
//! Names and reply texts are strangers'; maud escapes them.

use maud::{Markup, html};

use crate::figures;
use crate::result::{Bound, Cost, Latency, Ledger, Mailboxes, Refusal, Run, Sink, Source};
use crate::words::{self, Unit};

/// A heading above a table in its own scrolling box.
fn titled(title: &str, table: Markup) -> Markup {
    html! {
        div.table {
            h4 { (title) }
            div.scroll role="region" aria-label=(title) tabindex="0" { (table) }
        }
    }
}

fn pairs(rows: &[(&str, String)]) -> Markup {
    html! {
        table {
            tbody {
                @for (name, value) in rows {
                    tr { th scope="row" { (name) } td.number { (value) } }
                }
            }
        }
    }
}

/// All tables of a run; what was not measured says so.
#[must_use]
pub fn of_run(run: &Run) -> Markup {
    html! {
        div.tables {
            @if let Some(found) = &run.mailboxes { (operations(found)) }
            @match &run.ledger {
                Some(found) => (ledger(found, run.mailboxes.is_some())),
                None if run.mailboxes.is_some() => {},
                None => (absent("What became of every recipient", "it needs both source and sink")),
            }
            (latencies(run))
            (costs(run))
            @if let Some(found) = &run.source { (source(found)) }
            @if let Some(found) = &run.sink { (sink(found)) }
            @if !run.bounds.is_empty() { (bounds(&run.bounds)) }
            @if let Some(found) = &run.source {
                (refusals("Refusals by the server", &found.refusals))
                (failures(found))
            }
            @if let Some(found) = run.sink.as_ref().filter(|sink| !sink.refusals.is_empty()) {
                (refusals("Refusals by the sink's rules", &found.refusals))
            }
        }
    }
}

fn absent(title: &str, why: &str) -> Markup {
    html! { div.table { h4 { (title) } p.absent { "Not measured: " (why) "." } } }
}

/// What clients of mailboxes did, and what broke.
fn operations(found: &Mailboxes) -> Markup {
    let per_s = |octets| Unit::Flow.text_or_absent(octets);
    let rows = [
        ("operation", words::clean(&found.operation)),
        ("finished", words::count(found.operations)),
        ("a second", Unit::Rate.text(found.operations_per_s)),
        ("unfinished", words::count(found.unfinished)),
        ("octets", words::octets(found.octets)),
        ("octets a second", per_s(found.octets_per_s)),
        ("sessions", words::count(found.sessions)),
        ("sessions that broke", words::count(found.connections_failed)),
        ("memory a session", Unit::Memory.text_or_absent(found.memory_per_session_kib)),
    ];
    let failures: Vec<(&str, String)> = found
        .failures
        .iter()
        .map(|(failure, count)| (failure.as_str(), words::count(*count)))
        .collect();
    html! {
        (titled("Operations", pairs(&rows)))
        @if !failures.is_empty() { (titled("What broke", pairs(&failures))) }
    }
}

fn ledger(ledger: &Ledger, of_mailboxes: bool) -> Markup {
    let rows = [
        ("accepted with 250", ledger.accepted, false),
        ("delivered", ledger.delivered, false),
        ("bounced", ledger.bounced, false),
        ("lost", ledger.lost, true),
        ("arrivals beyond the first", ledger.duplicated, false),
        ("arrivals with changed bytes", ledger.changed, true),
        ("arrived without a 250", ledger.unacknowledged, false),
        ("arrived though refused", ledger.refused_yet_delivered, true),
    ];
    let share = |value| figures::percent(value, ledger.accepted);
    let table = html! {
        table {
            tbody {
                @for (name, value, is_fault) in rows {
                    tr.bad[is_fault && value > 0] {
                        th scope="row" { (name) }
                        td.number { (words::count(value)) }
                        td.number.muted {
                            @if let Some(share) = share(value).filter(|_| value > 0) {
                                (words::number(share)) " %"
                            }
                        }
                    }
                }
            }
        }
        @if !ledger.lost_samples.is_empty() {
            p.samples { "Some of the lost: " (ledger.lost_samples.join(", ")) }
        }
    };
    let title = if of_mailboxes {
        "What became of every message"
    } else {
        "What became of every recipient"
    };
    titled(title, table)
}

/// Rows by name with a column for each of `columns`, which all have the same rows.
fn side_by_side<const N: usize>(columns: &[(&str, [(&'static str, String); N])]) -> Markup {
    html! {
        table {
            thead { tr {
                th {} @for (name, _) in columns { th.number scope="col" { (name) } }
            } }
            tbody {
                @for row in 0..N {
                    tr {
                        @for (_, rows) in columns.iter().take(1) { th scope="row" { (rows[row].0) } }
                        @for (_, rows) in columns { td.number { (rows[row].1) } }
                    }
                }
            }
        }
    }
}

fn latencies(run: &Run) -> Markup {
    let named = [("accepted", &run.accept_latency), ("relayed", &run.relay_latency)];
    let known = named.into_iter().filter_map(|(name, latency)| Some((name, latency.as_ref()?)));
    let columns: Vec<_> = known.map(|(name, latency)| (name, latency_rows(latency))).collect();
    if columns.is_empty() {
        return absent("Latency", "no message was timed");
    }
    let table = html! {
        (side_by_side(&columns))
        p.muted.small { (due(run.open_loop)) }
    };
    titled("Latency", table)
}

fn latency_rows(latency: &Latency) -> [(&'static str, String); 8] {
    let us = |us: u64| Unit::Latency.text(us as f64);
    [
        ("messages", words::count(latency.count)),
        ("smallest", us(latency.min_us)),
        ("mean", Unit::Latency.text(latency.mean_us)),
        ("50 %", us(latency.p50_us)),
        ("90 %", us(latency.p90_us)),
        ("99 %", us(latency.p99_us)),
        ("99.9 %", us(latency.p999_us)),
        ("largest", us(latency.max_us)),
    ]
}

/// From when a latency counts, in words.
#[must_use]
pub fn due(open_loop: bool) -> &'static str {
    if open_loop {
        "Open loop: counted from the moment a message was due by the plan, so that waiting counts."
    } else {
        "Closed loop: counted from the moment the connection was free for the message."
    }
}

fn costs(run: &Run) -> Markup {
    let named = [("server", &run.server_cost), ("generator", &run.generator_cost)];
    let known = named.into_iter().filter_map(|(name, cost)| Some((name, cost.as_ref()?)));
    let columns: Vec<_> = known.map(|(name, cost)| (name, cost_rows(cost))).collect();
    if columns.is_empty() {
        return absent("Cost", "the processes of the server were not known");
    }
    let table = html! {
        (side_by_side(&columns))
        p.muted.small {
            "Busiest thread of the generator: "
            @match run.generator_busiest {
                Some(share) => { (format!("{:.0}", share * 100.0)) " % of one core." }
                None => { (words::NOT_MEASURED) "." }
            }
        }
    };
    titled("Cost", table)
}

fn cost_rows(cost: &Cost) -> [(&'static str, String); 8] {
    let kib = |kib: Option<u64>| Unit::Memory.text_or_absent(kib.map(|kib| kib as f64));
    [
        ("CPU a message", Unit::CpuMicros.text_or_absent(cost.cpu_us_per_message)),
        ("CPU, user", Unit::Latency.text(cost.user_us as f64)),
        ("CPU, system", Unit::Latency.text(cost.system_us as f64)),
        ("system calls a message", Unit::Number.text_or_absent(cost.syscalls_per_message)),
        ("memory, peak", kib(cost.memory_peak_kib)),
        ("memory, at the end", kib(cost.memory_final_kib)),
        ("processes", Unit::Count.text_or_absent(cost.processes.map(f64::from))),
        ("read from", words::clean(&cost.source)),
    ]
}

fn source(source: &Source) -> Markup {
    let rows = [
        ("messages begun", words::count(source.messages_sent)),
        ("messages accepted", words::count(source.messages_accepted)),
        ("recipients accepted", words::count(source.recipients_accepted)),
        ("messages refused", words::count(source.messages_refused)),
        ("messages without a reply", words::count(source.messages_unanswered)),
        ("accepted", Unit::Rate.text(source.accepted_per_s)),
        ("octets accepted", words::octets(source.octets_accepted)),
        ("connections", words::count(source.connections)),
        ("connections that failed", words::count(source.connections_failed)),
        ("time", words::duration(source.elapsed_s)),
    ];
    titled("Source", pairs(&rows))
}

fn sink(sink: &Sink) -> Markup {
    let rows = [
        ("messages", words::count(sink.messages)),
        ("recipients", words::count(sink.recipients)),
        ("octets", words::octets(sink.octets)),
        ("messages a second, first to last", Unit::Rate.text(sink.messages_per_s)),
        ("connections", words::count(sink.connections)),
        ("connections at once, at most", words::count(sink.connections_peak)),
    ];
    titled("Sink", pairs(&rows))
}

fn bounds(bounds: &[Bound]) -> Markup {
    let table = html! {
        table {
            thead { tr { th scope="col" { "bound" } th.number scope="col" { "wanted" }
                th.number scope="col" { "seen" } th scope="col" { "" } } }
            tbody {
                @for bound in bounds {
                    tr.bad[!bound.kept] {
                        th scope="row" { (bound.name) }
                        td.number { (bound.wanted) } td.number { (bound.seen) }
                        td { (if bound.kept { "kept" } else { "missed" }) }
                    }
                }
            }
        }
    };
    titled("Bounds", table)
}

fn refusals(title: &str, refusals: &[Refusal]) -> Markup {
    if refusals.is_empty() {
        return html! { div.table { h4 { (title) } p.absent { "None." } } };
    }
    let table = html! {
        table.prose {
            thead { tr { th scope="col" { "code" } th scope="col" { "stage" }
                th.number scope="col" { "count" } th scope="col" { "first text" } } }
            tbody {
                @for refusal in refusals {
                    tr { th scope="row" { (refusal.code) } td { (refusal.stage) }
                        td.number { (words::count(refusal.count)) }
                        td.text { (words::clean(&refusal.text)) } }
                }
            }
        }
    };
    titled(title, table)
}

/// Most frequent first.
#[must_use]
pub fn failures_by_count(source: &Source) -> Vec<(&str, u64)> {
    let mut failures: Vec<_> =
        source.failures.iter().map(|(how, count)| (how.as_str(), *count)).collect();
    failures.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    failures
}

fn failures(source: &Source) -> Markup {
    if source.failures.is_empty() {
        return html! {};
    }
    let table = html! {
        table.prose {
            tbody {
                @for (how, count) in failures_by_count(source) {
                    tr { th.text scope="row" { (words::clean(how)) } td.number { (words::count(count)) } }
                }
            }
        }
    };
    titled("Connections that failed", table)
}
