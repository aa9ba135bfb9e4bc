//! Which octets of a message a section is (RFC 9051 §6.4.5.1), and what a part is without its transfer
//! encoding (RFC 3516).
//!
//! What must stay true: what is cut out is a slice of the message, never a copy, but for chosen fields of a
//! header and for what is decoded, neither of which is larger than the message; others have their turn
//! while either is made. How it fails: a digest that does not fit its message gives nothing, and no panic.

use std::cmp::Ordering;
use std::ops::Range;

use bytes::Bytes;
use memchr::memchr;
use proto::imap::command::{Binary, Section, SectionText};
use proto::mime::{Decoder, Encoding, MessageRange, PartRange, Structure, Undecodable};

/// Octets that are decoded, or looked at for fields, between two turns that others have.
const PIECE_OCTETS: usize = 64 << 10;

/// A section, ready to be cut out of many messages.
pub(super) struct Cut<'s> {
    section: &'s Section,
    /// The fields that it names, in small letters and sorted.
    names: Vec<Box<[u8]>>,
}

impl<'s> Cut<'s> {
    pub fn new(section: &'s Section) -> Self {
        let SectionText::Fields { names, .. } = &section.text else {
            return Self { section, names: Vec::new() };
        };
        let mut names: Vec<Box<[u8]>> =
            names.iter().map(|name| name.as_bytes().to_ascii_lowercase().into()).collect();
        names.sort_unstable();
        Self { section, names }
    }

    /// The octets of the section; `None`: there is no such part.
    pub async fn of(&self, structure: &Structure, message: &Bytes) -> Option<Bytes> {
        let section = self.section;
        let part = structure.part(&section.path)?;
        if section.path.is_empty() && section.text == SectionText::Whole {
            return Some(message.clone());
        }
        match &section.text {
            SectionText::Whole => slice(message, part.body),
            SectionText::Mime => slice(message, part.header),
            SectionText::Header => slice(message, self.inside(part)?.header),
            SectionText::Text => slice(message, self.inside(part)?.body),
            SectionText::Fields { not, .. } => {
                let header = slice(message, self.inside(part)?.header)?;
                Some(self.fields(&header, *not).await.into())
            }
        }
    }

    /// How many octets of a message it copies at most.
    pub fn copied_octets(&self, structure: &Structure) -> usize {
        if !matches!(self.section.text, SectionText::Fields { .. }) {
            return 0;
        }
        let part = structure.part(&self.section.path);
        part.and_then(|part| self.inside(part)).map_or(0, |inside| inside.header.len())
    }

    /// The message that the numbers lead to, or that the part holds.
    fn inside(&self, part: PartRange<'_>) -> Option<MessageRange> {
        let own = MessageRange { header: part.header, body: part.body };
        if self.section.path.is_empty() { Some(own) } else { part.message }
    }

    /// The fields of a header that are named, or with `not` all others, and the empty line behind them.
    async fn fields(&self, header: &[u8], not: bool) -> Vec<u8> {
        let mut chosen = Vec::new();
        let (mut rest, mut is_chosen, mut looked_at) = (header, false, 0);
        while !rest.is_empty() && !is_blank(rest) {
            let (line, behind) = rest.split_at(line_octets(rest));
            // What is folded goes with its field.
            if !matches!(line.first(), Some(b' ' | b'\t')) {
                is_chosen = self.chooses(line, not);
            }
            if is_chosen {
                chosen.extend_from_slice(line);
                if behind.is_empty() && !line.ends_with(b"\n") {
                    chosen.extend_from_slice(b"\r\n");
                }
            }
            rest = behind;
            looked_at += line.len();
            if looked_at >= PIECE_OCTETS {
                looked_at = 0;
                tokio::task::yield_now().await;
            }
        }
        chosen.extend_from_slice(b"\r\n");
        chosen
    }

    /// Whether a field that begins with this line is wanted. A line that is no field belongs to none.
    fn chooses(&self, line: &[u8], not: bool) -> bool {
        let name = memchr(b':', line).map_or(&b""[..], |colon| line[..colon].trim_ascii_end());
        !name.is_empty() && self.names.binary_search_by(|one| by_name(one, name)).is_ok() != not
    }
}

/// How a name in small letters stands to one in any.
fn by_name(small: &[u8], any: &[u8]) -> Ordering {
    small.iter().copied().cmp(any.iter().map(u8::to_ascii_lowercase))
}

fn slice(message: &Bytes, range: Range<u32>) -> Option<Bytes> {
    let (from, to) = (range.start as usize, range.end as usize);
    (from <= to && to <= message.len()).then(|| message.slice(from..to))
}

fn is_blank(line: &[u8]) -> bool {
    line.starts_with(b"\r\n") || line.starts_with(b"\n")
}

/// Octets of the first line, with its end.
fn line_octets(header: &[u8]) -> usize {
    memchr(b'\n', header).map_or(header.len(), |at| at + 1)
}

/// A part as it is encoded, and how; `None`: there is no such part. The message itself is not encoded.
pub(super) fn encoded(
    binary: &Binary,
    structure: &Structure,
    message: &Bytes,
) -> Option<(Encoding, Bytes)> {
    if binary.path.is_empty() {
        return Some((Encoding::Identity, message.clone()));
    }
    let part = structure.part(&binary.path)?;
    Some((part.encoding, slice(message, part.body)?))
}

/// How a part is encoded, and in how many octets, whether it is there or not.
pub(super) fn encoding(binary: &Binary, structure: &Structure) -> (Encoding, usize) {
    let part = structure.part(&binary.path).filter(|_| !binary.path.is_empty());
    part.map_or((Encoding::Identity, 0), |part| (part.encoding, part.body.len()))
}

/// A part without its encoding.
///
/// # Errors
/// The encoding is not known.
pub(super) async fn decoded(encoding: Encoding, body: Bytes) -> Result<Bytes, Undecodable> {
    if encoding == Encoding::Identity {
        return Ok(body);
    }
    let mut decoder = Decoder::new(encoding)?;
    // Nothing grows when it is decoded.
    let mut octets = Vec::with_capacity(body.len());
    for piece in body.chunks(PIECE_OCTETS) {
        decoder.push(piece, &mut octets);
        tokio::task::yield_now().await;
    }
    decoder.finish(&mut octets);
    Ok(octets.into())
}

/// How many octets that would be.
///
/// # Errors
/// The encoding is not known.
pub(super) async fn decoded_octets(encoding: Encoding, body: &[u8]) -> Result<u64, Undecodable> {
    if encoding == Encoding::Identity {
        return Ok(body.len() as u64);
    }
    let mut decoder = Decoder::new(encoding)?;
    let (mut octets, mut out) = (0, Vec::with_capacity(body.len().min(PIECE_OCTETS)));
    for piece in body.chunks(PIECE_OCTETS) {
        decoder.push(piece, &mut out);
        octets += out.len() as u64;
        out.clear();
        tokio::task::yield_now().await;
    }
    decoder.finish(&mut out);
    Ok(octets + out.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use proto::mime::{Limits, digest};

    use super::*;

    const ODD: &[u8] = b"From: a@x\r\nSubject: one\r\n two\r\nno field here\r\nX-A: 1\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\nplain\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: inner\nX-B: 2\n\ninside\r\n--b--\r\n";

    /// What comes of it, and how often others had their turn.
    fn done<T>(work: impl Future<Output = T>) -> (T, usize) {
        let (mut work, mut context) = (pin!(work), Context::from_waker(Waker::noop()));
        let mut turns = 0;
        loop {
            match work.as_mut().poll(&mut context) {
                Poll::Ready(value) => return (value, turns),
                Poll::Pending => turns += 1,
            }
        }
    }

    fn section(path: &[u32], text: SectionText) -> Option<String> {
        let message = Bytes::from_static(ODD);
        let structure = digest(&message, &Limits::default()).structure;
        let section = Section { path: path.into(), text };
        let (cut, _) = done(Cut::new(&section).of(&structure, &message));
        cut.map(|cut| String::from_utf8_lossy(&cut).into_owned())
    }

    fn named(not: bool, names: &[&str]) -> SectionText {
        SectionText::Fields { not, names: names.iter().map(|name| (*name).into()).collect() }
    }

    fn fields(header: &[u8], not: bool, names: &[&str]) -> (Vec<u8>, usize) {
        let section = Section { path: [].into(), text: named(not, names) };
        done(Cut::new(&section).fields(header, not))
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
        assert_eq!(fields(b"A: b", false, &["a"]).0, b"A: b\r\n\r\n");
        assert_eq!(fields(b"a: b\r\n c", false, &["A"]).0, b"a: b\r\n c\r\n\r\n");
        assert_eq!(fields(b"", true, &[]).0, b"\r\n");
    }

    #[test]
    fn a_digest_of_another_message_cuts_nothing() {
        let structure = digest(ODD, &Limits::default()).structure;
        let short = Bytes::from_static(b"x");
        let section = Section { path: [2].into(), text: SectionText::Whole };
        assert_eq!(done(Cut::new(&section).of(&structure, &short)).0, None);
    }

    /// As many names as a command has room for, and a header of the same kind: each line is looked up
    /// among the names, and others have their turns.
    #[test]
    fn many_fields_are_chosen_among_many_in_turns() {
        let names: Vec<String> = (0..9_990).map(|number| format!("x{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let header = "X9989: a\r\ny: b\r\n z\r\n".repeat(100_000);
        let (chosen, turns) = fields(header.as_bytes(), false, &names);
        assert_eq!(chosen.len(), 100_000 * "X9989: a\r\n".len() + 2);
        assert!(turns >= header.len() / (PIECE_OCTETS + 16), "{turns}");
        let (others, _) = fields(header.as_bytes(), true, &names);
        assert_eq!(others.len(), 100_000 * "y: b\r\n z\r\n".len() + 2);
        let (_, turns) =
            fields(format!("X: a\r\n{}", " b\r\n".repeat(100_000)).as_bytes(), true, &[]);
        assert!(turns >= 6, "a field that is folded is not one piece: {turns}");
    }

    #[test]
    fn what_is_decoded_is_counted_alike_in_turns() {
        let body = Bytes::from("aGVsbG8g\r\n".repeat(100_000));
        for (encoding, octets) in [
            (Encoding::Base64, 600_000),
            (Encoding::Identity, 1_000_000),
            (Encoding::QuotedPrintable, 1_000_000),
        ] {
            let (text, turns) = done(decoded(encoding, body.clone()));
            let (counted, more) = done(decoded_octets(encoding, &body));
            assert_eq!((text.unwrap().len(), counted), (octets, Ok(octets as u64)), "{encoding:?}");
            let expected = if encoding == Encoding::Identity { 0 } else { 16 };
            assert_eq!((turns, more), (expected, expected), "{encoding:?}");
        }
        assert_eq!(done(decoded(Encoding::Unknown, body)).0, Err(Undecodable));
    }
}
