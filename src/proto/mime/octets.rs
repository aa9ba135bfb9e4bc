//! Octets that are stored with a digest, and how much of a field's body is looked at as text.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Octets of one field's body that count as text: subjects, dates, identifiers, parameters.
pub(super) const VALUE_OCTETS_MAX: usize = 8192;

/// As much of `body` as is looked at.
pub(super) fn cut(body: &[u8]) -> &[u8] {
    &body[..body.len().min(VALUE_OCTETS_MAX)]
}

/// `body` on one line: runs of blanks and line ends become one space, and those at its edges go.
pub(super) fn on_one_line(body: &[u8]) -> Vec<u8> {
    let body = cut(body);
    let mut line = Vec::with_capacity(body.len());
    for word in body.split(|octet| is_blank(*octet)).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(word);
    }
    line
}

/// Blanks and what folds a field.
pub(super) const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// Octets that serde stores in one piece.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Octets(Box<[u8]>);

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets.into_boxed_slice())
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl Serialize for Octets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Octets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("octets")
    }

    fn visit_bytes<E: de::Error>(self, octets: &[u8]) -> Result<Octets, E> {
        Ok(Octets(octets.into()))
    }

    fn visit_byte_buf<E: de::Error>(self, octets: Vec<u8>) -> Result<Octets, E> {
        Ok(octets.into())
    }
}
