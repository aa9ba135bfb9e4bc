//! The result as one HTML page that needs nothing else: no network, no fonts, no script to see the plots.
//!
//! Every text of the document is escaped by maud: server names and replies are strangers' input. The
//! page's own policy forbids it to load anything. Styles and script are in `page.css` and
//! `page.js`, put in whole. Rendering cannot fail: what is missing is said to be missing.

mod bars;
mod comparison;
mod plot;
mod plots;
mod run;
mod scale;
mod setting;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub use setting::{machine, servers};
pub use tables::{due, failures_by_count};

use crate::result::Document;
use crate::verdict::{Outcome, verdict};
use crate::words;

/// Nothing may be loaded; only what is in the page itself runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      base-uri 'none'; form-action 'none'";

/// The page of `document`, whole HTML.
#[must_use]
pub fn render(document: &Document) -> String {
    let title = format!("{}: load test", words::clean(&document.scenario));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                main { (header(document)) (body(document)) (setting::setting(document)) }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    page.into_string()
}

fn header(document: &Document) -> Markup {
    let verdict = verdict(document);
    let (word, class) = match verdict.outcome {
        Outcome::Good => ("Passed.", "good"),
        Outcome::Bad => ("Failed.", "bad"),
        Outcome::Unknown => ("Not judged.", "unknown"),
    };
    html! {
        header {
            h1 { (words::clean(&document.scenario)) }
            @if !document.description.is_empty() {
                p.description { (words::clean(&document.description)) }
            }
            div.verdict.{ (class) } {
                p { b { (word) } " " (verdict.headline) }
                @for detail in &verdict.details { p.detail { (words::clean(detail)) } }
            }
            p.muted.small { (words::clean(&document.program)) " · " (words::clean(&document.started)) }
        }
    }
}

/// The comparison when there is one, else the runs.
fn body(document: &Document) -> Markup {
    match (&document.comparison, document.runs.as_slice()) {
        (Some(found), _) => comparison::comparison(document, found),
        (None, []) => html! { section { p.absent { "No run was made." } } },
        (None, [only]) => run::whole(only),
        (None, runs) => html! {
            section {
                h2 { "Runs" }
                @for (index, found) in runs.iter().enumerate() {
                    details open[index == 0] {
                        summary { (run_title(index, found)) }
                        (run::folded(found))
                    }
                }
            }
        },
    }
}

fn run_title(index: usize, run: &crate::result::Run) -> String {
    let server = run.server.as_ref().map(|server| words::clean(&server.name));
    let case = run.case.as_deref().map(words::clean);
    let parts: Vec<_> = [server, case].into_iter().flatten().collect();
    match parts.is_empty() {
        true => format!("Run {}", index + 1),
        false => format!("Run {}: {}", index + 1, parts.join(", ")),
    }
}
