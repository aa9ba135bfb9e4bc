//! Everything is bounded: lines, counts, errors, memory, time.

use std::time::Duration;

use super::*;

fn with(limits: Limits) -> Session {
    Session::new(Profile { limits, ..profile() })
}

/// Ten thousand messages that take no room.
fn many() -> Messages {
    Messages(vec![("id", Vec::new()); 10_000])
}

#[test]
fn lines() {
    let mut session = with(Limits { command_bytes_max: 64, ..Limits::default() });
    let said = session.feed(format!("USER {}\r\nQUIT\r\n", "x".repeat(1000)).as_bytes());
    assert_eq!(said, "-ERR Line too long\r\n+OK dewey signing off\r\n");
    let mut session = with(Limits { command_bytes_max: 64, ..Limits::default() });
    for _ in 0..1000 {
        assert_eq!(session.feed(&[b'x'; 100]), "", "an endless line is not kept");
        assert!(session.waiting.is_empty());
    }
    assert_eq!(session.feed(b"\nCAPA\n").get(..21), Some("-ERR Line too long\r\n+"));
}

#[test]
fn errors_and_commands() {
    let mut session = with(Limits { errors_max: 2, ..Limits::default() });
    let said = session.feed(b"A\r\nRETR 1\r\n\xff\r\nQUIT\r\n");
    assert_eq!(said.lines().last(), Some("-ERR Too many errors, closing"));
    assert_eq!(said.lines().count(), 3);
    assert!(session.closed);
    let mut session = with(Limits { commands_before_login_max: 4, ..Limits::default() });
    let said = session.feed(b"LANG *\r\nLANG *\r\nUSER mrose\r\nPASS x\r\nCAPA\r\n");
    assert!(said.ends_with("-ERR Too many commands before logging in, closing\r\n"), "{said}");
    assert!(session.closed);
    let mut session = with(Limits { commands_before_login_max: 2, ..Limits::default() });
    session.feed(b"USER mrose\r\nPASS secret\r\n");
    for _ in 0..100 {
        assert_eq!(session.say("NOOP"), "+OK\r\n");
    }
}

#[test]
fn a_message_that_is_sent_clears_the_errors() {
    let mut session = with(Limits { errors_max: 2, ..Limits::default() });
    session.feed(b"A\r\nB\r\nUSER mrose\r\nPASS secret\r\n");
    session.feed(b"A\r\nB\r\nRETR 1\r\nA\r\nB\r\nRETR 1\r\n");
    assert!(!session.closed);
    session.feed(b"A\r\nB\r\nC\r\n");
    assert!(session.closed);
}

#[test]
fn foreign_protocols_are_shown_the_door() {
    let mut session = with(Limits::default());
    let said = session.feed(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER mrose\r\nPASS secret\r\n");
    assert_eq!(said, "-ERR This is a POP3 server, closing\r\n");
    assert!(session.closed && session.asked.is_empty());
}

#[test]
fn long_lists_are_said_in_pieces() {
    let out_bytes_max = 1000;
    let limits = Limits { out_bytes_max, ..Limits::default() };
    let mut session = with_messages(Profile { limits, ..profile() }, many());
    let said = session.feed(b"UIDL\r\nLIST\r\nDELE 9999\r\nSTAT\r\n");
    assert!(session.unsent_max < out_bytes_max + 100, "{}", session.unsent_max);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 20_006);
    assert_eq!((lines[10_000], lines[10_001]), ("10000 id", "."));
    assert_eq!(lines[20_004..], ["+OK Message 9999 deleted", "+OK 9999 0"]);
}

#[test]
fn replies_to_many_commands_are_said_in_pieces() {
    let limits = Limits { out_bytes_max: 1000, ..Limits::default() };
    let mut session = with_messages(Profile { limits, ..profile() }, two_messages());
    let said = session.feed("CAPA\r\n".repeat(1000).as_bytes());
    assert_eq!(said.matches("+OK").count(), 1000);
    assert!(session.unsent_max < 1500, "{}", session.unsent_max);
}

#[test]
fn time_before_a_login_is_not_prolonged() {
    let mut session = with(Limits::default());
    assert_eq!(session.server.deadline(), Moment(180_000));
    session.now = Moment(100_000);
    session.feed(b"CAPA\r\nUSER mrose\r\n");
    assert_eq!(session.server.deadline(), Moment(180_000));
    session.feed(b"PASS secret\r\n");
    assert_eq!(session.server.deadline(), Moment(700_000));
    session.now = Moment(600_000);
    session.feed(b"NO");
    assert_eq!(session.server.deadline(), Moment(700_000), "half a command buys no time");
    session.feed(b"OP\r\n");
    assert_eq!(session.server.deadline(), Moment(1_200_000));
}

#[test]
fn rfc_1939_3_nothing_is_said_when_time_is_up() {
    let limits = Limits { session_timeout: Duration::from_secs(700), ..Limits::default() };
    let mut session = with_messages(Profile { limits, ..profile() }, two_messages());
    session.now = Moment(690_000);
    session.feed(b"DELE 1\r\n");
    assert_eq!(session.server.deadline(), Moment(700_000), "the whole session");
    assert_eq!(session.server.expire(Moment(700_000)), Step::Close);
    assert_eq!(session.server.deadline(), Moment::NEVER);
    let mut out = Vec::new();
    assert_eq!(session.server.feed(session.now, b"QUIT\r\n", &mut out), (6, Step::Close));
    assert!(out.is_empty() && session.deleted.is_empty());
}

#[test]
fn a_client_that_takes_nothing_has_less_time() {
    let mut session = logged_in();
    let (_, step) = session.server.feed(Moment(5), b"RETR 1\r\n", &mut Vec::new());
    assert_eq!(step, Step::Ask(Question::Retrieve));
    assert_eq!(session.server.deadline(), Moment::NEVER, "the driver thinks");
    let mut out = Vec::new();
    assert_eq!(session.server.answer(Moment(10), Answer::Accept, &mut out), Step::Body);
    assert_eq!(session.server.deadline(), Moment(300_010));
    session.server.body(Moment(20), b"x", &mut out);
    assert_eq!(session.server.deadline(), Moment(300_020));
    session.server.body_ended(Moment(30), &mut out);
    assert_eq!(session.server.deadline(), Moment(600_030));
}

#[test]
fn a_stopping_server_says_so_between_replies_only() {
    let stopped = |session: &mut Session| {
        let mut out = Vec::new();
        assert_eq!(session.server.stop(&mut out), Step::Close);
        assert_eq!(session.server.stop(&mut Vec::new()), Step::Close);
        String::from_utf8(out).unwrap()
    };
    let said = "-ERR [SYS/TEMP] Server is stopping, closing\r\n";
    assert_eq!(stopped(&mut with(Limits::default())), said);
    assert_eq!(stopped(&mut logged_in()), said);
    let mut session = with_messages(profile(), many());
    let (_, step) = session.server.feed(Moment(0), b"LIST\r\n", &mut Vec::new());
    assert_eq!((step, stopped(&mut session)), (Step::Send, String::new()));
    let mut session = logged_in();
    session.server.feed(Moment(0), b"RETR 1\r\n", &mut Vec::new());
    session.server.answer(Moment(0), Answer::Accept, &mut Vec::new());
    assert_eq!(stopped(&mut session), "");
}

#[test]
fn a_driver_out_of_step_loses_the_connection() {
    let mut session = logged_in();
    let mut out = Vec::new();
    assert_eq!(session.server.answer(Moment(0), Answer::Accept, &mut out), Step::Close);
    assert_eq!(out, b"-ERR [SYS/TEMP] Internal error, closing\r\n");
    let mut session = logged_in();
    assert_eq!(session.server.body_ended(Moment(0), &mut Vec::new()), Step::Close);
    assert!(session.server.marked().next().is_none());
}

#[test]
fn refused_at_connect() {
    let mut server = Server::<Messages>::new(Rc::new(profile()), Moment(0));
    let mut out = Vec::new();
    let refusal = Refusal::new(Some(Code::Temporary), "Too many connections");
    assert_eq!(server.refuse(&refusal, &mut out), Step::Close);
    assert_eq!(out, b"-ERR [SYS/TEMP] Too many connections\r\n");
}

/// Idle connections are many.
#[test]
fn the_machine_is_small() {
    let octets = size_of::<Server<Messages>>();
    assert!(octets <= 288, "{octets} octets");
}
