//! Dialogues, most of them the RFCs' own.

use super::*;

#[test]
fn rfc_9051_section_8() {
    let mut session = Session::new(Profile { auth_in_the_clear: false, ..profile() });
    let greeting = String::from_utf8(session.out.clone()).unwrap();
    assert_eq!(
        greeting,
        "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 SASL-IR ID ENABLE IDLE LITERAL- STARTTLS \
         LOGINDISABLED AUTH=SCRAM-SHA-256] mail.example.org Ringpost\r\n"
    );
    dialogue(&mut session, "C: a000 starttls\nS: a000 OK Begin TLS now");
    session.secure(Channel::default());
    dialogue(&mut session, "C: a001 login tim secret\nS: a001 OK [CAPABILITY IMAP4rev1 …");
    dialogue(
        &mut session,
        r#"
        C: babc ENABLE IMAP4rev2
        S: * ENABLED IMAP4rev2
        S: babc OK Done
        C: a002 select inbox
        S: * 18 EXISTS
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [UIDVALIDITY 3857529045] UIDs valid
        S: * LIST () "/" "INBOX"
        S: a002 OK [READ-WRITE] Selected
        C: a003 fetch 12 full
        S: * 12 FETCH (FLAGS (\Seen) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE 4286 ENVELOPE (NIL) BODY (NIL))
        S: a003 OK Done
        C: a004 fetch 12 body[header]
        S: * 12 FETCH (BODY[HEADER] {62}
        S: Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
        S: Subject: cool
        S: 
        S: )
        S: a004 OK Done
        C: a005 store 12 +flags \deleted
        S: * 12 FETCH (FLAGS (\Deleted \Seen))
        S: a005 OK Done
        C: a006 logout
        S: * BYE Good bye
        S: a006 OK Logged out
        "#,
    );
    assert_eq!(session.end, Some("close"));
}

#[test]
fn what_is_valid_depends_on_the_state() {
    let mut session = Session::new(profile());
    dialogue(
        &mut session,
        r#"
        C: 1 NOOP
        S: 1 OK Done
        C: 2 SELECT INBOX
        S: 2 BAD Log in first
        C: 3 IDLE
        S: 3 BAD Log in first
        C: 4 COMPRESS DEFLATE
        S: 4 BAD Log in first
        C: 5 FETCH 1 ALL
        S: 5 BAD Log in first
        C: 6 ID ("name" "sodr" "version" "19.34" "vendor" NIL)
        S: * ID ("name" "Ringpost")
        S: 6 OK Done
        C: 7 LOGIN tim secret
        S: 7 OK [CAPABILITY …
        C: 8 LOGIN tim secret
        S: 8 BAD Already logged in
        C: 9 STARTTLS
        S: 9 BAD Already logged in
        C: 10 FETCH 1 ALL
        S: 10 BAD Select a mailbox first
        C: 11 SELECT missing
        S: 11 NO [NONEXISTENT] No such mailbox
        C: 12 CHECK
        S: 12 BAD Select a mailbox first
        C: 13 EXAMINE INBOX
        S: * 18 EXISTS
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [UIDVALIDITY 3857529045] UIDs valid
        S: 13 OK [READ-WRITE] Selected
        C: 14 CHECK
        S: 14 OK Done
        C: 15 SELECT missing
        S: * OK [CLOSED] Previous mailbox closed
        S: 15 NO [NONEXISTENT] No such mailbox
        C: 16 CHECK
        S: 16 BAD Select a mailbox first
        C: 17 FOO
        S: 17 BAD Unknown command
        C: 18 UID NOOP
        S: 18 BAD This command has no UID form
        C: 19 NOOP x
        S: 19 BAD Unexpected arguments
        C: 20
        S: 20 BAD Missing arguments
        C: +21 NOOP
        S: * BAD Malformed tag
        C: 
        S: * BAD Malformed tag
        "#,
    );
    assert_eq!(session.server.client(), Some("sodr 19.34"));
    for end in ["CLOSE", "UNSELECT"] {
        let mut session = Session::selected(profile());
        assert_eq!(session.say(&format!("A {end}")), "A OK Done\r\n");
        assert!(!session.server.is_selected());
    }
}

#[test]
fn rfc_2177_idle() {
    let mut session = Session::selected(profile());
    assert_eq!(session.say("A002 IDLE"), "+ idling\r\n");
    assert!(session.server.is_idle());
    let (used, step) = session.server.feed(Moment(0), b"", &mut Vec::new());
    assert_eq!((used, step), (0, Step::Idle));
    assert_eq!(session.feed(b"DO"), "");
    assert_eq!(session.feed(b"NE\r\n"), "A002 OK Idle ended\r\n");
    assert!(!session.server.is_idle());
    assert_eq!(session.feed(b"B IDLE\r\ndone\r\nC NOOP\r\n").lines().count(), 3);
    assert_eq!(session.say("D IDLE"), "+ idling\r\n");
    assert_eq!(session.say("E NOOP"), "D BAD DONE was expected\r\n");
}

#[test]
fn rfc_5258_and_5819_list() {
    let mut session = Session::logged_in(profile());
    dialogue(
        &mut session,
        r#"
        C: A1 LIST "" ""
        S: A1 OK Done
        C: A2 LIST "" "%" RETURN (CHILDREN SUBSCRIBED)
        S: * LIST (\HasNoChildren) "/" "INBOX"
        S: * LIST (\HasNoChildren) "/" "Entw&APw-rfe"
        S: A2 OK Done
        C: A3 LIST (SUBSCRIBED RECURSIVEMATCH) "" ("INB%" "x") RETURN (STATUS (MESSAGES UNSEEN))
        S: * LIST () "/" "INBOX"
        S: A3 OK Done
        C: A4 LIST (RECURSIVEMATCH) "" "*"
        S: A4 BAD RECURSIVEMATCH needs another selection option
        C: A5 ENABLE UTF8=ACCEPT X-UNKNOWN
        S: * ENABLED UTF8=ACCEPT
        S: A5 OK Done
        C: A6 LIST "" "E*"
        S: * LIST () "/" "Entwürfe"
        S: A6 OK Done
        C: A7 STATUS "Entwürfe" (UIDNEXT MESSAGES SIZE)
        S: * STATUS "Entwürfe" (MESSAGES 231 UIDNEXT 44292 SIZE 40990)
        S: A7 OK Done
        C: A8 NAMESPACE
        S: * NAMESPACE (("" "/")) NIL NIL
        S: A8 OK Done
        C: A9 GETQUOTAROOT INBOX
        S: * QUOTAROOT "INBOX" ""
        S: * QUOTA "" (STORAGE 10 512)
        S: A9 OK Done
        "#,
    );
    assert!(session.asked[0].contains("Pattern(\"\")"), "{}", session.asked[0]);
    assert!(session.asked[2].contains("select_subscribed: true"), "{}", session.asked[2]);
}

#[test]
fn rfc_4731_5182_7162_search() {
    let mut session = Session::selected(profile());
    dialogue(
        &mut session,
        r#"
        C: A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"
        S: * SEARCH 2 10 11
        S: A282 OK Done
        C: A283 SEARCH RETURN () FLAGGED
        S: * ESEARCH (TAG "A283") ALL 2,10:11
        S: A283 OK Done
        C: A284 UID SEARCH RETURN (MIN COUNT) FLAGGED
        S: * ESEARCH (TAG "A284") UID MIN 2 COUNT 3
        S: A284 OK Done
        C: A285 SEARCH RETURN (MIN MAX COUNT) UNKEYWORD foo
        S: * ESEARCH (TAG "A285") COUNT 0
        S: A285 OK Done
        C: A286 SEARCH RETURN (SAVE) FROM "x"
        S: A286 OK Done
        C: A287 FETCH $ (UID)
        S: * 2 FETCH (UID 1002)
        S: * 4 FETCH (UID 1004)
        S: A287 OK Done
        C: A288 SEARCH CHARSET KOI8-R TEXT x
        S: A288 NO [BADCHARSET (US-ASCII UTF-8)] Unknown charset
        C: a SEARCH MODSEQ "/flags/\\draft" all 620162338
        S: * SEARCH 2 10 11 (MODSEQ 917162500)
        S: a OK Done
        C: b SEARCH RETURN (ALL) MODSEQ 620162338
        S: * ESEARCH (TAG "b") ALL 2,10:11 MODSEQ 917162500
        S: b OK Done
        C: c SEARCH OR (OLDER 3600 UNSEEN) ALL EMAILID M1 SAVEDSINCE 1-Jan-2020
        S: * SEARCH 2 10 11
        S: c OK Done
        "#,
    );
    assert!(session.server.enabled().contains(Enabled::CONDSTORE), "by using it");
}

#[test]
fn rfc_5256_sort_and_thread() {
    let mut session = Session::selected(profile());
    dialogue(
        &mut session,
        r#"
        C: A282 SORT (SUBJECT REVERSE DATE) UTF-8 ALL
        S: * SORT 2 84 882
        S: A282 OK Done
        C: A283 UID THREAD REFERENCES US-ASCII ALL
        S: * THREAD (2)(3 6 (4 23)(44 7 96))
        S: A283 OK Done
        C: A284 SORT () UTF-8 ALL
        S: A284 BAD A list is empty
        C: A285 THREAD SUBJECT UTF-8 ALL
        S: A285 BAD Unknown threading algorithm
        "#,
    );
    let wanted = "Sort(Sort { by: [(Subject, false), (Date, true)], search: Search { uid: false, \
                  returns: None, key: All } })";
    assert_eq!(session.asked[0], wanted);
}

#[test]
fn rfc_7162_conditions_and_resync() {
    let mut session = Session::selected(profile());
    dialogue(
        &mut session,
        r#"
        C: s100 UID FETCH 1:3 (FLAGS) (CHANGEDSINCE 12345 VANISHED)
        S: s100 BAD Enable QRESYNC first
        C: a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))
        S: a BAD Enable QRESYNC first
        C: b ENABLE QRESYNC CONDSTORE
        S: * ENABLED CONDSTORE QRESYNC
        S: b OK Done
        C: s101 UID FETCH 2:3 (FLAGS) (CHANGEDSINCE 12345 VANISHED)
        S: * 2 FETCH (UID 1002 FLAGS (\Seen) MODSEQ (624140003))
        S: * 3 FETCH (UID 1003 FLAGS (\Seen) MODSEQ (624140003))
        S: s101 OK Done
        C: d105 STORE 7,5,9 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\Deleted)
        S: d105 OK [MODIFIED 5,7,9] Conditional STORE failed
        C: e EXPUNGE
        S: * VANISHED 405,407
        S: e OK Done
        C: a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541 (1:3 41,43:44)))
        S: * OK [CLOSED] Previous mailbox closed
        S: * 18 EXISTS
        S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
        S: * OK [UIDVALIDITY 3857529045] UIDs valid
        S: a OK [READ-WRITE] Selected
        C: f SELECT INBOX (QRESYNC (1 2 1:3 (1:3 4:5)))
        S: f BAD Sequence numbers and UIDs do not match
        "#,
    );
    let resync = session.asked.iter().find(|asked| asked.contains("67890007")).unwrap();
    assert!(resync.contains("modseq: 20050715194045000"), "{resync}");
    assert!(resync.contains("matching: Some((Ranges([(1, 3)]), Ranges([(41, 41), (43, 44)])))"));
    assert!(session.server.is_selected(), "a command that is BAD changes nothing");
}

#[test]
fn rfc_3516_4315_6851_8970() {
    let mut session = Session::selected(profile());
    dialogue(
        &mut session,
        r#"
        C: A1 FETCH 3 BINARY.SIZE[1.2]
        S: * 3 FETCH (BINARY.SIZE[1.2] 98)
        S: A1 OK Done
        C: A2 UID COPY 304,319:320 meeting
        S: A2 OK [COPYUID 38505 304,319:320 3956:3958] Copied
        C: A3 UID EXPUNGE 3000:3002
        S: * 3 EXPUNGE
        S: * 3 EXPUNGE
        S: A3 OK Done
        C: A4 UID MOVE 42:69 foo
        S: A4 OK Done
        C: A5 FETCH 1 (RFC822.SIZE PREVIEW (LAZY))
        S: * 1 FETCH (RFC822.SIZE 4286 PREVIEW "Preview text!")
        S: A5 OK Done
        C: A6 FETCH 1 BODY.PEEK[HEADER.FIELDS (Date From)]<6.10>
        S: * 1 FETCH (BODY[HEADER.FIELDS (Date From)]<6> {10}
        S: Wed, 17 Ju)
        S: A6 OK Done
        C: A7 FETCH 1 BODY[2.1.MIME]<900.10>
        S: * 1 FETCH (BODY[2.1.MIME]<900> {0}
        S: )
        S: A7 OK Done
        "#,
    );
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let mut session = Session::selected(profile());
    let said = session.feed(b"1 NOOP\r\n2 FOO\r\n3 FETCH 1 UID\r\n4 LOGOUT\r\n5 NOOP\r\n");
    let tags: Vec<_> = said.lines().map(|line| &line[..1]).collect();
    assert_eq!(tags, ["1", "2", "*", "3", "*", "4"]);
    assert_eq!(session.feed(b"6 NOOP\r\n"), "");
}

#[test]
fn rfc_4978_compress() {
    let mut session = Session::logged_in(profile());
    assert_eq!(session.say("c COMPRESS X"), "c BAD Unknown compression\r\n");
    assert_eq!(session.say("d COMPRESS DEFLATE"), "d OK Compression begins now\r\n");
    assert_eq!(session.end.take(), Some("compress"));
    session.server.compressed();
    let said = session.say("e COMPRESS DEFLATE");
    assert_eq!(said, "e NO [COMPRESSIONACTIVE] Compression is active\r\n");
    assert!(!session.say("f CAPABILITY").contains("COMPRESS"));
    let mut session = Session::logged_in(profile());
    let said = session.feed(b"c COMPRESS DEFLATE\r\nx");
    assert_eq!(said, "* BYE [CLIENTBUG] Data in the clear\r\n");
    let mut session = Session::logged_in(Profile { compress: false, ..profile() });
    assert_eq!(session.say("c COMPRESS DEFLATE"), "c BAD Compression is not offered\r\n");
}

#[test]
fn a_connection_moves_behind_its_login() {
    fn sent<T: Send>(value: T) -> T {
        value
    }
    for refused in [false, true] {
        let mut session = Session::new(Profile {
            limits: Limits { login_commands_max: 3, ..Limits::default() },
            ..profile()
        });
        session.say("a ID (\"name\" \"x\")");
        let input = b"b LOGIN tim secret\r\nc NOOP\r\n";
        let (mut used, step) = session.server.feed(Moment(0), input, &mut session.out);
        assert_eq!(step, Step::Ask(Question::Authenticate));
        let answer = judge(&session.server);
        session.out.clear();
        let step = session.server.answer(Moment(0), answer, &mut session.out);
        assert_eq!(step, Step::Ask(Question::Enter));
        let again = session.server.feed(Moment(0), &input[used..], &mut session.out);
        assert_eq!(again, (0, Step::Ask(Question::Enter)));
        assert!(session.out.is_empty(), "nothing is said before the client is in");
        assert!(session.server.proof().is_none(), "the password is gone");
        let passage = session.server.depart().expect("it asks to come in");
        assert_eq!(&*passage.identity().authentication, "tim");
        session.server = Server::arrive(Rc::new(profile()), sent(passage));
        used += session.server.feed(Moment(0), &input[used..], &mut session.out).0;
        if refused {
            let reply = Completion::no("Too many sessions").with(Code::Limit);
            session.entry = Answer::Refuse(reply);
        }
        let said = session.feed(&input[used..]);
        assert_eq!(session.server.client(), Some("x"));
        if refused {
            assert_eq!(said, "b NO [LIMIT] Too many sessions\r\nc OK Done\r\n");
            assert!(session.server.identity().is_none());
            assert_eq!(session.say("d LIST \"\" *"), "d BAD Log in first\r\n");
        } else {
            assert!(said.starts_with("b OK [CAPABILITY "), "{said}");
            assert!(said.ends_with("] Logged in\r\nc OK Done\r\n"), "{said}");
        }
    }
    assert!(Session::new(profile()).server.depart().is_none(), "nobody logged in");
    assert!(Session::logged_in(profile()).server.depart().is_none(), "it is in");
}
