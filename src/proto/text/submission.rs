//! What a submission server mends in a header (RFC 6409 §8), in one pass over it.
//!
//! `Date`, `Message-ID` and `From` are added when they are missing, `Bcc` and `Resent-Bcc` are
//! removed (RFC 5322 §3.6.3: their readers must not see each other), everything else stays octet
//! for octet. What must stay true: the body is not touched; mending what is mended changes nothing;
//! the result has a well-formed header. A line that is no field ends the header, and an empty line
//! is put before it, so that text without a header is not swallowed by the one it gets.
//!
//! It never fails. Who stands in `From` and `Sender` is told, for the policy to compare.

use std::{io::Write as _, iter, ops::Range};

use memchr::memchr;

use super::{
    Mailboxes,
    header::{is_empty_line, names_field},
    write_date,
};
use crate::types::{Address, Timestamp};

/// What is put in when it is missing.
#[derive(Clone, Copy, Debug)]
pub struct Missing<'a> {
    /// For `Date`.
    pub date: Timestamp,
    /// For `Message-ID`, left of the `@`: unique, letters, digits and dots.
    pub id: &'a str,
    /// For `Message-ID`, right of the `@`: a domain of ours.
    pub domain: &'a str,
    /// For `From`; `None`: it stays missing. A UTF-8 address needs SMTPUTF8.
    pub from: Option<&'a Address>,
}

/// What is to be mended, as places in the message that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mending {
    /// Fields to put before the message, each with its CRLF.
    pub insert: Vec<u8>,
    /// Octets to leave out, in order, apart from each other.
    pub drop: Vec<Range<usize>>,
    /// Where an empty line has to be put in, behind all of `drop`.
    pub empty_line_at: Option<usize>,
    /// Who stands in `From`.
    pub from: Mailboxes,
    /// Who stands in `Sender`.
    pub sender: Mailboxes,
}

/// Which of the fields there are.
#[derive(Debug, Default)]
struct Seen {
    date: bool,
    message_id: bool,
}

/// Looks at the header of `message`, and says what to change.
#[must_use]
pub fn mend_header(message: &[u8], missing: &Missing<'_>) -> Mending {
    let mut mending = Mending::default();
    let mut seen = Seen::default();
    let mut at = 0;
    while at < message.len() {
        let field = field_at(message, at);
        let text = &message[field.clone()];
        let Some(body) = body_of(text) else {
            let ended = is_empty_line(text);
            mending.empty_line_at = (!ended).then_some(at);
            break;
        };
        at = field.end;
        mending.note(text, body, field, &mut seen);
    }
    mending.add(&seen, missing);
    mending
}

impl Mending {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.insert.is_empty() && self.drop.is_empty() && self.empty_line_at.is_none()
    }

    /// The mended message in pieces, without a copy of it. `message` is the one that was looked at.
    pub fn pieces<'a>(&'a self, message: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let header_end = self.empty_line_at.unwrap_or(message.len());
        let starts = iter::once(0).chain(self.drop.iter().map(|dropped| dropped.end));
        let ends = self.drop.iter().map(|dropped| dropped.start).chain([header_end]);
        let kept = starts.zip(ends).map(|(start, end)| &message[start..end]);
        let empty_line: &[u8] = if self.empty_line_at.is_some() { b"\r\n" } else { b"" };
        let pieces = iter::once(&self.insert[..]).chain(kept);
        pieces.chain([empty_line, &message[header_end..]]).filter(|piece| !piece.is_empty())
    }

    fn note(&mut self, text: &[u8], body: &[u8], field: Range<usize>, seen: &mut Seen) {
        let is = |name: &[u8]| names_field(text, name);
        match text[0].to_ascii_lowercase() {
            b'b' if is(b"bcc") => self.leave_out(field),
            b'r' if is(b"resent-bcc") => self.leave_out(field),
            b'd' if is(b"date") => seen.date = true,
            b'm' if is(b"message-id") => seen.message_id = true,
            b'f' if is(b"from") => self.from.read(body),
            b's' if is(b"sender") => self.sender.read(body),
            _ => {}
        }
    }

    fn leave_out(&mut self, field: Range<usize>) {
        match self.drop.last_mut() {
            Some(last) if last.end == field.start => last.end = field.end,
            _ => self.drop.push(field),
        }
    }

    fn add(&mut self, seen: &Seen, missing: &Missing<'_>) {
        let out = &mut self.insert;
        if !seen.date {
            out.extend_from_slice(b"Date: ");
            write_date(missing.date, out);
            out.extend_from_slice(b"\r\n");
        }
        if let Some(from) = missing.from.filter(|_| self.from.fields == 0) {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "From: <{from}>\r\n");
        }
        if !seen.message_id {
            let _ = write!(out, "Message-ID: <{}@{}>\r\n", missing.id, missing.domain);
        }
    }
}

/// The field that begins at `at` with the lines that continue it; or a line that is no field.
fn field_at(message: &[u8], at: usize) -> Range<usize> {
    let line_end =
        |from: usize| memchr(b'\n', &message[from..]).map_or(message.len(), |n| from + n + 1);
    let mut end = line_end(at);
    if !is_empty_line(&message[at..end]) {
        while matches!(message.get(end), Some(b' ' | b'\t')) {
            end = line_end(end);
        }
    }
    at..end
}

/// What stands behind the colon; `None` when this is no field (RFC 5322 §2.2, §4.5).
fn body_of(text: &[u8]) -> Option<&[u8]> {
    let colon = memchr(b':', text)?;
    // Blanks and nothing else may stand before the colon, as in `names_field`.
    let end = text[..colon].iter().rposition(|octet| !matches!(octet, b' ' | b'\t'))?;
    text[..=end].iter().all(u8::is_ascii_graphic).then(|| &text[colon + 1..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn missing<'a>(from: Option<&'a Address>) -> Missing<'a> {
        Missing { date: Timestamp(0), id: "1.a", domain: "x.org", from }
    }

    fn mend(message: &str) -> (String, Mending) {
        let mending = mend_header(message.as_bytes(), &missing(None));
        let whole = mending.pieces(message.as_bytes()).collect::<Vec<_>>().concat();
        (String::from_utf8(whole).unwrap(), mending)
    }

    const ADDED: &str = "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\nMessage-ID: <1.a@x.org>\r\n";

    #[test]
    fn what_is_missing_is_added_and_blind_copies_go() {
        let (whole, mending) = mend(
            "From: A <a@x.org>\r\nBcc: b@x.org,\r\n c@x.org\r\nBCC : d@x.org\r\nTo: e@x.org\r\n\
             Resent-Bcc: f@x.org\r\nBcca: g\r\n\r\nBcc: body\r\n",
        );
        assert_eq!(
            whole,
            format!("{ADDED}From: A <a@x.org>\r\nTo: e@x.org\r\nBcca: g\r\n\r\nBcc: body\r\n")
        );
        assert_eq!(mending.drop.len(), 2, "neighbours are one");
        assert_eq!(mending.from.addresses[0].to_string(), "a@x.org");
    }

    #[test]
    fn what_is_there_stays() {
        let message = "DATE: whenever\r\nmessage-id:\r\n x\r\nfrom: a@x.org\r\n\r\nbody\r\n";
        let (whole, mending) = mend(message);
        assert_eq!(whole, message);
        assert!(mending.is_nothing());
    }

    #[test]
    fn from_is_added_when_it_is_known() {
        let address = Address::parse("\"a b\"@x.org").unwrap();
        let mending = mend_header(b"Subject: x\r\n\r\n", &missing(Some(&address)));
        let insert = String::from_utf8(mending.insert).unwrap();
        assert!(insert.contains("\r\nFrom: <\"a b\"@x.org>\r\nMessage-ID:"), "{insert}");
        let mending = mend_header(b"From: other\r\n", &missing(Some(&address)));
        assert!(!mending.insert.windows(5).any(|five| five == b"From:"));
    }

    #[test]
    fn text_without_a_header_gets_one() {
        for (message, header, body) in [
            ("Hello\r\nBcc: world\r\n", "", "Hello\r\nBcc: world\r\n"),
            (" From: x\r\n", "", " From: x\r\n"),
            ("Subject: x\r\nno field\r\n\r\n", "Subject: x\r\n", "no field\r\n\r\n"),
            ("Bcc: x\r\nno field\r\n", "", "no field\r\n"),
            (": x\r\n", "", ": x\r\n"),
            ("Bcc \r: x\r\n", "", "Bcc \r: x\r\n"),
        ] {
            assert_eq!(mend(message).0, format!("{ADDED}{header}\r\n{body}"), "{message}");
        }
        assert_eq!(mend("").0, ADDED);
        assert_eq!(mend("\r\n body\r\n").0, format!("{ADDED}\r\n body\r\n"));
        assert_eq!(mend("Bcc: x").0, ADDED);
    }

    #[test]
    fn senders_are_told_apart() {
        let message =
            "From: a@x.org\r\nFrom: b@x.org\r\nSender: Doe <c@x.org>\r\n\r\nSender: d@x.org";
        let mending = mend(message).1;
        assert_eq!((mending.from.fields, mending.from.addresses.len()), (2, 2));
        assert_eq!((mending.sender.fields, mending.sender.unreadable), (1, false));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn mended_is_mended(lines in prop::collection::vec(
            "(Date: x|Bcc: y|Bcc|Message-ID: z|From: a@b|X: y| x|\tx|x y|:|)(\r\n|\n|\r|)", 0..12,
        )) {
            let message = lines.concat();
            let (once, mending) = mend(&message);
            let (twice, again) = mend(&once);
            prop_assert!(again.is_nothing(), "{once:?} -> {twice:?}");
            let body = mending.empty_line_at.unwrap_or_else(|| {
                super::super::scan_header(message.as_bytes()).header_bytes
            });
            prop_assert!(once.ends_with(&message[body..]), "{message:?} -> {once:?}");
        }
    }
}
