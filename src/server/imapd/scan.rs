//! Looks for texts in messages: in fields by the header that the index keeps, in bodies decoded, piece by
//! piece.
//!
//! What must stay true: no scan holds the shard, what is looked at is spent in [`Turns`], across messages;
//! a body is in memory once, whatever is looked for in it, and a large one in memory that the shard has
//! for it. How it fails: with a [`Halt`].

use std::ops::Range;

use bytes::Bytes;
use engine::shard::Permit;
use mail::mailbox::{Entry, View};
use proto::mime::{Digest, Needle, decode_words, field_body, text_of};

use super::criteria::{Place, Text};
use super::turns::{Halt, Turns};

/// Octets of one field that are looked at: what decodes it does so at a stretch.
const FIELD_OCTETS_MAX: usize = 256 << 10;

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
    entry: &'s Entry,
    digest: &'s Digest,
    /// Once it is read, with the memory that was taken for it.
    message: Option<(Bytes, Option<Permit>)>,
    pub turns: &'s mut Turns,
}

impl<'s> Scanned<'s> {
    pub const fn new(
        view: &'s View,
        entry: &'s Entry,
        digest: &'s Digest,
        turns: &'s mut Turns,
    ) -> Self {
        Self { view, entry, digest, message: None, turns }
    }

    /// Whether a text is in the message.
    ///
    /// # Errors
    /// The message is gone, the disk's, there is no memory for it, or it takes too long.
    pub async fn holds(&mut self, text: &mut Text) -> Result<bool, Halt> {
        let needle = &mut text.needle;
        if let (Place::Field(name), Some(header)) = (&text.place, self.digest.header.text()) {
            return self.in_fields(header, name, needle).await;
        }
        let message = self.message().await?;
        match &text.place {
            Place::Field(name) => self.in_fields(&message, name, needle).await,
            Place::Body => self.in_body(&message, needle).await,
            Place::Anywhere => {
                Ok(self.in_headers(&message, needle).await?
                    || self.in_body(&message, needle).await?)
            }
        }
    }

    async fn message(&mut self) -> Result<Bytes, Halt> {
        if let Some((message, _)) = &self.message {
            return Ok(message.clone());
        }
        let permit = self.turns.memory.for_message(self.entry.size as usize)?;
        let message = self.view.body(self.entry.uid, 0..u64::MAX).await?;
        self.message = Some((message.clone(), permit));
        Ok(message)
    }

    /// `message` may be its header alone.
    async fn in_fields(
        &mut self,
        message: &[u8],
        name: &str,
        needle: &mut Needle,
    ) -> Result<bool, Halt> {
        if self.digest.header.is_complete() {
            for place in self.digest.header.fields(name) {
                if self.in_text(field_body(at(message, &place)), needle).await? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        // The header has more fields than are indexed.
        let own = self.digest.structure.part(&[]).map(|part| part.header).unwrap_or_default();
        for field in fields(at(message, &own)) {
            if !is_called(field, name) {
                self.turns.spend(field.len()).await?;
            } else if self.in_text(field_body(field), needle).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// In the message's header, and in those of its parts.
    async fn in_headers(&mut self, message: &[u8], needle: &mut Needle) -> Result<bool, Halt> {
        let own = self.digest.structure.part(&[]).map(|part| part.header);
        for place in own.into_iter().chain(self.digest.structure.headers()) {
            for field in fields(at(message, &place)) {
                if self.in_text(field, needle).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// In a field or its body, with encoded words decoded.
    async fn in_text(&mut self, field: &[u8], needle: &mut Needle) -> Result<bool, Halt> {
        let field = &field[..field.len().min(FIELD_OCTETS_MAX)];
        needle.restart();
        let is_there = needle.is_in(&decode_words(field));
        self.turns.spend(field.len()).await?;
        Ok(is_there)
    }

    async fn in_body(&mut self, message: &[u8], needle: &mut Needle) -> Result<bool, Halt> {
        let mut piece = String::new();
        for part in self.digest.structure.leaves().filter(|part| part.kind.is_text()) {
            needle.restart();
            let mut text = text_of(&part, message);
            while text.next_piece(&mut piece) {
                if needle.is_in(&piece) {
                    return Ok(true);
                }
                self.turns.spend(piece.len()).await?;
                piece.clear();
            }
        }
        Ok(false)
    }
}

fn at<'m>(message: &'m [u8], place: &Range<u32>) -> &'m [u8] {
    message.get(place.start as usize..place.end as usize).unwrap_or_default()
}

/// Whether a field has this name, whatever its case.
fn is_called(field: &[u8], name: &str) -> bool {
    let colon = field.iter().position(|octet| *octet == b':').unwrap_or(0);
    field[..colon].trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
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

    #[test]
    fn fields_are_called_by_name() {
        for (field, is_a) in
            [(&b"X-A: b"[..], true), (b"x-a : b", true), (b"X-AB: b", false), (b"X-A", false)]
        {
            assert_eq!(is_called(field, "x-a"), is_a, "{field:?}");
        }
    }
}
