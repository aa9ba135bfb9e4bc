//! Message identifiers, and which messages one follows (RFC 5322 §3.6.4, RFC 5256 §3).
//!
//! Threads only compare identifiers, so 16 octets of a digest stand for each: a message with a
//! hundred references costs no more than what it can be answered with. Two ways to write one
//! identifier (quotes, blanks, comments) are one.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::octets::{VALUE_OCTETS_MAX, is_blank};

/// An identifier of a message, as far as it can be told from others: 16 octets of the SHA-256 of
/// its normalized text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// Reads `<left@right>`; `None` when there is no identifier in `text`.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        Identifiers(text).next()
    }

    /// The octets, to be used as a key.
    pub const fn as_octets(&self) -> &[u8; 16] {
        &self.0
    }

    fn of(normalized: &[u8]) -> Self {
        let mut octets = [0; 16];
        octets.copy_from_slice(&Sha256::digest(normalized)[..16]);
        Self(octets)
    }
}

/// How a message stands to others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// Its own identifier.
    pub message_id: Option<MessageId>,
    /// The messages it follows, the nearest last: those of References or, when it names none, the
    /// first of In-Reply-To (RFC 5256 §3, REFERENCES).
    pub ancestors: Vec<MessageId>,
}

impl References {
    pub(super) fn of(
        message_id: Option<&[u8]>,
        references: Option<&[u8]>,
        in_reply_to: Option<&[u8]>,
        ancestors_max: usize,
    ) -> Self {
        // The nearest ancestors stand last.
        let references = references.unwrap_or_default();
        let near = &references[references.len().saturating_sub(8 * VALUE_OCTETS_MAX)..];
        let mut ancestors: Vec<MessageId> = Vec::new();
        for id in Identifiers(near) {
            if ancestors.last() != Some(&id) {
                ancestors.push(id);
            }
        }
        ancestors.drain(..ancestors.len().saturating_sub(ancestors_max));
        let first = |body: Option<&[u8]>| body.and_then(MessageId::parse);
        if ancestors.is_empty() && ancestors_max > 0 {
            ancestors.extend(first(in_reply_to));
        }
        Self { message_id: first(message_id), ancestors }
    }
}

/// The identifiers in a field's body.
struct Identifiers<'a>(&'a [u8]);

impl Iterator for Identifiers<'_> {
    type Item = MessageId;

    fn next(&mut self) -> Option<MessageId> {
        while let Some(start) = self.0.iter().position(|octet| *octet == b'<') {
            self.0 = &self.0[start + 1..];
            let end = self.0.iter().position(|octet| matches!(octet, b'<' | b'>'))?;
            let text = &self.0[..end];
            let is_closed = self.0[end] == b'>';
            self.0 = &self.0[end..];
            if is_closed && let Some(normalized) = normalized(text) {
                return Some(MessageId::of(&normalized));
            }
        }
        None
    }
}

/// An identifier without blanks and quotes. What has no `@` counts too: programs write it.
fn normalized(text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    for octet in text.iter().take(VALUE_OCTETS_MAX) {
        match octet {
            _ if escaped => {
                escaped = false;
                plain.push(*octet);
            }
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            octet if is_blank(*octet) && !quoted => {}
            _ => plain.push(*octet),
        }
    }
    (!plain.is_empty()).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<MessageId> {
        MessageId::parse(text.as_bytes())
    }

    #[test]
    fn ways_to_write_one_identifier_are_one() {
        let plain = id("<01KF8JCEOCBS0045PS@xxx.yyy.com>");
        assert!(plain.is_some());
        assert_eq!(id(" (x) <\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>\r\n"), plain);
        assert_eq!(id("<01KF8JCEOCBS0045PS @\r\n xxx.yyy.com>"), plain);
        assert_ne!(id("<01kf8jceocbs0045ps@xxx.yyy.com>"), plain, "case counts");
        for text in ["", "x@y", "<>", "<\"\">", "<open", ">x<"] {
            assert_eq!(id(text), None, "{text}");
        }
        assert_eq!(id("<open <x@y>"), id("<x@y>"));
    }

    #[test]
    fn references_come_before_in_reply_to() {
        let of = |references: &str, reply: &str, max| {
            References::of(Some(b"<m@x>"), Some(references.as_bytes()), Some(reply.as_bytes()), max)
                .ancestors
        };
        let list = |texts: &[&str]| texts.iter().filter_map(|text| id(text)).collect::<Vec<_>>();
        assert_eq!(of("<a@x>\r\n <b@x><b@x>", "<c@x>", 9), list(&["<a@x>", "<b@x>"]));
        assert_eq!(of("none", "Your mail <c@x> <d@x>", 9), list(&["<c@x>"]));
        assert_eq!(of("<a@x> <b@x> <c@x>", "", 2), list(&["<b@x>", "<c@x>"]));
        assert_eq!(of("", "", 2), []);
        assert_eq!(References::of(None, None, None, 9), References::default());
    }
}
