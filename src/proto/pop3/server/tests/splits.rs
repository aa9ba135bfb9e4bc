//! Any split of the input gives the same dialogue.

use proptest::prelude::*;

use super::*;

/// Fragments that make every state likely; joined at random they are also nonsense.
const FRAGMENTS: [&str; 48] = [
    "USER mrose\r\nPASS secret\r\n",
    "USER mrose\r\nPASS secret\r\n",
    "AUTH PLAIN AG1yb3NlAHNlY3JldA==\r\n",
    "AUTH PLAIN\r\nAG1yb3NlAHNlY3JldA==\r\n",
    "AUTH LOGIN\r\nbXJvc2U=\r\nc2VjcmV0\r\n",
    "AUTH SCRAM-SHA-256 biwsbj10aW0scj1hYmM=\r\n",
    "AUTH\r\n",
    "AUTH LOGIN\r\n",
    "*\r\n",
    "bXJvc2U=\r\n",
    "USER busy\r\n",
    "USER down\r\n",
    "USER locked\r\n",
    "PASS secret\r\n",
    "PASS wrong\r\n",
    "CAPA\r\n",
    "UTF8\r\n",
    "LANG\r\n",
    "LANG *\r\n",
    "STAT\r\n",
    "LIST\r\n",
    "LIST 1\r\n",
    "LIST 9\r\n",
    "UIDL\n",
    "UIDL 2\r\n",
    "RETR 1\r\n",
    "RETR 2\r\n",
    "RETR 3\r\n",
    "TOP 1 0\r\n",
    "TOP 2 2\r\n",
    "TOP 3 1000\r\n",
    "DELE 1\r\n",
    "DELE 2\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "STLS\r\n",
    "QUIT\r\n",
    "GET / HTTP/1.1\r\n",
    "\r\n",
    "\r",
    "\n",
    "\0",
    " ",
    "x",
    "ü",
    "1",
    "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
    "\r\n\r\n",
];

fn run(input: &[u8], mut sizes: impl Iterator<Item = usize>, piece_bytes: usize) -> Session {
    let limits = Limits {
        command_bytes_max: 64,
        errors_max: 15,
        out_bytes_max: 64,
        commands_before_login_max: 20,
        ..Limits::default()
    };
    let mut session = Session::new(Profile { limits, ..profile() });
    session.piece_bytes = piece_bytes;
    session.messages.0.push(("UTF-8", b".\r\n..\r\n\r\n.".to_vec()));
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
        piece_bytes in 1usize..50,
    ) {
        let input: String = picks.iter().map(|pick| FRAGMENTS[*pick]).collect();
        let whole = run(input.as_bytes(), std::iter::empty(), usize::MAX);
        for sizes in [&[1][..], &sizes] {
            let split = run(input.as_bytes(), sizes.iter().copied().cycle(), piece_bytes);
            prop_assert_eq!(String::from_utf8_lossy(&split.out), String::from_utf8_lossy(&whole.out));
            prop_assert_eq!(&split.asked, &whole.asked);
            prop_assert_eq!(&split.deleted, &whole.deleted);
            prop_assert_eq!(split.closed, whole.closed);
            prop_assert_eq!(split.server.identity(), whole.server.identity());
            prop_assert!(split.unsent_max < 64 + 512, "{} octets", split.unsent_max);
        }
        prop_assert!(whole.out.ends_with(b"\r\n"));
        prop_assert!(whole.deleted.is_empty() || whole.server.has_quit());
    }
}
