//! IMAP's replies out of octets, without a connection (RFC 9051 §4.3, §7): text is kept, literals are only counted.
//!
//! What must stay true: however the octets are split, the same replies come out; a literal costs no copy; a reply's text is
//! bounded by [`TEXT_MAX`].

use std::io;

use super::malformed;

/// Octets of one reply without its literals.
const TEXT_MAX: usize = 1 << 20;

/// Takes octets, keeps the reply that they make.
#[derive(Debug, Default)]
pub struct Replies {
    text: Vec<u8>,
    /// Octets that are left of a literal.
    literal: u64,
    /// Whether `text` is a whole reply, which the next octets replace.
    whole: bool,
    literals: u32,
    octets: u64,
}

/// One reply: a line, or several with literals between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// All of it but the literals, without the last CRLF.
    pub text: &'a [u8],
    /// How many literals it had.
    pub literals: u32,
    /// Their octets.
    pub octets: u64,
}

/// What kind of reply it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `* …`
    Untagged(&'a [u8]),
    /// `+ …`
    Continue,
    /// A tag, whether it says OK, and all behind the tag.
    Tagged(&'a [u8], bool, &'a [u8]),
}

impl Replies {
    /// Takes octets up to the end of a reply: how many, and whether it is whole.
    ///
    /// # Errors
    /// The reply has no end.
    pub fn feed(&mut self, input: &[u8]) -> io::Result<(usize, bool)> {
        if self.whole {
            *self = Self { text: std::mem::take(&mut self.text), ..Self::default() };
            self.text.clear();
        }
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            if self.literal > 0 {
                let taken = rest.len().min(usize::try_from(self.literal).unwrap_or(usize::MAX));
                self.literal -= taken as u64;
                used += taken;
                continue;
            }
            let end = memchr::memchr(b'\n', rest).map(|at| at + 1);
            let taken = end.unwrap_or(rest.len());
            self.text.extend_from_slice(&rest[..taken]);
            used += taken;
            if self.text.len() > TEXT_MAX {
                return Err(malformed("a reply without end"));
            }
            if end.is_none() {
                continue;
            }
            match literal_at_end(&self.text) {
                Some(octets) => {
                    self.literal = octets;
                    self.literals += 1;
                    self.octets = self.octets.saturating_add(octets);
                }
                None => {
                    self.whole = true;
                    return Ok((used, true));
                }
            }
        }
        Ok((used, false))
    }

    /// The reply that was whole at last.
    pub fn reply(&self) -> Reply<'_> {
        Reply { text: self.text.trim_ascii_end(), literals: self.literals, octets: self.octets }
    }
}

/// `{123}` before the line's end (also of a literal8, `~{123}`).
fn literal_at_end(text: &[u8]) -> Option<u64> {
    let line = text.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let digits = &line[memchr::memrchr(b'{', line)? + 1..];
    let fits = !digits.is_empty() && digits.len() < 19 && digits.iter().all(u8::is_ascii_digit);
    if fits { number(digits) } else { None }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

impl<'a> Reply<'a> {
    /// What kind of reply it is; `None` when it is none.
    pub fn kind(&self) -> Option<Kind<'a>> {
        let (word, rest) = split(self.text);
        match word {
            b"*" => Some(Kind::Untagged(rest)),
            b"+" => Some(Kind::Continue),
            tag => {
                let (status, _) = split(rest);
                let is_ok = status.eq_ignore_ascii_case(b"OK");
                let is_no =
                    status.eq_ignore_ascii_case(b"NO") || status.eq_ignore_ascii_case(b"BAD");
                (is_ok || is_no).then_some(Kind::Tagged(tag, is_ok, rest))
            }
        }
    }

    /// Number and the rest of `* 7 FETCH (…`, when its word is this one.
    pub fn numbered(&self, word: &[u8]) -> Option<(u32, &'a [u8])> {
        let Some(Kind::Untagged(rest)) = self.kind() else { return None };
        let (figure, rest) = split(rest);
        let (name, rest) = split(rest);
        let figure = u32::try_from(number(figure)?).ok()?;
        name.eq_ignore_ascii_case(word).then_some((figure, rest))
    }
}

/// The first word and what follows its space.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b' ', text) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts, literals and octets of all replies in a stream that is fed in pieces of these sizes.
    fn all(stream: &[u8], pieces: &[usize]) -> Vec<(Vec<u8>, u32, u64)> {
        let mut replies = Replies::default();
        let mut found = Vec::new();
        let mut sizes = pieces.iter().copied().cycle();
        let mut at = 0;
        while at < stream.len() {
            let end = stream.len().min(at + sizes.next().unwrap().max(1));
            let mut piece = &stream[at..end];
            at = end;
            while !piece.is_empty() {
                let (used, whole) = replies.feed(piece).unwrap();
                piece = &piece[used..];
                if whole {
                    let Reply { text, literals, octets } = replies.reply();
                    found.push((text.to_vec(), literals, octets));
                }
            }
        }
        found
    }

    const STREAM: &[u8] =
        b"* 3 FETCH (UID 4 BODY[] {12}\r\na1 OK {3}\r\n. ENVELOPE (\"x\" {2}\r\n\r\n))\r\n\
        * 2 EXISTS\r\n+ idling\r\na2 NO [X] {no}\r\na3 OK done\r\n";

    #[test]
    fn literals_are_counted_and_their_octets_are_no_replies() {
        let found = all(STREAM, &[STREAM.len()]);
        let expected = [
            (&b"* 3 FETCH (UID 4 BODY[] {12}\r\n ENVELOPE (\"x\" {2}\r\n))"[..], 2, 14),
            (b"* 2 EXISTS", 0, 0),
            (b"+ idling", 0, 0),
            (b"a2 NO [X] {no}", 0, 0),
            (b"a3 OK done", 0, 0),
        ];
        let expected = expected.map(|(text, literals, octets)| (text.to_vec(), literals, octets));
        assert_eq!(found, expected);
    }

    #[test]
    fn kinds_and_numbers() {
        let reply = |text| Reply { text, literals: 0, octets: 0 };
        assert_eq!(reply(b"a2 NO [X] y").kind(), Some(Kind::Tagged(b"a2", false, b"NO [X] y")));
        assert_eq!(reply(b"a2 ok").kind(), Some(Kind::Tagged(b"a2", true, b"ok")));
        assert_eq!(reply(b"+").kind(), Some(Kind::Continue));
        assert_eq!(reply(b"220 smtp").kind(), None);
        assert_eq!(reply(b"* 7 exists").numbered(b"EXISTS"), Some((7, &b""[..])));
        assert_eq!(reply(b"* 7 FETCH (A").numbered(b"FETCH"), Some((7, &b"(A"[..])));
        assert_eq!(reply(b"* OK FETCH (A").numbered(b"FETCH"), None);
    }

    #[test]
    fn a_reply_without_end_is_an_error() {
        let mut replies = Replies::default();
        let piece = vec![b'x'; 1 << 16];
        assert!((0..17).any(|_| replies.feed(&piece).is_err()));
    }

    proptest! {
        #[test]
        fn split_anywhere(pieces in prop::collection::vec(1usize..40, 1..20)) {
            prop_assert_eq!(all(STREAM, &pieces), all(STREAM, &[STREAM.len()]));
        }
    }
}
