//! Everything is bounded: sizes, counts, errors, time.

use std::time::Duration;

use super::*;

const BEGIN: &[u8] = b"EHLO c.example\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n";

fn with(limits: Limits) -> Session {
    Session::new(Profile { limits, ..profile() })
}

/// What is said to a message.
fn verdict(limits: &Limits, text: &str) -> String {
    let mut session = with(limits.clone());
    session.feed(BEGIN);
    session.feed(b"DATA\r\n");
    let said = session.feed(format!("{text}.\r\nNOOP\r\n").as_bytes());
    assert!(said.ends_with("250 2.0.0 Ok\r\n"), "the session goes on: {said}");
    said.lines().next().unwrap()[..3].to_owned()
}

#[test]
fn message_size_counts_without_stuffing() {
    let limits = Limits { message_bytes_max: 10, ..Limits::default() };
    assert_eq!(verdict(&limits, "12345678\r\n"), "250");
    assert_eq!(verdict(&limits, "..2345678\r\n"), "250");
    assert_eq!(verdict(&limits, "123456789\r\n"), "552");
    assert_eq!(verdict(&limits, &"x\r\n".repeat(9999)), "552");
    let mut session = with(limits);
    session.feed(b"EHLO c\r\n");
    assert_eq!(session.feed(b"MAIL FROM:<a@b.c> SIZE=11\r\n").get(..9), Some("552 5.3.4"));
    session.feed(b"MAIL FROM:<a@b.c> SIZE=10\r\nRCPT TO:<d@e.f>\r\n");
    assert_eq!(session.server.declared_size(), Some(10));
    assert_eq!(session.feed(b"BDAT 8\r\n123456\r\n").get(..3), Some("250"));
    assert_eq!(session.feed(b"BDAT 3 LAST\r\n\r\n.").get(..3), Some("552"));
    assert!(session.messages.is_empty());
}

#[test]
fn lines_and_header() {
    let limits = Limits { text_line_bytes_max: 10, header_bytes_max: 20, ..Limits::default() };
    assert_eq!(verdict(&limits, "12345678\r\n..2345678\r\n"), "250");
    assert_eq!(verdict(&limits, "123456789\r\n"), "550");
    assert_eq!(verdict(&limits, "12345678\r\n12345678\r\n\r\n"), "552", "the empty line counts");
    assert_eq!(verdict(&limits, &format!("1\r\n\r\n{}", "12345678\r\n".repeat(9))), "250");
    let limits = Limits { command_bytes_max: 64, ..Limits::default() };
    let mut session = with(limits);
    let said = session.feed(format!("NOOP {}\r\nNOOP\r\n", "x".repeat(1000)).as_bytes());
    assert_eq!(said, "500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n");
}

#[test]
fn recipients_messages_and_errors() {
    let limits = Limits { recipients_max: 2, messages_max: 2, errors_max: 3, ..Limits::default() };
    let mut session = with(limits.clone());
    assert!(session.feed(b"EHLO c\r\n").contains("LIMITS RCPTMAX=2 MAILMAX=2\r\n"));
    session.feed(
        b"MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nRCPT TO:<refused@b.c>\r\nRCPT TO:<b@b.c>\r\n",
    );
    assert_eq!(session.feed(b"RCPT TO:<c@b.c>\r\n"), "452 4.5.3 Too many recipients\r\n");
    session.feed(b"RSET\r\nMAIL FROM:<a@b.c>\r\nRSET\r\n");
    let said = session.feed(b"MAIL FROM:<a@b.c>\r\nNOOP\r\n");
    assert!(said.starts_with("421 4.5.3 mx.example.org Too many messages"), "{said}");
    assert!(session.closed);

    let mut session = with(limits);
    assert_eq!(session.feed(b"A\r\nB\r\nC\r\nD\r\nE\r\n").lines().count(), 4);
    assert_eq!(session.codes(), ["220", "500", "500", "500", "421"]);
    assert!(session.closed);
}

#[test]
fn an_accepted_message_clears_the_errors() {
    let mut session = with(Limits { errors_max: 2, ..Limits::default() });
    session.feed(BEGIN);
    session.feed(b"X\r\nY\r\nDATA\r\n.\r\n");
    assert_eq!(session.feed(b"X\r\nY\r\nZ\r\n").lines().last().unwrap()[..9], *"421 4.7.0");
}

#[test]
fn time_is_given_for_progress_only() {
    let second = Duration::from_secs(1);
    let mut session = with(Limits {
        command_timeout: second * 10,
        data_timeout: second * 20,
        message_timeout: second * 50,
        session_timeout: second * 100,
        ..Limits::default()
    });
    assert_eq!(session.server.deadline(), Moment(10_000));
    session.now = Moment(9_000);
    session.feed(b"NO");
    assert_eq!(session.server.deadline(), Moment(10_000), "half a command buys no time");
    session.feed(b"OP\r\n");
    assert_eq!(session.server.deadline(), Moment(19_000));
    session.feed(BEGIN);
    session.feed(b"DATA\r\n");
    assert!(session.server.in_body());
    assert_eq!(session.server.deadline(), Moment(29_000));
    session.now = Moment(28_000);
    session.feed(b"x");
    assert_eq!(session.server.deadline(), Moment(48_000));
    session.now = Moment(47_000);
    session.feed(b"x");
    assert_eq!(session.server.deadline(), Moment(59_000), "the whole message");
    session.feed(b"\r\n.\r\n");
    assert_eq!(session.server.deadline(), Moment(57_000));
    session.now = Moment(99_000);
    session.feed(b"NOOP\r\n");
    assert_eq!(session.server.deadline(), Moment(100_000), "the whole session");
    let from = session.out.len();
    assert_eq!(session.server.expire(Moment(100_000), &mut session.out), Step::Close);
    let said = String::from_utf8_lossy(&session.out[from..]);
    assert_eq!(said, "421 4.4.2 mx.example.org Timeout, closing connection\r\n");
    assert_eq!(session.server.deadline(), Moment::NEVER);
    assert_eq!(session.server.feed(session.now, b"NOOP\r\n", &mut Vec::new()), (6, Step::Close));
}

#[test]
fn no_deadline_while_the_driver_thinks() {
    let mut server = Server::new(Rc::new(profile()), Moment(0));
    let mut out = Vec::new();
    server.greet(Moment(0), &mut out);
    let input = b"EHLO c\r\nMAIL FROM:<>\r\nNOOP\r\n";
    let (used, step) = server.feed(Moment(0), input, &mut out);
    assert_eq!((used, step), (22, Step::Ask(Question::Sender)));
    assert_eq!(server.feed(Moment(0), &input[used..], &mut out), (0, step), "asked again");
    assert_eq!(server.deadline(), Moment::NEVER);
    server.answer(Moment(5), Answer::Accept, &mut out);
    assert!(server.deadline() < Moment::NEVER);
    assert_eq!(server.answer(Moment(5), Answer::Accept, &mut out), Step::Close, "nothing asked");
    assert!(String::from_utf8_lossy(&out).contains("421 4.3.0"));
}

#[test]
fn a_stopping_server_says_so_once() {
    let mut session = with(Limits::default());
    assert!(!session.server.has_quit());
    let mut out = Vec::new();
    assert_eq!(session.server.stop(&mut out), Step::Close);
    assert_eq!(session.server.stop(&mut out), Step::Close);
    assert_eq!(out, b"421 4.3.2 mx.example.org Server is stopping, closing connection\r\n");
    assert!(!session.server.has_quit(), "we ended it, not the peer");
    let mut session = with(Limits::default());
    session.feed(b"QUIT\r\n");
    assert!(session.server.has_quit() && session.closed);
}

#[test]
fn a_discarded_message_is_read_to_its_end() {
    let spent = || Reply::new(452, Enhanced(4, 3, 1), "Memory spent");
    let mut session = with(Limits::default());
    session.feed(BEGIN);
    session.feed(b"DATA\r\nx\r\n");
    session.server.discard(spent());
    session.server.discard(Reply::new(451, Enhanced(4, 0, 0), "later"));
    assert_eq!(session.feed(b"bare\nlf\r\n.\r\n"), "452 4.3.1 Memory spent\r\n");
    session.feed(&BEGIN[16..]);
    session.feed(b"BDAT 3\r\nabc");
    session.server.discard(spent());
    assert_eq!(session.feed(b"BDAT 6\r\nQUIT\r\n"), "452 4.3.1 Memory spent\r\n");
    assert_eq!(session.feed(b"BDAT 6 LAST\r\nQUIT\r\n"), "503 5.5.1 Say MAIL first\r\n");
    assert!(session.messages.is_empty() && !session.closed);
}

#[test]
fn refused_at_connect() {
    let mut server = Server::new(Rc::new(profile()), Moment(0));
    let mut out = Vec::new();
    let reply = Reply::new(421, Enhanced(4, 7, 0), "Too many connections");
    assert_eq!(server.refuse(&reply, &mut out), Step::Close);
    assert_eq!(out, b"421 4.7.0 Too many connections\r\n");
}
