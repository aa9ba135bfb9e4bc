//! The outputs of whole documents, and the page in headless Chromium (`page.py`).

mod samples;

use std::path::Path;
use std::process::Command;

use loadtest::markdown::markdown;
use loadtest::report::render;
use loadtest::result::Document;
use loadtest::table::table;

/// A page is mailed and attached to issues.
const PAGE_OCTETS_MAX: usize = 3 << 20;

fn all() -> [(&'static str, Document); 6] {
    [
        ("relay", samples::relay()),
        ("failed", samples::failed()),
        ("source-only", samples::source_only()),
        ("soak", samples::soak()),
        ("empty", samples::empty()),
        ("comparison", samples::comparison()),
    ]
}

#[test]
fn no_text_of_a_document_becomes_markup() {
    let page = render(&samples::failed());
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert!(!page.contains("<img"));
    assert!(page.contains("&lt;script&gt;document.title="), "the reply is shown as text");
}

#[test]
fn every_page_stands_alone_and_is_small() {
    for (name, document) in all() {
        let page = render(&document);
        assert!(page.len() < PAGE_OCTETS_MAX, "{name}: {} octets", page.len());
        let without_names = page.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http://", "https://", "src=", "@import", "url(", "<link"] {
            let hostile =
                usize::from(name == "failed") * without_names.matches("img src=x").count();
            let found = without_names.matches(foreign).count();
            assert_eq!(found, if foreign == "src=" { hostile } else { 0 }, "{name}: {foreign}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf "), "{name}");
    }
}

#[test]
fn the_verdict_is_first_and_in_words() {
    let good = render(&samples::relay());
    assert!(good.contains("<b>Passed.</b> Nothing was lost, and every bound was kept."));
    let bad = render(&samples::failed());
    assert!(bad.contains("<b>Failed.</b> 12 recipients were lost; 1 arrival differed"));
    assert!(bad.find("Failed.") < bad.find("Warning: "));
    let empty = render(&samples::empty());
    assert!(empty.contains("<b>Not judged.</b> Nothing was measured."));
}

#[test]
fn a_comparison_draws_each_server_once_a_case() {
    let page = render(&samples::comparison());
    assert_eq!(page.matches("<g class=\"bar\"").count(), 4 * 12 * 5, "measures, cases, servers");
    assert_eq!(page.matches("<details>").count(), 12 + 12 * 5, "cases, and the median rounds");
    assert!(page.find(">Comparison<") < page.find(">Runs<"));
    assert!(page.contains(">not measured<"), "Haraka's system calls");
}

#[test]
fn the_terminal_and_markdown_show_the_same_figures() {
    let document = samples::comparison();
    let (text, marked) = (table(&document), markdown(&document));
    assert!(text.starts_with("compare: Nothing was lost.\n"), "{text}");
    for name in ["Ringpost", "Postfix", "Exim", "OpenSMTPD", "Haraka"] {
        assert_eq!(marked.matches(&format!("| {name} |")).count(), 12);
        assert!(text.matches(name).count() >= 12);
    }
    assert!(marked.contains("fdatasync: 1.2 ms") && marked.contains("fsync of the queue file"));
    let failed = table(&samples::failed());
    assert!(failed.contains("12 recipients were lost") && failed.contains("451"));
    assert!(table(&samples::empty()).contains("Nothing was measured."));
    assert!(markdown(&samples::relay()).contains("There is no comparison"));
}

/// Skipped without Chromium, except in CI, where it is installed.
#[test]
fn chromium_shows_the_pages_as_they_are_meant() {
    let chromium = Command::new("chromium").arg("--version").output();
    if chromium.is_err() && std::env::var_os("CI").is_none() {
        println!("skipped: no `chromium` (apt-get install chromium fonts-dejavu-core)");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).expect("a folder for the pages");
    for (name, document) in all() {
        std::fs::write(folder.join(name).with_extension("html"), render(&document))
            .expect("written");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/page.py");
    let status = Command::new("python3").arg(script).arg(&folder).status().expect("python3");
    assert!(status.success(), "see above; the pages are in {}", folder.display());
}
