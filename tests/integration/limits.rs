//! Every limit refuses by its own code, and the next client is none the worse for it.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use crate::harness::{Plan, Postbox, Server, Talk, wait_until};

fn server(adjust: impl FnOnce(Plan) -> Plan) -> (Server, Postbox) {
    let postbox = Postbox::open();
    let server = Server::start(adjust(Plan::relay_to(postbox.address())));
    (server, postbox)
}

#[test]
fn connections_of_one_client() {
    let (server, _postbox) = server(|plan| plan.set("limits", "connections_per_client", "3"));
    // The probe that saw the server come up has to be gone first.
    thread::sleep(Duration::from_millis(500));
    let mut held: Vec<Talk> = (0..3).map(|_| Talk::hello(server.address())).collect();
    server.talk().expect("421");
    assert!(held.pop().is_some());
    wait_until("room for another connection", 10, || server.talk().reply().starts_with("220"));
}

/// What `limits.connections` says that a connection costs, with room for what the process needs once.
#[test]
fn idle_connections_are_cheap() {
    const CONNECTIONS: u64 = 1_000;
    for io in ["auto", "epoll"] {
        let (server, _postbox) = server(|mut plan| {
            plan.io = io;
            plan.set("limits", "connections_per_client", "0")
        });
        let greeted = || {
            let mut stream = TcpStream::connect(server.address()).unwrap();
            stream.write_all(b"EHLO client.test\r\n").unwrap();
            let mut lines = BufReader::with_capacity(512, stream).lines();
            assert!(lines.any(|line| line.unwrap().starts_with("250 ")), "EHLO is answered");
            lines
        };
        // What the process takes once: the first pages of every size, threads that begin.
        let mut held: Vec<_> = (0..200).map(|_| greeted()).collect();
        thread::sleep(Duration::from_millis(500));
        // Some of that may come late: into one of the rounds.
        let mut round = || {
            let before = server.memory_bytes();
            held.extend((0..CONNECTIONS).map(|_| greeted()));
            server.memory_bytes().saturating_sub(before) / CONNECTIONS
        };
        let each = [round(), round(), round()];
        assert!(each.iter().any(|each| *each < 8 << 10), "{each:?} octets a connection on {io}");
    }
}

#[test]
fn recipients_of_a_message() {
    let (server, postbox) = server(|plan| plan.set("limits", "recipients_per_message", "100"));
    let mut talk = Talk::hello(server.address());
    talk.ask("MAIL FROM:<a@source.test>", "250");
    for number in 0..100 {
        talk.ask(&format!("RCPT TO:<r{number}@sink.test>"), "250");
    }
    talk.ask("RCPT TO:<late@sink.test>", "452 4.5.3");
    talk.ask("DATA", "354");
    talk.ask("Subject: x\r\n\r\nx\r\n.", "250");
    postbox.wait_count(1, 20);
    assert_eq!(postbox.deliveries()[0].recipients.len(), 100);
}

#[test]
fn errors_of_a_connection() {
    let (server, _postbox) = server(|plan| plan.set("limits", "errors_per_connection", "5"));
    let mut talk = Talk::hello(server.address());
    let mut last = String::new();
    for _ in 0..6 {
        last = talk.say("NONSENSE");
        if last.starts_with("421") {
            break;
        }
    }
    assert!(last.starts_with("421 4.7.0"), "{last}");
    assert!(talk.closed());
}

#[test]
fn messages_of_a_connection() {
    let (server, postbox) = server(|plan| plan.set("limits", "messages_per_connection", "2"));
    let mut talk = Talk::hello(server.address());
    for _ in 0..2 {
        let reply = talk.mail("<a@source.test>", &["<b@sink.test>"], "Subject: x\r\n\r\nx");
        assert!(reply.starts_with("250"), "{reply}");
    }
    let reply = talk.say("MAIL FROM:<a@source.test>");
    assert!(reply.starts_with("421") || reply.starts_with("452"), "{reply}");
    postbox.wait_count(2, 20);
}

#[test]
fn size_of_a_message() {
    let (server, postbox) = server(|plan| plan.set("limits", "message", "\"100 KiB\""));
    let mut talk = Talk::hello(server.address());
    assert!(talk.say("EHLO again.test").contains("SIZE 102400"));
    talk.ask("MAIL FROM:<a@source.test> SIZE=102401", "552 5.3.4");
    // A client that lies about it.
    talk.ask("MAIL FROM:<a@source.test> SIZE=1000", "250");
    talk.ask("RCPT TO:<b@sink.test>", "250");
    talk.ask("DATA", "354");
    let line = format!("{}\r\n", "x".repeat(70));
    talk.send(format!("Subject: x\r\n\r\n{}.\r\n", line.repeat(2000)).as_bytes());
    talk.expect("552 5.3.4");
    // And in chunks.
    talk.ask("MAIL FROM:<a@source.test>", "250");
    talk.ask("RCPT TO:<b@sink.test>", "250");
    talk.send(b"BDAT 200000\r\n");
    talk.send(&vec![b'x'; 200_000]);
    let reply = talk.reply();
    assert!(reply.starts_with("552"), "{reply}");
    let reply = talk.say("RSET");
    assert!(reply.starts_with("250"), "the chunk's octets were no commands: {reply}");
    assert!(
        talk.mail("<a@source.test>", &["<b@sink.test>"], "Subject: y\r\n\r\ny").starts_with("250")
    );
    postbox.wait_count(1, 20);
}

#[test]
fn lengths_of_lines_and_header() {
    let (server, _postbox) =
        server(|plan| {
            plan.set("limits", "command_line", "\"1 KiB\"")
                .set("limits", "text_line", "\"2 KiB\"")
                .set("limits", "header", "\"8 KiB\"")
        });
    let mut talk = Talk::hello(server.address());
    talk.ask(&format!("NOOP {}", "x".repeat(5000)), "500");
    talk.ask("NOOP", "250");
    let text = format!("Subject: x\r\n\r\n{}", "x".repeat(4000));
    let reply = talk.mail("<a@source.test>", &["<b@sink.test>"], &text);
    assert!(reply.starts_with('5'), "{reply}");
    let header = format!("X-Field: {}\r\n", "y".repeat(60)).repeat(200);
    let reply = talk.mail("<a@source.test>", &["<b@sink.test>"], &format!("{header}\r\nbody"));
    assert!(reply.starts_with('5'), "{reply}");
    talk.ask("NOOP", "250");
}

/// The memory of a shard is spent by messages that are on their way in: others hear 452, and are
/// served when these are done.
#[test]
fn memory_for_messages_on_their_way_in() {
    let (server, postbox) = server(|mut plan| {
        plan.shards = 1;
        plan.set("limits", "message", "\"1 MiB\"").set("limits", "memory_per_shard", "\"1 MiB\"")
    });
    let block = format!("{}\r\n", "x".repeat(1022)).repeat(700);
    let mut first = Talk::hello(server.address());
    first.ask("MAIL FROM:<a@source.test>", "250");
    first.ask("RCPT TO:<b@sink.test>", "250");
    first.ask("DATA", "354");
    first.send(format!("Subject: first\r\n\r\n{block}").as_bytes());
    thread::sleep(Duration::from_millis(500));
    let mut second = Talk::hello(server.address());
    let mut reply = second.say(&format!("MAIL FROM:<a@source.test> SIZE={}", block.len()));
    if reply.starts_with("250") {
        second.ask("RCPT TO:<b@sink.test>", "250");
        reply = second.say("DATA");
        if reply.starts_with("354") {
            second.send(format!("Subject: second\r\n\r\n{block}.\r\n").as_bytes());
            reply = second.reply();
        }
    }
    assert!(reply.starts_with("452"), "{reply}");
    first.ask(".", "250");
    second.say("RSET");
    postbox.wait_count(1, 20);
    let text = format!("Subject: second\r\n\r\n{block}");
    let reply = second.mail("<a@source.test>", &["<b@sink.test>"], text.trim_end());
    assert!(reply.starts_with("250"), "{reply}");
    postbox.wait_count(2, 20);
}

#[test]
fn hops_and_relaying() {
    let (server, postbox) = server(|mut plan| {
        plan.networks = vec!["192.0.2.0/24"];
        plan.domains = vec!["ours.test", "*.ours.test"];
        plan
    });
    let mut talk = Talk::hello(server.address());
    talk.ask("MAIL FROM:<a@source.test>", "250");
    talk.ask("RCPT TO:<b@elsewhere.test>", "550 5.7.1");
    talk.ask("RCPT TO:<b%elsewhere.test@elsewhere.test>", "550 5.7.1");
    talk.ask("RCPT TO:<@ours.test:b@elsewhere.test>", "550 5.7.1");
    talk.ask("RCPT TO:<b@notours.test>", "550 5.7.1");
    talk.ask("RCPT TO:<b@ours.test>", "250");
    talk.ask("RCPT TO:<b@deep.below.ours.test>", "250");
    talk.ask("RSET", "250");
    let circled = "Received: from a by b; Fri, 27 Nov 2026 09:00:00 +0000\r\n".repeat(150);
    let reply =
        talk.mail("<a@source.test>", &["<b@ours.test>"], &format!("{circled}Subject: x\r\n\r\nx"));
    assert!(reply.starts_with("554 5.4.6"), "{reply}");
    assert_eq!(postbox.count(), 0);
}
