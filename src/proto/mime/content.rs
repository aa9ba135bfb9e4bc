//! Content-Type, Content-Disposition and their like: a value with parameters (RFC 2045 §5.1,
//! RFC 2183, RFC 2231).
//!
//! Read as leniently as senders write: a parameter without quotes ends at a semicolon or blank,
//! one that cannot be read is left out. Continued parameters are put together; what is encoded
//! stays so, under its name with `*`, for the client to decode.

use super::octets::{cut, is_blank};

/// Parameters of one field that are kept.
const PARAMETERS_MAX: usize = 64;

/// A parameter's name and value.
pub(super) type Parameter = (Vec<u8>, Vec<u8>);

/// A value and its parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    /// As it is written: `inline`, `text`.
    pub(super) token: Vec<u8>,
    /// What follows a slash: `plain`.
    pub(super) subtype: Vec<u8>,
    pub(super) parameters: Vec<Parameter>,
}

impl Value {
    /// Reads a media type; `None` when there is none, and the default holds (RFC 2045 §5.2).
    pub(super) fn media_type(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(cut(body));
        let token = cursor.token()?;
        cursor.skip(b'/').then_some(())?;
        let subtype = cursor.token()?;
        Some(Self { token, subtype, parameters: cursor.parameters() })
    }

    /// Reads a token and its parameters.
    pub(super) fn token(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(cut(body));
        let token = cursor.token()?;
        Some(Self { token, subtype: Vec::new(), parameters: cursor.parameters() })
    }

    pub(super) fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        let mut parameters = self.parameters.iter();
        let found = parameters.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }

    pub(super) fn is(&self, token: &[u8]) -> bool {
        self.token.eq_ignore_ascii_case(token)
    }

    pub(super) fn is_subtype(&self, subtype: &[u8]) -> bool {
        self.subtype.eq_ignore_ascii_case(subtype)
    }
}

/// The tags of Content-Language (RFC 3282).
pub(super) fn languages(body: &[u8]) -> Vec<Vec<u8>> {
    let mut cursor = Cursor(cut(body));
    let mut tags = Vec::new();
    while let Some(tag) = cursor.token().filter(|_| tags.len() < PARAMETERS_MAX) {
        tags.push(tag);
        if !cursor.skip(b',') {
            break;
        }
    }
    tags
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    /// Passes over blanks and comments.
    fn pass_blanks(&mut self) {
        loop {
            let blanks = self.0.iter().position(|octet| !is_blank(*octet));
            self.0 = &self.0[blanks.unwrap_or(self.0.len())..];
            if self.0.first() != Some(&b'(') {
                return;
            }
            self.0 = &self.0[comment(self.0)..];
        }
    }

    fn skip(&mut self, octet: u8) -> bool {
        self.pass_blanks();
        let is_there = self.0.first() == Some(&octet);
        if is_there {
            self.0 = &self.0[1..];
        }
        is_there
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        self.pass_blanks();
        let is_special =
            |octet: &u8| !octet.is_ascii_graphic() || b"()<>@,;:\\\"/[]?=".contains(octet);
        let end = self.0.iter().position(is_special).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then(|| token.to_vec())
    }

    fn parameters(&mut self) -> Vec<Parameter> {
        let mut found = Vec::new();
        while found.len() < PARAMETERS_MAX {
            // What cannot be read is passed over up to the next semicolon.
            let Some(at) = self.0.iter().position(|octet| *octet == b';') else { break };
            self.0 = &self.0[at + 1..];
            let Some(name) = self.token() else { continue };
            if self.skip(b'=') {
                found.push((name, self.value()));
            }
        }
        joined(found)
    }

    fn value(&mut self) -> Vec<u8> {
        self.pass_blanks();
        if self.0.first() == Some(&b'"') {
            return self.quoted();
        }
        let ends = |octet: &u8| *octet == b';' || is_blank(*octet);
        let end = self.0.iter().position(ends).unwrap_or(self.0.len());
        let (value, rest) = self.0.split_at(end);
        self.0 = rest;
        value.to_vec()
    }

    fn quoted(&mut self) -> Vec<u8> {
        let (mut value, mut escaped) = (Vec::new(), false);
        for (at, octet) in self.0.iter().enumerate().skip(1) {
            match octet {
                // Folding.
                b'\r' | b'\n' => continue,
                _ if escaped => value.push(*octet),
                b'\\' => {
                    escaped = true;
                    continue;
                }
                b'"' => {
                    self.0 = &self.0[at + 1..];
                    return value;
                }
                _ => value.push(*octet),
            }
            escaped = false;
        }
        self.0 = &[];
        value
    }
}

/// The length of a comment with those inside it; one that does not end takes the rest.
fn comment(text: &[u8]) -> usize {
    let (mut depth, mut escaped) = (0usize, false);
    for (at, octet) in text.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' if depth == 1 => return at + 1,
            b')' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// A piece of a continued parameter: `name*3*=value` (RFC 2231 §3, §4.1).
struct Piece {
    name: Vec<u8>,
    number: u16,
    is_encoded: bool,
    value: Vec<u8>,
}

fn piece((name, value): &Parameter) -> Option<Piece> {
    let (name, is_encoded) = match name.strip_suffix(b"*") {
        Some(name) => (name, true),
        None => (&name[..], false),
    };
    let star = name.iter().position(|octet| *octet == b'*')?;
    let number = str::from_utf8(&name[star + 1..]).ok()?;
    if !number.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number = number.parse().ok()?;
    Some(Piece { name: name[..star].to_vec(), number, is_encoded, value: value.clone() })
}

/// Puts continued parameters together, each where its first piece stood.
fn joined(parameters: Vec<Parameter>) -> Vec<Parameter> {
    let is_continued = |parameter: &Parameter| parameter.0.contains(&b'*');
    if !parameters.iter().any(is_continued) {
        return parameters;
    }
    let mut pieces: Vec<Piece> = parameters.iter().filter_map(piece).collect();
    pieces.sort_by_key(|piece| piece.number);
    let mut found = Vec::new();
    for parameter in parameters {
        let Some(first) = piece(&parameter) else {
            found.push(parameter);
            continue;
        };
        let (same, others) =
            pieces.into_iter().partition(|piece| piece.name.eq_ignore_ascii_case(&first.name));
        pieces = others;
        found.extend(whole(same));
    }
    found
}

/// One parameter of the pieces of its name, as far as none is missing.
fn whole(pieces: Vec<Piece>) -> Option<Parameter> {
    let mut name = pieces.first()?.name.clone();
    let is_encoded = pieces.iter().any(|piece| piece.is_encoded);
    let mut value = Vec::new();
    let in_order = |(at, piece): &(usize, Piece)| usize::from(piece.number) == *at;
    for (at, piece) in pieces.into_iter().enumerate().take_while(in_order) {
        if is_encoded && !piece.is_encoded {
            if at == 0 {
                // No charset was told: the encoded pieces are shown without one.
                value.extend_from_slice(b"''");
            }
            push_encoded(&piece.value, &mut value);
        } else {
            value.extend_from_slice(&piece.value);
        }
    }
    if is_encoded {
        name.push(b'*');
    }
    Some((name, value))
}

/// Encodes what stood in quotes as its neighbours are encoded (RFC 2231 §7).
fn push_encoded(value: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for octet in value {
        if octet.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(octet) {
            out.push(*octet);
        } else {
            let digit = |half: u8| HEX[usize::from(half)];
            out.extend_from_slice(&[b'%', digit(octet >> 4), digit(octet & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<(String, Vec<String>)> {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let value = Value::media_type(body.as_bytes())?;
        let parameter = |(name, value): &Parameter| format!("{}={}", text(name), text(value));
        Some((
            format!("{}/{}", text(&value.token), text(&value.subtype)),
            value.parameters.iter().map(parameter).collect(),
        ))
    }

    #[test]
    fn parameters_are_read_as_they_are_written() {
        for (body, kind, parameters) in [
            ("text/plain", "text/plain", &[][..]),
            (" Text / HTML ; Charset=UTF-8\r\n", "Text/HTML", &["Charset=UTF-8"]),
            (
                "text/plain; charset=us-ascii (Plain text); a=b",
                "text/plain",
                &["charset=us-ascii", "a=b"],
            ),
            ("multipart/mixed; boundary=\"foo\r\n bar\"", "multipart/mixed", &["boundary=foo bar"]),
            (
                "multipart/mixed;boundary=----=_Part_1(x)",
                "multipart/mixed",
                &["boundary=----=_Part_1(x)"],
            ),
            ("a/b; x=\"q\\\"s\\\\\"; y=;; z; =1; w = 2", "a/b", &["x=q\"s\\", "y=", "w=2"]),
            ("a/b; x=\"open", "a/b", &["x=open"]),
            ("a/b (c) junk; x=1", "a/b", &["x=1"]),
        ] {
            let (found, list) = read(body).unwrap();
            assert_eq!(
                (&found[..], &list[..]),
                (kind, &parameters.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
                "{body}"
            );
        }
        for body in ["", "text", "text/", "/plain", "text;a=b", "(open text/plain", "text\\/x"] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    /// The examples of RFC 2231 §3 and §4.1.
    #[test]
    fn continued_parameters_are_one() {
        for (body, parameters) in [
            (
                "a/b; URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/\"; z=1",
                &["URL=ftp://cs.utk.edu/pub/", "z=1"][..],
            ),
            (
                "a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
                &["title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A"],
            ),
            (
                "a/b; title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
                &[
                    "title*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!",
                ],
            ),
            ("a/b; n*1=b; n*0=a; n*3=d", &["n=ab"]),
            ("a/b; n*0=a; n*1*=%41", &["n*=''a%41"]),
            ("a/b; n*x=a", &["n*x=a"]),
        ] {
            assert_eq!(read(body).unwrap().1, parameters, "{body}");
        }
    }

    #[test]
    fn languages_are_a_list() {
        assert_eq!(languages(b" en, fi (Finnish), se-x\r\n"), [&b"en"[..], b"fi", b"se-x"]);
        assert!(languages(b" ;").is_empty());
    }
}
