//! `ringpost queue …` and `ringpost status` over the local socket.

use loadtest::sink::Rules;
use serde_json::Value;

use crate::harness::{Plan, Postbox, Server, Talk, free_port, wait_until};

/// Every value of a key `id`, wherever it stands.
pub fn ids(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value) {
                ("id", Value::String(id)) => vec![id.clone()],
                _ => ids(value),
            })
            .collect(),
        Value::Array(values) => values.iter().flat_map(ids).collect(),
        _ => vec![],
    }
}

fn list(server: &Server) -> Vec<String> {
    ids(&server.cli_json(&["queue", "list", "--json"]))
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn send(server: &Server, recipient: &str) {
    let mut talk = Talk::hello(server.address());
    let reply = talk.mail("<me@source.test>", &[&format!("<{recipient}>")], "Subject: q\r\n\r\nx");
    assert!(reply.starts_with("250"), "{reply}");
}

#[test]
fn list_show_hold_release_delete_flush() {
    // The next hop is down for now.
    let hop = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut server = Server::start(Plan::relay_to(hop));
    for recipient in ["one@sink.test", "two@sink.test", "three@other.test"] {
        send(&server, recipient);
    }
    wait_until("three deferred messages", 20, || server.events_of("deferred").len() >= 3);
    let table = done(&server, &["queue", "list"]);
    assert!(table.contains("one@sink.test") && table.contains("three@other.test"), "{table}");
    assert_eq!(list(&server).len(), 3);
    let by_domain = ids(&server.cli_json(&["queue", "list", "--domain", "other.test", "--json"]));
    assert_eq!(by_domain.len(), 1);
    let shown = done(&server, &["queue", "show", &by_domain[0]]);
    assert!(shown.contains("three@other.test") && shown.contains("me@source.test"), "{shown}");

    done(&server, &["queue", "hold", "--recipient", "one@sink.test"]);
    done(&server, &["queue", "delete", "--domain", "other.test"]);
    assert_eq!(list(&server).len(), 2);

    // Held and deleted survive a kill; the next hop comes up.
    server.kill();
    let postbox = Postbox::at(hop, Rules::default());
    server.launch();
    done(&server, &["queue", "flush"]);
    postbox.wait_for("two@sink.test", 30);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(postbox.count(), 1, "held mail stays, deleted mail is gone");
    assert_eq!(list(&server).len(), 1);
    done(&server, &["queue", "release", "--recipient", "one@sink.test"]);
    done(&server, &["queue", "flush"]);
    postbox.wait_for("one@sink.test", 30);
    wait_until("an empty queue", 10, || list(&server).is_empty());

    let output = server.cli(&["queue", "show", "0000000000000"]);
    assert!(!output.status.success(), "what is not there is an error");
}

#[test]
fn status_counts() {
    let postbox = Postbox::open();
    let server = Server::start(Plan::relay_to(postbox.address()));
    for number in 0..10 {
        send(&server, &format!("x{number}@sink.test"));
    }
    postbox.wait_count(10, 20);
    let table = done(&server, &["status"]);
    println!("{table}");
    assert!(table.contains("accepted") && table.contains("delivered"), "{table}");
    let status = server.cli_json(&["status", "--json"]);
    assert!(status.is_object() || status.is_array());
}

#[test]
fn a_server_that_is_down_is_said_to_be_down() {
    let postbox = Postbox::open();
    let mut server = Server::start(Plan::relay_to(postbox.address()));
    server.stop();
    let output = server.cli(&["queue", "list"]);
    assert!(!output.status.success());
    assert!(!output.stderr.is_empty(), "it says why");
}
