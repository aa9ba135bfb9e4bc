//! Reports to senders (RFC 3461, 3464): when they are sent, to whom, and what is in them.

use std::{thread, time::Duration};

use loadtest::sink::{Failure, Rules, Stage};

use crate::harness::{Delivery, Plan, Postbox, Server, Talk, Text};

/// A next hop that refuses `nobody…`, and the sender's own postbox.
struct World {
    server: Server,
    hop: Postbox,
    sender: Postbox,
}

fn world(mut rules: Rules, adjust: impl FnOnce(Plan) -> Plan) -> World {
    rules
        .fail
        .push(Failure::new(Stage::Rcpt, 550).containing("nobody").saying("5.1.1 no such mailbox"));
    let hop = Postbox::with(rules);
    let sender = Postbox::open();
    let plan = Plan::without_route()
        .route("sender.test", sender.address())
        .route("*", hop.address())
        .quick_retries();
    World { server: Server::start(adjust(plan)), hop, sender }
}

impl World {
    fn send(&self, mail: &str, recipients: &[&str], subject: &str) {
        let mut talk = Talk::hello(self.server.address());
        let text = format!("Subject: {subject}\r\nX-Kept: yes\r\n\r\nsecret body text");
        let reply = talk.mail(mail, recipients, &text);
        assert!(reply.starts_with("250"), "{reply}");
    }

    fn report(&self, mark: &str) -> Delivery {
        self.sender.wait_for(mark, 30)
    }
}

#[test]
fn a_refused_recipient_is_reported_and_the_others_are_not() {
    let world = world(Rules::default(), |plan| plan);
    world.send(
        "<me@sender.test> RET=FULL ENVID=QQ+2B314159",
        &["<nobody@sink.test> ORCPT=rfc822;no+2Bbody@orig.test", "<somebody@sink.test>"],
        "mixed",
    );
    let delivered = world.hop.wait_for("Subject: mixed", 20);
    assert_eq!(delivered.recipients.len(), 1, "{:?}", delivered.recipients);
    let delivery = world.report("Subject: mixed");
    let text = delivery.text();
    println!("{text}");
    assert!(delivery.mail.starts_with("<>"), "{}", delivery.mail);
    assert_eq!(delivery.recipients.len(), 1);
    assert!(delivery.recipients[0].starts_with("<me@sender.test>"));
    for mark in [
        "multipart/report",
        "report-type=delivery-status",
        "Auto-Submitted: auto-replied",
        "\r\nReporting-MTA: dns; ringpost.test",
        "\r\nOriginal-Envelope-Id: QQ+314159",
        "\r\nArrival-Date: ",
        "\r\nOriginal-Recipient: rfc822; no+body@orig.test",
        "\r\nFinal-Recipient: rfc822; nobody@sink.test",
        "\r\nAction: failed",
        "\r\nStatus: 5.1.1",
        "\r\nDiagnostic-Code: smtp; 550 5.1.1 no such mailbox",
        "\r\nContent-Type: message/rfc822",
        "X-Kept: yes",
        "secret body text",
    ] {
        assert!(text.replace("rfc822;no", "rfc822; no").contains(mark), "{mark:?} is missing");
    }
    assert!(!text.contains("somebody@sink.test\r\nAction"), "only what failed is reported");
    python_parses(&delivery.message);
}

/// Python's email package finds the parts that RFC 3464 asks for.
fn python_parses(message: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bounce.eml");
    std::fs::write(&path, message).unwrap();
    let script = format!(
        "import email\nm = email.message_from_binary_file(open({path:?}, 'rb'))\n\
         types = [p.get_content_type() for p in m.get_payload()]\n\
         assert types[:2] == ['text/plain', 'message/delivery-status'], types\n\
         assert types[2] in ('message/rfc822', 'text/rfc822-headers'), types\n\
         blocks = m.get_payload()[1].get_payload()\n\
         assert blocks[1]['Action'] == 'failed', blocks[1].items()\n\
         assert not m.defects and not any(p.defects for p in m.walk()), 'defects'"
    );
    assert!(crate::harness::run_program("python3", &["-c", &script]).status.success());
}

#[test]
fn ret_hdrs_returns_the_header_only() {
    let world = world(Rules::default(), |plan| plan);
    world.send("<me@sender.test> RET=HDRS", &["<nobody@sink.test>"], "hdrs");
    let delivery = world.report("Subject: hdrs");
    let text = delivery.text();
    assert!(text.contains("text/rfc822-headers") && text.contains("X-Kept: yes"), "{text}");
    assert!(!text.contains("secret body text"), "{text}");
    python_parses(&delivery.message);
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let world = world(Rules::default(), |plan| plan);
    world.send("<me@sender.test>", &["<nobody1@sink.test> NOTIFY=NEVER"], "never");
    world.send("<me@sender.test>", &["<nobody2@sink.test> NOTIFY=SUCCESS,DELAY"], "success");
    // A bounce of a bounce goes nowhere (RFC 5321 §4.5.5).
    world.send("<>", &["<nobody3@sink.test>"], "null");
    world.send("<me@sender.test>", &["<nobody4@sink.test> NOTIFY=FAILURE"], "asked");
    world.report("nobody4@sink.test");
    crate::harness::wait_until("four failures in the log", 20, || {
        world.server.events_of("bounced").len() >= 4
    });
    thread::sleep(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 1, "one report, to the one who asked");
}

#[test]
fn requests_are_passed_on_to_a_next_hop_that_knows_dsn() {
    let world = world(Rules::default(), |plan| plan);
    world.send(
        "<me@sender.test> RET=HDRS ENVID=e1",
        &["<ok@sink.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ok@sink.test"],
        "passed",
    );
    let delivery = world.hop.wait_for("Subject: passed", 20);
    assert!(delivery.mail.contains("RET=HDRS") && delivery.mail.contains("ENVID=e1"));
    assert!(delivery.recipients[0].contains("NOTIFY=SUCCESS,FAILURE"), "{:?}", delivery.recipients);
    assert!(delivery.recipients[0].contains("ORCPT=rfc822;ok@sink.test"));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(world.sender.count(), 0, "success is the next hop's to report");
}

/// RFC 3461 §5.2.2: where the request cannot be passed on, "relayed" is reported.
#[test]
fn relayed_is_reported_where_the_next_hop_knows_no_dsn() {
    let world = world(Rules { without: vec!["DSN".into()], ..Rules::default() }, |plan| plan);
    world.send("<me@sender.test>", &["<ok@sink.test> NOTIFY=SUCCESS"], "relayed");
    let text = world.report("Final-Recipient: rfc822").text();
    assert!(text.contains("\r\nAction: relayed"), "{text}");
    assert!(text.contains("\r\nStatus: 2."), "{text}");
}

/// A next hop that never has time for `busy…`.
fn busy() -> Rules {
    let busy = Failure::new(Stage::Rcpt, 450).containing("busy").saying("4.2.1 mailbox busy");
    Rules { fail: vec![busy], ..Rules::default() }
}

#[test]
fn expired_mail_comes_back() {
    let rules = busy();
    let world = world(rules, |plan| plan.set("queue", "expiry", "\"4 s\""));
    world.send("<me@sender.test>", &["<busy@sink.test>"], "expired");
    let text = world.report("busy@sink.test").text();
    assert!(text.contains("\r\nAction: failed"), "{text}");
    assert!(text.contains("\r\nStatus: 4."), "{text}");
    assert!(text.contains("450 4.2.1 mailbox busy"), "{text}");
}

#[test]
fn a_delay_is_reported_once() {
    let rules = busy();
    let world = world(rules, |plan| plan.set("queue", "delay_warning", "\"2 s\""));
    world.send("<me@sender.test>", &["<busy@sink.test>"], "late");
    let text = world.report("busy@sink.test").text();
    assert!(text.contains("\r\nAction: delayed"), "{text}");
    assert!(text.contains("\r\nWill-Retry-Until: "), "{text}");
    thread::sleep(Duration::from_secs(5));
    assert_eq!(world.sender.count(), 1, "once");
}
