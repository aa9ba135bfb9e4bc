//! SIGHUP: what can change without a restart changes, what cannot is named, nonsense changes nothing.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Plan, Postbox, Server, Talk, wait_until};

fn send(server: &Server, recipient: &str) {
    let mut talk = Talk::hello(server.address());
    let reply = talk.mail("<a@source.test>", &[&format!("<{recipient}>")], "Subject: r\r\n\r\nx");
    assert!(reply.starts_with("250"), "{reply}");
}

/// Sends SIGHUP and returns what was logged since.
fn reload(server: &Server, mark: &str) -> String {
    let before = server.log_text().len();
    server.signal(Signal::HUP);
    let since = || server.log_text()[before..].to_owned();
    wait_until(&format!("{mark:?} after SIGHUP"), 20, || since().contains(mark));
    since()
}

#[test]
fn routes_and_limits_change_live() {
    let (old, new) = (Postbox::open(), Postbox::open());
    let mut server = Server::start(Plan::relay_to(old.address()));
    send(&server, "first@sink.test");
    old.wait_for("first@sink.test", 20);
    let mut staying = Talk::hello(server.address());
    server.plan.routes[0].1 = vec![new.address().to_string()];
    server.plan = server.plan.clone().set("limits", "recipients_per_message", "123");
    server.write_config();
    let said = reload(&server, "route");
    assert!(said.contains("recipients_per_message"), "what changed is named: {said}");
    send(&server, "second@sink.test");
    new.wait_for("second@sink.test", 20);
    assert_eq!(old.count(), 1);
    staying.ask("NOOP", "250");
    let offers = Talk::connect(server.address()).say("EHLO x.test");
    assert!(offers.starts_with("220"), "{offers}");
}

#[test]
fn what_needs_a_restart_is_named() {
    let postbox = Postbox::open();
    let mut server = Server::start(Plan::relay_to(postbox.address()));
    server.plan.shards = 1;
    server.write_config();
    let said = reload(&server, "shards");
    assert!(said.contains("restart"), "{said}");
    send(&server, "x@sink.test");
    postbox.wait_count(1, 20);
}

#[test]
fn a_bad_file_changes_nothing() {
    let postbox = Postbox::open();
    let server = Server::start(Plan::relay_to(postbox.address()));
    let text = fs::read_to_string(server.config_path()).unwrap();
    fs::write(server.config_path(), format!("{text}\n[limits]\nmesage = 1\n")).unwrap();
    let said = reload(&server, "mesage");
    assert!(said.contains("ringpost.toml"), "the file is named: {said}");
    send(&server, "x@sink.test");
    postbox.wait_count(1, 20);
}
