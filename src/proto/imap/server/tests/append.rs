//! `APPEND`, and what becomes of refused literals.

use super::*;

#[test]
fn rfc_9051_append() {
    let mut session = Session::logged_in(profile());
    let said =
        session.say(r#"A003 APPEND saved-messages (\Seen) " 7-Feb-1994 21:52:25 -0800" {5}"#);
    assert_eq!(said, "+ OK\r\n");
    assert!(session.server.is_appending() && session.server.in_literal());
    assert_eq!(session.feed(b"ab"), "");
    assert_eq!(session.feed(b"\r\nc\r\n"), "A003 OK Appended\r\n");
    assert_eq!(session.appended, [b"ab\r\nc"]);
    assert!(!session.server.is_appending());
    assert!(session.asked[0].contains("SystemFlags(8)"), "{}", session.asked[0]);
    assert!(
        session.asked[0].contains("date: Some(Timestamp(760686745000))"),
        "{}",
        session.asked[0]
    );
    assert!(session.asked[0].contains("first: true"), "{}", session.asked[0]);
}

#[test]
fn rfc_3502_several_messages() {
    let mut session = Session::logged_in(profile());
    assert_eq!(session.say(r"A003 APPEND saved (\Seen) {1}"), "+ OK\r\n");
    assert_eq!(session.say(r"a (\Draft) {2}"), "+ OK\r\n");
    assert_eq!(session.say("bc {3+}"), "");
    assert_eq!(session.say("def"), "A003 OK Appended\r\n");
    assert_eq!(session.appended, [&b"a"[..], b"bc", b"def"]);
    assert!(session.asked[1].contains("first: false"));
    // An empty one takes back all.
    assert_eq!(session.say("A004 APPEND saved {1}"), "+ OK\r\n");
    assert_eq!(session.say("a {0}"), "A004 NO Append cancelled\r\n");
    // So does nonsense.
    assert_eq!(session.say("A005 APPEND saved {1}"), "+ OK\r\n");
    assert_eq!(session.say("a x"), "A005 BAD A message is missing\r\n");
    assert_eq!(session.say("A006 APPEND saved {1}"), "+ OK\r\n");
    assert_eq!(session.say("a x {3+}\r\nabc {1}"), "A006 BAD A message is missing\r\n");
    assert!(!session.server.is_appending());
    assert_eq!(session.appended.len(), 3);
}

#[test]
fn names_may_be_literals_and_messages_binary() {
    let mut session = Session::logged_in(profile());
    assert_eq!(session.say("a APPEND {5}"), "+ OK\r\n");
    assert_eq!(session.say("saved {1+}\r\nx"), "a OK Appended\r\n");
    assert_eq!(session.say("b APPEND {5+}\r\nsaved ~{2}"), "+ OK\r\n");
    assert_eq!(session.feed(b"\0\0\r\n"), "b OK Appended\r\n");
    assert_eq!(session.say("c APPEND saved UTF8 (~{2}"), "+ OK\r\n");
    assert_eq!(session.say("xy)"), "c OK Appended\r\n");
    assert_eq!(session.say("d APPEND saved UTF8 (~{2+}"), "");
    assert_eq!(session.say("xy"), "d BAD A list does not end\r\n");
    assert_eq!(session.say("e APPEND saved UTF8 ({2}"), "e BAD A literal8 is missing\r\n");
    assert_eq!(session.say("f APPEND saved"), "f BAD A message is missing\r\n");
    assert_eq!(session.say("g LIST \"\" ~{1}"), "g BAD A literal8 is a message\r\n");
    assert_eq!(session.appended, [&b"x"[..], b"\0\0", b"xy"]);
}

#[test]
fn what_is_refused_is_never_obeyed() {
    let mut session = Session::logged_in(profile());
    // Who waits is told at once, and who does not, behind it.
    let refusal = "NO [TRYCREATE] No such mailbox\r\n";
    assert_eq!(session.say("a APPEND missing {9}"), format!("a {refusal}"));
    assert_eq!(session.say("b APPEND missing {10+}"), "");
    assert_eq!(session.feed(b"b LOGOUT\r\n"), "");
    assert_eq!(session.say(""), format!("b {refusal}"));
    // Behind it may be more.
    assert_eq!(
        session.say("c APPEND missing {3+}\r\nabc {10+}\r\nc LOGOUT\r\n {5}"),
        format!("c {refusal}")
    );
    // Any command that cannot be has its literals.
    assert_eq!(session.say("d FOO {10+}\r\nd LOGOUT\r\n x"), "d BAD Unknown command\r\n");
    assert_eq!(session.say("+ FOO {10+}\r\nd LOGOUT\r\n x"), "* BAD Malformed tag\r\n");
    assert_eq!(session.say("e FOO {10}"), "e BAD Unknown command\r\n");
    assert_eq!(
        session.say("f LIST \"{10+}\r\nd LOGOUT\r\n"),
        "f BAD A quoted string does not end\r\n"
    );
    assert_eq!(session.end, None);
    assert!(session.appended.is_empty());
    assert!(session.server.identity().is_some());
}

#[test]
fn a_message_may_be_discarded_while_it_arrives() {
    let mut session = Session::logged_in(profile());
    session.say("a APPEND saved {9}");
    session.feed(b"abc");
    session.server.discard(Completion::no("No room").with(Code::OverQuota));
    assert!(!session.server.is_appending());
    assert_eq!(session.feed(b"def\r\nx {10+}\r\na LOGOUT\r\n"), "");
    assert_eq!(session.say(""), "a NO [OVERQUOTA] No room\r\n");
    session.server.discard(Completion::no("Nothing to discard"));
    assert_eq!(session.say("b NOOP"), "b OK Done\r\n");
}

#[test]
fn limits_are_told_before_a_message_comes() {
    let limits = Limits {
        append_bytes_max: 10,
        append_messages_max: 2,
        refused_literal_bytes_max: 20,
        ..Limits::default()
    };
    let mut session = Session::logged_in(Profile { limits, ..profile() });
    assert_eq!(session.say("a APPEND saved {11}"), "a NO [TOOBIG] Message is too large\r\n");
    assert_eq!(
        session.say("b APPEND saved {11+}\r\n12345678901"),
        "b NO [TOOBIG] Message is too large\r\n"
    );
    assert_eq!(
        session.say("c APPEND saved {1+}\r\na {1+}\r\nb {1+}\r\nc"),
        "c NO [LIMIT] Too many messages at once\r\n"
    );
    assert_eq!(
        session.say("d APPEND saved {21+}"),
        "d NO [TOOBIG] Message is too large\r\n* BYE [TOOBIG] Command is too long\r\n"
    );
    assert_eq!(session.end, Some("close"));
    // A message that could have come is passed over, however long; nothing else is.
    let limits =
        Limits { append_bytes_max: 100, refused_literal_bytes_max: 20, ..Limits::default() };
    let mut session = Session::logged_in(Profile { limits, ..profile() });
    let body = "x".repeat(90);
    let said =
        session.say(&format!("a APPEND missing {{90+}}\r\n{body} {{80+}}\r\n{}", &body[..80]));
    assert!(said.starts_with("a NO ") && !said.contains("BYE"), "{said}");
    assert_eq!(session.say("b NOOP"), "b OK Done\r\n");
    let said = session.say("c SEARCH BODY {50000+}");
    assert!(said.ends_with("* BYE [TOOBIG] Command is too long\r\n"), "{said}");
}

#[test]
fn before_login_no_message_comes() {
    let mut session = Session::new(profile());
    assert_eq!(session.say("a APPEND saved {11}"), "a BAD Log in first\r\n");
    assert_eq!(session.say("b APPEND saved {1+}\r\nx"), "b BAD Log in first\r\n");
    assert!(session.asked.is_empty());
}
