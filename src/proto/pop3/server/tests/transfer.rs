//! Messages on their way out: octet for octet what the store has, however it is cut into pieces.

use proptest::prelude::*;

use super::*;
use crate::text::stuff_dots;

/// What is said to `RETR`, or to `TOP` with so many lines, behind its first line; `pieces` are used in
/// turn.
fn sent(message: &[u8], lines: Option<u32>, pieces: &[usize]) -> Vec<u8> {
    let mut session = with_messages(profile(), Messages(vec![("id", message.to_vec())]));
    let command = lines.map_or("RETR 1\r\n".into(), |lines| format!("TOP 1 {lines}\r\n"));
    let (mut said, mut unsent) = (Vec::new(), Vec::new());
    session.server.feed(Moment(0), command.as_bytes(), &mut unsent);
    let step = session.server.answer(Moment(0), Answer::Accept, &mut unsent);
    assert_eq!(step, Step::Body);
    unsent.clear();
    let mut sizes = pieces.iter().copied().cycle();
    let (mut from, mut wants_more) = (0, true);
    while from < message.len() && wants_more {
        let piece = &message[from..];
        let piece = &piece[..sizes.next().unwrap_or(usize::MAX).clamp(1, piece.len())];
        let portion = session.server.body(Moment(0), piece, &mut unsent);
        said.append(&mut unsent);
        said.extend_from_slice(&piece[portion.verbatim]);
        from += portion.used;
        wants_more = portion.wants_more;
    }
    session.server.body_ended(Moment(0), &mut said);
    said
}

/// What `TOP` is to send, found in the simplest way.
fn top(message: &[u8], lines: u32) -> Vec<u8> {
    let (mut kept, mut lines_left, mut in_header) = (Vec::new(), lines, true);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if !in_header && lines_left == 0 {
            break;
        }
        kept.extend_from_slice(line);
        if !in_header {
            lines_left -= 1;
        }
        in_header = in_header && line != b"\r\n" && line != b"\n";
    }
    kept
}

/// With dots stuffed, a line end where there is none, and the last line.
fn whole(message: &[u8]) -> Vec<u8> {
    let mut text = stuff_dots(message).into_owned();
    let is_ended = text.is_empty() || text.ends_with(b"\n");
    text.extend_from_slice(if is_ended { b".\r\n" } else { b"\r\n.\r\n" });
    text
}

#[test]
fn stuffed_dots_and_the_end() {
    for (message, said) in [
        ("", ".\r\n"),
        (".", "..\r\n.\r\n"),
        ("a\r\n", "a\r\n.\r\n"),
        ("a", "a\r\n.\r\n"),
        (".\r\n.\r\n", "..\r\n..\r\n.\r\n"),
        ("a.\r\n..b\r\n", "a.\r\n...b\r\n.\r\n"),
        ("a\n.\r\n", "a\n..\r\n.\r\n"),
    ] {
        assert_eq!(String::from_utf8(sent(message.as_bytes(), None, &[])).unwrap(), said);
    }
}

#[test]
fn top_ends_behind_the_header_and_so_many_lines() {
    let message = b"A: b\r\n c\r\n\r\n1\r\n.2\r\n\r\n4";
    for (lines, said) in [
        (0, "A: b\r\n c\r\n\r\n.\r\n"),
        (1, "A: b\r\n c\r\n\r\n1\r\n.\r\n"),
        (2, "A: b\r\n c\r\n\r\n1\r\n..2\r\n.\r\n"),
        (3, "A: b\r\n c\r\n\r\n1\r\n..2\r\n\r\n.\r\n"),
        (4, "A: b\r\n c\r\n\r\n1\r\n..2\r\n\r\n4\r\n.\r\n"),
        (u32::MAX, "A: b\r\n c\r\n\r\n1\r\n..2\r\n\r\n4\r\n.\r\n"),
    ] {
        assert_eq!(String::from_utf8(sent(message, Some(lines), &[])).unwrap(), said, "{lines}");
    }
    assert_eq!(sent(b"\r\nx\r\n", Some(0), &[]), b"\r\n.\r\n", "no header at all");
    assert_eq!(sent(b"A: b\r\n", Some(0), &[]), b"A: b\r\n.\r\n", "nothing but a header");
}

/// A long message is not copied: one place in it, and all the rest in `out`.
#[test]
fn long_runs_stay_where_they_are() {
    let line = "a line of seventy octets or so, that does not begin with a dot\r\n";
    let half = line.repeat(1000);
    let message = format!("{half}.\r\n{half}").into_bytes();
    let mut session = with_messages(profile(), Messages(vec![("id", message.clone())]));
    let mut out = Vec::new();
    session.server.feed(Moment(0), b"RETR 1\r\n", &mut out);
    session.server.answer(Moment(0), Answer::Accept, &mut out);
    out.clear();
    let first = session.server.body(Moment(0), &message, &mut out);
    assert_eq!((first.used, first.verbatim, out.len()), (half.len(), 0..half.len(), 0));
    let rest = &message[first.used..];
    let second = session.server.body(Moment(0), rest, &mut out);
    assert_eq!((second.used, second.verbatim), (rest.len(), 0..rest.len()));
    assert_eq!((&out[..], second.wants_more), (&b"."[..], true));
}

/// A message made of dots costs no memory.
#[test]
fn many_short_runs_are_gathered_up_to_a_limit() {
    let message = ".\r\n".repeat(100_000).into_bytes();
    let mut session = with_messages(profile(), Messages(vec![("id", message)]));
    let said = session.say("RETR 1");
    assert_eq!(said.len(), "+OK 300000 octets\r\n".len() + 400_000 + 3);
    assert!(session.unsent_max <= (16 << 10) + 4, "{}", session.unsent_max);
    assert_eq!(session.say("NOOP"), "+OK\r\n");
}

#[test]
fn a_message_that_is_lost_ends_the_connection() {
    let mut session = logged_in();
    session.server.feed(Moment(0), b"DELE 2\r\nRETR 1\r\n", &mut Vec::new());
    assert_eq!(session.server.retrieval(), Some(Retrieval { index: 0, lines: None }));
    session.server.answer(Moment(0), Answer::Accept, &mut Vec::new());
    assert_eq!(session.server.body_lost(), Step::Close);
    let mut out = Vec::new();
    assert_eq!(session.server.feed(Moment(0), b"", &mut out), (0, Step::Close));
    assert_eq!(session.server.body(Moment(0), b"x", &mut out).used, 1);
    assert!(out.is_empty() && session.server.retrieval().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn pieces_do_not_show(
        parts in prop::collection::vec(
            prop::sample::select(vec![".", "..", "a", "\r\n", "\n", "\r", "\r\n\r\n", "\r\n.\r\n", "A: b\r\n", "x.y"]),
            0..30,
        ),
        long in 0usize..3,
        sizes in prop::collection::vec(1usize..20, 1..8),
        lines in prop::option::of(0u32..6),
    ) {
        let message = [parts.concat(), "long line ".repeat(long * 500), parts.concat()].concat().into_bytes();
        let expected = match lines {
            Some(lines) => whole(&top(&message, lines)),
            None => whole(&message),
        };
        for sizes in [&[][..], &[1], &sizes] {
            let said = sent(&message, lines, sizes);
            prop_assert_eq!(String::from_utf8_lossy(&said), String::from_utf8_lossy(&expected));
        }
    }
}
