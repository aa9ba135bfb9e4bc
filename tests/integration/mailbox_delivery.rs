//! Mail that lands in mailboxes here: what clients are told over SMTP and LMTP, what lies in the stores
//! afterwards, and that nothing which was acknowledged is lost to kill -9.

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::harness::{
    Listener, Mailboxes, NameServer, Plan, Postbox, Server, Talk, run_program, wait_until,
};

const RECORDS: &str = r#"{"kind":"domain","domain":"ours.test","separator":"+"}
{"kind":"account","address":"joe@ours.test"}
{"kind":"account","address":"ann@ours.test"}
{"kind":"account","address":"small@ours.test","quota_bytes":3000}
{"kind":"alias","address":"both@ours.test","targets":["joe@ours.test","small@ours.test"]}
{"kind":"alias","address":"desk@ours.test","targets":["ann@ours.test","far@sink.test"]}
{"kind":"alias","address":"crew@ours.test","targets":["joe+l@ours.test","ann+l@ours.test"]}
{"kind":"account","address":"kept@ours.test","forward":["ann+g@ours.test"],"forward_keep":true}
"#;
const JOE: &str = "joe@ours.test";
const ANN: &str = "ann@ours.test";
const SMALL: &str = "small@ours.test";

/// Accounts of ours; mail for others goes to the postbox. The first listener speaks SMTP, the second LMTP.
fn start_with(change: impl FnOnce(Plan) -> Plan) -> (Server, Postbox) {
    let postbox = Postbox::open();
    let mut plan = Plan::without_route().route("sink.test", postbox.address()).quick_retries();
    plan.listeners = vec![Listener::smtp(), Listener { protocol: "lmtp", ..Listener::smtp() }];
    let server = Server::start(change(plan));
    let file = server.folder().join("records.jsonl");
    fs::write(&file, RECORDS).unwrap();
    let imported = server.cli(&["import", file.to_str().unwrap()]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    (server, postbox)
}

fn start() -> (Server, Postbox) {
    start_with(|plan| plan)
}

fn lmtp(server: &Server) -> SocketAddr {
    ([127, 0, 0, 1], server.plan.listeners[1].port).into()
}

/// What lies in the mailboxes of a server that is stopped for it.
fn read(server: &mut Server) -> Mailboxes {
    assert!(server.stop().success());
    Mailboxes::open(&server.folder().join("data"))
}

/// One message over LMTP, and the reply for each recipient.
fn deliver(talk: &mut Talk, from: &str, to: &[&str], text: &str) -> Vec<String> {
    talk.ask(&format!("MAIL FROM:<{from}>"), "250");
    to.iter().for_each(|to| _ = talk.ask(&format!("RCPT TO:<{to}>"), "250"));
    talk.ask("DATA", "354");
    talk.send(format!("{text}\r\n.\r\n").as_bytes());
    to.iter().map(|_| talk.reply()).collect()
}

fn hello(address: SocketAddr) -> Talk {
    let mut talk = Talk::connect(address);
    talk.expect("220");
    talk.ask("LHLO client.test", "250");
    talk
}

#[test]
fn lmtp_tells_each_recipient_of_its_own_fate() {
    let (mut server, postbox) = start();
    let mut talk = hello(lmtp(&server));
    let long = format!("Subject: long\r\n\r\n{}", "0123456789\r\n".repeat(400));
    let replies = deliver(&mut talk, "me@far.test", &[JOE, SMALL, "both@ours.test"], &long);
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..9]).collect();
    assert_eq!(codes, ["250 2.0.0", "552 5.2.2", "250 2.0.0"], "the queue tells of the rest");
    assert!(replies[0].contains("delivered as"), "{}", replies[0]);
    // What goes elsewhere too takes the queue, whole.
    let replies =
        deliver(&mut talk, "me@far.test", &[ANN, "x@sink.test"], "Subject: mixed\r\n\r\nx");
    assert!(replies.iter().all(|reply| reply.contains("queued as")), "{replies:?}");
    talk.ask("QUIT", "221");
    postbox.wait_for("Subject: mixed", 20);
    wait_until("the bounce to nowhere", 20, || !server.events_of("bounced").is_empty());
    wait_until("all to be told", 20, || server.events_of("delivered").len() >= 3);
    let told = server.events_of("delivered");
    assert!(told.iter().any(|event| {
        event["recipient"] == JOE && event["reply"].as_str().unwrap().contains("UID 1 of ")
    }));
    let mailboxes = read(&mut server);
    let joe = mailboxes.folder(JOE, "INBOX");
    assert_eq!(joe.len(), 1, "once, though two recipients lead there");
    assert!(joe[0].starts_with("Return-Path: <me@far.test>\r\nReceived: from client.test"));
    assert!(joe[0].contains("with LMTP") && joe[0].ends_with("0123456789\r\n\r\n"));
    assert_eq!(mailboxes.folder(ANN, "INBOX").len(), 1);
    assert_eq!(mailboxes.folder(SMALL, "INBOX").len(), 0);
    assert_eq!(mailboxes.faults(), Vec::<String>::new());
}

#[test]
fn a_full_mailbox_is_refused_before_and_after_the_message() {
    let (mut server, _postbox) = start();
    let mut talk = Talk::hello(server.address());
    talk.ask("MAIL FROM:<me@far.test> SIZE=5000", "250");
    talk.ask(&format!("RCPT TO:<{SMALL}>"), "552 5.2.2");
    talk.ask(&format!("RCPT TO:<{JOE}>"), "250");
    talk.ask("RSET", "250");
    let long = "x".repeat(70) + "\r\n";
    let reply = talk.mail("<me@far.test>", &[&format!("<{SMALL}>")], &long.repeat(50));
    assert!(reply.starts_with("552 5.2.2"), "{reply}");
    assert!(
        talk.mail("<me@far.test>", &[&format!("<{SMALL}>")], "A: b\r\n\r\nx").starts_with("250")
    );
    // One word for all of them: who has it has it, and the queue tells of the other.
    let both = [format!("<{SMALL}>"), format!("<{JOE}>")];
    let reply = talk.mail("<joe@ours.test>", &[&both[0], &both[1]], &long.repeat(50));
    assert!(reply.starts_with("250"), "{reply}");
    wait_until("the bounce", 20, || told_of_report(&server, JOE));
    let bounced = &server.events_of("bounced")[0];
    assert!(bounced["reply"].as_str().unwrap().starts_with("552 5.2.2"), "{bounced}");
    let mailboxes = read(&mut server);
    assert_eq!(mailboxes.folder(SMALL, "INBOX").len(), 1);
    let joe = mailboxes.folder(JOE, "INBOX");
    assert_eq!(joe.len(), 2);
    assert!(joe[1].contains("\r\nAction: failed\r\n"), "{}", joe[1]);
}

/// Whether a report for an account has been delivered.
fn told_of_report(server: &Server, account: &str) -> bool {
    let is_report =
        |event: &serde_json::Value| event["recipient"] == account && event["sender"] == "<>";
    server.events_of("delivered").iter().any(is_report)
}

#[test]
fn details_are_folders_and_reports_come_home() {
    let (mut server, postbox) = start();
    let output = run_program(
        "swaks",
        &["--server", "127.0.0.1", "--port", &server.port().to_string(), "--from", JOE]
            .into_iter()
            .chain(["--to", "joe+lists@ours.test,desk@ours.test", "--header", "Subject: swaks"])
            .collect::<Vec<_>>(),
    );
    assert!(output.status.success());
    postbox.wait_for("Subject: swaks", 20);
    let mailboxes = read(&mut server);
    assert_eq!(mailboxes.folder(JOE, "INBOX").len(), 1, "there is no such folder");
    assert_eq!(mailboxes.folder(ANN, "INBOX").len(), 1);
    mailboxes.make(JOE, "lists");
    mailboxes.close();
    server.launch();
    let mut talk = Talk::hello(server.address());
    let to = "<joe+lists@ours.test> NOTIFY=SUCCESS";
    assert!(talk.mail("<ann@ours.test>", &[to], "Subject: told\r\n\r\nx").contains("queued as"));
    wait_until("the report", 20, || told_of_report(&server, ANN));
    let mailboxes = read(&mut server);
    assert_eq!(mailboxes.folder(JOE, "lists").len(), 1);
    let report = mailboxes.folder(ANN, "INBOX").pop().unwrap();
    assert!(report.starts_with("Return-Path: <>\r\n"), "{report}");
    assert!(report.contains("\r\nAction: delivered\r\n"), "{report}");
}

/// Behind an alias or a forward there are plus-addresses; a foreign recipient takes all to the queue.
#[test]
fn every_mailbox_behind_an_alias_has_its_copy_when_the_queue_brings_it() {
    let (mut server, postbox) = start();
    let mut talk = Talk::hello(server.address());
    for (to, subject) in [("<crew@ours.test>", "crew"), ("<kept@ours.test>", "kept")] {
        let text = format!("Subject: {subject}\r\n\r\nx");
        let reply = talk.mail("<me@far.test>", &[to, "<far@sink.test>"], &text);
        assert!(reply.contains("queued as"), "{reply}");
        postbox.wait_for(&format!("Subject: {subject}"), 20);
    }
    talk.ask("QUIT", "221");
    wait_until("all copies", 20, || server.events_of("delivered").len() == 6);
    let told = server.events_of("delivered");
    let mut told: Vec<&str> = told.iter().filter_map(|event| event["recipient"].as_str()).collect();
    told.sort_unstable();
    let ours = ["ann+g@ours.test", "ann+l@ours.test", "joe+l@ours.test", "kept@ours.test"];
    assert_eq!(told, [&ours[..2], &["far@sink.test"; 2], &ours[2..]].concat());
    let mailboxes = read(&mut server);
    for (account, subjects) in
        [(JOE, &["crew"][..]), (ANN, &["crew", "kept"]), ("kept@ours.test", &["kept"])]
    {
        let texts = mailboxes.folder(account, "INBOX");
        assert_eq!(texts.len(), subjects.len(), "{account}: each once");
        for subject in subjects {
            let line = format!("\r\nSubject: {subject}\r\n");
            assert_eq!(texts.iter().filter(|text| text.contains(&line)).count(), 1, "{account}");
        }
    }
    assert_eq!(mailboxes.faults(), Vec::<String>::new());
}

#[test]
fn quarantined_mail_is_junk_here_and_held_for_others() {
    const ZONE: &str = "apart TXT \"v=spf1 -all\"\n_dmarc.apart TXT \"v=DMARC1; p=quarantine\"\n";
    let names = NameServer::start(ZONE);
    let (mut server, postbox) = start_with(|mut plan| {
        plan.nameservers = vec![names.address()];
        plan.listeners[0].lines = vec!["authentication = \"reject\"".to_owned()];
        plan.set("authentication", "trusted", "[]")
    });
    let text = "From: <me@apart.test>\r\nSubject: apart\r\n\r\nhello";
    let mut talk = Talk::hello(server.address());
    let to = [format!("<{JOE}>"), "<far@sink.test>".to_owned()];
    assert!(talk.mail("<me@apart.test>", &[&to[0]], text).contains("delivered as"));
    assert!(talk.mail("<me@apart.test>", &[&to[0], &to[1]], text).contains("queued as"));
    wait_until("the copy of ours", 20, || server.events_of("delivered").len() == 2);
    let status = server.cli_json(&["status", "--json"]).to_string();
    assert!(status.contains("\"held\":1"), "{status}");
    assert_eq!(postbox.count(), 0);
    let mailboxes = read(&mut server);
    assert_eq!(mailboxes.folder(JOE, "INBOX").len(), 0);
    assert_eq!(mailboxes.folder(JOE, "Junk").len(), 2);
}

#[test]
fn nothing_acknowledged_is_lost_in_three_kills() {
    kill_under_load(3, 15);
}

#[test]
fn nothing_acknowledged_is_lost_in_twenty_kills() {
    kill_under_load(20, 1000);
}

/// Loads the server over LMTP, kills it at random moments, and looks into the stores in the end.
fn kill_under_load(rounds: u32, least: usize) {
    const SHARDS: [u32; 5] = [2, 1, 3, 2, 4];
    // No sender is told to come again: a fast machine sends thousands before it is killed.
    let endless = |plan: Plan| plan.set("limits", "messages_per_connection", "1_000_000");
    let (mut server, _postbox) = start_with(endless);
    let mut random = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos() | 1;
    println!("seed {random}");
    let mut acknowledged = [HashSet::new(), HashSet::new()];
    for round in 0..rounds {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let alive = Duration::from_millis(u64::from(100 + random % 1200));
        let (address, killed) = (lmtp(&server), AtomicBool::new(false));
        let got = thread::scope(|scope| {
            let killed = &killed;
            let senders: Vec<_> = (0..4)
                .map(|sender| {
                    let run = format!("round{round}-{sender}");
                    scope.spawn(move || send_until(address, &run, killed))
                })
                .collect();
            thread::sleep(alive);
            server.kill();
            killed.store(true, Ordering::SeqCst);
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect::<Vec<_>>()
        });
        println!("round {round}: {alive:?}, {} shards, {} answers", server.plan.shards, got.len());
        got.into_iter().for_each(|(who, mark)| _ = acknowledged[who].insert(mark));
        server.plan.shards = SHARDS[round as usize % SHARDS.len()];
        server.launch();
    }
    let mailboxes = read(&mut server);
    assert_eq!(mailboxes.faults(), Vec::<String>::new());
    let total: usize = acknowledged.iter().map(HashSet::len).sum();
    assert!(total > least, "only {total} acknowledged: the rounds proved little");
    for (who, marks) in [JOE, ANN].into_iter().zip(acknowledged) {
        let found: Vec<String> =
            mailboxes.folder(who, "INBOX").iter().filter_map(|text| mark(text)).collect();
        let once: HashSet<String> = found.iter().cloned().collect();
        assert_eq!(once.len(), found.len(), "{who} has a message twice");
        let lost: Vec<&String> = marks.difference(&once).collect();
        assert!(lost.is_empty(), "{who} lost {lost:?}");
    }
}

/// Messages for both accounts until the server is gone: who was acknowledged, and by which mark.
fn send_until(address: SocketAddr, run: &str, killed: &AtomicBool) -> Vec<(usize, String)> {
    let mut acknowledged = Vec::new();
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return acknowledged };
    let mut lines = std::io::BufReader::new(stream.try_clone().unwrap());
    let mut hear = |codes: &[&str]| -> Option<()> {
        for code in codes {
            loop {
                let mut line = String::new();
                let count = std::io::BufRead::read_line(&mut lines, &mut line).ok()?;
                if count == 0 {
                    return None;
                }
                assert!(line.starts_with(code), "expected {code}, heard {line}");
                if line.as_bytes().get(3) == Some(&b' ') {
                    break;
                }
            }
        }
        Some(())
    };
    let body = "0123456789012345678901234567890123456789\r\n".repeat(60);
    if stream.write_all(b"LHLO client.test\r\n").is_err() || hear(&["220", "250"]).is_none() {
        return acknowledged;
    }
    for number in 0.. {
        if killed.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("{run}-{number}");
        let start =
            format!("MAIL FROM:<me@far.test>\r\nRCPT TO:<{JOE}>\r\nRCPT TO:<{ANN}>\r\nDATA\r\n");
        let text = format!("X-Mark: {name}\r\n\r\n{body}.\r\n");
        let spoken = stream.write_all(start.as_bytes()).is_ok()
            && hear(&["250", "250", "250", "354"]).is_some()
            && stream.write_all(text.as_bytes()).is_ok();
        if !spoken {
            break;
        }
        for who in 0..2 {
            if hear(&["250"]).is_none() {
                return acknowledged;
            }
            acknowledged.push((who, name.clone()));
        }
    }
    acknowledged
}

fn mark(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("X-Mark: ")?;
    Some(rest.split_once("\r\n")?.0.to_owned())
}
