//! LMTP (RFC 2033) as a listener's protocol, and towards a next hop.

use crate::harness::{Listener, Plan, Postbox, Server, run_program};

fn start() -> (Server, Postbox) {
    let postbox = Postbox::open();
    let mut plan = Plan::relay_to(postbox.address());
    plan.listeners = vec![Listener { protocol: "lmtp", ..Listener::smtp() }];
    (Server::start(plan), postbox)
}

#[test]
fn one_reply_for_each_recipient() {
    let (server, postbox) = start();
    let mut talk = server.talk();
    talk.expect("220");
    talk.ask("EHLO client.test", "500");
    talk.ask("HELO client.test", "500");
    let offers = talk.ask("LHLO client.test", "250");
    assert!(offers.contains("PIPELINING") && offers.contains("ENHANCEDSTATUSCODES"), "{offers}");
    talk.ask("MAIL FROM:<a@source.test>", "250");
    talk.ask("RCPT TO:<one@sink.test>", "250");
    talk.ask("RCPT TO:<two words@sink.test>", "5");
    talk.ask("RCPT TO:<two@sink.test>", "250");
    talk.ask("DATA", "354");
    talk.send(b"Subject: lmtp\r\n\r\nx\r\n.\r\n");
    talk.expect("250");
    talk.expect("250");
    // Exactly two: the next reply is NOOP's.
    talk.ask("NOOP", "250");
    talk.ask("MAIL FROM:<a@source.test>", "250");
    // RFC 2033 §4.2: no recipient, no DATA.
    talk.ask("DATA", "503");
    talk.ask("QUIT", "221");
    let delivery = postbox.wait_for("Subject: lmtp", 20);
    assert_eq!(delivery.recipients.len(), 2);
    assert!(String::from_utf8_lossy(&delivery.message).contains("with LMTP"));
}

/// Postfix's smtp-source speaks LMTP, too.
#[test]
fn smtp_source_over_lmtp() {
    let (server, postbox) = start();
    let to = format!("127.0.0.1:{}", server.port());
    let arguments = ["-L", "-s", "4", "-m", "100", "-r", "5", "-l", "2000", "-d"];
    let rest = ["-f", "from@source.test", "-t", "x@sink.test", &to];
    let output = run_program("/usr/sbin/smtp-source", &[&arguments[..], &rest[..]].concat());
    assert!(output.status.success());
    postbox.wait_count(100, 30);
    let recipients: usize = postbox.deliveries().iter().map(|d| d.recipients.len()).sum();
    assert_eq!(recipients, 500);
}
