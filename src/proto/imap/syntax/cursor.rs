//! Tokens: words, atoms, strings, numbers and lists (RFC 9051 §4).
//!
//! Quoted strings may hold octets above 127, which old servers and clients send too; who reads one
//! decides what they mean. CR, LF and NUL never pass, but for NUL in a `literal8` (RFC 3516), which
//! only messages are.

use std::borrow::Cow;

use super::{Bounds, Fault, LiteralMark, Parsed};

/// A place in a command.
#[derive(Clone, Debug)]
pub(in crate::imap) struct Cursor<'c> {
    rest: &'c [u8],
    /// Names are UTF-8 (RFC 6855 §3, RFC 9051 §5.1), not modified UTF-7.
    utf8: bool,
    items_left: u32,
    depth_left: u32,
}

/// A keyword in capitals, as short as keywords are.
#[derive(Clone, Copy, Debug)]
pub(in crate::imap) struct Word {
    octets: [u8; 32],
    len: u8,
}

impl Word {
    pub(in crate::imap) fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// `ATOM-CHAR` (RFC 9051 §9); `]` is none of them, but an `astring` may have it.
pub(in crate::imap) const fn is_atom_octet(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

const fn is_astring_octet(octet: u8) -> bool {
    is_atom_octet(octet) || octet == b']'
}

/// What an unquoted `LIST` pattern may hold besides.
const fn is_pattern_octet(octet: u8) -> bool {
    is_astring_octet(octet) || matches!(octet, b'%' | b'*')
}

const fn is_word_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'=' | b'+' | b'/')
}

const EXPECTED_STRING: Fault = Fault::Syntax("A string is missing");

impl<'c> Cursor<'c> {
    pub(in crate::imap) const fn new(text: &'c [u8], utf8: bool, bounds: Bounds) -> Self {
        Self { rest: text, utf8, items_left: bounds.items_max, depth_left: bounds.depth_max }
    }

    pub(in crate::imap) const fn is_utf8(&self) -> bool {
        self.utf8
    }

    pub(in crate::imap) const fn rest(&self) -> &'c [u8] {
        self.rest
    }

    pub(in crate::imap) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may follow but blanks, which some clients leave.
    pub(in crate::imap) fn end(&self) -> Parsed<()> {
        if self.rest.iter().all(|octet| *octet == b' ') {
            Ok(())
        } else {
            Err(Fault::Syntax("Unexpected arguments"))
        }
    }

    pub(in crate::imap) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `octet` when it comes next.
    pub(in crate::imap) fn eat(&mut self, octet: u8) -> bool {
        let there = self.peek() == Some(octet);
        if there {
            self.rest = &self.rest[1..];
        }
        there
    }

    pub(in crate::imap) fn expect(&mut self, octet: u8, fault: &'static str) -> Parsed<()> {
        if self.eat(octet) { Ok(()) } else { Err(Fault::Syntax(fault)) }
    }

    pub(in crate::imap) fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "Missing arguments")
    }

    /// One more member of a list.
    pub(in crate::imap) fn count(&mut self) -> Parsed<()> {
        self.items_left = self.items_left.checked_sub(1).ok_or(Fault::Limit("Too many items"))?;
        Ok(())
    }

    /// One level deeper, and back when `read` is done.
    pub(in crate::imap) fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.depth_left =
            self.depth_left.checked_sub(1).ok_or(Fault::Limit("Nested too deeply"))?;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> &'c [u8] {
        let end = self.rest.iter().position(|octet| !fits(*octet)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A keyword; empty when none stands here. One longer than any is cut, and so is unknown.
    pub(in crate::imap) fn word(&mut self) -> Word {
        let text = self.take_while(is_word_octet);
        let mut word = Word { octets: [0; 32], len: text.len().min(32) as u8 };
        for (to, from) in word.octets.iter_mut().zip(text) {
            *to = from.to_ascii_uppercase();
        }
        word
    }

    /// Takes the keyword `name` (in capitals) when it comes next, whole.
    pub(in crate::imap) fn eat_word(&mut self, name: &str) -> bool {
        let mut ahead = self.clone();
        let there = ahead.word().as_bytes() == name.as_bytes();
        if there {
            self.rest = ahead.rest;
        }
        there
    }

    pub(in crate::imap) fn atom(&mut self) -> Parsed<&'c str> {
        let atom = self.take_while(is_atom_octet);
        ascii(atom).filter(|atom| !atom.is_empty()).ok_or(Fault::Syntax("An atom is missing"))
    }

    /// `astring`: an atom, a quoted string or a literal.
    pub(in crate::imap) fn astring(&mut self) -> Parsed<Cow<'c, [u8]>> {
        self.atom_or_string(is_astring_octet)
    }

    /// `list-mailbox`: an `astring` that may hold `%` and `*`.
    pub(in crate::imap) fn pattern(&mut self) -> Parsed<Cow<'c, [u8]>> {
        self.atom_or_string(is_pattern_octet)
    }

    fn atom_or_string(&mut self, fits: fn(u8) -> bool) -> Parsed<Cow<'c, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string();
        }
        let atom = self.take_while(fits);
        if atom.is_empty() { Err(EXPECTED_STRING) } else { Ok(Cow::Borrowed(atom)) }
    }

    /// `string`: quoted, or a literal.
    pub(in crate::imap) fn string(&mut self) -> Parsed<Cow<'c, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err(EXPECTED_STRING),
        }
    }

    /// `nstring`: a string, or nothing at all.
    pub(in crate::imap) fn nstring(&mut self) -> Parsed<Option<Cow<'c, [u8]>>> {
        if self.eat_word("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// An `astring` of valid UTF-8.
    pub(in crate::imap) fn text(&mut self) -> Parsed<Box<str>> {
        owned(&self.astring()?)
    }

    fn quoted(&mut self) -> Parsed<Cow<'c, [u8]>> {
        const OPEN: Fault = Fault::Syntax("A quoted string does not end");
        let inside = &self.rest[1..];
        let mut unescaped: Option<Vec<u8>> = None;
        let (mut from, mut at) = (0, 0);
        loop {
            match *inside.get(at).ok_or(OPEN)? {
                b'"' => break,
                b'\\' => {
                    if !matches!(inside.get(at + 1).ok_or(OPEN)?, b'"' | b'\\') {
                        return Err(Fault::Syntax("A quoted string has a stray backslash"));
                    }
                    unescaped.get_or_insert_default().extend_from_slice(&inside[from..at]);
                    from = at + 1;
                    at += 2;
                }
                b'\r' | b'\n' | 0 => return Err(OPEN),
                _ => at += 1,
            }
        }
        self.rest = &inside[at + 1..];
        Ok(match unescaped {
            None => Cow::Borrowed(&inside[..at]),
            Some(mut text) => {
                text.extend_from_slice(&inside[from..at]);
                Cow::Owned(text)
            }
        })
    }

    fn literal(&mut self) -> Parsed<Cow<'c, [u8]>> {
        let end = self
            .rest
            .iter()
            .position(|octet| *octet == b'\r')
            .ok_or(Fault::Syntax("A literal is announced at the end of a line"))?;
        let (announced, rest) = self.rest.split_at(end);
        let mark = LiteralMark::find(announced)
            .filter(|mark| mark.begins == 0 && rest.starts_with(b"\r\n"))
            .ok_or(Fault::Syntax("Malformed literal"))?;
        let len = usize::try_from(mark.octets).map_err(|_| Fault::Limit("Literal too large"))?;
        let (octets, rest) = rest[2..].split_at_checked(len).ok_or(Fault::Pending)?;
        if memchr::memchr(0, octets).is_some() {
            return Err(Fault::Syntax("A literal holds NUL"));
        }
        self.rest = rest;
        Ok(Cow::Borrowed(octets))
    }

    /// `number64`.
    pub(in crate::imap) fn number64(&mut self) -> Parsed<u64> {
        let digits = self.take_while(|octet| octet.is_ascii_digit());
        let number = ascii(digits).and_then(|digits| digits.parse::<u64>().ok());
        number
            .filter(|number| *number <= i64::MAX as u64)
            .ok_or(Fault::Syntax("A number is missing"))
    }

    /// `number`.
    pub(in crate::imap) fn number(&mut self) -> Parsed<u32> {
        let number = self.number64()?;
        u32::try_from(number).map_err(|_| Fault::Syntax("A number is too large"))
    }

    /// `nz-number`.
    pub(in crate::imap) fn nz_number(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => Err(Fault::Syntax("A number is zero")),
            number => Ok(number),
        }
    }

    /// `(` and members with one blank between them, none perhaps, and `)`. Each is counted.
    pub(in crate::imap) fn list(
        &mut self,
        mut member: impl FnMut(&mut Self) -> Parsed<()>,
    ) -> Parsed<()> {
        self.expect(b'(', "A list is missing")?;
        if self.eat(b')') {
            return Ok(());
        }
        loop {
            self.count()?;
            member(self)?;
            if self.eat(b')') {
                return Ok(());
            }
            self.expect(b' ', "A list does not end")?;
        }
    }
}

/// Octets as ASCII text.
fn ascii(octets: &[u8]) -> Option<&str> {
    std::str::from_utf8(octets).ok().filter(|text| text.is_ascii())
}

/// Octets as UTF-8, owned.
fn owned(octets: &[u8]) -> Parsed<Box<str>> {
    std::str::from_utf8(octets).map(Box::from).map_err(|_| Fault::Syntax("A text is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { items_max: 4, depth_max: 2 };

    fn cursor(text: &[u8]) -> Cursor<'_> {
        Cursor::new(text, false, BOUNDS)
    }

    fn string(text: &str) -> Parsed<String> {
        let read = cursor(text.as_bytes()).astring()?;
        Ok(String::from_utf8(read.into_owned()).unwrap())
    }

    #[test]
    fn strings_in_all_spellings() {
        for (text, means) in [
            ("atom]x y", "atom]x"),
            (r#""" "#, ""),
            (r#""a b" "#, "a b"),
            (r#""a \"b\" \\ c""#, r#"a "b" \ c"#),
            ("{3}\r\nabc d", "abc"),
            ("{3+}\r\na\r\nd", "a\r\n"),
            ("{0}\r\n", ""),
            ("\"ü\"", "ü"),
        ] {
            assert_eq!(string(text).as_deref(), Ok(means), "{text:?}");
        }
        for text in [
            "",
            " a",
            "(a)",
            "*",
            "\"a",
            "\"a\\",
            "\"a\\n\"",
            "\"a\nb\"",
            "\"a\0\"",
            "{3}abc",
            "{3\r\nabc",
            "{}\r\n",
            "{-1}\r\n",
            "{1}\r\n\0",
            "{x}\r\nabc",
        ] {
            assert!(matches!(string(text), Err(Fault::Syntax(_))), "{text:?}");
        }
        assert_eq!(string("{4}\r\nabc"), Err(Fault::Pending));
        assert_eq!(cursor(b"NIL").nstring(), Ok(None));
        assert!(cursor(b"NILS").nstring().is_err());
    }

    #[test]
    fn words_and_numbers() {
        let mut words = cursor(b"rfc822.Size BODY[");
        assert_eq!(words.word().as_bytes(), b"RFC822.SIZE");
        assert!(!words.eat_word("BODY") && words.eat(b' ') && !words.eat_word("BOD"));
        assert!(words.eat_word("BODY"));
        assert_eq!(words.rest(), b"[");
        assert_eq!(cursor(b"4294967295").nz_number(), Ok(u32::MAX));
        assert_eq!(cursor(b"9223372036854775807").number64(), Ok(i64::MAX as u64));
        for text in ["", "x", "-1", "0", "4294967296", "99999999999999999999999"] {
            assert!(cursor(text.as_bytes()).nz_number().is_err(), "{text}");
        }
    }

    #[test]
    fn lists_are_counted_and_nesting_is_bounded() {
        let atoms = |text: &str| {
            let mut read = Vec::new();
            let mut cursor = cursor(text.as_bytes());
            cursor.list(|c| c.atom().map(|atom| read.push(atom.to_owned())))?;
            cursor.end().map(|()| read.join(","))
        };
        assert_eq!(atoms("(a b c) ").as_deref(), Ok("a,b,c"));
        assert_eq!(atoms("()").as_deref(), Ok(""));
        for text in ["(a", "(a  b)", "(a )", "a", "( a)", "(a) b"] {
            assert!(matches!(atoms(text), Err(Fault::Syntax(_))), "{text}");
        }
        assert_eq!(atoms("(a b c d e)"), Err(Fault::Limit("Too many items")));
        fn deep(cursor: &mut Cursor<'_>) -> Parsed<()> {
            if cursor.eat(b'x') { cursor.nested(deep) } else { Ok(()) }
        }
        assert_eq!(deep(&mut cursor(b"xx")), Ok(()));
        assert_eq!(deep(&mut cursor(b"xxx")), Err(Fault::Limit("Nested too deeply")));
    }
}
