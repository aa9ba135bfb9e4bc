//! The parts of a message: BODY and BODYSTRUCTURE, and where each section lies (RFC 9051 §7.5.2,
//! §6.4.5.1).
//!
//! Parts stand in the order of the message, each followed by those inside it. What the Content
//! fields say is kept as it is sent, so that writing is copying. Part numbers are resolved as IMAP
//! counts them: a message inside a part adds no number of its own when it is a multipart.

use std::{io::Write as _, ops::Range};

use serde::{Deserialize, Serialize};

use super::{octets::Octets, transfer::Encoding};

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// `text/plain`, also by default.
    Plain,
    /// `text/html`.
    Html,
    /// Any other `text/…`.
    Text,
    /// `multipart/…`: its parts are inside.
    Multipart,
    /// `message/rfc822` or `message/global`: a message is inside.
    Message,
    /// Anything else.
    Other,
}

impl Kind {
    /// `text/…`: SEARCH looks into it.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Plain | Self::Html | Self::Text)
    }
}

/// A place in [`Structure::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) octets: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) encoding: Encoding,
    /// Content-Disposition says that it is not to be shown.
    pub(super) is_attachment: bool,
    pub(super) header: Range<u32>,
    pub(super) body: Range<u32>,
    /// Line ends in the body.
    pub(super) lines: u32,
    /// Parts inside it, at any depth: they follow it.
    pub(super) descendants: u32,
    /// A multipart's subtype; of other parts all from the type to the encoding.
    pub(super) basic: Span,
    /// What BODYSTRUCTURE adds.
    pub(super) extension: Span,
    /// The envelope of the message inside.
    pub(super) envelope: Span,
    pub(super) charset: Span,
}

/// The parts of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    pub(super) text: Octets,
    pub(super) parts: Vec<Part>,
}

/// Where a part lies in its message, and how to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRange<'a> {
    /// What it is.
    pub kind: Kind,
    /// How its body is encoded.
    pub encoding: Encoding,
    /// The charset of a text, as it is written; empty when nothing is said.
    pub charset: &'a [u8],
    /// Content-Disposition says that it is not to be shown.
    pub is_attachment: bool,
    /// Its header with the empty line: `n.MIME`; of the message itself HEADER.
    pub header: Range<u32>,
    /// Its body, still encoded: `n`; of the message itself TEXT.
    pub body: Range<u32>,
    /// The message inside: `n.HEADER` and `n.TEXT`.
    pub message: Option<MessageRange>,
}

/// Where a message inside a part lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRange {
    /// Its header with the empty line.
    pub header: Range<u32>,
    /// Its body.
    pub body: Range<u32>,
}

/// A multipart without any part cannot be written; this stands for what is not there.
const NO_PART: &[u8] = b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";
/// More than parts lie inside of each other: where writing stops when a stored digest is broken.
const DEPTH_MAX: u32 = 1000;

impl Structure {
    /// Appends BODYSTRUCTURE, or BODY when not `extended`, with its parentheses.
    pub fn write(&self, extended: bool, out: &mut Vec<u8>) {
        self.write_part(0, extended, 0, out);
    }

    /// The part that IMAP calls by these numbers: `[]` is the message itself, `[2, 1]` is `2.1`.
    pub fn part(&self, path: &[u32]) -> Option<PartRange<'_>> {
        // Whose parts the next number counts: a message or a multipart.
        let mut scope = Some(0);
        let mut found = 0;
        for number in path {
            let counted = scope?;
            found = match self.parts.get(counted)?.kind {
                Kind::Multipart => {
                    let nth = usize::try_from(number.checked_sub(1)?).ok()?;
                    self.children(counted).nth(nth)?
                }
                _ if *number == 1 => counted,
                _ => return None,
            };
            scope = match self.parts.get(found)?.kind {
                Kind::Multipart => Some(found),
                Kind::Message => self.children(found).next(),
                _ => None,
            };
        }
        self.range(found)
    }

    /// All parts that are no multiparts and hold no messages, in the message's order, those of
    /// messages inside too: what SEARCH BODY looks into.
    pub fn leaves(&self) -> impl Iterator<Item = PartRange<'_>> {
        let is_leaf = |at: &usize| !matches!(self.parts[*at].kind, Kind::Multipart | Kind::Message);
        (0..self.parts.len()).filter(is_leaf).filter_map(|at| self.range(at))
    }

    /// The headers of all parts but the message's own, in the message's order: SEARCH TEXT looks
    /// into them.
    pub fn headers(&self) -> impl Iterator<Item = Range<u32>> {
        self.parts.iter().skip(1).map(|part| part.header.clone())
    }

    pub(super) fn range(&self, at: usize) -> Option<PartRange<'_>> {
        let part = self.parts.get(at)?;
        let inside = (part.kind == Kind::Message).then(|| self.children(at).next()).flatten();
        let inside = inside.and_then(|at| self.parts.get(at));
        Some(PartRange {
            kind: part.kind,
            encoding: part.encoding,
            charset: self.text(part.charset),
            is_attachment: part.is_attachment,
            header: part.header.clone(),
            body: part.body.clone(),
            message: inside.map(|inside| MessageRange {
                header: inside.header.clone(),
                body: inside.body.clone(),
            }),
        })
    }

    /// The parts right inside of one.
    pub(super) fn children(&self, parent: usize) -> impl Iterator<Item = usize> {
        let inside = self.parts.get(parent).map_or(0, |part| part.descendants as usize);
        let end = parent.saturating_add(1 + inside).min(self.parts.len());
        let mut next = parent + 1;
        std::iter::from_fn(move || {
            let child = (next < end).then_some(next)?;
            next = child.saturating_add(1 + self.parts[child].descendants as usize);
            Some(child)
        })
    }

    fn text(&self, span: Span) -> &[u8] {
        let start = span.at as usize;
        self.text.get(start..start.saturating_add(span.octets as usize)).unwrap_or_default()
    }

    fn write_part(&self, at: usize, extended: bool, depth: u32, out: &mut Vec<u8>) {
        let Some(part) = self.parts.get(at).filter(|_| depth < DEPTH_MAX) else {
            return write_no_part(extended, out);
        };
        out.push(b'(');
        if part.kind == Kind::Multipart {
            let before = out.len();
            for child in self.children(at) {
                self.write_part(child, extended, depth + 1, out);
            }
            if out.len() == before {
                write_no_part(extended, out);
            }
            out.push(b' ');
        }
        out.extend_from_slice(self.text(part.basic));
        if part.kind != Kind::Multipart {
            // Writing to a Vec cannot fail.
            let _ = write!(out, " {}", part.body.len());
        }
        if part.kind == Kind::Message {
            out.push(b' ');
            out.extend_from_slice(self.text(part.envelope));
            out.push(b' ');
            let inside = self.children(at).next().unwrap_or(usize::MAX);
            self.write_part(inside, extended, depth + 1, out);
        }
        if part.kind.is_text() || part.kind == Kind::Message {
            let _ = write!(out, " {}", part.lines);
        }
        if extended {
            out.extend_from_slice(self.text(part.extension));
        }
        out.push(b')');
    }
}

fn write_no_part(extended: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(NO_PART);
    out.extend_from_slice(if extended { &b" NIL NIL NIL NIL)"[..] } else { b")" });
}
