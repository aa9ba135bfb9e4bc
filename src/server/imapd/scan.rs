//! Looks for texts in messages: in fields by the header index, in bodies decoded, piece by piece.
//!
//! What must stay true: no scan holds the shard: behind every 64 KiB or so others have their turn; a body
//! is in memory once, whatever is looked for in it.

use bytes::Bytes;
use mail::mailbox::{MailboxError, View};
use proto::mime::{Digest, Needle, decode_words, field_body, text_of};

use super::criteria::{Place, Text};

/// Octets of decoded text behind which others have their turn.
const TURN_OCTETS: usize = 64 << 10;

/// Whether a text can be told to be there, or not, without the message.
pub(super) fn by_index(text: &Text, digest: &Digest) -> Option<bool> {
    let Place::Field(name) = &text.place else { return None };
    if !digest.header.is_complete() {
        return None;
    }
    let is_there = digest.header.fields(name).next().is_some();
    (!is_there || text.is_empty).then_some(is_there)
}

/// A message that is looked into.
pub(super) struct Scanned<'s> {
    view: &'s View,
    uid: u32,
    digest: &'s Digest,
    message: Option<Bytes>,
    /// Octets since others last had their turn.
    octets: usize,
}

impl<'s> Scanned<'s> {
    pub const fn new(view: &'s View, uid: u32, digest: &'s Digest) -> Self {
        Self { view, uid, digest, message: None, octets: 0 }
    }

    /// Whether a text is in the message.
    ///
    /// # Errors
    /// The message is gone, or the disk's.
    pub async fn holds(&mut self, text: &mut Text) -> Result<bool, MailboxError> {
        let message = self.message().await?;
        text.needle.restart();
        Ok(match &text.place {
            Place::Field(name) => self.in_fields(&message, name, &mut text.needle),
            Place::Body => self.in_body(&message, &mut text.needle).await,
            Place::Anywhere => {
                self.in_headers(&message, &mut text.needle)
                    || self.in_body(&message, &mut text.needle).await
            }
        })
    }

    async fn message(&mut self) -> Result<Bytes, MailboxError> {
        if let Some(message) = &self.message {
            return Ok(message.clone());
        }
        let message = self.view.body(self.uid, 0..u64::MAX).await?;
        Ok(self.message.insert(message).clone())
    }

    fn in_fields(&mut self, message: &[u8], name: &str, needle: &mut Needle) -> bool {
        self.digest.header.fields(name).any(|place| {
            let field = message.get(place.start as usize..place.end as usize).unwrap_or_default();
            needle.restart();
            needle.is_in(&decode_words(field_body(field)))
        })
    }

    /// In the message's header, and in those of its parts.
    fn in_headers(&mut self, message: &[u8], needle: &mut Needle) -> bool {
        let own = self.digest.structure.part(&[]).map(|part| part.header);
        own.into_iter().chain(self.digest.structure.headers()).any(|place| {
            let header = message.get(place.start as usize..place.end as usize).unwrap_or_default();
            fields(header).any(|field| {
                needle.restart();
                needle.is_in(&decode_words(field))
            })
        })
    }

    async fn in_body(&mut self, message: &[u8], needle: &mut Needle) -> bool {
        let mut piece = String::new();
        for part in self.digest.structure.leaves().filter(|part| part.kind.is_text()) {
            needle.restart();
            let mut text = text_of(&part, message);
            while text.next_piece(&mut piece) {
                if needle.is_in(&piece) {
                    return true;
                }
                self.octets += piece.len();
                piece.clear();
                if self.octets >= TURN_OCTETS {
                    self.octets = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        false
    }
}

/// The fields of a header, whole, with what is folded.
fn fields(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends =
            rest.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at + 1);
        let is_end = |at: &usize| !matches!(rest.get(*at), Some(b' ' | b'\t'));
        let end = ends.into_iter().find(is_end).unwrap_or(rest.len());
        let (field, behind) = rest.split_at(end);
        rest = behind;
        Some(field)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_whole() {
        let all: Vec<&[u8]> = fields(b"A: b\r\n c\r\nD: e\r\n\r\n").collect();
        assert_eq!(all, [&b"A: b\r\n c\r\n"[..], b"D: e\r\n", b"\r\n"]);
        assert_eq!(fields(b"no end").count(), 1);
        assert_eq!(fields(b"").count(), 0);
    }
}
