//! Headers: their fields in order, and an index of where each stands (RFC 5322 §2.2).
//!
//! A header ends behind its first empty line; a message without one is all header. A line that is
//! no field belongs to nothing. The index knows fields by name, and keeps the header itself unless it is
//! unusually long, so that BODY[HEADER], HEADER.FIELDS and SEARCH on fields never read the message.

use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;
use serde::{Deserialize, Serialize};

/// Names that are stored as a number. Only ever add at the end: digests are stored with them.
const KNOWN: [&str; 64] = [
    "received",
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "sender",
    "reply-to",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-description",
    "content-id",
    "content-language",
    "content-location",
    "content-md5",
    "return-path",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "authentication-results",
    "arc-authentication-results",
    "arc-message-signature",
    "arc-seal",
    "dkim-signature",
    "domainkey-signature",
    "received-spf",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-post",
    "list-help",
    "list-subscribe",
    "list-archive",
    "list-owner",
    "precedence",
    "auto-submitted",
    "x-mailer",
    "user-agent",
    "x-priority",
    "importance",
    "organization",
    "comments",
    "keywords",
    "resent-from",
    "resent-to",
    "resent-date",
    "resent-message-id",
    "errors-to",
    "x-spam-status",
    "x-spam-score",
    "x-spam-flag",
    "x-virus-scanned",
    "feedback-id",
    "thread-topic",
    "thread-index",
    "x-google-dkim-signature",
    "x-gm-message-state",
    "x-received",
];

/// Longer names are not indexed; no field has one.
const NAME_OCTETS_MAX: usize = 255;

/// For each hash the first known name with it, counted from 1, and for each name the next one.
const TABLE: ([u8; 256], [u8; KNOWN.len()]) = {
    let (mut first, mut next) = ([0; 256], [0; KNOWN.len()]);
    let mut at = 0;
    while at < KNOWN.len() {
        let hash = hash(KNOWN[at].as_bytes());
        next[at] = first[hash];
        first[hash] = at as u8 + 1;
        at += 1;
    }
    (first, next)
};

const fn hash(name: &[u8]) -> usize {
    let (first, last) = (name[0] | 0x20, name[name.len() - 1] | 0x20);
    (name.len() * 37 + first as usize * 5 + last as usize * 11) % 256
}

fn known(name: &[u8]) -> Option<u8> {
    if name.is_empty() {
        return None;
    }
    let mut at = TABLE.0[hash(name)];
    while at > 0 {
        let index = at - 1;
        if KNOWN[usize::from(index)].as_bytes().eq_ignore_ascii_case(name) {
            return Some(index);
        }
        at = TABLE.1[usize::from(index)];
    }
    None
}

/// `name` in lower case, when it is one of those that mean something to somebody.
pub(super) fn known_name(name: &[u8]) -> Option<&'static str> {
    known(name).map(|index| KNOWN[usize::from(index)])
}

/// Where the fields of a message's header stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderIndex {
    fields: Vec<Entry>,
    /// Names that are not known, each once.
    others: Vec<Box<str>>,
    complete: bool,
    /// The header itself; `None`: it is too long.
    text: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// An index into `KNOWN`, or behind it one into `others`.
    name: u16,
    start: u32,
    octets: u32,
}

impl HeaderIndex {
    pub(super) const fn new() -> Self {
        Self { fields: Vec::new(), others: Vec::new(), complete: true, text: None }
    }

    /// The fields called `name`, whatever its case, in the header's order: each from its name to
    /// its last CRLF.
    pub fn fields(&self, name: &str) -> impl Iterator<Item = Range<u32>> + use<'_> {
        let name = self.find(name);
        self.fields.iter().filter(move |entry| Some(entry.name) == name).map(Entry::range)
    }

    /// The fields that are called like one of `names` (or, `excluded`, like none of them), in the
    /// header's order: HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 §6.4.5.1).
    pub fn select(
        &self,
        names: &[&str],
        excluded: bool,
    ) -> impl Iterator<Item = Range<u32>> + use<'_> {
        let mut names: Vec<u16> = names.iter().filter_map(|name| self.find(name)).collect();
        names.sort_unstable();
        self.fields
            .iter()
            .filter(move |entry| names.binary_search(&entry.name).is_ok() != excluded)
            .map(Entry::range)
    }

    /// Whether all fields are in the index; when there were too many, the header itself has to be
    /// read.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// The whole header, from the message's first octet on, if it is not too long to be kept.
    pub const fn text(&self) -> Option<&Bytes> {
        self.text.as_ref()
    }

    pub(super) fn keep_text(&mut self, header: &[u8], octets_max: usize) {
        self.text = (header.len() <= octets_max).then(|| Bytes::copy_from_slice(header));
    }

    fn find(&self, name: &str) -> Option<u16> {
        let other = || self.others.iter().position(|other| other.eq_ignore_ascii_case(name));
        known(name.as_bytes())
            .map(u16::from)
            .or_else(|| other().and_then(|at| u16::try_from(KNOWN.len() + at).ok()))
    }

    pub(super) fn note(&mut self, name: &[u8], start: usize, octets: usize, fields_max: usize) {
        let Ok(text) = str::from_utf8(name) else { return };
        if self.fields.len() >= fields_max {
            self.complete = false;
            return;
        }
        let found = self.find(text).or_else(|| {
            let id = u16::try_from(KNOWN.len() + self.others.len()).ok()?;
            self.others.push(text.to_ascii_lowercase().into());
            Some(id)
        });
        match (found, u32::try_from(start), u32::try_from(octets)) {
            (Some(name), Ok(start), Ok(octets)) => self.fields.push(Entry { name, start, octets }),
            _ => self.complete = false,
        }
    }
}

impl Entry {
    const fn range(&self) -> Range<u32> {
        self.start..self.start.saturating_add(self.octets)
    }
}

/// What stands behind the colon of a whole field, its line ends included.
pub fn field_body(field: &[u8]) -> &[u8] {
    memchr(b':', field).map_or(&[][..], |colon| &field[colon + 1..])
}

/// Name and body of a field; `None` when it is no field (RFC 5322 §2.2; §4.5 for the blanks).
pub(super) fn split(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr(b':', &field[..field.len().min(NAME_OCTETS_MAX + 16)])?;
    let name = field[..colon].trim_ascii_end();
    let is_name =
        !name.is_empty() && name.len() <= NAME_OCTETS_MAX && name.iter().all(u8::is_ascii_graphic);
    is_name.then(|| (name, &field[colon + 1..]))
}

/// Where a header ends.
pub(super) struct End {
    /// Behind the empty line, at a delimiter, or at the end of the message.
    pub(super) at: usize,
    /// Line ends up to there.
    pub(super) lines: u32,
}

/// Hands out the fields of the header that begins at `from`, each whole and with its place. A line
/// that `is_delimiter` ends the header too.
pub(super) fn read<'a>(
    message: &'a [u8],
    from: usize,
    is_delimiter: &mut dyn FnMut(&[u8]) -> bool,
    field: &mut dyn FnMut(usize, &'a [u8]),
) -> End {
    let (mut at, mut lines, mut open) = (from, 0, None);
    loop {
        let rest = &message[at..];
        let line = &rest[..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)];
        let is_empty = matches!(line, b"" | b"\n" | b"\r\n");
        let ends = is_empty || (line.starts_with(b"--") && is_delimiter(line));
        let continues = !ends && matches!(line[0], b' ' | b'\t');
        if let Some(start) = open.filter(|_| !continues) {
            field(start, &message[start..at]);
            open = None;
        }
        if !ends && !continues {
            open = Some(at);
        }
        if is_empty || !ends {
            at += line.len();
            lines += u32::from(line.ends_with(b"\n"));
        }
        if ends {
            return End { at, lines };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for (at, name) in KNOWN.iter().enumerate() {
            assert_eq!(*name, name.to_ascii_lowercase());
            assert_eq!(known(name.to_ascii_uppercase().as_bytes()), Some(at as u8), "{name}");
        }
        assert_eq!(known(b""), None);
        assert_eq!(known(b"x-from"), None);
    }

    /// Digests are stored with these numbers.
    #[test]
    fn known_names_keep_their_numbers() {
        for (number, name) in [(0, "received"), (13, "content-type"), (63, "x-received")] {
            assert_eq!(known(name.as_bytes()), Some(number));
        }
    }

    fn index(message: &[u8], fields_max: usize) -> (HeaderIndex, End) {
        let mut index = HeaderIndex::new();
        let end = read(message, 0, &mut |_| false, &mut |start, field| {
            if let Some((name, _)) = split(field) {
                index.note(name, start, field.len(), fields_max);
            }
        });
        (index, end)
    }

    #[test]
    fn fields_are_found_by_name() {
        let message =
            b"From: a\r\nX-Odd: 1\r\nTO : b,\r\n\tc\r\nx-odd: 2\r\nno field\r\n\r\nTo: body\r\n";
        let (index, end) = index(message, 10);
        let texts = |ranges: &mut dyn Iterator<Item = Range<u32>>| {
            ranges
                .map(|range| &message[range.start as usize..range.end as usize])
                .collect::<Vec<_>>()
        };
        assert_eq!(texts(&mut index.fields("to")), [b"TO : b,\r\n\tc\r\n"]);
        assert_eq!(texts(&mut index.fields("X-ODD")), [b"X-Odd: 1\r\n", b"x-odd: 2\r\n"]);
        assert_eq!(index.fields("x-even").count() + index.fields("cc").count(), 0);
        assert_eq!(
            texts(&mut index.select(&["x-odd", "from", "none"], false)),
            [&b"From: a\r\n"[..], b"X-Odd: 1\r\n", b"x-odd: 2\r\n"]
        );
        assert_eq!(texts(&mut index.select(&["x-odd", "from"], true)), [b"TO : b,\r\n\tc\r\n"]);
        assert_eq!((&message[end.at..], end.lines), (&b"To: body\r\n"[..], 7));
        assert!(index.is_complete());
        assert_eq!(field_body(b"To : b\r\n"), b" b\r\n");
    }

    #[test]
    fn too_many_fields_are_told() {
        let (index, _) = index(b"A: 1\r\nB: 2\r\nC: 3\r\n\r\n", 2);
        assert!(!index.is_complete());
        assert_eq!(index.select(&[], true).count(), 2);
    }

    #[test]
    fn odd_headers_end_somewhere() {
        for (message, body) in [
            ("", ""),
            ("\r\nbody", "body"),
            ("\nbody", "body"),
            ("A: 1", ""),
            (" continued\r\nA: 1\r\n\r\nb", "b"),
            ("A: 1\n \n\nb", "b"),
        ] {
            let (_, end) = index(message.as_bytes(), 10);
            assert_eq!(&message[end.at..], body, "{message:?}");
        }
    }
}
