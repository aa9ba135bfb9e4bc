//! The addresses in a header field: `From`, `Sender` and their like (RFC 5322 §3.4).
//!
//! Reads mailbox lists and groups with comments, quoted strings, encoded words and the obsolete
//! forms, in one pass without recursion. What must stay true: an address is given out only as it
//! stands in a whole mailbox; whatever cannot be read for certain makes the list incomplete, so
//! that who compares it with what an account may say refuses instead of guessing.

use crate::types::Address;

/// Addresses of one field that are kept; more make the list incomplete.
const ADDRESSES_MAX: usize = 100;
/// Octets of one address: local part, `@` and domain, quotes and escapes (RFC 5321 §4.5.3.1).
const ADDRESS_OCTETS_MAX: usize = 512;

/// Who stands in the fields of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailboxes {
    /// In the order in which they stand there.
    pub addresses: Vec<Address>,
    /// How many fields of the name there are.
    pub fields: u32,
    /// Some of what stands there is no address, or there are too many.
    pub unreadable: bool,
}

impl Mailboxes {
    /// Reads the body of one more field, folded or not.
    pub fn read(&mut self, body: &[u8]) {
        self.fields = self.fields.saturating_add(1);
        let mut list = List { found: self, mailbox: Mailbox::default(), group: false };
        let mut rest = body;
        while let Some((token, after)) = next(rest) {
            list.take(token);
            rest = after;
        }
        list.end_mailbox();
        if list.group {
            list.found.unreadable = true;
        }
    }
}

/// A lexical piece of a field (RFC 5322 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// An atom, a quoted string with its quotes, or a domain literal with its brackets.
    Word(&'a [u8]),
    /// One of the characters that mean something.
    Special(u8),
    /// Blanks and comments.
    Blank,
    /// A comment, string or literal that does not end.
    Broken,
}

/// The first token and what follows it.
fn next(text: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (token, octets) = match *text.first()? {
        b' ' | b'\t' | b'\r' | b'\n' => (Token::Blank, 1),
        b'(' => comment(text).map_or((Token::Broken, text.len()), |end| (Token::Blank, end)),
        b'"' => word(text, quoted(text, b'"')),
        b'[' => word(text, quoted(text, b']')),
        special @ (b'<' | b'>' | b',' | b':' | b';' | b'@' | b'.') => (Token::Special(special), 1),
        b')' | b']' | b'\\' | 0 => (Token::Broken, 1),
        _ => word(text, Some(encoded_word(text).unwrap_or_else(|| atom(text)))),
    };
    Some((token, &text[octets..]))
}

fn word(text: &[u8], end: Option<usize>) -> (Token<'_>, usize) {
    end.map_or((Token::Broken, text.len()), |end| (Token::Word(&text[..end]), end))
}

/// The length of a comment with all those inside it.
fn comment(text: &[u8]) -> Option<usize> {
    let (mut depth, mut escaped) = (0usize, false);
    for (at, octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(at + 1),
            b')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The length of a quoted string or domain literal.
fn quoted(text: &[u8], end: u8) -> Option<usize> {
    let mut escaped = false;
    for (at, octet) in text.iter().enumerate().skip(1) {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if *octet == end => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of `=?charset?encoding?text?=` (RFC 2047 §2). Careless senders leave commas in it,
/// which no reader shows as the end of a mailbox.
fn encoded_word(text: &[u8]) -> Option<usize> {
    let inside = text.strip_prefix(b"=?")?;
    let end = inside.iter().position(|octet| octet.is_ascii_whitespace()).unwrap_or(inside.len());
    let marks = inside[..end].iter().enumerate().filter(|(_, octet)| **octet == b'?');
    let third = marks.map(|(at, _)| at).nth(2)?;
    (inside.get(third + 1) == Some(&b'=')).then_some(third + 4)
}

fn atom(text: &[u8]) -> usize {
    let ends = |octet: &u8| b" \t\r\n\0()<>[]:;@\\,.\"".contains(octet);
    text.iter().position(ends).unwrap_or(text.len())
}

/// A mailbox that is being read.
#[derive(Debug, Default)]
struct Mailbox {
    /// What stands outside of `<>`: a display name, or the address itself.
    outside: Spec,
    /// What stands inside.
    inside: Option<Spec>,
    /// `>` was there.
    closed: bool,
    /// It has not this form.
    broken: bool,
}

/// Words as they follow each other, blanks left out where the grammar lets them stand.
#[derive(Debug, Default)]
struct Spec {
    text: Vec<u8>,
    /// The last token was a word: another one does not belong to it.
    after_word: bool,
    /// Longer than any address.
    long: bool,
}

impl Spec {
    fn push(&mut self, octets: &[u8], is_word: bool) {
        // The blank makes two words that nothing joins unreadable as an address.
        let apart = is_word && self.after_word;
        self.after_word = is_word;
        self.long |= self.text.len() + octets.len() > ADDRESS_OCTETS_MAX;
        if !self.long {
            self.text.extend_from_slice(if apart { b" " } else { b"" });
            self.text.extend_from_slice(octets);
        }
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.long
    }

    fn address(&self) -> Option<Address> {
        let text = std::str::from_utf8(&self.text).ok().filter(|_| !self.long)?;
        Address::parse(text).ok()
    }
}

struct List<'a> {
    found: &'a mut Mailboxes,
    mailbox: Mailbox,
    group: bool,
}

impl List<'_> {
    fn take(&mut self, token: Token<'_>) {
        let mailbox = &mut self.mailbox;
        let open = mailbox.inside.is_some() && !mailbox.closed;
        match token {
            Token::Blank => {}
            Token::Broken => mailbox.broken = true,
            Token::Special(b',') if !open => self.end_mailbox(),
            Token::Special(b';') if !open && self.group => {
                self.end_mailbox();
                self.group = false;
            }
            // The name of a group, which is not a mailbox.
            Token::Special(b':') if !open && !self.group && mailbox.inside.is_none() => {
                self.found.unreadable |= mailbox.broken;
                self.mailbox = Mailbox::default();
                self.group = true;
            }
            Token::Special(b'<') if mailbox.inside.is_none() => {
                mailbox.inside = Some(Spec::default());
            }
            Token::Special(b'>') if open => mailbox.closed = true,
            // A source route, which is obsolete and means nothing (RFC 5322 §4.4).
            Token::Special(b':') if open => {
                let route = mailbox.inside.replace(Spec::default());
                mailbox.broken |= !route.is_some_and(|route| route.text.starts_with(b"@"));
            }
            Token::Special(special @ (b'@' | b'.')) => self.push(&[special], false),
            // Between the domains of a source route.
            Token::Special(b',') => self.push(b",", false),
            Token::Word(word) => self.push(word, true),
            Token::Special(_) => mailbox.broken = true,
        }
    }

    fn push(&mut self, octets: &[u8], is_word: bool) {
        let mailbox = &mut self.mailbox;
        match &mut mailbox.inside {
            Some(inside) if !mailbox.closed => inside.push(octets, is_word),
            // Behind the address there is nothing.
            Some(_) => mailbox.broken = true,
            None => mailbox.outside.push(octets, is_word),
        }
    }

    fn end_mailbox(&mut self) {
        let mailbox = std::mem::take(&mut self.mailbox);
        let address = match &mailbox.inside {
            // Nothing between two commas is obsolete and legal (RFC 5322 §4.4).
            None if mailbox.outside.is_empty() && !mailbox.broken => return,
            None => mailbox.outside.address(),
            Some(inside) if mailbox.closed => inside.address(),
            Some(_) => None,
        };
        match address.filter(|_| !mailbox.broken) {
            Some(address) if self.found.addresses.len() < ADDRESSES_MAX => {
                self.found.addresses.push(address);
            }
            _ => self.found.unreadable = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> (Vec<String>, bool) {
        let mut found = Mailboxes::default();
        found.read(body.as_bytes());
        (found.addresses.iter().map(ToString::to_string).collect(), found.unreadable)
    }

    #[test]
    fn lists_that_can_be_read() {
        for (body, addresses) in [
            (" a@x.org", &["a@x.org"][..]),
            (" <a@x.org>\r\n", &["a@x.org"]),
            (" A B <a@x.org>, \"B, C\" <b@x.org>,c@x.org", &["a@x.org", "b@x.org", "c@x.org"]),
            (" Joe Q. Public <john.q.public@example.com>", &["john.q.public@example.com"]),
            (" \"Giant; \\\"Big\\\" Box\" <s@x.org>", &["s@x.org"]),
            (
                " Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
                &["pete@silly.test"],
            ),
            (
                " Chris <c@(Chris's host.)public.example>,\r\n joe@x.org",
                &["c@public.example", "joe@x.org"],
            ),
            (
                "A Group(Some people)\r\n :Chris Jones <c@x.org>, joe@x.org,\r\n John <j@x.org>; ",
                &["c@x.org", "joe@x.org", "j@x.org"],
            ),
            ("Undisclosed recipients:;", &[]),
            ("", &[]),
            (" ,, a@x.org,,", &["a@x.org"]),
            (" <@r.test,@s.test:a@x.org>", &["a@x.org"]),
            (" jdoe@test . example", &["jdoe@test.example"]),
            (" \"a b\"@x.org", &["\"a b\"@x.org"]),
            (" a@[192.0.2.1]", &["a@[192.0.2.1]"]),
            (" =?utf-8?Q?Doe,_John?= <j@x.org>", &["j@x.org"]),
            (" =?utf-8?q?a=40b=2C?= =?utf-8?b?w6k=?= <j@x.org>", &["j@x.org"]),
            (" a@evil.test <me@x.org>", &["me@x.org"]),
            (" (a (nested) comment) a@x.org", &["a@x.org"]),
            (" é <é@x.org>", &["é@x.org"]),
        ] {
            let (found, unreadable) = read(body);
            assert_eq!(
                (&found[..], unreadable),
                (&addresses.iter().map(|a| a.to_string()).collect::<Vec<_>>()[..], false),
                "{body}"
            );
        }
        let mut latin = Mailboxes::default();
        latin.read(b" J\xf6rg <j@x.org>");
        assert!(!latin.unreadable && latin.addresses.len() == 1, "names need not be readable");
    }

    #[test]
    fn doubt_is_told() {
        for body in [
            " John Doe@x.org",
            " a @x.org b",
            " nobody",
            " <>",
            " <a@x.org",
            " a@x.org>",
            " <a@x.org> <b@x.org>",
            " <a@x.org> b",
            " <a@x.org>b@x.org",
            " A: a@x.org",
            " A: B: a@x.org;",
            " a@x.org; b@x.org",
            " \"open <a@x.org>",
            " (open <a@x.org>",
            " a@x.org )",
            " <a:b@x.org>",
            " a\\b@x.org",
            " a@x.org\0",
            " a@x..org",
            " <a@[x.org>",
        ] {
            assert!(read(body).1, "{body}: {:?}", read(body).0);
        }
        let many = "a@x.org,".repeat(ADDRESSES_MAX + 1);
        assert_eq!(read(&many).0.len(), ADDRESSES_MAX);
        assert!(read(&many).1);
        assert!(read(&format!("{}@x.org", "a.".repeat(400))).1);
    }
}
