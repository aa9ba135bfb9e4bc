//! Where and how it was measured: what one needs to judge the figures and to measure again.

use maud::{Markup, html};

use crate::result::{Document, Machine, Server};
use crate::words;

/// All servers of a document, each once: those of the comparison, then those of the runs.
#[must_use]
pub fn servers(document: &Document) -> Vec<&Server> {
    let mut servers: Vec<&Server> = Vec::new();
    let compared = document.comparison.iter().flat_map(|comparison| &comparison.servers);
    for server in compared.chain(document.runs.iter().filter_map(|run| run.server.as_ref())) {
        if servers.iter().all(|known| known.name != server.name) {
            servers.push(server);
        }
    }
    servers
}

/// The section.
#[must_use]
pub fn setting(document: &Document) -> Markup {
    let servers = servers(document);
    html! {
        section {
            h2 { "How it was measured" }
            dl.facts {
                @for (name, value) in machine(&document.machine) {
                    dt { (name) } dd { (value) }
                }
                dt { "Started" } dd { (words::clean(&document.started)) }
                dt { "Program" } dd { (words::clean(&document.program)) }
                dt { "Seed" } dd { (document.seed) }
            }
            p { "To measure again:" }
            pre.command tabindex="0" { (document.command) }
            @if servers.is_empty() {
                p.muted { "The server under test was not told to the load test." }
            } @else {
                (server_table(&servers))
            }
        }
    }
}

/// The machine's facts by name, as all outputs show them.
#[must_use]
pub fn machine(machine: &Machine) -> Vec<(&'static str, String)> {
    let sync = machine.fdatasync_us.map(|us| us as f64);
    let sync = sync.map_or_else(
        || words::NOT_MEASURED.into(),
        |us| format!("{} for 4 KiB (median)", words::latency(us)),
    );
    let model = match machine.cpu_model.as_str() {
        "" => "model unknown",
        model => model,
    };
    let processors = words::counted(machine.cpus as u64, "processor", "processors");
    vec![
        ("Machine", format!("{processors}, {}", words::clean(model))),
        ("Memory", words::memory(machine.memory_mib as f64 * 1024.0)),
        ("Kernel", words::clean(&machine.kernel)),
        ("Disk", machine.disk.as_deref().map_or_else(|| "not known".into(), words::clean)),
        ("fdatasync", sync),
    ]
}

fn server_table(servers: &[&Server]) -> Markup {
    html! {
        div.scroll role="region" aria-label="Servers" tabindex="0" {
            table.prose {
                thead { tr {
                    th scope="col" { "Server" } th scope="col" { "Version" }
                    th scope="col" { "On disk before its 250" } th scope="col" { "Tuning" }
                } }
                tbody {
                    @for server in servers {
                        tr {
                            th scope="row" { (server.name) }
                            td { (server.version.as_deref().unwrap_or("not known")) }
                            td { (or_unstated(&server.durability)) }
                            td { (or_unstated(server.tuning.as_deref().unwrap_or_default())) }
                        }
                    }
                }
            }
        }
    }
}

fn or_unstated(text: &str) -> &str {
    if text.is_empty() { "not stated" } else { text }
}
