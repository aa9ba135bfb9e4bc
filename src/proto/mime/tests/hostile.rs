//! Whatever comes: no panic, bounded results, ranges that nest, answers that follow the grammar,
//! and a digest that can be stored.

use proptest::prelude::*;

use super::grammar;
use crate::mime::{Digest, Limits, Structure, digest, structure::Part, text_of};

/// Judges what was made of `message`.
fn judge(message: &[u8], limits: &Limits) -> Digest {
    let digest = digest(message, limits);
    let octets = u32::try_from(message.len()).unwrap();
    let parts = &digest.structure.parts;
    assert!(!parts.is_empty() && parts.len() <= limits.parts_max as usize);
    for part in parts {
        assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
        assert!(part.body.start <= part.body.end && part.body.end <= octets);
        let body = &message[part.body.start as usize..part.body.end as usize];
        let lines = body.iter().filter(|octet| **octet == b'\n').count();
        assert_eq!(part.lines as usize, lines, "{part:?}");
    }
    judge_children(&digest.structure, 0, 0, limits);
    for range in digest.header.select(&[], true) {
        assert!(range.start < range.end && range.end <= parts[0].header.end);
    }
    let header = &message[parts[0].header.start as usize..parts[0].header.end as usize];
    match digest.header.text() {
        Some(text) => assert!(text == header && parts[0].header.start == 0),
        None => assert!(header.len() > limits.header_octets_max as usize),
    }
    assert!(digest.preview.chars().count() <= 200);
    assert!(digest.ids.ancestors.len() <= limits.ancestors_max as usize);
    let mut out = Vec::new();
    digest.envelope.write(&mut out);
    assert!(grammar::is_envelope(&grammar::parse(&out).unwrap()), "{}", out.escape_ascii());
    for extended in [false, true] {
        let mut out = Vec::new();
        digest.structure.write(extended, &mut out);
        let value = grammar::parse(&out);
        assert!(
            value.is_some_and(|value| grammar::is_body(&value, extended)),
            "{}",
            out.escape_ascii()
        );
    }
    let stored = postcard::to_stdvec(&digest).unwrap();
    assert_eq!(postcard::from_bytes::<Digest>(&stored).unwrap(), digest);
    for part in digest.structure.leaves().take(3) {
        let mut text = String::new();
        let mut pieces = text_of(&part, message);
        while pieces.next_of(100, &mut text) && text.len() < 200 {}
    }
    digest
}

/// Each part lies within its parent, behind its neighbour.
fn judge_children(structure: &Structure, at: usize, depth: u32, limits: &Limits) {
    assert!(depth < limits.depth_max.max(1) + 1, "{depth}");
    let parent: &Part = &structure.parts[at];
    let mut from = parent.body.start;
    for child in structure.children(at) {
        let part = &structure.parts[child];
        assert!(
            from <= part.header.start && part.body.end <= parent.body.end,
            "{parent:?} {part:?}"
        );
        from = part.body.end;
        judge_children(structure, child, depth + 1, limits);
    }
}

fn small() -> Limits {
    Limits {
        depth_max: 4,
        parts_max: 6,
        fields_max: 8,
        header_octets_max: 60,
        envelope_octets_max: 300,
        structure_octets_max: 400,
        ancestors_max: 3,
    }
}

/// Pieces that mean something to the parser.
const PIECES: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "--",
    "--a",
    "--b",
    "--a--",
    "\r\n--a\r\n",
    "\r\n--b\r\n",
    "\r\n--a--\r\n",
    "a",
    " ",
    "\t",
    "Content-Type: ",
    "multipart/mixed; boundary=a\r\n",
    "multipart/digest; boundary=b\r\n",
    "message/rfc822\r\n",
    "text/html\r\n",
    ";",
    "\"",
    "(",
    "\\",
    "Content-Transfer-Encoding: base64\r\n",
    "Subject: ",
    "From: ",
    "=?utf-8?q?",
    "?=",
    "<a@b>",
    "To: a: b@c;\r\n",
    "References: <a@b> <c@d>\r\n",
    "é",
    "\0",
    ":",
    "Content-Disposition: a; b*0=c\r\n",
    "Date: 1 Jan 2000 00:00 +0100\r\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn anything_has_a_digest(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60),
        octets in prop::collection::vec(any::<u8>(), 0..20),
        at in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut message = pieces.concat().into_bytes();
        let at = at.index(message.len() + 1);
        message.splice(at..at, octets);
        judge(&message, &Limits::default());
        judge(&message, &small());
        message.truncate(cut.index(message.len() + 1));
        judge(&message, &Limits::default());
    }
}

#[test]
fn limits_of_nothing_are_kept() {
    let limits = Limits {
        depth_max: 0,
        parts_max: 1,
        fields_max: 0,
        header_octets_max: 0,
        envelope_octets_max: 0,
        structure_octets_max: 0,
        ancestors_max: 0,
    };
    judge(b"From: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n", &limits);
    judge(b"Content-Type: message/rfc822\r\n\r\n--b\r\n\r\n", &limits);
}

#[test]
fn nesting_is_bounded() {
    let mut message = String::new();
    for depth in 0..10_000 {
        message.push_str(&format!(
            "Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n"
        ));
    }
    judge(message.as_bytes(), &Limits::default());
    let message = "Content-Type: message/rfc822\r\n\r\n".repeat(10_000);
    judge(message.as_bytes(), &Limits::default());
    // All of one boundary, each ended by each delimiter.
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(10_000);
    judge(message.as_bytes(), &Limits::default());
}

#[test]
fn a_million_parts_are_bounded() {
    let header = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for part in ["--b\r\n", "--b\r\n\r\nx\r\n", "--b--\r\n--b\r\n", "--c\r\n", "--\r\n"] {
        let message = header.to_owned() + &part.repeat(1_000_000);
        let digest = judge(message.as_bytes(), &Limits::default());
        assert!(postcard::to_stdvec(&digest).unwrap().len() < 200_000);
    }
}

#[test]
fn look_alikes_at_every_level_are_bounded() {
    let mut message = String::new();
    for depth in 0..49 {
        let boundary = format!("{}{depth}", "a".repeat(60));
        message.push_str(&format!(
            "Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n"
        ));
    }
    message.push_str("\r\n");
    message.push_str(&format!("--{}\r\n", "a".repeat(60)).repeat(500_000));
    judge(message.as_bytes(), &Limits::default());
}

#[test]
fn big_headers_are_bounded() {
    let limits = Limits::default();
    let most = (limits.envelope_octets_max * 4 + limits.structure_octets_max) as usize;
    for piece in [
        "X: y\r\n",
        "To: a@b\r\n",
        "a@b,",
        "<a@b>",
        "\"",
        "(",
        "=?utf-8?q?x?= ",
        "[a] ",
        "\r\n ",
        "Subject: Re: ",
        "a=b;",
        "<@",
        "\u{e9}",
        "\0",
        "[fwd:",
        ": ",
        "a:b;",
    ] {
        for name in ["To: ", "Subject: ", "References: ", "Content-Type: text/plain; ", "Date: "] {
            let message = format!("{name}{}", piece.repeat((10 << 20) / piece.len() / 8));
            let digest = judge(message.as_bytes(), &limits);
            assert!(postcard::to_stdvec(&digest).unwrap().len() < most + 100_000);
        }
    }
    let message = format!("Subject: {}", "x".repeat(10 << 20));
    judge(message.as_bytes(), &limits);
}

#[test]
fn what_parts_say_is_bounded() {
    let part = format!(
        "--b\r\nContent-Type: application/x; {}\r\nContent-Description: {}\r\n\r\n",
        "a=b; ".repeat(100),
        "é".repeat(4000)
    );
    let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(2000));
    let limits = Limits::default();
    let digest = judge(message.as_bytes(), &limits);
    let octets = postcard::to_stdvec(&digest).unwrap().len();
    assert!(octets < limits.structure_octets_max as usize + 200_000, "{octets}");
}
