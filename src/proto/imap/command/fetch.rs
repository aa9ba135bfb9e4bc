//! `FETCH` (RFC 9051 §6.4.5), with BINARY (RFC 3516), CONDSTORE and QRESYNC (RFC 7162), OBJECTID (RFC
//! 8474), SAVEDATE (RFC 8514) and PREVIEW (RFC 8970).

use super::{
    Partial, Section, SectionText,
    section::{read_part, write_path},
};
use crate::imap::{
    respond::push_number,
    syntax::{Cursor, Fault, Messages, Parsed, Word},
};

/// Parts that are decoded for one command: each is decoded on its own.
const BINARIES_MAX: usize = 16;

/// What is told of a message without its body, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(u16);

impl Attributes {
    /// None.
    pub const NONE: Self = Self(0);
    /// `UID`, which answers to `UID FETCH` always have.
    pub const UID: Self = Self(1);
    /// `FLAGS`
    pub const FLAGS: Self = Self(1 << 1);
    /// `INTERNALDATE`
    pub const INTERNAL_DATE: Self = Self(1 << 2);
    /// `RFC822.SIZE`
    pub const SIZE: Self = Self(1 << 3);
    /// `ENVELOPE`
    pub const ENVELOPE: Self = Self(1 << 4);
    /// `BODY` without a section: the structure without extension data.
    pub const BODY: Self = Self(1 << 5);
    /// `BODYSTRUCTURE`
    pub const BODY_STRUCTURE: Self = Self(1 << 6);
    /// `MODSEQ`
    pub const MODSEQ: Self = Self(1 << 7);
    /// `EMAILID`
    pub const EMAIL_ID: Self = Self(1 << 8);
    /// `THREADID`
    pub const THREAD_ID: Self = Self(1 << 9);
    /// `SAVEDATE`
    pub const SAVE_DATE: Self = Self(1 << 10);
    /// `PREVIEW`
    pub const PREVIEW: Self = Self(1 << 11);
    /// `PREVIEW (LAZY)`: `NIL` will do when it would have to be made.
    pub const PREVIEW_LAZY: Self = Self(1 << 12);

    const FAST: Self = Self(Self::FLAGS.0 | Self::INTERNAL_DATE.0 | Self::SIZE.0);
    const ALL: Self = Self(Self::FAST.0 | Self::ENVELOPE.0);
    const FULL: Self = Self(Self::ALL.0 | Self::BODY.0);

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of `others` are among these.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Octets of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// Which.
    pub section: Section,
    /// Of these only some.
    pub partial: Option<Partial>,
    /// The message does not become `\Seen` by it.
    pub peek: bool,
    /// It was asked for as `RFC822`, `RFC822.HEADER` or `RFC822.TEXT`, and is answered so.
    pub rfc822: bool,
}

impl Body {
    /// Appends what it is called in the answer: `BODY[1.MIME]<0>`, `RFC822.TEXT`.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        if self.rfc822 {
            out.extend_from_slice(match self.section.text {
                SectionText::Header => b"RFC822.HEADER",
                SectionText::Text => b"RFC822.TEXT",
                _ => b"RFC822",
            });
            return;
        }
        out.extend_from_slice(b"BODY[");
        self.section.write(out);
        out.push(b']');
        write_origin(self.partial, out);
    }
}

/// A part without its transfer encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Which part; empty: the message.
    pub path: Box<[u32]>,
    /// Of its decoded octets only some.
    pub partial: Option<Partial>,
    /// The message does not become `\Seen` by it.
    pub peek: bool,
    /// Only how many octets it has (`BINARY.SIZE`).
    pub size_only: bool,
}

impl Binary {
    /// Appends what it is called in the answer: `BINARY[1]<0>`, `BINARY.SIZE[1]`.
    pub fn write_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.size_only { b"BINARY.SIZE[" } else { b"BINARY[" });
        write_path(&self.path, out);
        out.push(b']');
        write_origin(self.partial, out);
    }
}

fn write_origin(partial: Option<Partial>, out: &mut Vec<u8>) {
    if let Some(partial) = partial {
        out.push(b'<');
        push_number(partial.offset, out);
        out.push(b'>');
    }
}

/// What to tell of which messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The numbers are UIDs, and UIDs are told.
    pub uid: bool,
    /// Which messages.
    pub messages: Messages,
    /// What of them, without their bodies.
    pub attributes: Attributes,
    /// What of their bodies.
    pub bodies: Vec<Body>,
    /// What of their bodies, decoded: each once, and 16 at most.
    pub binaries: Vec<Binary>,
    /// Only those that have changed since this mod-sequence.
    pub changed_since: Option<u64>,
    /// Tell too which of them were expunged since (`VANISHED (EARLIER)`).
    pub vanished: bool,
}

impl Fetch {
    /// Whether the messages become `\Seen` by it.
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        self.bodies.iter().any(|body| !body.peek) || self.binaries.iter().any(|one| !one.peek)
    }

    pub(super) fn read(uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut fetch = Self {
            uid,
            messages: Messages::read(cursor)?,
            attributes: Attributes::NONE,
            bodies: Vec::new(),
            binaries: Vec::new(),
            changed_since: None,
            vanished: false,
        };
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            cursor.list(|cursor| {
                let name = cursor.word();
                fetch.item(name, cursor)
            })?;
        } else {
            let name = cursor.word();
            match name.as_bytes() {
                b"ALL" => fetch.add(Attributes::ALL),
                b"FAST" => fetch.add(Attributes::FAST),
                b"FULL" => fetch.add(Attributes::FULL),
                _ => fetch.item(name, cursor)?,
            }
        }
        if uid {
            fetch.add(Attributes::UID);
        }
        if cursor.eat(b' ') && !cursor.is_at_end() {
            cursor.list(|cursor| fetch.modifier(cursor))?;
        }
        if fetch.vanished && (!uid || fetch.changed_since.is_none()) {
            return Err(Fault::Syntax("VANISHED needs UID FETCH and CHANGEDSINCE"));
        }
        // RFC 7162 §3.1.4.1: what has changed is told with its mod-sequence.
        if fetch.changed_since.is_some() {
            fetch.add(Attributes::MODSEQ);
        }
        Ok(fetch)
    }

    const fn add(&mut self, attributes: Attributes) {
        self.attributes = self.attributes.with(attributes);
    }

    fn item(&mut self, name: Word, cursor: &mut Cursor<'_>) -> Parsed<()> {
        match name.as_bytes() {
            b"UID" => self.add(Attributes::UID),
            b"FLAGS" => self.add(Attributes::FLAGS),
            b"INTERNALDATE" => self.add(Attributes::INTERNAL_DATE),
            b"RFC822.SIZE" => self.add(Attributes::SIZE),
            b"ENVELOPE" => self.add(Attributes::ENVELOPE),
            b"BODYSTRUCTURE" => self.add(Attributes::BODY_STRUCTURE),
            b"MODSEQ" => self.add(Attributes::MODSEQ),
            b"EMAILID" => self.add(Attributes::EMAIL_ID),
            b"THREADID" => self.add(Attributes::THREAD_ID),
            b"SAVEDATE" => self.add(Attributes::SAVE_DATE),
            b"PREVIEW" => return self.preview(cursor),
            b"BODY" if cursor.peek() != Some(b'[') => self.add(Attributes::BODY),
            b"BODY" => return self.body(false, cursor),
            b"BODY.PEEK" => return self.body(true, cursor),
            b"BINARY" => return self.binary(false, cursor),
            b"BINARY.PEEK" => return self.binary(true, cursor),
            b"BINARY.SIZE" => {
                let path = read_part(cursor)?;
                let size = Binary { path, partial: None, peek: true, size_only: true };
                return self.add_binary(size);
            }
            b"RFC822" => self.rfc822(SectionText::Whole, false),
            b"RFC822.HEADER" => self.rfc822(SectionText::Header, true),
            b"RFC822.TEXT" => self.rfc822(SectionText::Text, false),
            _ => return Err(Fault::Syntax("Unknown FETCH item")),
        }
        Ok(())
    }

    fn rfc822(&mut self, text: SectionText, peek: bool) {
        let section = Section::of_message(text);
        self.bodies.push(Body { section, partial: None, peek, rfc822: true });
    }

    fn body(&mut self, peek: bool, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let section = Section::read(cursor)?;
        let partial = Partial::read(cursor)?;
        self.bodies.push(Body { section, partial, peek, rfc822: false });
        Ok(())
    }

    fn binary(&mut self, peek: bool, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let path = read_part(cursor)?;
        let partial = Partial::read(cursor)?;
        self.add_binary(Binary { path, partial, peek, size_only: false })
    }

    fn add_binary(&mut self, binary: Binary) -> Parsed<()> {
        if self.binaries.contains(&binary) {
            return Ok(());
        }
        if self.binaries.len() >= BINARIES_MAX {
            return Err(Fault::Limit("Too many parts to decode"));
        }
        self.binaries.push(binary);
        Ok(())
    }

    /// `PREVIEW`, or `PREVIEW (LAZY)`. What follows a lone `PREVIEW` may be modifiers of `FETCH`.
    fn preview(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        self.add(Attributes::PREVIEW);
        let mut ahead = cursor.clone();
        if ahead.eat(b' ') && ahead.eat(b'(') && ahead.eat_word("LAZY") {
            ahead.expect(b')', "A list does not end")?;
            *cursor = ahead;
            self.add(Attributes::PREVIEW_LAZY);
        }
        Ok(())
    }

    fn modifier(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        match cursor.word().as_bytes() {
            b"CHANGEDSINCE" => {
                cursor.space()?;
                self.changed_since = Some(cursor.number64()?);
            }
            b"VANISHED" => self.vanished = true,
            _ => return Err(Fault::Syntax("Unknown FETCH modifier")),
        }
        Ok(())
    }
}
