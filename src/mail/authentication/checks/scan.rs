//! A look at the header before anything dear is done with it.
//!
//! What must stay true: one pass, no allocation for a field; what is counted here bounds everything
//! that is done later: fields, signatures, seals.

use std::ops::Range;

use memchr::memchr;
use smallvec::SmallVec;

/// Octets of a header whose signatures are looked at. No mail has more; some attacks do.
const HEADER_BYTES_MAX: usize = 512 * 1024;
/// Fields of such a header: each signature looks for its fields among all of them.
const FIELDS_MAX: usize = 2000;
/// From fields that are read; RFC 5322 wants one.
const FROM_FIELDS_MAX: usize = 4;
/// Octets of a From field that are read.
const FROM_BYTES_MAX: usize = 64 * 1024;

/// What the header shows.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Octets, without the empty line.
    pub bytes: usize,
    /// Fields of any kind.
    pub fields: usize,
    /// DKIM-Signature fields.
    pub signatures: usize,
    /// ARC-Seal fields.
    pub seals: usize,
    /// Other fields of ARC.
    pub other_arc: usize,
    /// The bodies of From fields, with what ends them.
    pub from: SmallVec<[Range<usize>; 1]>,
    /// There are more From fields, or longer ones, than are read.
    pub has_strange_from: bool,
}

/// One field of a header.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    /// Where it lies, with its line end.
    pub range: Range<usize>,
    /// Without blanks around it; empty when there is no colon.
    pub name: &'a [u8],
    /// Behind the colon, with its line end.
    pub body: &'a [u8],
}

impl Scan {
    pub fn of(message: &[u8]) -> Self {
        let mut scan = Self::default();
        for field in fields(message) {
            scan.fields += 1;
            scan.bytes = field.range.end;
            scan.note(&field);
        }
        scan
    }

    fn note(&mut self, field: &Field<'_>) {
        let is = |name: &[u8]| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            4 if is(b"from") => {
                if self.from.len() < FROM_FIELDS_MAX && field.body.len() <= FROM_BYTES_MAX {
                    self.from.push(field.range.end - field.body.len()..field.range.end);
                } else {
                    self.has_strange_from = true;
                }
            }
            8 if is(b"arc-seal") => self.seals += 1,
            14 if is(b"dkim-signature") => self.signatures += 1,
            21 if is(b"arc-message-signature") => self.other_arc += 1,
            26 if is(b"arc-authentication-results") => self.other_arc += 1,
            _ => {}
        }
    }

    /// Whether the header is so large that its signatures are not looked at.
    pub fn is_excessive(&self) -> bool {
        self.bytes > HEADER_BYTES_MAX || self.fields > FIELDS_MAX
    }
}

/// The fields of a header, up to the empty line.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        if matches!(message.get(start..)?, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
            return None;
        }
        // A field goes on in lines that begin with a blank.
        loop {
            let rest = &message[at..];
            at += memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            if !matches!(message.get(at), Some(b' ' | b'\t')) {
                break;
            }
        }
        let whole = &message[start..at];
        let (name, body) = match memchr(b':', whole) {
            Some(colon) => (whole[..colon].trim_ascii(), &whole[colon + 1..]),
            None => (&b""[..], &b""[..]),
        };
        Some(Field { range: start..at, name, body })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_counted() {
        let message = b"From: a\r\n b\r\nDKIM-Signature: x\r\ndkim-signature : y\r\nnothing\r\n\
                        ARC-Seal: i=1\r\nFrom :c\r\n\r\nFrom: body\r\n";
        let scan = Scan::of(message);
        assert_eq!((scan.fields, scan.signatures, scan.seals), (6, 2, 1));
        let from: Vec<&[u8]> = scan.from.iter().map(|range| &message[range.clone()]).collect();
        assert_eq!(from, [&b" a\r\n b\r\n"[..], b"c\r\n"]);
        assert_eq!(&message[scan.bytes..], b"\r\nFrom: body\r\n");
        assert!(!scan.is_excessive() && !scan.has_strange_from);
        for message in [&b""[..], b"\r\n", b"\n", b"\nFrom: a\n"] {
            assert_eq!(Scan::of(message).fields, 0);
        }
        assert_eq!(Scan::of(b"From: a").bytes, 7);
    }

    #[test]
    fn too_much_is_seen() {
        assert!(Scan::of(&b"a:\r\n".repeat(FIELDS_MAX + 1)).is_excessive());
        assert!(Scan::of(&b" a b c\r\n".repeat(HEADER_BYTES_MAX / 8 + 1)).is_excessive());
        assert!(Scan::of(&b"From: a\r\n".repeat(FROM_FIELDS_MAX + 1)).has_strange_from);
    }
}
