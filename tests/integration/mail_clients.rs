//! Real mail programs read, search, move, flag and delete, and the data are compared: mbsync, offlineimap,
//! mutt, fetchmail, getmail, mpop, curl, Python's imaplib and poplib, IMAPClient and imapflow.
//!
//! What each does is a script below `mailboxes/`, which knows nothing of Ringpost.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use crate::harness::{Listener, Plan, Server};
use crate::tls::Authority;

const USER: &str = "joe@example.test";
const PASSWORD: &str = "correct-horse";
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/mailboxes");
const ODD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/messages/odd");

/// A server with one account, and every way to its mail.
fn start(authority: &Authority) -> Server {
    let certificate = authority.write("mx", "localhost");
    let listener = |lines: &[&str], tls| Listener {
        tls,
        lines: lines.iter().map(|line| (*line).to_owned()).chain([certificate.clone()]).collect(),
        ..Listener::smtp()
    };
    let mut plan = Plan::without_route();
    plan.domains = vec!["example.test"];
    plan.listeners = vec![
        Listener::smtp(),
        Listener { protocol: "lmtp", ..Listener::smtp() },
        listener(&["kind = \"imap\""], "starttls"),
        listener(&["kind = \"imap\""], "implicit"),
        listener(&["kind = \"pop3\""], "starttls"),
        listener(&["kind = \"pop3\""], "implicit"),
    ];
    // Cheap, for a test: what is proved is the same.
    let server = Server::start(plan.set("passwords", "argon2_memory", "\"1 MiB\""));
    let added = server.cli(&["domain", "add", "example.test"]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let config = server.config_path();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringpost"))
        .args(["account", "add", USER, "--stdin", "--config", config.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    server
}

/// Runs a script against a server of its own.
fn run(program: &str, script: &str) {
    let authority = Authority::new();
    let server = start(&authority);
    let work = server.folder().join("work");
    fs::create_dir(&work).unwrap();
    let cache = std::env::var("RINGPOST_CACHE")
        .unwrap_or_else(|_| format!("{}/.cache/ringpost", std::env::var("HOME").unwrap()));
    let ports: Vec<u16> = server.plan.listeners.iter().map(|listener| listener.port).collect();
    let described = serde_json::json!({
        "host": "localhost", "smtp": ports[0], "lmtp": ports[1],
        "imap": ports[2], "imaps": ports[3], "pop3": ports[4], "pop3s": ports[5],
        "user": USER, "password": PASSWORD, "ca": authority.ca(), "work": work, "odd": ODD,
        "modules": format!("{cache}/peers"),
    });
    let file = server.folder().join("server.json");
    fs::write(&file, described.to_string()).unwrap();
    let output = Command::new("timeout")
        .args(["240", program, &format!("{FOLDER}/{script}"), file.to_str().unwrap()])
        .env("HOME", &work)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    println!("{script}: {said}{complaint}");
    assert!(output.status.success(), "{script}: {}", output.status);
}

#[test]
fn odd_messages_come_back_octet_for_octet() {
    run("python3", "octets.py");
}

#[test]
fn mbsync_keeps_both_sides_alike() {
    run("python3", "mbsync.py");
}

#[test]
fn offlineimap_keeps_both_sides_alike() {
    run("python3", "offlineimap.py");
}

#[test]
fn fetchmail_getmail_and_mpop_fetch_everything_once() {
    run("python3", "fetchers.py");
}

#[test]
fn curl_lists_fetches_searches_and_appends() {
    run("python3", "curl.py");
}

#[test]
fn imaplib_goes_everywhere() {
    run("python3", "tour.py");
}

#[test]
fn mutt_reads_moves_and_deletes() {
    run("python3", "mutt.py");
}

#[test]
fn imapclient_idles_and_searches() {
    run("python3", "imapclient_tour.py");
}

#[test]
fn imapflow_fetches_flags_and_moves() {
    run("node", "imapflow.js");
}
