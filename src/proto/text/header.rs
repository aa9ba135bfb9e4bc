//! What a message's header shows, in one pass (RFC 5322 §2.2).
//!
//! The header ends at the first empty line; a message without one is all header. The pass is
//! bounded by the header, which the SMTP server bounds by its limits; nothing is allocated.

use memchr::memchr;

/// What the header of a message shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderFacts {
    /// `Received` fields: the hops so far (RFC 5321 §6.3).
    pub received_count: u32,
    /// Octets of the header, without the empty line that ends it.
    pub header_bytes: usize,
    /// An octet over 127 stands in the header (RFC 6532, or a sender's mistake).
    pub has_8bit: bool,
    /// There is a `From` field.
    pub has_from: bool,
    /// There is a `Date` field.
    pub has_date: bool,
    /// There is a `Message-ID` field.
    pub has_message_id: bool,
}

/// Reads the header of `message`.
pub fn scan_header(message: &[u8]) -> HeaderFacts {
    let mut facts = HeaderFacts::default();
    let mut at = 0;
    while at < message.len() {
        let rest = &message[at..];
        let line = &rest[..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)];
        if is_empty_line(line) {
            break;
        }
        if !matches!(line[0], b' ' | b'\t') {
            facts.note_field(line);
        }
        at += line.len();
    }
    facts.header_bytes = at;
    facts.has_8bit = !message[..at].is_ascii();
    facts
}

impl HeaderFacts {
    fn note_field(&mut self, line: &[u8]) {
        let is = |name: &[u8]| names_field(line, name);
        match line[0].to_ascii_lowercase() {
            b'r' if is(b"received") => self.received_count = self.received_count.saturating_add(1),
            b'f' if is(b"from") => self.has_from = true,
            b'd' if is(b"date") => self.has_date = true,
            b'm' if is(b"message-id") => self.has_message_id = true,
            _ => {}
        }
    }
}

/// Whether `line` is a field called `name`; blanks before the colon are obsolete but legal
/// (RFC 5322 §4.5).
pub(super) fn names_field(line: &[u8], name: &[u8]) -> bool {
    let Some((head, rest)) = line.split_at_checked(name.len()) else { return false };
    let colon = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    head.eq_ignore_ascii_case(name) && colon == Some(&b':')
}

pub(super) fn is_empty_line(line: &[u8]) -> bool {
    line == b"\r\n" || line == b"\n"
}

/// Whether an octet over 127 stands behind the header: the next hop then needs 8BITMIME
/// (RFC 6152).
pub fn body_is_8bit(message: &[u8]) -> bool {
    // Nearly all mail ends here: one pass at the speed of memory.
    !message.is_ascii() && !message[scan_header(message).header_bytes..].is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_in_the_header_only() {
        let head = "Received: a\r\n\tby Received: b\r\nRECEIVED : c\r\nX-Received: d\r\n\
                    from: me\r\nMessage-Id:<1>\r\nDated: no\r\n";
        let facts = scan_header(format!("{head}\r\nDate: body\r\nReceived: x\r\n").as_bytes());
        assert_eq!(facts.received_count, 2);
        assert_eq!(facts.header_bytes, head.len());
        assert!(facts.has_from && facts.has_message_id);
        assert!(!facts.has_date && !facts.has_8bit);
    }

    #[test]
    fn odd_messages_still_give_facts() {
        assert_eq!(scan_header(b""), HeaderFacts::default());
        assert_eq!(scan_header(b"\r\nReceived: body\r\n"), HeaderFacts::default());
        assert_eq!(scan_header(b"Date: x").header_bytes, 7);
        assert!(scan_header(b"Date:").has_date);
        assert!(!scan_header(b"Dat").has_date);
        assert!(!scan_header(b"Date").has_date);
        assert_eq!(scan_header(b"a: b\n\nReceived: c\n").received_count, 0);
    }

    #[test]
    fn eight_bits_are_told_apart_by_place() {
        let header = "Subject: \u{e9}\r\n\r\nplain\r\n".as_bytes();
        assert!(scan_header(header).has_8bit && !body_is_8bit(header));
        let body = "Subject: e\r\n\r\n\u{e9}\r\n".as_bytes();
        assert!(!scan_header(body).has_8bit && body_is_8bit(body));
        assert!(!body_is_8bit(b"Subject: e\r\n\r\ne\r\n"));
    }
}
