//! Bounds and deadlines.

use std::time::Duration;

use super::*;

fn limited(limits: Limits) -> Profile {
    Profile { limits, ..profile() }
}

#[test]
fn commands_are_bounded_before_and_after_login() {
    let limits =
        Limits { command_bytes_max: 200, login_command_bytes_max: 100, ..Limits::default() };
    let long = |octets: usize| format!("a NOOP {}", "x".repeat(octets - 9));
    let mut session = Session::new(limited(limits.clone()));
    assert_eq!(session.say(&long(100)), "a BAD Unexpected arguments\r\n");
    assert_eq!(session.say(&long(101)), "* BYE [TOOBIG] Command is too long\r\n");
    let mut session = Session::logged_in(limited(limits.clone()));
    assert_eq!(session.say(&long(200)), "a BAD Unexpected arguments\r\n");
    assert_eq!(session.feed(&[b'x'; 200]), "* BYE [TOOBIG] Command is too long\r\n");
    assert_eq!(session.end, Some("close"));
    // All literals of a command together.
    let mut session = Session::logged_in(limited(limits));
    assert_eq!(session.say("a LIST {90}"), "+ OK\r\n");
    assert_eq!(
        session.say(&format!("{} {{90}}", "x".repeat(90))),
        "a BAD [TOOBIG] Literal is too large\r\n"
    );
    assert_eq!(session.say("b NOOP"), "b OK Done\r\n");
}

#[test]
fn literals_are_bounded_before_and_after_login() {
    let limits = Limits { literal_bytes_max: 50, login_literal_bytes_max: 20, ..Limits::default() };
    let too_big = |tag: char| format!("{tag} BAD [TOOBIG] Literal is too large\r\n");
    let mut session = Session::new(limited(limits.clone()));
    assert_eq!(session.say("a LOGIN {21}"), too_big('a'));
    assert_eq!(session.say("b LOGIN {99999999999999999999}"), too_big('b'));
    assert_eq!(session.say(&format!("c LOGIN {{21+}}\r\n{} x", "x".repeat(21))), too_big('c'));
    assert_eq!(session.say("d LOGIN {20}"), "+ OK\r\n");
    let mut session = Session::logged_in(limited(limits));
    assert_eq!(session.say("a LIST {51}"), too_big('a'));
    assert_eq!(session.say("b LIST {50}"), "+ OK\r\n");
    let mut session = Session::new(profile());
    let said = session.say("a LOGIN {99999999999+}");
    assert!(said.ends_with("* BYE [TOOBIG] Command is too long\r\n"), "{said}");
}

#[test]
fn items_and_nesting_are_bounded() {
    let bounds = crate::imap::syntax::Bounds { items_max: 20, depth_max: 5 };
    let mut session = Session::selected(limited(Limits { bounds, ..Limits::default() }));
    let limit = |tag: char, what: &str| format!("{tag} NO [LIMIT] {what}\r\n");
    let set = vec!["1"; 21].join(",");
    assert_eq!(session.say(&format!("a FETCH {set} UID")), limit('a', "Too many items"));
    let deep = format!("b SEARCH {}ALL{}", "(".repeat(6), ")".repeat(6));
    assert_eq!(session.say(&deep), limit('b', "Nested too deeply"));
    let deep = format!("c SEARCH {}ALL", "NOT ".repeat(6));
    assert_eq!(session.say(&deep), limit('c', "Nested too deeply"));
    let wide = format!("d SEARCH {}", vec!["ALL"; 21].join(" "));
    assert_eq!(session.say(&wide), limit('d', "Too many items"));
    let many = format!("e STORE 1 FLAGS ({})", vec!["k"; 21].join(" "));
    assert_eq!(session.say(&many), limit('e', "Too many items"));
    let many = format!("f LIST \"\" ({})", vec!["*"; 17].join(" "));
    assert_eq!(session.say(&many), limit('f', "Too many patterns"));
}

#[test]
fn errors_and_commands_are_counted() {
    let mut session = Session::new(limited(Limits { errors_max: 2, ..Limits::default() }));
    session.say("a FOO");
    session.say("a FOO");
    assert_eq!(
        session.say("a FOO"),
        "a BAD Unknown command\r\n* BYE [CLIENTBUG] Too many errors\r\n"
    );
    // Somebody who gets on is no nuisance.
    let mut session = Session::logged_in(limited(Limits { errors_max: 2, ..Limits::default() }));
    for _ in 0..5 {
        session.say("a FOO");
        session.say("a FOO");
        session.say("a CAPABILITY");
    }
    assert_eq!(session.end, None);
    let mut session = Session::new(limited(Limits { login_commands_max: 3, ..Limits::default() }));
    for _ in 0..3 {
        session.say("a NOOP");
    }
    assert_eq!(session.say("a NOOP"), "* BYE [LIMIT] Too many commands before login\r\n");
    let mut session =
        Session::logged_in(limited(Limits { login_commands_max: 3, ..Limits::default() }));
    for _ in 0..10 {
        session.say("a NOOP");
    }
    assert_eq!(session.end, None);
}

#[test]
fn lines_end_with_crlf() {
    let mut session = Session::new(profile());
    assert_eq!(session.feed(b"a NOOP\n"), "* BYE [CLIENTBUG] Lines end with CRLF\r\n");
    let mut session = Session::new(profile());
    assert_eq!(session.feed(b"a NOOP\rx\r\n"), "a BAD Unexpected arguments\r\n");
    assert_eq!(session.feed(b"a LOGIN \"x\0y\" z\r\n"), "a BAD A quoted string does not end\r\n");
}

#[test]
fn deadlines() {
    let limits = Limits {
        login_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(1000),
        data_timeout: Duration::from_millis(50),
        append_timeout: Duration::from_millis(120),
        ..Limits::default()
    };
    let mut session = Session::new(limited(limits));
    session.now = Moment(90);
    session.say("a NOOP");
    assert_eq!(session.server.deadline(), Moment(100), "commands buy no time before login");
    session.say("a LOGIN tim secret");
    assert_eq!(session.server.deadline(), Moment(1090));
    session.now = Moment(200);
    session.feed(b"a NO");
    assert_eq!(session.server.deadline(), Moment(1090), "half a command buys none");
    session.say("OP");
    assert_eq!(session.server.deadline(), Moment(1200));
    session.say("a APPEND saved {9}");
    assert_eq!(session.server.deadline(), Moment(250));
    session.now = Moment(240);
    session.feed(b"abc");
    assert_eq!(session.server.deadline(), Moment(290));
    session.now = Moment(280);
    session.feed(b"abc");
    assert_eq!(session.server.deadline(), Moment(320), "the whole message");
    let mut out = Vec::new();
    assert_eq!(session.server.expire(Moment(320), &mut out), Step::Close);
    assert_eq!(out, b"* BYE [UNAVAILABLE] Idle for too long\r\n");
    assert_eq!(session.server.deadline(), Moment::NEVER);
    assert!(!session.server.is_appending());
    assert_eq!(session.server.expire(Moment(321), &mut out), Step::Close);
    assert_eq!(out.len(), 39, "said once");
}

#[test]
fn a_driver_out_of_step_loses_the_connection() {
    let mut session = Session::logged_in(profile());
    let mut out = Vec::new();
    let step = session.server.finish(Moment(0), &Completion::ok("x"), &mut out);
    assert_eq!((step, &*out), (Step::Close, &b"* BYE [SERVERBUG] Internal error\r\n"[..]));
    let mut session = Session::new(profile());
    out.clear();
    let why = Completion::no("Too many connections").with(Code::Limit);
    assert_eq!(session.server.refuse(&why, &mut out), Step::Close);
    assert_eq!(out, b"* BYE [LIMIT] Too many connections\r\n");
}
