//! What is written, octet for octet, and as another parser reads it.

use imap_proto::{AttributeValue, MailboxDatum, Response};
use proptest::prelude::*;

use super::*;
use crate::{
    imap::{
        command::{Binary, Body, Enabled, Returns, Section, SectionText, SpecialUse, StatusItems},
        syntax::{Bounds, Cursor, MailboxName, Ranges, SystemFlags, encode_utf7},
    },
    types::Timestamp,
};

const BOUNDS: Bounds = Bounds { items_max: 1, depth_max: 1 };

fn escaped(text: &[u8]) -> Vec<u8> {
    let special = |octet: u8| matches!(octet, b'"' | b'\\');
    let pieces =
        text.iter().flat_map(|&octet| special(octet).then_some(b'\\').into_iter().chain([octet]));
    pieces.collect()
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

/// Reads one response, whole.
fn read(line: &[u8]) -> Response<'_> {
    match Response::from_bytes(line) {
        Ok(([], response)) => response,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(line)),
    }
}

/// What another parser makes of it, for those with few words.
fn shown(line: &str) -> String {
    format!("{:?}", read(line.as_bytes()))
}

fn ranges(numbers: &[u32]) -> Ranges {
    numbers.iter().copied().collect()
}

fn completed(completion: &Completion) -> String {
    written(|out| completion.write(b"A1", out))
}

#[test]
fn status_responses() {
    let code = Code::AppendUid { uid_validity: 38505, uids: ranges(&[3955, 3956]) };
    let line = completed(&Completion::ok("Appended").with(code));
    assert_eq!(line, "A1 OK [APPENDUID 38505 3955:3956] Appended\r\n");
    assert!(shown(&line).contains("AppendUid(38505"), "{}", shown(&line));
    let code =
        Code::CopyUid { uid_validity: 9, from: ranges(&[304, 319, 320]), to: ranges(&[5, 6, 7]) };
    let line = completed(&Completion::ok("Copied").with(code));
    assert_eq!(line, "A1 OK [COPYUID 9 304,319:320 5:7] Copied\r\n");
    assert!(shown(&line).contains("CopyUid(9"), "{}", shown(&line));
    for (code, text) in [
        (Code::UidNext(4392), "UIDNEXT 4392"),
        (Code::UidValidity(3_857_529_045), "UIDVALIDITY 3857529045"),
        (Code::HighestModSeq(715_194_045_007), "HIGHESTMODSEQ 715194045007"),
        (Code::Unseen(12), "UNSEEN 12"),
        (Code::ReadWrite, "READ-WRITE"),
        (Code::ReadOnly, "READ-ONLY"),
        (Code::TryCreate, "TRYCREATE"),
        (Code::BadCharset, "BADCHARSET (US-ASCII UTF-8)"),
    ] {
        let line = completed(&Completion::no("Text").with(code));
        assert_eq!(line, format!("A1 NO [{text}] Text\r\n"));
        assert!(!shown(&line).contains("code: None"), "{}", shown(&line));
    }
    let line = completed(&Completion::ok("x").with(Code::MailboxId("F1".into())));
    assert_eq!(line, "A1 OK [MAILBOXID (F1)] x\r\n");
    let line = completed(&Completion::ok("x").with(Code::Modified(ranges(&[7, 9]))));
    assert_eq!(line, "A1 OK [MODIFIED 7,9] x\r\n");
    // A text cannot become another response.
    let forged = Completion { text: "a\r\n* BYE b\0".into(), ..Completion::bad("") };
    assert_eq!(completed(&forged), "A1 BAD a  * BYE b \r\n");
    assert_eq!(completed(&Completion::ok("")), "A1 OK -\r\n");
}

#[test]
fn mailboxes_are_listed() {
    let listed = Listed {
        name: "Entwürfe & mehr",
        attributes: &[Attribute::HasNoChildren, Attribute::Use(SpecialUse::Drafts)],
        child_info: &[],
        old_name: None,
    };
    let line = written(|out| listed.write(Enabled::NONE, out));
    assert_eq!(line, "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entw&APw-rfe &- mehr\"\r\n");
    assert!(matches!(read(line.as_bytes()), Response::MailboxData(MailboxDatum::List { .. })));
    let line = written(|out| listed.write(Enabled::IMAP4REV2, out));
    assert!(line.ends_with("\"Entwürfe & mehr\"\r\n"), "{line}");
    // RFC 5258 §5, example 9, and RFC 9051 §6.3.9.8.
    let child =
        Listed { name: "foo", attributes: &[], child_info: &["SUBSCRIBED"], old_name: None };
    let line = written(|out| child.write(Enabled::NONE, out));
    assert_eq!(line, "* LIST () \"/\" \"foo\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n");
    let renamed = Listed { old_name: Some("Foo"), ..child };
    let line = written(|out| renamed.write(Enabled::NONE, out));
    let end = "(\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"Foo\"))\r\n";
    assert_eq!(line, format!("* LIST () \"/\" \"foo\" {end}"));
    let line = written(|out| write_lsub("a \"b\" \\c", true, Enabled::NONE, out));
    assert_eq!(line, "* LSUB (\\Noselect) \"/\" \"a \\\"b\\\" \\\\c\"\r\n");
    let line = written(write_namespace);
    assert_eq!(line, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
}

#[test]
fn counts_and_flags() {
    for (line, means) in [
        (written(|out| write_exists(23, out)), "MailboxData(Exists(23))"),
        (written(|out| write_recent(5, out)), "MailboxData(Recent(5))"),
        (written(|out| write_expunge(44, out)), "Expunge(44)"),
        (
            written(|out| write_vanished(true, &ranges(&[41, 43, 44]), out)),
            "Vanished { earlier: true, uids: [41..=41, 43..=44] }",
        ),
        (written(|out| write_search([2, 84, 882], None, out)), "MailboxData(Search([2, 84, 882]))"),
        (written(|out| write_search([], None, out)), "MailboxData(Search([]))"),
        (written(|out| write_sort([5, 3], None, out)), "MailboxData(Sort([5, 3]))"),
    ] {
        assert_eq!(shown(&line), means, "{line}");
    }
    assert_eq!(written(|out| write_vanished(false, &Ranges::default(), out)), "");
    let line = written(|out| write_flags_line(["$Junk"], out));
    assert_eq!(line, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\r\n");
    assert!(matches!(read(line.as_bytes()), Response::MailboxData(MailboxDatum::Flags(_))));
    let line = written(|out| write_permanent_flags(SystemFlags::SEEN, ["k"], true, out));
    assert!(line.starts_with("* OK [PERMANENTFLAGS (\\Seen k \\*)] "), "{line}");
    assert!(shown(&line).contains("PermanentFlags("), "{}", shown(&line));
}

#[test]
fn only_what_was_asked_is_told() {
    let wanted =
        StatusItems::MESSAGES.with(StatusItems::APPEND_LIMIT).with(StatusItems::MAILBOX_ID);
    let line = written(|out| {
        let mut line = StatusLine::begin("blurdybloop", wanted, Enabled::NONE, out);
        line.number(StatusItems::MESSAGES, 231, out);
        line.number(StatusItems::UID_NEXT, 44292, out);
        line.append_limit(None, out);
        line.mailbox_id("F22", out);
        line.end(out);
    });
    let status = "* STATUS \"blurdybloop\" (MESSAGES 231 APPENDLIMIT NIL MAILBOXID (F22))\r\n";
    assert_eq!(line, status);
    let wanted = StatusItems::UID_NEXT.with(StatusItems::UNSEEN);
    let line = written(|out| {
        let mut line = StatusLine::begin("x", wanted, Enabled::NONE, out);
        line.number(StatusItems::UNSEEN, 1, out);
        line.number(StatusItems::UID_NEXT, 44292, out);
        line.end(out);
    });
    assert!(shown(&line).contains("status: [Unseen(1), UidNext(44292)]"), "{}", shown(&line));
}

#[test]
fn what_was_found() {
    let found = ranges(&[2, 10, 11]);
    let line = |returns, found: &Ranges, modseq| {
        let line = EsearchLine { tag: b"A\"1", uid: true, returns, found, modseq };
        written(|out| line.write(out))
    };
    let all = Returns::MIN.with(Returns::MAX).with(Returns::COUNT).with(Returns::ALL);
    assert_eq!(
        line(all, &found, Some(7)),
        "* ESEARCH (TAG \"A\\\"1\") UID MIN 2 MAX 11 ALL 2,10:11 COUNT 3 MODSEQ 7\r\n"
    );
    let none = Ranges::default();
    assert_eq!(line(all, &none, Some(7)), "* ESEARCH (TAG \"A\\\"1\") UID COUNT 0\r\n");
    assert_eq!(line(Returns::SAVE, &found, None), "");
    assert_eq!(
        line(Returns::SAVE.with(Returns::MIN), &found, None),
        "* ESEARCH (TAG \"A\\\"1\") UID MIN 2\r\n"
    );
    let line = written(|out| write_search([2], Some(9), out));
    assert_eq!(line, "* SEARCH 2 (MODSEQ 9)\r\n");
}

#[test]
fn rfc_5256_threads() {
    let threads = |messages: &[(u32, u32)]| written(|out| write_threads(messages, out));
    assert_eq!(threads(&[]), "* THREAD\r\n");
    assert_eq!(threads(&[(166, 0), (167, 0)]), "* THREAD (166)(167)\r\n");
    assert_eq!(
        threads(&[(2, 0), (3, 0), (6, 1), (4, 2), (23, 3), (44, 2), (7, 3), (96, 4)]),
        "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
    );
    // §4: a missing parent, and one that has a parent itself.
    assert_eq!(threads(&[(0, 0), (3, 1), (5, 1)]), "* THREAD ((3)(5))\r\n");
    assert_eq!(
        threads(&[(127, 0), (0, 0), (131, 1), (207, 1), (9, 2), (1, 0)]),
        "* THREAD (127)((131)(207 9))(1)\r\n"
    );
    assert_eq!(
        threads(&[(1, 0), (2, 1), (3, 2), (4, 2), (5, 1)]),
        "* THREAD (1 (2 (3)(4))(5))\r\n"
    );
    let long: Vec<_> = (0..100_000).map(|at| (at + 1, at)).collect();
    assert!(threads(&long).ends_with(" 99999 100000)\r\n"));
}

#[test]
fn quotas() {
    let resources = [("STORAGE", 10, 512), ("MESSAGE", 3, 1000)];
    let line = written(|out| write_quota("", &resources, out));
    assert_eq!(line, "* QUOTA \"\" (STORAGE 10 512 MESSAGE 3 1000)\r\n");
    assert!(shown(&line).starts_with("Quota("), "{}", shown(&line));
    let line = written(|out| write_quota_root("INBOX", &["#user", ""], Enabled::NONE, out));
    assert_eq!(line, "* QUOTAROOT \"INBOX\" #user \"\"\r\n");
    assert!(shown(&line).starts_with("QuotaRoot("), "{}", shown(&line));
}

fn section(path: &[u32], text: SectionText) -> Body {
    let section = Section { path: path.into(), text };
    Body { section, partial: None, peek: true, rfc822: false }
}

#[test]
fn fetch_lines() {
    let body = section(&[], SectionText::Header);
    let part = section(&[1, 2], SectionText::Mime);
    let mut out = Vec::new();
    let mut line = FetchLine::begin(12, &mut out);
    line.uid(7, &mut out);
    line.flags(SystemFlags::SEEN, ["$Junk"], true, &mut out);
    line.internal_date(Timestamp(837_596_665_000), &mut out);
    line.size(4286, &mut out);
    line.modseq(12_121_231_000, &mut out);
    line.literal(&body, 9, &mut out);
    out.extend_from_slice(b"A: b)\r\n\r\n");
    line.string(&part, b"", Enabled::NONE, &mut out);
    line.absent(&section(&[9], SectionText::Whole), &mut out);
    line.end(&mut out);
    let text = "* 12 FETCH (UID 7 FLAGS (\\Seen $Junk \\Recent) \
                INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" RFC822.SIZE 4286 MODSEQ (12121231000) \
                BODY[HEADER] {9}\r\nA: b)\r\n\r\n BODY[1.2.MIME] \"\" BODY[9] NIL)\r\n";
    assert_eq!(String::from_utf8(out.clone()).unwrap(), text);
    let Response::Fetch(12, items) = read(&out) else { panic!("no FETCH") };
    assert!(items.contains(&AttributeValue::Uid(7)));
    assert!(items.contains(&AttributeValue::Rfc822Size(4286)));
    assert!(items.contains(&AttributeValue::ModSeq(12_121_231_000)));
    let octets = items.iter().find_map(|item| match item {
        AttributeValue::BodySection { data, .. } => data.as_deref(),
        _ => None,
    });
    assert_eq!(octets, Some(&b"A: b)\r\n\r\n"[..]));
}

#[test]
fn fetch_lines_of_extensions() {
    let binary = Binary { path: [1, 2].into(), partial: None, peek: true, size_only: false };
    let line = written(|out| {
        let mut line = FetchLine::begin(3, out);
        line.email_id("M6d99ac3275bb4e", out);
        line.thread_id(None, out);
        line.thread_id(Some("T\r\n1"), out);
        line.save_date(None, out);
        line.save_date(Some(Timestamp(0)), out);
        line.preview(Some("x"), Enabled::NONE, out);
        line.preview(Some("ü"), Enabled::NONE, out);
        line.preview(Some("ü"), Enabled::UTF8, out);
        line.preview(None, Enabled::NONE, out);
        line.binary_size(&Binary { size_only: true, ..binary.clone() }, 9, out);
        line.binary_absent(&binary, out);
        line.binary(&binary, 2, true, out);
        line.end(out);
    });
    assert_eq!(
        line,
        "* 3 FETCH (EMAILID (M6d99ac3275bb4e) THREADID NIL THREADID (T1) SAVEDATE NIL \
         SAVEDATE \"01-Jan-1970 00:00:00 +0000\" PREVIEW \"x\" PREVIEW {2}\r\nü PREVIEW \"ü\" \
         PREVIEW NIL BINARY.SIZE[1.2] 9 BINARY[1.2] NIL BINARY[1.2] ~{2}\r\n)\r\n"
    );
    let line = written(|out| {
        let mut line = FetchLine::begin(3, out);
        line.envelope(|out| out.extend_from_slice(b"(NIL)"), out);
        line.structure(true, |out| out.extend_from_slice(b"(1)"), out);
        line.structure(false, |out| out.extend_from_slice(b"(2)"), out);
        line.end(out);
    });
    assert_eq!(line, "* 3 FETCH (ENVELOPE (NIL) BODYSTRUCTURE (1) BODY (2))\r\n");
}

#[test]
fn strings() {
    let string = |text: &[u8], enabled| {
        let mut out = Vec::new();
        write_string(text, enabled, &mut out);
        out
    };
    assert_eq!(string(b"a \"b\" \\", Enabled::NONE), br#""a \"b\" \\""#);
    assert_eq!(string(b"a\r\nb", Enabled::NONE), b"{4}\r\na\r\nb");
    assert_eq!(string(b"a\0b", Enabled::NONE), b"{2}\r\nab");
    assert_eq!(string("ü".as_bytes(), Enabled::NONE), "{2}\r\nü".as_bytes());
    assert_eq!(string("ü".as_bytes(), Enabled::UTF8), "\"ü\"".as_bytes());
    assert_eq!(string(b"\xff", Enabled::UTF8), b"{1}\r\n\xff");
    assert!(string(&[b'x'; 1025], Enabled::NONE).starts_with(b"{1025}\r\n"));
    let astring = |text: &str| written(|out| write_astring(text.as_bytes(), out));
    assert_eq!(astring("X-Y"), "X-Y");
    assert_eq!(astring("nil"), "\"nil\"");
    assert_eq!(astring(""), "\"\"");
    assert_eq!(astring("a b"), "\"a b\"");
    assert_eq!(written(|out| write_nstring(None, Enabled::NONE, out)), "NIL");
    let numbers = written(|out| [0, 10, u64::MAX].into_iter().for_each(|n| push_number(n, out)));
    assert_eq!(numbers, "01018446744073709551615");
}

proptest! {
    /// Whatever octets a string holds, it is read back, and the line ends where it ends.
    #[test]
    fn strings_come_back(text in proptest::collection::vec(1u8.., 0..40), utf8: bool) {
        let enabled = if utf8 { Enabled::UTF8 } else { Enabled::NONE };
        let mut out = Vec::new();
        write_string(&text, enabled, &mut out);
        out.push(b' ');
        let mut cursor = Cursor::new(&out, utf8, BOUNDS);
        let read = cursor.string();
        prop_assert_eq!(read.as_deref(), Ok(&text[..]));
        prop_assert_eq!(cursor.rest(), b" ");
    }

    /// Another parser, which knows no UTF-8 and leaves escapes as they are, finds them too.
    #[test]
    fn strings_are_found(text in proptest::collection::vec(1u8.., 1..40)) {
        let body = section(&[1], SectionText::Text);
        let mut out = Vec::new();
        let mut line = FetchLine::begin(1, &mut out);
        line.string(&body, &text, Enabled::NONE, &mut out);
        line.end(&mut out);
        let Response::Fetch(1, items) = read(&out) else { panic!("no FETCH") };
        let [AttributeValue::BodySection { data: Some(data), .. }] = &items[..] else {
            panic!("{items:?}")
        };
        let is_literal = !text.is_ascii() || text.iter().any(|octet| b"\r\n".contains(octet));
        let wire = if is_literal { text } else { escaped(&text) };
        prop_assert_eq!(&data[..], &wire[..]);
    }

    /// Whatever a mailbox is called, its line is one line and its name comes back.
    #[test]
    fn names_come_back(name in "[^\\p{Cc}\u{2028}\u{2029}]{1,30}", utf8: bool) {
        let enabled = if utf8 { Enabled::IMAP4REV2 } else { Enabled::NONE };
        let mut out = Vec::new();
        write_mailbox(&name, enabled, &mut out);
        out.push(b' ');
        let mut cursor = Cursor::new(&out, utf8, BOUNDS);
        let read = MailboxName::read(&mut cursor).map(|read| read.to_string());
        let expected = if name.eq_ignore_ascii_case("inbox") { "INBOX".to_owned() } else { name };
        prop_assert_eq!(read, Ok(expected));
        prop_assert_eq!(cursor.rest(), b" ");
    }

    /// Another parser finds the name as it travels.
    #[test]
    fn names_are_found(name in "[^\\p{Cc}]{1,30}") {
        let listed =
            Listed { name: &name, attributes: &[], child_info: &[], old_name: None };
        let line = written(|out| listed.write(Enabled::NONE, out));
        let Response::MailboxData(MailboxDatum::List { name: read, .. }) = read(line.as_bytes())
        else {
            panic!("no LIST")
        };
        let wire = written(|out| encode_utf7(&name, out));
        prop_assert_eq!(read.as_bytes(), escaped(wire.as_bytes()));
    }

    /// Sets come back through another parser.
    #[test]
    fn vanished_comes_back(numbers in proptest::collection::vec(1u32..500, 1..50)) {
        let uids = ranges(&numbers);
        let line = written(|out| write_vanished(false, &uids, out));
        let Response::Vanished { earlier: false, uids: read } = read(line.as_bytes()) else {
            panic!("no VANISHED")
        };
        prop_assert_eq!(read, uids.ranges().collect::<Vec<_>>());
    }
}
