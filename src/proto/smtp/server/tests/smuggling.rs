//! SMTP smuggling: every published way to end a message without CRLF.CRLF, with a second message
//! behind it, whole and split at every byte (CVE-2023-51764, -51765, -51766 and their kin).

use super::*;

/// What servers have taken for the end of data.
const FALSE_ENDS: [&[u8]; 21] = [
    b"\n.\n",
    b"\n.\r\n",
    b"\n.\r",
    b"\r.\r",
    b"\r.\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\n\n",
    b"\r\n.\r\r",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\0\n",
    b"\r\0\n.\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\n\n.\n\n",
    b"\r\r.\r\r",
    b"\r\n .\r\n",
    b"\r\n.\r\x0b\n",
    b"\xe2\x80\xa8.\r\n",
];

const SMUGGLED: &[u8] = b"MAIL FROM:<evil@x.org>\r\nRCPT TO:<victim@y.org>\r\nDATA\r\nsmuggled\r\n";

fn attack(false_end: &[u8]) -> Vec<u8> {
    let mut input =
        b"EHLO c.example\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nA: b\r\n\r\nx".to_vec();
    input.extend_from_slice(false_end);
    input.extend_from_slice(SMUGGLED);
    input.extend_from_slice(b".\r\nQUIT\r\n");
    input
}

fn run(profile: Profile, parts: &[&[u8]]) -> Session {
    let mut session = Session::new(profile);
    for part in parts {
        session.feed(part);
    }
    session
}

fn check(session: &Session, fix: bool, false_end: &[u8]) {
    // Lines that merely look odd are text.
    let harmless = !false_end.contains(&0)
        && !String::from_utf8_lossy(false_end).replace("\r\n", "").contains(['\r', '\n']);
    let accepted = fix || harmless;
    let last = if accepted { "250" } else { "550" };
    let codes = ["220", "250", "250", "250", "354", last, "221"];
    assert_eq!(session.codes(), codes, "{:?}", String::from_utf8_lossy(false_end));
    assert_eq!(session.messages.len(), usize::from(accepted));
    for (envelope, message) in &session.messages {
        assert_eq!(envelope.sender.as_ref().unwrap().local(), "a");
        assert!(message.ends_with(SMUGGLED), "it is text of the one message");
        let text = String::from_utf8_lossy(message).replace("\r\n", "");
        assert!(!text.contains(['\r', '\n', '\0']), "clean for the next hop: {message:?}");
    }
}

#[test]
fn no_false_end_ends_a_message() {
    for false_end in FALSE_ENDS {
        for fix in [false, true] {
            let profile = || if fix { fixing() } else { profile() };
            let input = attack(false_end);
            let whole = run(profile(), &[&input]);
            check(&whole, fix, false_end);
            for at in 1..input.len() {
                let (head, tail) = input.split_at(at);
                let split = run(profile(), &[head, tail]);
                assert_eq!(split.out, whole.out, "split at {at}");
                assert_eq!(split.messages, whole.messages, "split at {at}");
            }
            let bytes: Vec<_> = input.chunks(1).collect();
            let slow = run(profile(), &bytes);
            assert_eq!((slow.out, slow.messages), (whole.out, whole.messages));
        }
    }
}

#[test]
fn a_real_end_among_odd_endings_is_one() {
    // A client that stuffs dots behind CRLF sends CRLF.CRLF only to end.
    let mut session = run(profile(), &[&attack(b"\r\r\n.\r\n")]);
    assert_eq!(session.codes()[5], "550", "the first message held a bare CR");
    session = run(profile(), &[&attack(b"\r\n.\r\n")]);
    assert_eq!(session.messages.len(), 2);
}

#[test]
fn mended_text_keeps_its_dots() {
    let body = |text: &[u8]| {
        let mut input = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n".to_vec();
        input.extend_from_slice(text);
        input.extend_from_slice(b"\r\n.\r\n");
        run(fixing(), &[&input]).messages.remove(0).1
    };
    assert_eq!(body(b"a\n.b\r\n..c\r.d"), b"a\r\n.b\r\n.c\r\n.d\r\n");
    assert_eq!(body(b"a\n.\r\n..\r\nb"), b"a\r\n.\r\n.\r\nb\r\n");
    assert_eq!(body(b".\n..\r"), b"\r\n..\r\n\r\n");
    assert_eq!(body(b"\r\r\n\0\n\n"), b"\r\n\r\n\r\n\r\n\r\n");
}

#[test]
fn commands_behind_a_bare_lf_never_run() {
    let hidden = b"EHLO c\r\nNOOP\nMAIL FROM:<evil@x.org>\nRCPT TO:<v@y.org>\r\nVRFY x\r\n";
    for at in 0..hidden.len() {
        let (head, tail) = hidden.split_at(at);
        let refusing = run(profile(), &[head, tail]);
        assert_eq!(refusing.codes(), ["220", "250", "500", "500", "500", "252"], "{at}");
        assert!(refusing.asked.is_empty());
        let mending = run(fixing(), &[head, tail]);
        assert_eq!(mending.codes(), ["220", "250", "250", "250", "250", "252"], "{at}");
    }
}

#[test]
fn chunks_are_counted_and_checked_alike() {
    let begin = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\n";
    for false_end in FALSE_ENDS {
        let text = [b"x", false_end, SMUGGLED].concat();
        let bdat = format!("BDAT {} LAST\r\n", text.len());
        let input = [&begin[..], bdat.as_bytes(), &text, b"QUIT\r\n"].concat();
        for fix in [false, true] {
            let profile = || if fix { fixing() } else { profile() };
            let whole = run(profile(), &[&input]);
            let mut codes = whole.codes();
            assert_eq!(codes.remove(4), if whole.messages.is_empty() { "550" } else { "250" });
            assert_eq!(codes, ["220", "250", "250", "250", "221"]);
            let bytes: Vec<_> = input.chunks(1).collect();
            let slow = run(profile(), &bytes);
            assert_eq!((slow.out, slow.messages), (whole.out, whole.messages));
        }
    }
}
