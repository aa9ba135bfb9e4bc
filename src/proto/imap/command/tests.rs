//! Commands as they are read: the RFCs' examples, odd spellings, nonsense.

use super::*;
use crate::{
    imap::syntax::{Bounds, Date, Flags, LiteralMark, Pattern, SystemFlags},
    types::Timestamp,
};

const BOUNDS: Bounds = Bounds { items_max: 100, depth_max: 8 };

fn request(text: &str, utf8: bool) -> Parsed<Request> {
    let mut cursor = Cursor::new(text.as_bytes(), utf8, BOUNDS);
    let (verb, uid) = Verb::read(&mut cursor)?;
    verb.arguments(uid, &mut cursor)
}

fn command(text: &str) -> Command {
    match request(text, false) {
        Ok(Request::Driver(command)) => command,
        other => panic!("{text}: {other:?}"),
    }
}

fn fetch(text: &str) -> Fetch {
    match command(text) {
        Command::Fetch(fetch) => fetch,
        other => panic!("{text}: {other:?}"),
    }
}

fn key(text: &str) -> SearchKey {
    match command(&format!("SEARCH {text}")) {
        Command::Search(search) => search.key,
        other => panic!("{text}: {other:?}"),
    }
}

fn fault(text: &str) -> Fault {
    match request(text, false) {
        Err(fault) => fault,
        Ok(request) => panic!("{text}: {request:?}"),
    }
}

#[test]
fn fetch_items() {
    let all = Attributes::FLAGS.with(Attributes::INTERNAL_DATE).with(Attributes::SIZE);
    assert_eq!(fetch("FETCH 1 FAST").attributes, all);
    assert_eq!(fetch("FETCH 1 ALL").attributes, all.with(Attributes::ENVELOPE));
    let full = all.with(Attributes::ENVELOPE).with(Attributes::BODY);
    assert_eq!(fetch("FETCH 1 full").attributes, full);
    let some = fetch("UID FETCH 2:4,* (BODY BODYSTRUCTURE EMAILID THREADID SAVEDATE PREVIEW)");
    assert!(some.uid && some.attributes.contains(Attributes::UID.with(Attributes::BODY)));
    assert!(some.attributes.contains(Attributes::PREVIEW));
    assert!(!some.attributes.contains(Attributes::PREVIEW_LAZY) && !some.sets_seen());
    let lazy = fetch("FETCH 1 PREVIEW (LAZY)");
    assert!(lazy.attributes.contains(Attributes::PREVIEW_LAZY));
    let changed = fetch("FETCH 1 PREVIEW (CHANGEDSINCE 5)");
    assert!(!changed.attributes.contains(Attributes::PREVIEW_LAZY));
    assert_eq!(changed.changed_since, Some(5));
    assert!(changed.attributes.contains(Attributes::MODSEQ));
    for text in [
        "FETCH 1",
        "FETCH 1 ",
        "FETCH 1 (ALL)",
        "FETCH 1 (UID",
        "FETCH 1 UID FLAGS",
        "FETCH 0 UID",
        "FETCH a UID",
        "FETCH 1 (UID) (VANISHED)",
        "FETCH 1 (UID) (CHANGEDSINCE 1 VANISHED)",
        "FETCH 1 FOO",
        "FETCH 1 BODY[",
        "FETCH 1 BODY[]]",
        "FETCH 1 BODY.PEEK",
        "FETCH 1 BODY[]<0>",
        "FETCH 1 BODY[]<0.0>",
        "FETCH 1 BINARY[TEXT]",
        "FETCH 1 BINARY[1.]",
    ] {
        assert!(matches!(fault(text), Fault::Syntax(_)), "{text}");
    }
}

#[test]
fn sections_are_read_and_named() {
    for (text, named, seen) in [
        ("BODY[]", "BODY[]", true),
        ("BODY.PEEK[]<5.10>", "BODY[]<5>", false),
        ("body[header]", "BODY[HEADER]", true),
        ("BODY[1.2.3]", "BODY[1.2.3]", true),
        ("BODY[4.1.MIME]", "BODY[4.1.MIME]", true),
        ("BODY[4.2.TEXT]<0.1>", "BODY[4.2.TEXT]<0>", true),
        (
            "BODY[3.HEADER.FIELDS.NOT (From \"X Y\")]",
            "BODY[3.HEADER.FIELDS.NOT (From \"X Y\")]",
            true,
        ),
        ("BODY.PEEK[HEADER.FIELDS ({2}\r\nTo)]", "BODY[HEADER.FIELDS (To)]", false),
        ("RFC822", "RFC822", true),
        ("RFC822.HEADER", "RFC822.HEADER", false),
        ("RFC822.TEXT", "RFC822.TEXT", true),
    ] {
        let fetch = fetch(&format!("FETCH 1 ({text})"));
        let mut out = Vec::new();
        fetch.bodies[0].write_name(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), named);
        assert_eq!(fetch.sets_seen(), seen, "{text}");
    }
    for (text, named) in [
        ("BINARY[1.2]<3.4>", "BINARY[1.2]<3>"),
        ("BINARY.PEEK[]", "BINARY[]"),
        ("BINARY.SIZE[7]", "BINARY.SIZE[7]"),
    ] {
        let mut out = Vec::new();
        fetch(&format!("FETCH 1 {text}")).binaries[0].write_name(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), named);
    }
    for text in
        ["[MIME]", "[0]", "[1..2]", "[1.FOO]", "[HEADER.FIELDS]", "[HEADER.FIELDS ()]", "[1"]
    {
        assert!(matches!(fault(&format!("FETCH 1 BODY{text}")), Fault::Syntax(_)), "{text}");
    }
    let deep = format!("FETCH 1 BODY[{}]", vec!["1"; 65].join("."));
    assert!(matches!(fault(&deep), Fault::Limit(_)));
}

/// Each is decoded on its own, so none twice, and not too many.
#[test]
fn parts_to_decode_are_few() {
    let binaries = |items: &str| fetch(&format!("FETCH 1 ({items})")).binaries;
    let again = vec!["BINARY[1] BINARY.PEEK[1] BINARY.SIZE[1] BINARY[1]<0.9>"; 20].join(" ");
    assert_eq!(binaries(&again).len(), 4);
    let parts = |count: usize| (1..=count).map(|part| format!("BINARY.SIZE[{part}]"));
    let joined = |count| parts(count).collect::<Vec<_>>().join(" ");
    assert_eq!(binaries(&joined(16)).len(), 16);
    assert!(matches!(fault(&format!("FETCH 1 ({})", joined(17))), Fault::Limit(_)));
}

#[test]
fn a_sort_key_counts_once() {
    let many = vec!["REVERSE SUBJECT DATE REVERSE DATE SUBJECT"; 20].join(" ");
    let Command::Sort(sort) = command(&format!("SORT ({many}) UTF-8 ALL")) else { panic!() };
    assert_eq!(sort.by, [(SortKey::Subject, true), (SortKey::Date, false)]);
}

#[test]
fn a_range_stays_within_the_message() {
    let within = |offset, octets_max, octets| Partial { offset, octets_max }.within(octets);
    assert_eq!(within(0, 10, 5), 0..5);
    assert_eq!(within(2, 2, 5), 2..4);
    assert_eq!(within(5, 2, 5), 5..5);
    assert_eq!(within(9, 2, 5), 5..5);
    assert_eq!(within(1, u64::MAX, 5), 1..5);
}

#[test]
fn search_keys() {
    let header =
        |name: &str, value: &str| SearchKey::Header { name: name.into(), value: value.into() };
    assert_eq!(
        key("FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\""),
        SearchKey::And(vec![
            SearchKey::Flags(SystemFlags::FLAGGED),
            SearchKey::Since(Date(8797)),
            SearchKey::Not(Box::new(header("FROM", "Smith"))),
        ])
    );
    assert_eq!(
        key("OR (SEEN LARGER 5) HEADER X-Y \"\""),
        SearchKey::Or(Box::new((
            SearchKey::And(vec![SearchKey::Flags(SystemFlags::SEEN), SearchKey::Larger(5)]),
            header("X-Y", ""),
        )))
    );
    assert_eq!(key("CHARSET UTF-8 TEXT {6}\r\nмят"), SearchKey::Text("мят".into()));
    assert_eq!(key("subject \"grüß\""), header("SUBJECT", "grüß"));
    assert_eq!(key("OLD"), SearchKey::Not(Box::new(SearchKey::Recent)));
    assert_eq!(key("(ALL)"), SearchKey::All);
    assert_eq!(key("UNKEYWORD $Junk"), SearchKey::Unkeyword("$Junk".into()));
    assert_eq!(key("UID $"), SearchKey::Uids(Messages::Saved));
    assert!(matches!(key("1:3"), SearchKey::Numbers(Messages::Set(_))));
    assert_eq!(key("YOUNGER 259200"), SearchKey::Younger(259_200));
    assert_eq!(key("MODSEQ 7"), SearchKey::ModSeq(SearchModSeq(7)));
    assert!(key("OR ALL NOT (SEEN MODSEQ \"/flags/k\" priv 7)").names_modseq());
    for text in [
        "",
        " ALL",
        "()",
        "(ALL",
        "ALL)",
        "NOT",
        "OR ALL",
        "OR ALL ",
        "FOO",
        "FROM",
        "SINCE yesterday",
        "LARGER x",
        "OLDER 0",
        "TEXT {1}\r\n\u{80}",
        "CHARSET UTF-8",
        "RETURN (FOO) ALL",
        "RETURN ALL",
        "MODSEQ \"/flags/k\" 7",
        "SAVEDON",
    ] {
        assert!(matches!(fault(&format!("SEARCH {text}")), Fault::Syntax(_)), "{text}");
    }
    assert_eq!(fault("SEARCH CHARSET ISO-8859-1 ALL"), Fault::Charset);
    assert_eq!(fault("SORT (DATE) X-Y ALL"), Fault::Charset);
}

#[test]
fn search_returns() {
    let returns = |text: &str| match command(&format!("UID SEARCH {text} ALL")) {
        Command::Search(search) => search.returns,
        other => panic!("{other:?}"),
    };
    assert_eq!(returns("RETURN ()"), Some(Returns::ALL));
    assert_eq!(returns("RETURN (MIN MAX)"), Some(Returns::MIN.with(Returns::MAX)));
    assert_eq!(
        returns("RETURN (SAVE COUNT) CHARSET US-ASCII"),
        Some(Returns::SAVE.with(Returns::COUNT))
    );
    assert_eq!(returns("CHARSET utf-8"), None);
}

#[test]
fn folders() {
    let name = |text: &str| match command(&format!("DELETE {text}")) {
        Command::Delete(name) => name,
        other => panic!("{other:?}"),
    };
    let create = |text: &str| -> Parsed<Create> {
        match request(&format!("CREATE {text}"), false)? {
            Request::Driver(Command::Create(create)) => Ok(create),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        create("Mail/2026/").map(|one| (one.mailbox, one.special_use)),
        Ok((name("Mail/2026"), None))
    );
    assert_eq!(create("X (USE (\\sent))").map(|one| one.special_use), Ok(Some(SpecialUse::Sent)));
    assert_eq!(create("X (USE (\\Sent \\Junk))"), Err(Fault::Use));
    assert_eq!(create("X (USE (\\Foo))"), Err(Fault::Use));
    assert!(matches!(create("X (FOO (\\Sent))"), Err(Fault::Syntax(_))));
    assert!(matches!(create("\"/\""), Err(Fault::Name(_))));
    assert!(matches!(create("\"\""), Err(Fault::Name(_))));
    assert!(matches!(create("a&b"), Err(Fault::Name(_))));
    assert_eq!(command("RENAME old new/"), Command::Rename { from: name("old"), to: name("new") });
    assert!(matches!(fault("RENAME old"), Fault::Syntax(_)));
    assert!(matches!(fault("SUBSCRIBE a b"), Fault::Syntax(_)));
}

#[test]
fn list() {
    let list = |text: &str| match command(text) {
        Command::List(list) => list,
        other => panic!("{other:?}"),
    };
    let patterns = |list: &List| {
        list.patterns.iter().map(Pattern::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(patterns(&list("LIST ~/Mail/ %")), ["~/Mail/%"]);
    assert_eq!(patterns(&list("LIST \"\" inbox/*")), ["INBOX/*"]);
    assert_eq!(patterns(&list("LIST \"\" Entw&APw-r%")), ["Entwür%"]);
    let bare = list("LIST a/ \"\"");
    assert!(bare.asks_delimiter() && &*bare.reference == "a/");
    let extended = list(
        "LIST (REMOTE SUBSCRIBED SPECIAL-USE) \"\" (a b) RETURN (CHILDREN STATUS (MESSAGES) SPECIAL-USE)",
    );
    assert_eq!(patterns(&extended), ["a", "b"]);
    assert!(extended.select_subscribed && extended.select_special_use && !extended.lsub);
    assert_eq!(extended.return_status, Some(StatusItems::MESSAGES));
    assert!(extended.matches("b") && !extended.matches("c"));
    assert!(list("LSUB \"\" %").lsub);
    for text in [
        "LIST",
        "LIST \"\"",
        "LIST (FOO) \"\" *",
        "LIST \"\" * RETURN (FOO)",
        "LIST \"\" * x",
        "LSUB \"\" (a b)",
    ] {
        assert!(matches!(fault(text), Fault::Syntax(_)), "{text}");
    }
}

#[test]
fn store_copy_and_status() {
    let store = |text: &str| match command(text) {
        Command::Store(store) => store,
        other => panic!("{other:?}"),
    };
    let one = store("UID STORE 1 (UNCHANGEDSINCE 9) -FLAGS.SILENT (\\Seen k)");
    assert_eq!(
        (one.uid, one.unchanged_since, one.change, one.silent),
        (true, Some(9), Change::Remove, true)
    );
    assert_eq!(one.flags, Flags { system: SystemFlags::SEEN, keywords: vec!["k".into()] });
    assert_eq!(store("STORE 1 FLAGS \\Deleted").change, Change::Replace);
    assert_eq!(store("STORE 1 FLAGS ()").flags, Flags::default());
    for text in [
        "STORE 1 FLAGS",
        "STORE 1 *FLAGS ()",
        "STORE 1 FLAGS \\Foo",
        "STORE 1 (FOO 1) FLAGS ()",
        "COPY 1",
        "MOVE x y",
        "STATUS a ()x",
        "STATUS a (FOO)",
        "STATUS a",
    ] {
        assert!(matches!(fault(text), Fault::Syntax(_)), "{text}");
    }
    assert!(matches!(command("UID MOVE 1 x"), Command::Move(Copy { uid: true, .. })));
    let items = match command("STATUS x (HIGHESTMODSEQ DELETED-STORAGE MAILBOXID)") {
        Command::Status { items, .. } => items,
        other => panic!("{other:?}"),
    };
    assert!(items.contains(StatusItems::HIGHEST_MODSEQ.with(StatusItems::DELETED_STORAGE)));
    assert!(!items.contains(StatusItems::MESSAGES));
}

#[test]
fn quota_enable_and_id() {
    assert_eq!(
        command("SETQUOTA \"\" (STORAGE 512 MESSAGE 9)"),
        Command::SetQuota(SetQuota {
            root: "".into(),
            limits: vec![("STORAGE".into(), 512), ("MESSAGE".into(), 9)],
        })
    );
    assert_eq!(command("GETQUOTA #user"), Command::GetQuota("#user".into()));
    let both = Enabled::UTF8.with(Enabled::IMAP4REV2);
    assert_eq!(request("ENABLE utf8=accept imap4rev2 X", false), Ok(Request::Enable(both)));
    assert!(both.is_utf8() && !Enabled::QRESYNC.is_utf8());
    assert!(Enabled::QRESYNC.contains(Enabled::CONDSTORE));
    let id = |text: &str| match request(text, false) {
        Ok(Request::Id(client)) => client.map(|client| client.as_str().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(id("ID NIL"), None);
    assert_eq!(id("ID ()"), None);
    assert_eq!(id("ID (\"os\" NIL)"), None);
    assert_eq!(id("ID (\"version\" \"1\" \"NAME\" \"a\u{1b}b\")").as_deref(), Some("a?b 1"));
    assert_eq!(id("ID (\"version\" \"1\")").as_deref(), Some("1"));
    let long = format!("ID (\"name\" \"{}\")", "x".repeat(500));
    assert!(id(&long).is_some_and(|name| name.len() < 120));
    for text in ["ID", "ID x", "ID (\"a\")", "ID (\"a\" \"b\"", "ENABLE", "SETQUOTA a (b)"] {
        assert!(matches!(fault(text), Fault::Syntax(_)), "{text}");
    }
}

#[test]
fn passwords_are_not_shown() {
    let login = request("LOGIN tim secret", false).unwrap();
    assert_eq!(format!("{login:?}"), "Login(Login(…))");
    let auth = request("AUTHENTICATE PLAIN AHRpbQBzZWNyZXQ=", false).unwrap();
    assert_eq!(format!("{auth:?}"), "Authenticate(Mechanism(PLAIN))");
    assert!(matches!(fault("LOGIN tim"), Fault::Syntax(_)));
    assert!(matches!(fault("AUTHENTICATE"), Fault::Syntax(_)));
}

#[test]
fn prefaces_of_messages() {
    let read = |line: &str| {
        let cursor = Cursor::new(line.as_bytes(), false, BOUNDS);
        let mark = LiteralMark::find(line.trim_end().as_bytes()).unwrap();
        preface(cursor, mark)
    };
    assert_eq!(read(" {5}\r\n"), Ok(Preface::Name));
    let Ok(Preface::Message(message)) =
        read(" {1}\r\nx (k) \" 1-Jan-1970 00:00:02 +0000\" ~{7}\r\n")
    else {
        panic!("no message")
    };
    assert_eq!(message.mailbox.as_str(), "x");
    assert_eq!((message.octets, message.binary, message.utf8), (7, true, false));
    assert_eq!(message.date, Some(Timestamp(2000)));
    for line in [
        " x {",
        " x () x {1}\r\n",
        " x \"1\" {1}\r\n",
        "x {1}\r\n",
        " x x{1}\r\n",
        " x UTF8 ~{1}\r\n",
    ] {
        if LiteralMark::find(line.trim_end().as_bytes()).is_some() {
            assert!(matches!(read(line), Err(Fault::Syntax(_))), "{line}");
        }
    }
}

#[test]
fn what_may_be_told_meanwhile() {
    assert!(
        !command("FETCH 1 UID").allows_expunge() && command("UID FETCH 1 UID").allows_expunge()
    );
    assert!(!command("SEARCH ALL").allows_expunge() && command("NOOP").allows_expunge());
    assert!(!command("SORT (DATE) UTF-8 ALL").allows_expunge());
    assert!(command("STATUS x (HIGHESTMODSEQ)").enables_condstore());
    assert!(command("SELECT x (CONDSTORE)").enables_condstore());
    assert!(command("STORE 1 (UNCHANGEDSINCE 1) FLAGS ()").enables_condstore());
    assert!(command("FETCH 1 MODSEQ").enables_condstore());
    assert!(!command("FETCH 1 UID").enables_condstore());
}
