//! Any split of the input gives the same dialogue.

use proptest::prelude::*;

use super::*;

/// Fragments that make every state likely; joined at random they are also nonsense.
const FRAGMENTS: [&str; 50] = [
    "EHLO c.example\r\n",
    "HELO c.example\r\n",
    "LHLO c.example\r\n",
    "MAIL FROM:<a@b.c>\r\n",
    "MAIL FROM:<a@b.c> SIZE=10\r\n",
    "MAIL FROM:<refused@b.c>\r\n",
    "RCPT TO:<d@e.f>\r\n",
    "RCPT TO:<refused@e.f>\r\n",
    "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<g@h.i>\r\nDATA\r\n",
    "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<g@h.i>\r\nDATA\r\n",
    "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\nBDAT 5\r\nab\r\nc",
    "LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\nRCPT TO:<g@h.i>\r\nBDAT 5\r\nab\r\nc",
    "DATA\r\n",
    "BDAT 3\r\n",
    "BDAT 0\r\n",
    "BDAT 0 LAST\r\n",
    "BDAT 12 LAST\r\n",
    "AUTH PLAIN\r\n",
    "AUTH PLAIN =\r\n",
    "EHLO c\r\nAUTH PLAIN AHRpbQBzZWNyZXQ=\r\n",
    "EHLO c\r\nAUTH PLAIN\r\nAHRpbQBzZWNyZXQ=\r\n",
    "LHLO c\r\nAUTH LOGIN\r\ndGlt\r\nc2VjcmV0\r\n",
    "AHRpbQBzZWNyZXQ=\r\n",
    "AUTH LOGIN\r\n",
    "dGlt\r\n",
    "AUTH SCRAM-SHA-256 biwsbj10aW0scj1hYmM=\r\n",
    "c=biws\n",
    "*\r\n",
    "STARTTLS\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "VRFY x\r\n",
    "QUIT\r\n",
    "text of a message\r\n",
    "A: b\r\n",
    "\r\n.\r\n",
    ".\r\n",
    "..\r\n",
    ".",
    "\r\n",
    "\r",
    "\n",
    "\0",
    "\n.\n",
    "x",
    "ü",
    "0123456789012345678901234567890123456789",
    "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "\r\n\r\n",
    "\t",
];

fn profiles() -> [Profile; 4] {
    let limits = Limits {
        message_bytes_max: 300,
        recipients_max: 3,
        messages_max: 4,
        errors_max: 12,
        command_bytes_max: 64,
        text_line_bytes_max: 60,
        header_bytes_max: 150,
        ..Limits::default()
    };
    let auth = |profile| Profile {
        mechanisms: Mechanism::ALL.into_iter().collect(),
        auth_in_the_clear: true,
        ..profile
    };
    let fixing_lmtp = Profile { line_endings: LineEndings::Fix, ..lmtp() };
    [auth(profile()), fixing(), auth(lmtp()), auth(fixing_lmtp)]
        .map(|profile| Profile { limits: limits.clone(), ..profile })
}

fn run(profile: &Profile, input: &[u8], mut sizes: impl Iterator<Item = usize>) -> Session {
    let mut session = Session::new(profile.clone());
    let mut rest = input;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(sizes.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        session.feed(head);
        rest = tail;
    }
    session
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_split_gives_the_same_dialogue(
        picks in prop::collection::vec(0..FRAGMENTS.len(), 1..40),
        sizes in prop::collection::vec(1usize..40, 1..20),
        which in 0usize..4,
    ) {
        let input: String = picks.iter().map(|pick| FRAGMENTS[*pick]).collect();
        let profile = &profiles()[which];
        let whole = run(profile, input.as_bytes(), std::iter::empty());
        for sizes in [&[1][..], &sizes] {
            let split = run(profile, input.as_bytes(), sizes.iter().copied().cycle());
            prop_assert_eq!(String::from_utf8_lossy(&split.out), String::from_utf8_lossy(&whole.out));
            prop_assert_eq!(&split.asked, &whole.asked);
            prop_assert_eq!(&split.messages, &whole.messages);
            prop_assert_eq!(split.closed, whole.closed);
            prop_assert_eq!(split.server.identity(), whole.server.identity());
        }
        for (_, message) in &whole.messages {
            prop_assert!(message.is_empty() || message.ends_with(b"\r\n"));
            prop_assert!(message.len() <= 300);
            prop_assert!(!String::from_utf8_lossy(message).replace("\r\n", "").contains(['\r', '\n', '\0']));
        }
    }
}

/// Pieces are as long as they can be: a body without dots in one read is one piece.
#[test]
fn pieces_are_maximal() {
    let mut server = Server::new(Rc::new(profile()), Moment(0));
    let mut out = Vec::new();
    server.greet(Moment(0), &mut out);
    let mut feed = |input: &mut &[u8]| {
        let (used, step) = server.feed(Moment(0), input, &mut out);
        *input = &input[used..];
        if let Step::Ask(_) = step {
            server.answer(Moment(0), Answer::Accept, &mut out);
        }
        match step {
            Step::Body(piece) => Some(piece.len()),
            _ => None,
        }
    };
    let text = "line\r\n".repeat(1000) + "..\r\n" + &"line\r\n".repeat(1000) + ".\r\n";
    let input = format!("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n{text}");
    let mut rest = input.as_bytes();
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        pieces.extend(feed(&mut rest));
    }
    assert_eq!(pieces, [6000, 6003]);
}
