//! A command line as verb and argument (RFC 1939 §3).

use super::{Refusal, replies};

/// What a verb asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Capa,
    User,
    Pass,
    Auth,
    Stls,
    Utf8,
    Lang,
    Stat,
    List,
    Uidl,
    Retr,
    Top,
    Dele,
    Noop,
    Rset,
    Quit,
    /// The first word of another protocol: a browser or proxy was made to talk to us.
    Foreign,
    Unknown,
}

/// The ones that come by the message first.
const VERBS: [(&str, Verb); 23] = [
    ("RETR", Verb::Retr),
    ("DELE", Verb::Dele),
    ("TOP", Verb::Top),
    ("UIDL", Verb::Uidl),
    ("LIST", Verb::List),
    ("STAT", Verb::Stat),
    ("QUIT", Verb::Quit),
    ("CAPA", Verb::Capa),
    ("USER", Verb::User),
    ("PASS", Verb::Pass),
    ("AUTH", Verb::Auth),
    ("STLS", Verb::Stls),
    ("NOOP", Verb::Noop),
    ("RSET", Verb::Rset),
    ("UTF8", Verb::Utf8),
    ("LANG", Verb::Lang),
    ("GET", Verb::Foreign),
    ("POST", Verb::Foreign),
    ("PUT", Verb::Foreign),
    ("HEAD", Verb::Foreign),
    ("OPTIONS", Verb::Foreign),
    ("CONNECT", Verb::Foreign),
    ("EHLO", Verb::Foreign),
];

/// Splits a line (without its end) into its verb and argument. The argument is as it was sent, for
/// every blank of a password counts (RFC 1939 §7, PASS).
pub(super) fn split(line: &[u8]) -> Result<(Verb, &str), Refusal> {
    let line = std::str::from_utf8(line).map_err(|_| replies::BAD_OCTETS)?;
    if line.chars().any(char::is_control) {
        return Err(replies::BAD_OCTETS);
    }
    let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
    let verb = VERBS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map_or(Verb::Unknown, |(_, verb)| *verb);
    Ok((verb, argument))
}

/// For verbs that take no argument.
pub(super) fn none(argument: &str) -> Result<(), Refusal> {
    if argument.is_empty() { Ok(()) } else { Err(replies::NO_ARGUMENT) }
}

/// The number of a message or of lines; one that is too large for us is larger than any there is.
pub(super) fn number(text: &str) -> Result<u32, Refusal> {
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(replies::NOT_A_NUMBER);
    }
    Ok(text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_ignore_case_and_keep_the_argument() {
        assert_eq!(split(b"rEtR 1 "), Ok((Verb::Retr, "1 ")));
        assert_eq!(split(b"PASS  two blanks "), Ok((Verb::Pass, " two blanks ")));
        assert_eq!(split(b"QUIT"), Ok((Verb::Quit, "")));
        assert_eq!(split(b""), Ok((Verb::Unknown, "")));
        assert_eq!(split(b"RETR1"), Ok((Verb::Unknown, "")));
        assert_eq!(split("USER j\u{fc}rgen".as_bytes()), Ok((Verb::User, "j\u{fc}rgen")));
    }

    #[test]
    fn controls_are_refused() {
        for line in [&b"NOOP\0"[..], b"PASS a\tb", b"NOOP\r", b"NOOP \xff", b"\xc2\x85"] {
            assert_eq!(split(line), Err(replies::BAD_OCTETS), "{line:?}");
        }
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number("007"), Ok(7));
        assert_eq!(number("99999999999999999999"), Ok(u32::MAX));
        for text in ["", "+1", "-1", "1x", "\u{661}"] {
            assert_eq!(number(text), Err(replies::NOT_A_NUMBER), "{text}");
        }
    }
}
