//! SMTP smuggling (CVE-2023-51764 and its kin): nothing but CRLF.CRLF ends a message.

use std::{thread, time::Duration};

use crate::harness::{Listener, Plan, Postbox, Server, Talk, Text};

/// Every end of data that some server was found to take for the real one.
const ENDS: [&[u8]; 14] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r\n\x00.\r\n",
    b"\r\n.\x00\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\n\n.\r\n",
    b"\r\n . \r\n",
];

const SMUGGLED: &[u8] =
    b"MAIL FROM:<evil@source.test>\r\nRCPT TO:<victim@sink.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";

fn listeners() -> Plan {
    let mut plan = Plan::relay_to(([127, 0, 0, 1], 1).into());
    let fix = Listener { line_endings: "fix", ..Listener::smtp() };
    plan.listeners.push(fix);
    plan
}

/// The whole attack in the pieces that `cut` makes of it.
fn attack(talk: &mut Talk, end: &[u8], cut: Option<usize>) -> String {
    let start = b"Subject: outer\r\n\r\nouter text".to_vec();
    let octets = [&start[..], end, SMUGGLED, b"\r\n.\r\n"].concat();
    talk.ask("MAIL FROM:<good@source.test>", "250");
    talk.ask("RCPT TO:<someone@sink.test>", "250");
    talk.ask("DATA", "354");
    match cut {
        Some(at) => {
            talk.send(&octets[..at]);
            thread::sleep(Duration::from_millis(3));
            talk.send(&octets[at..]);
        }
        None => talk.send(&octets),
    }
    talk.reply()
}

#[test]
fn no_variant_smuggles_a_message() {
    let postbox = Postbox::open();
    let mut plan = listeners();
    plan.routes = vec![("*".into(), vec![postbox.address().to_string()])];
    let server = Server::start(plan);
    let mut taken = 0;
    for listener in &server.plan.listeners {
        for end in ENDS {
            let mut talk = Talk::hello(([127, 0, 0, 1], listener.port).into());
            let reply = attack(&mut talk, end, None);
            println!("{} {:?}: {reply}", listener.line_endings, String::from_utf8_lossy(end));
            taken += usize::from(reply.starts_with("250"));
            assert!(reply.starts_with("250") || reply.starts_with('5'), "{reply:?}");
            // One reply for one message, and the conversation is where the client thinks it is.
            assert!(talk.ask("NOOP", "250").starts_with("250"));
            talk.ask("QUIT", "221");
        }
    }
    judge(&postbox, taken);
}

/// The classic variants, cut into two packets at every byte.
#[test]
fn nor_in_two_packets() {
    let postbox = Postbox::open();
    let server = Server::start(Plan::relay_to(postbox.address()));
    let mut taken = 0;
    let length = 29 + 3 + SMUGGLED.len();
    let mut talk = Talk::hello(server.address());
    for (number, cut) in (20..length).enumerate() {
        if number % 10 == 9 {
            talk = Talk::hello(server.address());
        }
        let reply = attack(&mut talk, ENDS[number % 6], Some(cut));
        taken += usize::from(reply.starts_with("250"));
        assert!(reply.starts_with("250") || reply.starts_with('5'), "cut at {cut}: {reply:?}");
        talk.ask("RSET", "250");
    }
    judge(&postbox, taken);
}

fn judge(postbox: &Postbox, taken: usize) {
    if taken > 0 {
        postbox.wait_count(taken, 30);
    }
    thread::sleep(Duration::from_millis(500));
    assert_eq!(postbox.count(), taken, "as many messages as were acknowledged");
    for delivery in postbox.deliveries() {
        let text = delivery.text();
        assert!(delivery.mail.starts_with("<good@source.test>"), "smuggled: {text}");
        let mut previous = 0;
        for (at, byte) in delivery.message.iter().enumerate() {
            if *byte == b'\n' {
                assert_eq!(previous, b'\r', "a bare LF went out at {at}: {text:?}");
            }
            if previous == b'\r' {
                assert_eq!(*byte, b'\n', "a bare CR went out at {at}: {text:?}");
            }
            previous = *byte;
        }
    }
}

/// Refused with the code that RFC-minded senders understand, and a bounded line of explanation.
#[test]
fn bare_line_feeds_are_refused_by_name() {
    let postbox = Postbox::open();
    let server = Server::start(Plan::relay_to(postbox.address()));
    let mut talk = Talk::hello(server.address());
    talk.ask("MAIL FROM:<a@source.test>", "250");
    talk.ask("RCPT TO:<b@sink.test>", "250");
    talk.ask("DATA", "354");
    talk.send(b"Subject: x\n\ntext\r\n.\r\n");
    talk.expect("550 5.6.11");
    assert_eq!(postbox.count(), 0);
}
