//! The dialogues of the RFCs, and what each verb refuses.

use super::*;

#[test]
fn rfc_1939_10_a_whole_session() {
    let session = dialogue(
        profile(),
        "S: +OK dewey Ringpost
         C: USER mrose
         S: +OK Password required
         C: PASS tanstaaf
         S: +OK Maildrop has 2 messages (320 octets)
         C: STAT
         S: +OK 2 320
         C: LIST
         S: +OK 2 messages (320 octets)
         S: 1 120
         S: 2 200
         S: .
         C: RETR 1
         S: +OK 120 octets
         S: Subject: x
         S: To: y
         S:
         S: 1
         S: ..2
         S: 3
         S: zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz
         S: .
         C: DELE 1
         S: +OK Message 1 deleted
         C: TOP 2 0
         S: +OK Top follows
         S: Subject: x
         S: To: y
         S:
         S: .
         C: DELE 2
         S: +OK Message 2 deleted
         C: QUIT
         S: +OK dewey signing off (maildrop empty)",
    );
    assert!(session.closed && session.server.has_quit());
    assert_eq!(session.deleted, [0, 1]);
    assert_eq!(session.asked.last(), Some(&Question::Commit));
}

#[test]
fn rfc_1939_5_each_command() {
    let session = dialogue(
        profile(),
        "S: +OK dewey Ringpost
         C: USER mrose
         S: +OK Password required
         C: PASS secret
         S: +OK Maildrop has 2 messages (320 octets)
         C: LIST 2
         S: +OK 2 200
         C: LIST 3
         S: -ERR No such message, there are 2
         C: NOOP
         S: +OK
         C: DELE 1
         S: +OK Message 1 deleted
         C: DELE 1
         S: -ERR This message is deleted
         C: LIST
         S: +OK 1 messages (200 octets)
         S: 2 200
         S: .
         C: STAT
         S: +OK 1 200
         C: RETR 1
         S: -ERR This message is deleted
         C: RSET
         S: +OK Maildrop has 2 messages (320 octets)
         C: DELE 2
         S: +OK Message 2 deleted
         C: QUIT
         S: +OK dewey signing off (1 messages left)",
    );
    assert_eq!(session.deleted, [1]);
}

#[test]
fn rfc_1939_7_top_and_uidl() {
    let mut session = logged_in();
    talk(
        &mut session,
        String::new(),
        "C: UIDL
         S: +OK 2 messages (320 octets)
         S: 1 whqtswO00WBw418f9t5JxYwZ
         S: 2 QhdPYR:00WBw1Ph7x7
         S: .
         C: UIDL 2
         S: +OK 2 QhdPYR:00WBw1Ph7x7
         C: UIDL 3
         S: -ERR No such message, there are 2
         C: TOP 1 2
         S: +OK Top follows
         S: Subject: x
         S: To: y
         S:
         S: 1
         S: ..2
         S: .
         C: TOP 100 3
         S: -ERR No such message, there are 2
         C: TOP 1
         S: -ERR Syntax: TOP message lines
         C: TOP 1 x
         S: -ERR Syntax: TOP message lines
         C: TOP 1 -1
         S: -ERR Syntax: TOP message lines",
    );
    assert_eq!(session.asked.last(), Some(&Question::Retrieve));
    assert!(session.say("top 2 99999999999").contains("zz\r\n.\r\n"), "more lines than there are");
}

#[test]
fn numbers_that_are_none() {
    let mut session = logged_in();
    for line in ["RETR", "RETR x", "DELE -1", "LIST 1 2", "UIDL +1", "TOP x 1"] {
        assert_eq!(session.say(line), "-ERR Say the number of a message\r\n", "{line}");
    }
    for line in ["RETR 0", "RETR 3", "DELE 4294967296", "LIST 99999999999999999999"] {
        assert_eq!(session.say(line), "-ERR No such message, there are 2\r\n", "{line}");
    }
    assert_eq!(session.say("LIST  01 "), "+OK 1 120\r\n", "blanks and zeros do no harm");
}

#[test]
fn states_are_kept() {
    let mut session = Session::new(profile());
    for line in ["STAT", "LIST", "LIST 1", "UIDL", "RETR 1", "TOP 1 1", "DELE 1", "NOOP", "RSET"] {
        assert_eq!(session.say(line), "-ERR Log in first\r\n", "{line}");
    }
    let mut session = logged_in();
    for line in ["USER x", "PASS x", "AUTH", "AUTH PLAIN", "UTF8"] {
        assert_eq!(session.say(line), "-ERR Logged in already\r\n", "{line}");
    }
    for line in ["STAT 1", "NOOP x", "RSET x", "QUIT x", "CAPA x"] {
        assert_eq!(session.say(line), "-ERR This command takes no argument\r\n", "{line}");
    }
    for line in ["", "APOP mrose c4c9334bac560ecc979e58001b3e22fb", "XTND", "LAST", "STLS"] {
        assert_eq!(session.say(line), "-ERR Command not recognised\r\n", "{line}");
    }
    assert!(!session.closed);
}

#[test]
fn quit_before_logging_in_and_without_marks() {
    let session = dialogue(
        profile(),
        "S: +OK dewey Ringpost
         C: QUIT
         S: +OK dewey signing off",
    );
    assert!(session.closed && session.asked.is_empty());
    let mut session = logged_in();
    assert_eq!(session.feed(b"DELE 1\r\nRSET\r\nQUIT\r\nNOOP\r\n").lines().count(), 3);
    assert!(session.closed && !session.asked.contains(&Question::Commit));
}

#[test]
fn what_cannot_be_deleted_is_said() {
    let mut session = with_messages(profile(), Messages(vec![("undying", vec![])]));
    let said = session.feed(b"DELE 1\r\nQUIT\r\n");
    assert!(said.ends_with("\r\n-ERR [SYS/TEMP] Some deleted messages not removed\r\n"), "{said}");
    assert!(session.closed && session.deleted.is_empty());
}

#[test]
fn only_quit_deletes() {
    for end in 0..3 {
        let mut session = logged_in();
        session.say("DELE 1");
        assert_eq!(session.server.marked().collect::<Vec<_>>(), [0]);
        let mut out = Vec::new();
        let step = match end {
            0 => session.server.expire(session.now),
            1 => session.server.stop(&mut out),
            _ => session.server.refuse(&Refusal::UNAVAILABLE, &mut out),
        };
        assert_eq!(step, Step::Close);
        assert_eq!(session.server.marked().count(), 0);
        assert!(!session.server.has_quit() && session.deleted.is_empty());
    }
}

#[test]
fn rfc_2449_capabilities() {
    let told = Profile {
        expire: Some(Expiry::Days(60)),
        login_delay_s: 900,
        starttls: true,
        auth_in_the_clear: false,
        ..profile()
    };
    let mut session = dialogue(
        told,
        "S: +OK dewey Ringpost
         C: CAPA
         S: +OK Capability list follows
         S: TOP
         S: UIDL
         S: RESP-CODES
         S: AUTH-RESP-CODE
         S: PIPELINING
         S: UTF8 USER
         S: LANG
         S: EXPIRE 60
         S: LOGIN-DELAY 900
         S: STLS
         S: SASL SCRAM-SHA-256
         S: IMPLEMENTATION Ringpost
         S: .
         C: STLS
         S: +OK Begin TLS negotiation",
    );
    session.secure(Channel::default());
    let said = session.say("capa");
    assert!(said.contains("\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN LOGIN\r\n"), "{said}");
    assert!(!said.contains("STLS"));
    let quiet = Profile {
        expire: None,
        mechanisms: crate::sasl::Mechanisms::NONE,
        banner_text: "".into(),
        ..profile()
    };
    let said = Session::new(quiet).say("CAPA");
    for word in ["EXPIRE", "LOGIN-DELAY", "STLS", "SASL", "\r\nUSER", "IMPLEMENTATION"] {
        assert!(!said.contains(word), "{said}");
    }
    assert!(logged_in().say("CAPA").contains("EXPIRE NEVER\r\n"), "also when logged in");
}

#[test]
fn rfc_2449_the_maildrop_is_in_use() {
    let mut session = dialogue(
        profile(),
        "S: +OK dewey Ringpost
         C: USER busy
         S: +OK Password required
         C: PASS secret
         S: -ERR [IN-USE] The maildrop is in use
         C: USER early
         S: +OK Password required
         C: PASS secret
         S: -ERR [LOGIN-DELAY] Wait for 900 seconds
         C: USER odd
         S: +OK Password required
         C: PASS secret
         S: -ERR [SYS/TEMP] The maildrop cannot be read now
         C: STAT
         S: -ERR Log in first",
    );
    assert!(session.server.identity().is_none() && session.server.maildrop().is_none());
    session.feed(b"USER mrose\r\nPASS secret\r\n");
    assert_eq!(session.say("STAT"), "+OK 2 320\r\n");
}

#[test]
fn rfc_6856_utf8_and_languages() {
    let mut session = Session::new(Profile { starttls: true, ..profile() });
    session.messages =
        Messages(vec![("UTF-8", "Subject: \u{fc}\r\n\r\n".into()), ("lost", vec![])]);
    let script = "C: LANG
         S: +OK Language listing follows
         S: en English
         S: i-default Default language
         S: .
         C: LANG uga
         S: -ERR Language not known here
         C: LANG en-US
         S: +OK en English is spoken
         C: LANG *
         S: +OK en English is spoken
         C: UTF8 x
         S: -ERR This command takes no argument
         C: UTF8
         S: +OK UTF-8 enabled
         C: STLS
         S: -ERR No STLS behind UTF8
         C: USER j\u{fc}rgen
         S: +OK Password required
         C: PASS secret
         S: +OK Maildrop has 2 messages (15 octets)
         C: RETR 1
         S: +OK 15 octets
         S: Subject: \u{fc}
         S:
         S: .
         C: RETR 2
         S: -ERR [SYS/TEMP] The maildrop cannot be read now
         C: LANG
         S: +OK Language listing follows
         S: en English
         S: i-default Default language
         S: .";
    talk(&mut session, String::new(), script);
    assert_eq!(&*session.server.identity().unwrap().authentication, "j\u{fc}rgen");
    let mut session =
        with_messages(profile(), Messages(vec![("UTF-8", "Subject: \u{fc}\r\n\r\n".into())]));
    assert_eq!(session.say("TOP 1 0"), "-ERR [UTF8] Say UTF8 first\r\n");
}

/// RFC 2449 §6.6, and a login in the middle.
#[test]
fn pipelined_commands_are_answered_in_order() {
    let mut session = Session::new(profile());
    let said = session.feed(
        b"USER mrose\r\nPASS secret\r\nSTAT\r\nUIDL 1\r\nDELE 1\r\nRETR 2\r\nNOOP\r\nQUIT\r\n",
    );
    let firsts: Vec<_> = said.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    assert_eq!(
        firsts,
        [
            "+OK Password required",
            "+OK Maildrop has 2 messages (320 octets)",
            "+OK 2 320",
            "+OK 1 whqtswO00WBw418f9t5JxYwZ",
            "+OK Message 1 deleted",
            "+OK 200 octets",
            "+OK",
            "+OK dewey signing off (1 messages left)",
        ]
    );
}
