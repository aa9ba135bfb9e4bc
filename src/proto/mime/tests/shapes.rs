//! What ENVELOPE, BODY and BODYSTRUCTURE look like: the RFCs' examples, and Dovecot's ways.

use super::{digest_of, envelope, structure};
use crate::mime::{Digest, Encoding, Kind};

fn text(message: &str, range: std::ops::Range<u32>) -> &str {
    &message[range.start as usize..range.end as usize]
}

/// RFC 3501 §8.
#[test]
fn the_example_of_the_standard() {
    let message = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n\
        From: Terry Gray <gray@cac.washington.edu>\r\n\
        Subject: IMAP4rev1 WG mtg summary and minutes\r\n\
        To: imap@cac.washington.edu\r\n\
        cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
        Message-Id: <B27397-0100000@cac.washington.edu>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nbody\r\n";
    let digest = digest_of(message);
    assert_eq!(
        envelope(&digest),
        "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev1 WG mtg summary and minutes\" \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((NIL NIL \"imap\" \"cac.washington.edu\")) \
         ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) \
         NIL NIL \"<B27397-0100000@cac.washington.edu>\")"
    );
    let body = "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7bit\" 6 1";
    assert_eq!(structure(&digest, false), format!("{body})"));
    assert_eq!(structure(&digest, true), format!("{body} NIL NIL NIL NIL)"));
    let root = digest.structure.part(&[]).unwrap();
    assert_eq!(text(message, root.header).len(), 342);
    assert_eq!(text(message, root.body), "body\r\n");
    assert_eq!((&*digest.sort.from, &*digest.sort.cc), ("GRAY", "MINUTES"));
    assert_eq!(&*digest.base_subject, "IMAP4REV1 WG MTG SUMMARY AND MINUTES");
    assert_eq!(digest.sent.unwrap().0, 837_595_405_000);
    assert_eq!(digest.sent_day, Some(9694));
    let field = digest.header.fields("CC").next().unwrap();
    assert!(text(message, field).starts_with("cc: minutes@"));
}

#[test]
fn odd_envelopes() {
    let digest = digest_of(
        "From: A \"q\\\"x\" <a@b>\r\nSender: \r\nReply-To:\r\nTo: undisclosed-recipients:;\r\n\
         Subject: =?utf-8?q?x?=\r\n\tfolded  \"here\"\r\nTo: <later@x>\r\nSubject: second\r\n\
         Bcc: J\u{f6}rg <j@x>\r\nIn-Reply-To: <r@x>\r\n\r\n",
    );
    let author = "((\"A q\\\"x\" NIL \"a\" \"b\"))";
    assert_eq!(
        envelope(&digest),
        format!(
            "(NIL \"=?utf-8?q?x?= folded \\\"here\\\"\" {author} {author} {author} \
             ((NIL NIL \"undisclosed-recipients\" NIL)(NIL NIL NIL NIL)(NIL NIL \"later\" \"x\")) \
             NIL (({{5}}\r\nJ\u{f6}rg NIL \"j\" \"x\")) \"<r@x>\" NIL)"
        )
    );
    assert_eq!(&*digest.base_subject, "X FOLDED \"HERE\"");
    assert_eq!(&*digest.sort.to, "UNDISCLOSED-RECIPIENTS");
    assert_eq!(envelope(&digest_of("")), "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}

/// Sizes, line counts, defaults and cases as Dovecot has them.
#[test]
fn parts_as_dovecot_shows_them() {
    let inner = "From: in@x.test\r\nSubject: inside\r\n\
        Content-Type: multipart/alternative; boundary=\"in\"\r\n\r\npreamble\r\n\
        --in\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>Hi</p>\r\n\r\n\
        --in\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: ?bad\r\n\r\nHi there\r\n\r\n\
        --in--\r\nepilogue\r\n";
    let message = format!(
        "Content-Type: multipart/mixed; boundary=\"a\r\n b\"\r\n\r\npreamble\r\n\r\n\
         --a b\r\nContent-Type: text/x-own; charset=us-ascii; foo=\"quoted\\\"string\"\r\n\
         Content-ID: <id@x.test>\r\nContent-MD5: Q2hlY2s=\r\nContent-Language: en, fi\r\n\
         Content-Disposition: inline; foo=bar\r\nContent-Description: says  something\r\n\
         Content-Location: http://x.test/a\r\n\r\nhello\r\n\r\n\
         --a b\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n\
         --a b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n\
         --a b--\r\nepilogue\r\n"
    );
    let digest = digest_of(&message);
    let own = "(\"text\" \"x-own\" (\"charset\" \"us-ascii\" \"foo\" \"quoted\\\"string\") \
               \"<id@x.test>\" \"says something\" \"7bit\" 7 1";
    let from = "((NIL NIL \"in\" \"x.test\"))";
    let nested = format!("(NIL \"inside\" {from} {from} {from} NIL NIL NIL NIL NIL)");
    let (html, plain) = (
        "(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"8bit\" 11 1",
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 1",
    );
    let size = inner.len();
    let lines = inner.matches('\n').count();
    assert_eq!(
        structure(&digest, false),
        format!(
            "({own})(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" {size} {nested} \
             ({html}){plain}) \"alternative\") {lines})\
             (\"application\" \"pdf\" NIL NIL NIL \"base64\" 4) \"mixed\")"
        )
    );
    let none = " NIL NIL NIL NIL)";
    assert_eq!(
        structure(&digest, true),
        format!(
            "({own} \"Q2hlY2s=\" (\"inline\" (\"foo\" \"bar\")) (\"en\" \"fi\") \"http://x.test/a\")\
             (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" {size} {nested} \
             ({html}{none}{plain}{none} \"alternative\" (\"boundary\" \"in\") NIL NIL NIL) {lines}{none}\
             (\"application\" \"pdf\" NIL NIL NIL \"base64\" 4 NIL (\"attachment\" NIL) NIL NIL) \
             \"mixed\" (\"boundary\" \"a b\") NIL NIL NIL)"
        )
    );
    assert_eq!(&*digest.preview, "", "the parts of a message inside are not its own");
}

/// RFC 3501 §6.4.5: how parts are numbered.
#[test]
fn parts_are_found_by_number() {
    let inner = "Subject: 3\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n\
        --i\r\n\r\n3.1\r\n--i\r\nContent-Type: application/x\r\n\r\n3.2\r\n--i--";
    let deep = "Subject: 4.2\r\nContent-Type: multipart/mixed; boundary=k\r\n\r\n\
        --k\r\n\r\n4.2.1\r\n--k\r\nContent-Type: multipart/alternative; boundary=l\r\n\r\n\
        --l\r\n\r\n4.2.2.1\r\n--l\r\nContent-Type: text/enriched\r\n\r\n4.2.2.2\r\n--l--\r\n--k--";
    let message = format!(
        "Content-Type: multipart/mixed; boundary=o\r\n\r\n\
         --o\r\n\r\n1\r\n--o\r\nContent-Type: application/x\r\n\r\n2\r\n\
         --o\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n\
         --o\r\nContent-Type: multipart/mixed; boundary=j\r\n\r\n\
         --j\r\nContent-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\n4.1\r\n\
         --j\r\nContent-Type: message/rfc822\r\n\r\n{deep}\r\n--j--\r\n--o--\r\n"
    );
    let digest = digest_of(&message);
    let body =
        |path: &[u32]| digest.structure.part(path).map(|part| text(&message, part.body).to_owned());
    for path in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
        let numbers: Vec<u32> = path.split('.').map(|number| number.parse().unwrap()).collect();
        assert_eq!(body(&numbers).as_deref(), Some(path));
    }
    assert_eq!(body(&[3]).as_deref(), Some(inner));
    assert_eq!(body(&[4, 2]).as_deref(), Some(deep));
    let message_in = digest.structure.part(&[4, 2]).unwrap();
    let inside = message_in.message.unwrap();
    assert!(text(&message, inside.header.clone()).starts_with("Subject: 4.2\r\n"));
    assert!(text(&message, inside.header).ends_with("\r\n\r\n"));
    assert!(text(&message, inside.body).starts_with("--k\r\n"));
    let gif = digest.structure.part(&[4, 1]).unwrap();
    assert!(text(&message, gif.header).starts_with("Content-Type: image/gif\r\n"));
    assert_eq!((gif.kind, gif.encoding), (Kind::Other, Encoding::Base64));
    assert_eq!(digest.structure.part(&[4, 2, 2]).unwrap().kind, Kind::Multipart);
    for path in [&[0][..], &[5], &[1, 1], &[2, 1], &[3, 3], &[3, 0], &[4, 1, 1], &[4, 2, 2, 3]] {
        assert_eq!(digest.structure.part(path), None, "{path:?}");
    }
    assert_eq!(digest.structure.leaves().count(), 8);
}

#[test]
fn messages_of_one_part_have_a_first_part() {
    let digest = digest_of("A: b\r\n\r\nbody");
    let (root, first) = (digest.structure.part(&[]), digest.structure.part(&[1]));
    assert_eq!(root, first);
    assert_eq!(digest.structure.part(&[1, 1]), None);
    assert_eq!(digest.structure.part(&[2]), None);
    let message = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ninner";
    let digest = digest_of(message);
    let body = |path: &[u32]| text(message, digest.structure.part(path).unwrap().body);
    assert_eq!(body(&[1]), "Subject: in\r\n\r\ninner");
    assert_eq!(body(&[1, 1]), "inner");
    assert_eq!(digest.structure.part(&[1, 1, 1]), None);
}

fn bodies(message: &str, digest: &Digest) -> Vec<String> {
    let parts = digest.structure.leaves();
    parts.map(|part| text(message, part.body).to_owned()).collect()
}

#[test]
fn odd_multiparts_have_a_structure() {
    let multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (rest, found) in [
        // Cut off, in a body, in a header, right behind a delimiter.
        ("--b\r\n\r\none\r\n--b\r\n\r\ntw", &["one", "tw"][..]),
        ("--b\r\n\r\none\r\n--b\r\nContent-Type: te", &["one", ""]),
        ("--b\r\n\r\none\r\n--b", &["one", ""]),
        ("--b", &[""]),
        // Nothing but text.
        ("no delimiter\r\n", &["no delimiter\r\n"]),
        ("--b--\r\n", &["--b--\r\n"]),
        // Look-alikes.
        (
            "--b\r\n\r\n--bb\r\n --b\r\n--c\r\n- --b\r\n--b  \r\n\r\ntwo\r\n--b--trailing\r\n--b\r\n",
            &["--bb\r\n --b\r\n--c\r\n- --b", "two"],
        ),
        // Empty parts, and parts without an empty line.
        ("--b\r\n--b\r\n\r\n--b\r\nA: b\r\n--b\r\n\r\nx--b\r\n--b--", &["", "", "", "x--b"]),
        // Bare line ends.
        ("--b\n\none\n--b\n\ntwo\n--b--\n", &["one", "two"]),
    ] {
        let message = format!("{multipart}{rest}");
        assert_eq!(bodies(&message, &digest_of(&message)), found, "{rest:?}");
    }
    let message = "Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\none\r\n--x--\r\n";
    let digest = digest_of(message);
    assert_eq!(bodies(message, &digest), ["--x\r\n\r\none\r\n--x--\r\n"]);
    assert!(structure(&digest, false).starts_with("(\"text\" \"plain\""));
}

#[test]
fn outer_delimiters_end_inner_parts() {
    let message = "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\
        Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\none\r\n\
        --o\r\nContent-Type: message/rfc822\r\n\r\nSubject: cut\r\n\
        --o\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nsame\r\n--o--\r\n\
        --o\r\n\r\nlast\r\n--o--\r\n";
    let digest = digest_of(message);
    assert_eq!(bodies(message, &digest), ["one", "", "same", "last"]);
    let path = |path: &[u32]| digest.structure.part(path).map(|part| text(message, part.body));
    assert_eq!(path(&[1, 1]), Some("one"));
    assert_eq!(path(&[3, 1]), Some("same"));
    assert_eq!(path(&[4]), Some("last"));
    assert!(envelope(&digest).starts_with("(NIL NIL NIL"));
    assert!(structure(&digest, false).contains("(NIL \"cut\" NIL"));
}

#[test]
fn digests_hold_messages_by_default() {
    let message = "Content-Type: multipart/digest; boundary=d\r\n\r\n\
        --d\r\n\r\nSubject: one\r\n\r\n1\r\n--d\r\nContent-Type: text/plain\r\n\r\n2\r\n--d--\r\n";
    let digest = digest_of(message);
    assert_eq!(bodies(message, &digest), ["1", "2"]);
    let kinds = [&[1][..], &[2]].map(|path| digest.structure.part(path).unwrap().kind);
    assert_eq!(kinds, [Kind::Message, Kind::Plain]);
}

#[test]
fn limits_hold() {
    let limits = crate::mime::Limits { parts_max: 3, ..Default::default() };
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}--b--\r\nend",
        "--b\r\n\r\nx\r\n".repeat(5)
    );
    let digest = crate::mime::digest(message.as_bytes(), &limits);
    assert_eq!(
        bodies(&message, &digest),
        ["x".to_owned(), format!("x{}", "\r\n--b\r\n\r\nx".repeat(3))]
    );
    let limits = crate::mime::Limits { depth_max: 2, ..Default::default() };
    let deep = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n--a--\r\n";
    let digest = crate::mime::digest(deep.as_bytes(), &limits);
    assert_eq!(bodies(deep, &digest), ["--b\r\n\r\nx\r\n--b--"]);
    assert!(structure(&digest, false).starts_with("((\"application\" \"octet-stream\" NIL"));
    let limits = crate::mime::Limits { envelope_octets_max: 200, ..Default::default() };
    let message = format!("To: {}g: x@y{}", "a@b,".repeat(20), ",z@w".repeat(1000));
    let digest = crate::mime::digest(message.as_bytes(), &limits);
    assert!(envelope(&digest).len() < 300);
}
