//! `ringpost domain`, `account`, `import`, `audit`: with a running server, after a kill, and without
//! a server.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Plan, Server};

fn plan() -> Plan {
    Plan::relay_to(([127, 0, 0, 1], 9).into())
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_was_said_to_be_done_survives_a_kill() {
    let mut server = Server::start(plan());
    done(&server, &["domain", "add", "ours.test"]);
    done(&server, &["alias", "add", "info@ours.test", "joe@elsewhere.test"]);
    let lines: String = (0..3000)
        .map(|n| format!("{{\"kind\":\"account\",\"address\":\"u{n}@ours.test\"}}\n"))
        .collect();
    let file = server.folder().join("many.jsonl");
    fs::write(&file, lines).unwrap();
    assert_eq!(done(&server, &["import", file.to_str().unwrap()]), "3,000 added, 0 replaced.\n");
    done(&server, &["account", "disable", "u7@ours.test"]);
    let before = done(&server, &["export"]);
    assert_eq!(before.lines().count(), 3002);
    server.kill();
    // The owner of the data directory needs no server.
    assert_eq!(done(&server, &["export"]), before);
    done(&server, &["account", "enable", "u7@ours.test"]);
    server.launch();
    assert!(done(&server, &["account", "show", "u7@ours.test"]).contains("enabled"));
    let audit = server.cli_json(&["audit", "--json"]);
    let audit = audit.as_array().unwrap();
    assert_eq!(audit.len(), 3004);
    assert!(audit.iter().zip(1_u64..).all(|(line, number)| line["number"] == number));
    let whos: Vec<&str> = audit[3002..].iter().map(|line| line["who"].as_str().unwrap()).collect();
    assert!(whos[0].contains("uid") && whos[1].ends_with("without a server"), "{whos:?}");
    assert!(server.stop().success());
}

#[test]
fn a_password_comes_from_standard_input_and_is_never_shown() {
    let server = Server::start(plan());
    done(&server, &["domain", "add", "ours.test"]);
    let config = server.config_path();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ringpost"))
        .args(["account", "add", "joe@ours.test", "--stdin", "--config", config.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"correct horse\n").unwrap();
    assert!(child.wait().unwrap().success());
    let shown = done(&server, &["account", "show", "joe@ours.test"]);
    assert!(shown.contains("argon2id") && !shown.contains("$argon2id$"), "{shown}");
    // Without a terminal nobody can be asked.
    let output = server.cli(&["account", "passwd", "joe@ours.test"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--stdin"));
    let audit = done(&server, &["audit"]);
    assert!(!audit.contains("argon2id") && !server.log_text().contains("correct horse"), "{audit}");
}
