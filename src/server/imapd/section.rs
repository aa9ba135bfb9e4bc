//! Which octets of a message a section is (RFC 9051 §6.4.5.1).
//!
//! What must stay true: what is cut out is a slice of the message, never a copy, but for chosen fields of a
//! header; a digest that does not fit its message gives nothing, and no panic.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;
use proto::imap::command::{Section, SectionText};
use proto::mime::{PartRange, Structure};

/// The octets of `section`; `None`: there is no such part.
pub(super) fn cut(section: &Section, structure: &Structure, message: &Bytes) -> Option<Bytes> {
    let part = structure.part(&section.path)?;
    if section.path.is_empty() && section.text == SectionText::Whole {
        return Some(message.clone());
    }
    // The message that the numbers lead to, or that the part holds.
    let inside = |part: PartRange<'_>| match (section.path.is_empty(), part.message) {
        (true, _) => Some((part.header, part.body)),
        (false, inside) => inside.map(|inside| (inside.header, inside.body)),
    };
    match &section.text {
        SectionText::Whole => slice(message, part.body),
        SectionText::Mime => slice(message, part.header),
        SectionText::Header => slice(message, inside(part)?.0),
        SectionText::Text => slice(message, inside(part)?.1),
        SectionText::Fields { not, names } => {
            let header = slice(message, inside(part)?.0)?;
            Some(fields(&header, *not, names).into())
        }
    }
}

pub(super) fn slice(message: &Bytes, range: Range<u32>) -> Option<Bytes> {
    let (from, to) = (range.start as usize, range.end as usize);
    (from <= to && to <= message.len()).then(|| message.slice(from..to))
}

/// The fields of a header that are named, or with `not` all others, and the empty line behind them.
fn fields(header: &[u8], not: bool, names: &[Box<str>]) -> Vec<u8> {
    let mut chosen = Vec::new();
    let mut rest = header;
    while !rest.is_empty() && !is_blank(rest) {
        let (field, behind) = rest.split_at(field_octets(rest));
        rest = behind;
        let name = memchr(b':', field).map_or(&b""[..], |colon| field[..colon].trim_ascii_end());
        let is_named = names.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name));
        // A line that is no field belongs to none.
        if !name.is_empty() && is_named != not {
            chosen.extend_from_slice(field);
            if !field.ends_with(b"\n") {
                chosen.extend_from_slice(b"\r\n");
            }
        }
    }
    chosen.extend_from_slice(b"\r\n");
    chosen
}

fn is_blank(line: &[u8]) -> bool {
    line.starts_with(b"\r\n") || line.starts_with(b"\n")
}

/// Octets of the first field with the lines that it is folded into.
fn field_octets(header: &[u8]) -> usize {
    let mut end = 0;
    loop {
        end += memchr(b'\n', &header[end..]).map_or(header.len() - end, |at| at + 1);
        if !matches!(header.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::mime::{Limits, digest};

    use super::*;

    const ODD: &[u8] = b"From: a@x\r\nSubject: one\r\n two\r\nno field here\r\nX-A: 1\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\nplain\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: inner\nX-B: 2\n\ninside\r\n--b--\r\n";

    fn section(path: &[u32], text: SectionText) -> Option<String> {
        let message = Bytes::from_static(ODD);
        let structure = digest(&message, &Limits::default()).structure;
        let section = Section { path: path.into(), text };
        cut(&section, &structure, &message).map(|cut| String::from_utf8_lossy(&cut).into_owned())
    }

    fn named(not: bool, names: &[&str]) -> SectionText {
        SectionText::Fields { not, names: names.iter().map(|name| (*name).into()).collect() }
    }

    #[test]
    fn sections_of_an_odd_message() {
        use SectionText::{Header, Mime, Text, Whole};
        assert_eq!(section(&[], Whole).unwrap().as_bytes(), ODD);
        assert!(section(&[], Header).unwrap().ends_with("boundary=b\r\n\r\n"));
        assert!(section(&[], Text).unwrap().starts_with("preamble\r\n"));
        assert_eq!(section(&[1], Whole).as_deref(), Some("plain"));
        assert_eq!(section(&[1], Mime).as_deref(), Some("\r\n"));
        assert_eq!(section(&[1], Header), None, "it holds no message");
        assert_eq!(section(&[2], Header).as_deref(), Some("Subject: inner\nX-B: 2\n\n"));
        assert_eq!(section(&[2], Text).as_deref(), Some("inside"));
        assert_eq!(section(&[2, 1], Whole).as_deref(), Some("inside"));
        assert_eq!(section(&[3], Whole), None);
        assert_eq!(section(&[1, 1], Whole), None);
    }

    #[test]
    fn chosen_fields() {
        let chosen = |names: &[&str]| section(&[], named(false, names)).unwrap();
        assert_eq!(chosen(&["SUBJECT"]), "Subject: one\r\n two\r\n\r\n");
        assert_eq!(chosen(&["x-a", "from"]), "From: a@x\r\nX-A: 1\r\n\r\n");
        assert_eq!(chosen(&["missing", "no field here"]), "\r\n");
        let others = section(&[], named(true, &["from", "content-type", "x-a"])).unwrap();
        assert_eq!(others, "Subject: one\r\n two\r\n\r\n");
        assert_eq!(section(&[2], named(false, &["x-b"])).as_deref(), Some("X-B: 2\n\r\n"));
        assert_eq!(fields(b"A: b", false, &["a".into()]), b"A: b\r\n\r\n");
        assert_eq!(fields(b"", true, &[]), b"\r\n");
    }

    #[test]
    fn a_digest_of_another_message_cuts_nothing() {
        let structure = digest(ODD, &Limits::default()).structure;
        let short = Bytes::from_static(b"x");
        let section = Section { path: [2].into(), text: SectionText::Whole };
        assert_eq!(cut(&section, &structure, &short), None);
    }
}
