//! Where mail comes from, seen from outside: results in the header, policies that hold and refuse, and
//! name servers and messages that mean harm.

use std::{fs, net::UdpSocket};

use serde_json::Value;

use crate::harness::{Listener, NameServer, Plan, Postbox, Server, Talk, Text, wait_until};

const ZONE: &str = r#"
good TXT "v=spf1 ip4:127.0.0.1 -all"
_dmarc.good TXT "v=DMARC1; p=reject; rua=mailto:reports@good.test"
strict TXT "v=spf1 -all"
_dmarc.strict TXT "v=DMARC1; p=reject; rua=mailto:reports@strict.test"
apart TXT "v=spf1 -all"
_dmarc.apart TXT "v=DMARC1; p=quarantine"
alone TXT "v=spf1 -all"
loop TXT "v=spf1 include:loop.test ?all"
cname CNAME other
other CNAME cname
"#;

/// A server whose clients are strangers: the first listener rejects, the second only tags, the third
/// checks nothing.
fn suspicious(names: std::net::SocketAddr, next_hop: &Postbox, more: &[(&str, &str)]) -> Server {
    let mut plan = Plan::relay_to(next_hop.address());
    plan.nameservers = vec![names];
    let listener = |policy: &str| Listener {
        lines: vec![format!("authentication = {policy:?}")],
        ..Listener::smtp()
    };
    plan.listeners = vec![listener("reject"), listener("tag"), listener("none")];
    // Loopback may relay, and is looked at all the same.
    plan = plan.set("authentication", "trusted", "[]");
    for (key, value) in more {
        plan = plan.set("authentication", key, value);
    }
    Server::start(plan)
}

fn talk(server: &Server, listener: usize) -> Talk {
    Talk::hello(([127, 0, 0, 1], server.plan.listeners[listener].port).into())
}

/// The final reply to a message from `domain`, in its header as well.
fn send(server: &Server, listener: usize, domain: &str, mark: &str, more: &str) -> String {
    let text = format!("From: <me@{domain}>\r\n{more}Subject: {mark}\r\n\r\nhello");
    let sender = format!("<me@{domain}>");
    talk(server, listener).mail(&sender, &["<you@sink.test>"], &text)
}

#[test]
fn results_are_written_and_policy_is_kept_to() {
    let (names, postbox) = (NameServer::start(ZONE), Postbox::open());
    let mut server = suspicious(names.address(), &postbox, &[]);
    // What claims to be ours is not, however it is written; others' results are theirs.
    let lies = "Authentication-Results: RINGPOST.test; dkim=pass header.d=bank.test\r\n\
                Authentication-Results:\r\n (of course) ringpost.test (really);\r\n\tspf=pass\r\n\
                Authentication-Results: elsewhere.test; spf=pass\r\n";
    assert!(send(&server, 0, "good.test", "mark-good", lies).starts_with("250"));
    let text = postbox.wait_for("mark-good", 20).text();
    let (ours, rest) = text.split_once("Received: from client.test").unwrap();
    assert!(ours.contains("Authentication-Results: ringpost.test;"), "{text}");
    for word in
        ["spf=pass", "dmarc=pass", "header.from=good.test", "dkim=none", "Received-SPF: pass"]
    {
        assert!(ours.contains(word), "{word}: {text}");
    }
    assert!(!rest.contains("bank.test") && !rest.contains("of course"), "{text}");
    assert!(rest.contains("Authentication-Results: elsewhere.test; spf=pass"), "{text}");

    let refused = send(&server, 0, "strict.test", "mark-strict", "");
    assert!(refused.starts_with("550 5.7.26") && refused.contains("strict.test"), "{refused}");
    assert!(send(&server, 1, "strict.test", "mark-tagged", "").starts_with("250"));
    let text = postbox.wait_for("mark-tagged", 20).text();
    assert!(text.contains("dmarc=fail") && text.contains("Received-SPF: fail"), "{text}");
    assert!(send(&server, 2, "strict.test", "mark-unseen", "").starts_with("250"));
    let text = postbox.wait_for("mark-unseen", 20).text();
    assert!(!text.contains("Authentication-Results") && !text.contains("Received-SPF"), "{text}");
    // A plain SPF failure is not enough, unless somebody says so.
    assert!(send(&server, 0, "alone.test", "mark-alone", "").starts_with("250"));
    for name in ["loop", "cname", "missing"] {
        let mark = format!("mark-{name}");
        assert!(send(&server, 0, &format!("{name}.test"), &mark, "").starts_with("250"));
        postbox.wait_for(&mark, 20);
    }

    // What is to be kept apart waits until somebody decides.
    assert!(send(&server, 0, "apart.test", "mark-apart", "").starts_with("250"));
    wait_until("the held message", 20, || {
        let all = server.events_of("accepted");
        all.iter().any(|event| event["policy"] == "quarantine" && event["dmarc"] == "fail")
    });
    let status = server.cli_json(&["status", "--json"]).to_string();
    assert!(status.contains("\"held\":1"), "{status}");
    assert!(server.cli(&["queue", "release"]).status.success());
    postbox.wait_for("mark-apart", 20);

    let told = server.events_of("refused");
    assert_eq!((told.len(), &told[0]["author"]), (1, &"strict.test".into()), "{told:?}");
    assert_eq!(told[0]["dmarc"], "fail");
    assert!(server.stop().success());
    let outcomes = outcomes(&server);
    assert!(outcomes.contains("good.test") && outcomes.contains("strict.test"), "{outcomes}");
    assert!(outcomes.contains("\"reject\"") && !outcomes.contains("apart.test"), "{outcomes}");
}

/// What was written down for reports.
fn outcomes(server: &Server) -> String {
    let folder = server.folder().join("data/dmarc-outcomes");
    let files = fs::read_dir(folder).unwrap();
    files.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

#[test]
fn a_plain_spf_failure_is_refused_where_somebody_says_so() {
    let (names, postbox) = (NameServer::start(ZONE), Postbox::open());
    let server = suspicious(names.address(), &postbox, &[("spf_fail", "\"reject\"")]);
    let refused = send(&server, 0, "alone.test", "mark-alone", "");
    assert!(refused.starts_with("550 5.7.23"), "{refused}");
    assert!(send(&server, 1, "alone.test", "mark-tagged", "").starts_with("250"));
}

/// A name server that says nothing holds up whoever needs it, and nobody else.
#[test]
fn silence_of_the_dns_is_nobody_elses_trouble() {
    let (silent, postbox) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Postbox::open());
    let names = silent.local_addr().unwrap();
    let server = suspicious(names, &postbox, &[("deadline", "\"10 s\"")]);
    let mut waiting: Vec<Talk> = (0..20)
        .map(|number| {
            let mut talk = talk(&server, 0);
            talk.ask("MAIL FROM:<me@good.test>", "250");
            talk.ask("RCPT TO:<you@sink.test>", "250");
            talk.ask("DATA", "354");
            talk.send(
                format!("From: me@good.test\r\nSubject: slow-{number}\r\n\r\nx\r\n.\r\n")
                    .as_bytes(),
            );
            talk
        })
        .collect();
    for number in 0..20 {
        assert!(send(&server, 2, "good.test", &format!("quick-{number}"), "").starts_with("250"));
    }
    let seen = |events: &[Value]| events.iter().filter(|event| event["spf"].is_string()).count();
    assert_eq!(seen(&server.events_of("accepted")), 0, "these still wait");
    for talk in &mut waiting {
        talk.expect("250");
    }
    postbox.wait_count(40, 30);
    let text = postbox.wait_for("slow-7\r\n", 20).text();
    assert!(text.contains("spf=temperror") && text.contains("dmarc=temperror"), "{text}");
}

/// A client that has come to the end of its patience is told to come again, if that is wanted.
#[test]
fn what_cannot_be_told_is_put_off_only_where_somebody_says_so() {
    let (silent, postbox) = (UdpSocket::bind("127.0.0.1:0").unwrap(), Postbox::open());
    let more = [("deadline", "\"1 s\""), ("defer_on_temporary", "true")];
    let server = suspicious(silent.local_addr().unwrap(), &postbox, &more);
    let reply = send(&server, 0, "good.test", "x", "");
    assert!(reply.starts_with("451 4.7."), "{reply}");
}

#[test]
fn messages_that_mean_harm_cost_their_senders_only() {
    let (names, postbox) = (NameServer::start(ZONE), Postbox::open());
    let server = suspicious(names.address(), &postbox, &[("signatures_max", "8")]);
    // Ten thousand signatures are over the limit of a header; so are ten megabytes of it.
    let signature =
        "DKIM-Signature: v=1; a=rsa-sha256; d=good.test; s=s; h=from; bh=AAAA; b=AAAA\r\n";
    let reply = send(&server, 0, "good.test", "x", &signature.repeat(10_000));
    assert!(reply.starts_with("552") || reply.starts_with("554"), "{reply}");
    let field = format!("X-Long: {}\r\n", "x".repeat(900));
    let reply = send(&server, 0, "good.test", "x", &field.repeat(11_000));
    assert!(reply.starts_with("552") || reply.starts_with("554"), "{reply}");
    // As many as fit are looked at up to the limit, and do not hide what passes.
    let most = signature.repeat(2_500);
    assert!(send(&server, 0, "good.test", "mark-many", &most).starts_with("250"));
    let text = postbox.wait_for("mark-many", 30).text();
    assert!(text.contains("dmarc=pass") && text.contains("spf=pass"), "{}", &text[..2_000]);
    let chain: String = (1..=60)
        .map(|i| format!("ARC-Seal: i={i}; a=rsa-sha256; cv=pass; d=good.test; s=s; b=AAAA\r\n"))
        .collect();
    assert!(send(&server, 0, "good.test", "mark-chain", &chain).starts_with("250"));
    let text = postbox.wait_for("mark-chain", 30).text();
    let arc =
        text.contains("arc=fail") || text.contains("arc=policy") || text.contains("arc=permerror");
    assert!(arc, "{}", &text[..2_000]);
}
