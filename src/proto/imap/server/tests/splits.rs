//! Any split of the input gives the same dialogue.

use proptest::prelude::*;

use super::*;

/// Fragments that make every state likely; joined at random they are also nonsense.
const FRAGMENTS: [&str; 58] = [
    "a LOGIN tim secret\r\n",
    "a LOGIN tim secret\r\n",
    "a LOGIN tim secret\r\nb SELECT INBOX\r\n",
    "a LOGIN {3}\r\ntim {6+}\r\nsecret\r\n",
    "a LOGIN tim wrong\r\n",
    "a AUTHENTICATE PLAIN AHRpbQBzZWNyZXQ=\r\n",
    "a AUTHENTICATE PLAIN\r\n",
    "AHRpbQBzZWNyZXQ=\r\n",
    "a AUTHENTICATE SCRAM-SHA-256 biwsbj10aW0scj1hYmM=\r\n",
    "*\r\n",
    "b CAPABILITY\r\n",
    "b ID NIL\r\n",
    "b ENABLE IMAP4rev2 QRESYNC\r\n",
    "b SELECT INBOX\r\n",
    "b SELECT {5}\r\nINBOX\r\n",
    "b EXAMINE missing\r\n",
    "c FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (A {1}\r\nB)])\r\n",
    "c UID FETCH 1,3 (BODY[]<0.5> RFC822.TEXT)\r\n",
    "c STORE 1 +FLAGS (\\Seen k)\r\n",
    "c SEARCH RETURN (COUNT) OR TEXT {2+}\r\nab ALL\r\n",
    "c UID SEARCH 1:3 NOT (SEEN)\r\n",
    "c SORT (DATE) UTF-8 ALL\r\n",
    "c IDLE\r\n",
    "DONE\r\n",
    "c IDLE\r\nDONE\r\n",
    "d APPEND saved {5}\r\n",
    "d APPEND saved {5+}\r\nab\r\nc\r\n",
    "d APPEND saved {2+}\r\nab (\\Seen) {3}\r\nabc\r\n",
    "d APPEND {5+}\r\nsaved ~{3}\r\n\0\0\0\r\n",
    "d APPEND missing {12+}\r\nd LOGOUT\r\nxx\r\n",
    "d APPEND saved UTF8 (~{2+}\r\nab)\r\n",
    "d APPEND saved {0}\r\n",
    "d APPEND saved {9999+}\r\n",
    "d FOO {10+}\r\nd LOGOUT\r\n\r\n",
    "d LIST \"\" *\r\n",
    "d LIST {3}\r\n",
    "d COMPRESS DEFLATE\r\n",
    "e NOOP\r\n",
    "e FOO\r\n",
    "e LOGOUT\r\n",
    "e STARTTLS\r\n",
    "a ",
    "{3}\r\n",
    "{3+}\r\n",
    "{0}\r\n",
    " {2}",
    "\"",
    "(",
    ")",
    "abc",
    "\r\n",
    "\r\n",
    "\r",
    "\n",
    "\0",
    "ü",
    "+",
    "01234567890123456789012345678901234567890123456789012345678901234567890123456789",
];

fn small() -> Profile {
    Profile {
        limits: Limits {
            command_bytes_max: 160,
            login_command_bytes_max: 120,
            literal_bytes_max: 40,
            refused_literal_bytes_max: 500,
            append_bytes_max: 100,
            login_commands_max: 8,
            errors_max: 6,
            ..Limits::default()
        },
        ..profile()
    }
}

#[derive(Debug, PartialEq)]
struct Talk {
    said: String,
    asked: Vec<String>,
    appended: Vec<Vec<u8>>,
    end: Option<&'static str>,
}

fn talk<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Talk {
    let mut session = Session::new(small());
    for piece in pieces {
        session.feed(piece);
    }
    Talk {
        said: String::from_utf8_lossy(&session.out).into_owned(),
        asked: session.asked,
        appended: session.appended,
        end: session.end,
    }
}

/// Where a read ends tells what came before TLS or compression: a split may hide that something did.
fn is_torn(talk: &Talk) -> bool {
    matches!(talk.end, Some("upgrade" | "compress")) || talk.said.contains("Data in the clear")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_split_gives_the_same(
        fragments in proptest::collection::vec(proptest::sample::select(&FRAGMENTS[..]), 0..14),
        cuts in proptest::collection::vec(1usize..9, 1..20),
    ) {
        let input = fragments.concat().into_bytes();
        let whole = talk(std::iter::once(&input[..]));
        let octets = talk(input.chunks(1));
        let mut rest = &input[..];
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        let cut = talk(pieces.into_iter());
        prop_assume!(![&whole, &octets, &cut].into_iter().any(is_torn));
        prop_assert_eq!(&whole, &octets);
        prop_assert_eq!(&whole, &cut);
        prop_assert!(whole.said.ends_with("\r\n"));
    }
}

#[test]
fn a_long_dialogue_octet_by_octet() {
    let script = [
        "a LOGIN {3+}\r\ntim secret\r\n",
        "b SELECT INBOX\r\nc FETCH 1:2 (FLAGS BODY[])\r\n",
        "d APPEND saved {2+}\r\nab {3+}\r\ncde\r\ne IDLE\r\nDONE\r\nf LOGOUT\r\n",
    ]
    .concat();
    let whole = talk(std::iter::once(script.as_bytes()));
    assert_eq!(whole, talk(script.as_bytes().chunks(1)));
    assert_eq!(whole.appended, [&b"ab"[..], b"cde"]);
    assert_eq!(whole.end, Some("close"));
    assert!(whole.said.ends_with("f OK Logged out\r\n"));
}
