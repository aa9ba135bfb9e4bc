//! What is made of a message at delivery and kept beside it, and which thread it belongs to.
//!
//! [`Digest`] is the one name by which mailboxes know it: they store it and hand it out, and look into
//! it for the root of the thread alone. Two messages are in one thread when they have the same root:
//! the first message that their References name, the one they answer, or they themselves. So the
//! thread of a message is known from the message alone, and is the same for good (RFC 8474 §5.2).

use aws_lc_rs::digest::{SHA256, digest as hash};

use super::{EmailId, ThreadId};

/// Octets of a header that are looked at.
const HEADER_OCTETS_MAX: usize = 256 << 10;
/// Octets of a message's name at most; longer ones are no names.
const NAME_OCTETS_MAX: usize = 998;

/// What is made of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Digest {
    /// Octets of the header with the empty line that ends it.
    pub header_octets: u32,
    /// The name of the message that its thread begins with.
    pub root: Option<Box<str>>,
}

/// Makes the digest of a message. Never fails; what is odd is left out.
#[must_use]
pub fn digest(message: &[u8]) -> Digest {
    let header = header_of(message);
    let mut names = [None, None, None];
    for field in Fields(header) {
        let (name, value) = field;
        let wanted = [&b"references"[..], b"in-reply-to", b"message-id"];
        let Some(at) = wanted.iter().position(|one| name.eq_ignore_ascii_case(one)) else {
            continue;
        };
        if names[at].is_none() {
            names[at] = first_name(value);
        }
    }
    let [references, in_reply_to, own] = names;
    Digest {
        header_octets: u32::try_from(header.len()).unwrap_or(u32::MAX),
        root: references.or(in_reply_to).or(own),
    }
}

/// The thread of a message.
pub(super) fn thread_of(digest: &Digest, id: EmailId) -> ThreadId {
    let Some(root) = &digest.root else { return ThreadId(id.0) };
    let hashed = hash(&SHA256, root.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hashed.as_ref()[..8]);
    // A hash has the top bit, a number of ours never: they cannot be confused.
    ThreadId(u64::from_be_bytes(first) | 1 << 63)
}

/// About what a digest takes in memory that takes so many octets on the disk.
pub(super) const fn bytes_of(encoded: usize) -> usize {
    size_of::<Digest>().saturating_add(encoded.saturating_mul(2))
}

/// The header with the empty line that ends it.
fn header_of(message: &[u8]) -> &[u8] {
    let seen = &message[..message.len().min(HEADER_OCTETS_MAX)];
    let mut at = 0;
    while at < seen.len() {
        let line = line_at(seen, at);
        at += line.len();
        if line == b"\r\n" || line == b"\n" {
            break;
        }
    }
    &seen[..at]
}

fn line_at(text: &[u8], at: usize) -> &[u8] {
    let rest = &text[at..];
    let end = rest.iter().position(|octet| *octet == b'\n').map_or(rest.len(), |end| end + 1);
    &rest[..end]
}

/// Names and folded values of a header's fields.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let mut end = line_at(self.0, 0).len();
        while end < self.0.len() && matches!(self.0[end], b' ' | b'\t') {
            end += line_at(self.0, end).len();
        }
        let (field, rest) = self.0.split_at(end);
        self.0 = rest;
        let colon = field.iter().position(|octet| *octet == b':').unwrap_or(0);
        Some((field[..colon].trim_ascii_end(), &field[(colon + 1).min(field.len())..]))
    }
}

/// The first `<name>` of a field.
fn first_name(value: &[u8]) -> Option<Box<str>> {
    let start = value.iter().position(|octet| *octet == b'<')? + 1;
    let end = value[start..].iter().position(|octet| *octet == b'>')?;
    let name: Vec<u8> = value[start..start + end]
        .iter()
        .copied()
        .filter(|octet| !octet.is_ascii_whitespace())
        .collect();
    let name = String::from_utf8(name).ok()?;
    (!name.is_empty() && name.len() <= NAME_OCTETS_MAX).then(|| name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(header: &str) -> Option<Box<str>> {
        digest(format!("{header}\r\n\r\nReferences: <not@header>\r\n").as_bytes()).root
    }

    #[test]
    fn a_thread_is_named_by_its_root() {
        assert_eq!(root("Message-ID: <a@x>").as_deref(), Some("a@x"));
        assert_eq!(root("message-id : <b@x>\r\nIn-Reply-To: <a@x> (you)").as_deref(), Some("a@x"));
        let folded = "Message-ID: <c@x>\r\nReferences:\r\n <a@x>\r\n\t<b@x>\r\nIn-Reply-To: <b@x>";
        assert_eq!(root(folded).as_deref(), Some("a@x"));
        assert_eq!(root("Subject: none\r\nMessage-ID: broken"), None);
        assert_eq!(root("Message-ID: <>"), None);
        let [one, other] = ["Message-ID: <a@x>", "In-Reply-To: <a@x>\r\nMessage-ID: <z@x>"]
            .map(|header| digest(format!("{header}\r\n\r\n").as_bytes()));
        assert_eq!(thread_of(&one, EmailId(1)), thread_of(&other, EmailId(2)));
        assert_eq!(thread_of(&Digest::default(), EmailId(7)), ThreadId(7));
    }

    #[test]
    fn the_header_ends_where_it_ends() {
        assert_eq!(digest(b"A: b\r\n\r\nbody").header_octets, 8);
        assert_eq!(digest(b"A: b\n\nbody").header_octets, 6);
        assert_eq!(digest(b"no end").header_octets, 6);
        assert_eq!(digest(b"").header_octets, 0);
        assert_eq!(digest(b"\r\nbody").header_octets, 2);
        let long = vec![b'x'; HEADER_OCTETS_MAX + 7];
        assert_eq!(digest(&long).header_octets as usize, HEADER_OCTETS_MAX);
    }
}
