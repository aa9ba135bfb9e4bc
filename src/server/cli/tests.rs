//! Commands from their arguments to what they print, against the pretended server of admin's tests.

use std::sync::atomic::Ordering;

use mail::queue::{Command, Filter, MessageId};
use serde_json::Value;

use super::*;
use crate::admin::tests::Scene;

fn typed(words: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("ringpost").chain(words.iter().copied()))
}

fn done(scene: &Scene, words: &[&str]) -> Result<String, Failure> {
    let mut arguments = typed(words).unwrap();
    arguments.socket = Some(scene.path.clone());
    let mut out = Vec::new();
    act(&arguments, &mut out).map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn the_definitions_hold() {
    Arguments::command().debug_assert();
}

#[test]
fn dangerous_commands_must_be_meant() {
    for verb in ["hold", "delete"] {
        assert!(typed(&["queue", verb]).is_err());
        assert!(typed(&["queue", verb, "--all", "--domain", "x.example"]).is_err());
        assert!(typed(&["queue", verb, "--all"]).is_ok());
        assert!(typed(&["queue", verb, "--domain", "x.example", "--sender", "<>"]).is_ok());
    }
    for verb in ["flush", "release", "list"] {
        assert!(typed(&["queue", verb]).is_ok());
    }
    assert!(typed(&["queue", "show", "not-an-id"]).is_err());
}

#[test]
fn a_check_names_its_client_whole_or_not_at_all() {
    let client = ["--ip", "192.0.2.1", "--helo", "x.example"];
    assert!(typed(&["check", "message"]).is_ok());
    assert!(typed(&[&["check", "message", "-"][..], &client].concat()).is_ok());
    assert!(typed(&["check", "message", "--ip", "192.0.2.1"]).is_err());
    assert!(typed(&["check", "message", "--mail-from", "a@x.example"]).is_err());
    assert!(typed(&[&["check", "spf"][..], &client].concat()).is_ok());
    assert!(typed(&["check", "spf", "--ip", "192.0.2.1"]).is_err());
    for server in ["192.0.2.1", "192.0.2.1:5353", "[::1]:53", "::1"] {
        assert!(typed(&["check", "domain", "x.example", "--dns", server]).is_ok(), "{server}");
    }
    for server in ["192.0.2.1:", ":53", "192.0.2.1:70000", ""] {
        assert!(typed(&["check", "domain", "x.example", "--dns", server]).is_err(), "{server}");
    }
}

#[test]
fn a_list_is_a_table_or_lines_of_json() {
    let scene = Scene::new();
    let table = done(&scene, &["queue", "list"]).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].contains("ID") && lines[0].contains("FROM"), "{table}");
    assert!(lines[1].contains(&MessageId(1).to_string()), "{table}");
    assert!(lines[2].contains("<>") && lines[3].contains("held"), "{table}");
    assert_eq!(lines.last(), Some(&"9 messages."));

    let json = done(&scene, &["--json", "queue", "list", "--all"]).unwrap();
    let ids: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .collect();
    let all: Vec<Value> = (1..=9).map(|id| MessageId(id).to_string().into()).collect();
    assert_eq!(ids, all);

    let page = done(&scene, &["queue", "list", "--limit", "4"]).unwrap();
    assert!(page.contains(&format!("--after {}", MessageId(4))), "{page}");
    let rest = done(&scene, &["queue", "list", "--after", &MessageId(8).to_string()]).unwrap();
    assert!(rest.ends_with("1 message.\n"), "{rest}");
}

#[test]
fn one_message_in_full() {
    let scene = Scene::new();
    let text = done(&scene, &["queue", "show", &MessageId(4).to_string()]).unwrap();
    for part in
        ["sender4@here.example", "3.9 KiB (4,000 bytes)", "tried 2 times", "450 4.2.0 later"]
    {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(!text.contains('\u{1b}'));
    let missing = done(&scene, &["queue", "show", &MessageId(40).to_string()]).unwrap_err();
    assert!(matches!(missing, Failure::Failed(_)));
}

#[test]
fn changes_say_what_they_did() {
    let scene = Scene::new();
    let text = done(&scene, &["queue", "delete", "--domain", "there.example"]).unwrap();
    assert_eq!(text, "4 messages deleted.\n");
    let filter = Filter { domain: Some("there.example".into()), ..Filter::default() };
    assert_eq!(scene.hub.asked.lock().unwrap()[0], (0, Command::Delete { filter }));
    let json = done(&scene, &["queue", "flush", "--json"]).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["count"], 4);
}

#[test]
fn status_shows_numbers_with_units() {
    let scene = Scene::new();
    let text = done(&scene, &["status"]).unwrap();
    for part in [
        "Ringpost 1.2.3 on mx.here.example: up 1 h 2 min, 2 shards on io_uring, process 77",
        "Health: queue 1: full: 12345 bytes free",
        "Queue:  8 messages, 2 active, 2 held, 4 due, the oldest for 1 min 30 s",
        "SHARD 1",
        "1.5 ms",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let accepted = text.lines().find(|line| line.contains("queue.accepted")).unwrap();
    assert_eq!(
        accepted.split_whitespace().collect::<Vec<_>>(),
        ["queue.accepted", "21", "10", "11"]
    );
}

#[test]
fn reload_and_stop() {
    let scene = Scene::new();
    assert_eq!(
        done(&scene, &["reload"]).unwrap(),
        "Applied:\n  queue.retry\nNeeds a restart:\n  listener\n"
    );
    done(&scene, &["stop"]).unwrap();
    assert!(scene.hub.stopped.load(Ordering::Relaxed));
}

#[test]
fn no_server_is_said_so() {
    let arguments = typed(&["status", "--socket", "/nowhere/admin.sock"]).unwrap();
    let failure = act(&arguments, &mut Vec::new()).unwrap_err();
    let text = failure.to_string();
    assert!(matches!(failure, Failure::Unreachable(_)));
    assert!(
        text.contains("is ringpost running?") && text.contains("/nowhere/admin.sock"),
        "{text}"
    );
}

#[test]
fn shells_and_the_manual_know_the_commands() {
    for words in [["completions", "bash"].as_slice(), &["completions", "zsh"], &["man"]] {
        let mut out = Vec::new();
        act(&typed(words).unwrap(), &mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("queue"), "{words:?}");
    }
}
