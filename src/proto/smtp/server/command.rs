//! A command line as verb and argument (RFC 5321 §4.1.1, §2.4).

use super::replies;
use crate::types::Reply;

/// What a verb asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Ehlo,
    Helo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Bdat,
    Rset,
    Noop,
    Vrfy,
    Expn,
    Help,
    StartTls,
    Auth,
    Quit,
    /// The first word of another protocol: a browser or proxy was made to talk to us.
    Foreign,
    Unknown,
}

const VERBS: [(&str, Verb); 19] = [
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("BDAT", Verb::Bdat),
    ("EHLO", Verb::Ehlo),
    ("QUIT", Verb::Quit),
    ("RSET", Verb::Rset),
    ("LHLO", Verb::Lhlo),
    ("HELO", Verb::Helo),
    ("NOOP", Verb::Noop),
    ("STARTTLS", Verb::StartTls),
    ("AUTH", Verb::Auth),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Expn),
    ("HELP", Verb::Help),
    ("GET", Verb::Foreign),
    ("POST", Verb::Foreign),
    ("PUT", Verb::Foreign),
    ("CONNECT", Verb::Foreign),
];

/// Splits a line (without its end) into its verb and argument; blanks at the end are tolerated
/// (RFC 5321 §4.1.1).
pub(super) fn split(line: &[u8]) -> Result<(Verb, &str), Reply> {
    let line = std::str::from_utf8(line.trim_ascii_end()).map_err(|_| replies::BAD_OCTETS)?;
    if line.chars().any(char::is_control) {
        return Err(replies::BAD_OCTETS);
    }
    let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
    let verb = VERBS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word))
        .map_or(Verb::Unknown, |(_, verb)| *verb);
    Ok((verb, argument.trim_start_matches(' ')))
}

/// For verbs that take no argument.
pub(super) fn none(argument: &str) -> Result<(), Reply> {
    if argument.is_empty() { Ok(()) } else { Err(replies::NO_ARGUMENT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_ignore_case_and_trailing_blanks() {
        assert_eq!(split(b"mAiL FROM:<> "), Ok((Verb::Mail, "FROM:<>")));
        assert_eq!(split(b"QUIT \t"), Ok((Verb::Quit, "")));
        assert_eq!(split(b""), Ok((Verb::Unknown, "")));
        assert_eq!(split(b"MAILFROM:<>"), Ok((Verb::Unknown, "")));
    }

    #[test]
    fn controls_are_refused() {
        for line in
            [&b"NOOP\0"[..], b"RCPT TO:<a@b>\rX", b"NOOP \x1b[2J", b"NOOP \xff", b"\xc2\x85"]
        {
            assert_eq!(split(line), Err(replies::BAD_OCTETS), "{line:?}");
        }
    }
}
