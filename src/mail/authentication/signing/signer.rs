//! One signature: the field `DKIM-Signature` for a header and the digest of its body (RFC 6376 §3.5, §3.7).
//!
//! What must stay true: what is hashed of the field is the very text that is written, so that no
//! verifier can read it otherwise; `From` is named once more than it is there, so that nobody can add
//! one (§8.15); lines are at most [`LINE_MAX`] long, unless a name alone is longer. One scratch buffer
//! is allocated.

use std::sync::Arc;

use data_encoding::BASE64;
use proto::types::{Domain, Timestamp};
use smallvec::SmallVec;

use super::SignError;
use super::header::{Field, fields, write_relaxed};
use super::key::PrivateKey;

/// Of a line, its end not counted (RFC 5322 §2.1.1).
const LINE_MAX: usize = 77;
/// Fields that one signature covers at most.
const FIELDS_MAX: usize = 255;
/// Base64 of the largest signature.
const BASE64_MAX: usize = 684;

/// What is the same for all signatures of the server.
#[derive(Debug)]
pub(super) struct Terms {
    /// Names of fields, `From` first.
    pub fields: Box<[Box<str>]>,
    /// Seconds that a signature is good for; 0: for ever.
    pub expiry_s: u64,
}

/// Signs for one domain with one key.
#[derive(Debug)]
pub struct Signer {
    /// The field as far as it is always the same.
    start: Box<str>,
    selector: Box<str>,
    key: Arc<PrivateKey>,
    terms: Arc<Terms>,
}

/// A field of the message that is signed.
#[derive(Clone, Copy)]
struct Signed<'a> {
    /// Which of the names it has.
    name: usize,
    field: Field<'a>,
}

impl Signer {
    pub(super) fn new(
        domain: &Domain,
        selector: &str,
        key: Arc<PrivateKey>,
        terms: Arc<Terms>,
    ) -> Self {
        let mut start = Vec::new();
        let mut line = Line::begin(&mut start, "DKIM-Signature: v=1;");
        line.tag(&["a=", key.algorithm().tag(), ";"]);
        line.tag(&["c=relaxed/relaxed;"]);
        line.tag(&["d=", domain.as_str(), ";"]);
        line.tag(&["s=", selector, ";"]);
        let start = String::from_utf8_lossy(&start).into();
        Self { start, selector: selector.into(), key, terms }
    }

    /// Under which name its public key is published.
    #[must_use]
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// Appends a `DKIM-Signature` field with its line end to `out`.
    ///
    /// `header` holds the raw fields with their line ends, without the empty line; `body` is their
    /// body's [digest](super::BodyDigest). Signs where it is called: see the room for what that costs.
    ///
    /// # Errors
    /// See [`SignError`]; `out` is as it was then.
    pub fn sign(
        &self,
        header: &[u8],
        body: &[u8; 32],
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Result<(), SignError> {
        let signed = self.choose(header)?;
        let begin = out.len();
        self.write_tags(&signed, body, now, out);
        let mut scratch = Vec::with_capacity(header.len() + out.len() - begin);
        for Signed { field, .. } in &signed {
            write_relaxed(*field, &mut scratch);
            scratch.extend_from_slice(b"\r\n");
        }
        fields(&out[begin..]).for_each(|own| write_relaxed(own, &mut scratch));
        let written = self.key.sign(&scratch, |signature| {
            let mut base64 = [0; BASE64_MAX];
            let base64 = &mut base64[..BASE64.encode_len(signature.len())];
            BASE64.encode_mut(signature, base64);
            Line::at_end(out, begin).text(base64);
            out.extend_from_slice(b"\r\n");
        });
        if written.is_err() {
            out.truncate(begin);
        }
        written
    }

    /// The fields to sign, in the order in which they are named: by name, the lowest first.
    fn choose<'a>(&self, header: &'a [u8]) -> Result<SmallVec<[Signed<'a>; 32]>, SignError> {
        let names = &self.terms.fields;
        let named = |field: Field<'a>| {
            let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(field.name);
            let name = names.iter().position(|name| is(name))?;
            Some(Signed { name, field })
        };
        let mut signed: SmallVec<[Signed<'a>; 32]> =
            fields(header).filter_map(named).take(FIELDS_MAX + 1).collect();
        if signed.len() > FIELDS_MAX {
            return Err(SignError::Fields);
        }
        signed.reverse();
        // Stable: of one name, the lowest stays first.
        signed.sort_by_key(|signed| signed.name);
        match signed.first() {
            Some(Signed { name: 0, .. }) => Ok(signed),
            _ => Err(SignError::NoAuthor),
        }
    }

    /// Everything but the signature itself.
    fn write_tags(
        &self,
        signed: &[Signed<'_>],
        body: &[u8; 32],
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let (Self { start, terms, .. }, now_s) = (self, now.0 / 1000);
        let mut line = Line::begin(out, start);
        line.tag(&["t=", Decimal::new(now_s).text(), ";"]);
        if terms.expiry_s > 0 {
            let until_s = now_s.saturating_add(terms.expiry_s);
            line.tag(&["x=", Decimal::new(until_s).text(), ";"]);
        }
        let authors = signed.iter().take_while(|signed| signed.name == 0).count();
        line.tag(&["h=From"]);
        for name in
            std::iter::repeat_n(0, authors).chain(signed[authors..].iter().map(|it| it.name))
        {
            line.join(&[":", &terms.fields[name]]);
        }
        line.join(&[";"]);
        let mut bh = [0; 44];
        BASE64.encode_mut(body, &mut bh);
        line.tag(&["bh=", std::str::from_utf8(&bh).unwrap_or_default(), ";"]);
        line.tag(&["b="]);
    }
}

/// Writes a field and folds it.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    column: usize,
}

impl<'a> Line<'a> {
    fn begin(out: &'a mut Vec<u8>, start: &str) -> Self {
        let begin = out.len();
        out.extend_from_slice(start.as_bytes());
        Self::at_end(out, begin)
    }

    /// Goes on with a field that begins at `begin`.
    fn at_end(out: &'a mut Vec<u8>, begin: usize) -> Self {
        let field = &out[begin..];
        let line = field.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        let column = field.len() - line;
        Self { out, column }
    }

    fn fold(&mut self) {
        self.out.extend_from_slice(b"\r\n\t");
        self.column = 1;
    }

    /// One tag, behind a blank or on a line of its own.
    fn tag(&mut self, parts: &[&str]) {
        let octets: usize = parts.iter().map(|part| part.len()).sum();
        if self.column + 1 + octets > LINE_MAX {
            self.fold();
        } else {
            self.out.push(b' ');
            self.column += 1;
        }
        self.put(parts, octets);
    }

    /// What belongs to the tag before it, but may stand on the next line.
    fn join(&mut self, parts: &[&str]) {
        let octets: usize = parts.iter().map(|part| part.len()).sum();
        if self.column + octets > LINE_MAX {
            self.fold();
        }
        self.put(parts, octets);
    }

    fn put(&mut self, parts: &[&str], octets: usize) {
        parts.iter().for_each(|part| self.out.extend_from_slice(part.as_bytes()));
        self.column += octets;
    }

    /// Text that may be folded anywhere.
    fn text(&mut self, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() {
            let room = LINE_MAX.saturating_sub(self.column);
            let (piece, behind) = rest.split_at(room.min(rest.len()));
            self.out.extend_from_slice(piece);
            self.column += piece.len();
            rest = behind;
            if !rest.is_empty() {
                self.fold();
            }
        }
    }
}

/// A number in digits, without an allocation.
struct Decimal {
    digits: [u8; 20],
    from: usize,
}

impl Decimal {
    fn new(mut value: u64) -> Self {
        let (mut digits, mut from) = ([b'0'; 20], 19);
        while value >= 10 {
            digits[from] = b'0' + (value % 10) as u8;
            value /= 10;
            from -= 1;
        }
        digits[from] = b'0' + value as u8;
        Self { digits, from }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.digits[self.from..]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for value in [0, 9, 10, 1_764_288_000, u64::MAX] {
            assert_eq!(Decimal::new(value).text(), value.to_string());
        }
    }
}
