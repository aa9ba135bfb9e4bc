//! Parts of a message (RFC 9051 §6.4.5.1): `[1.2.HEADER.FIELDS (FROM TO)]<0.1024>`.

use crate::imap::{
    respond::{push_number, write_astring},
    syntax::{Cursor, Fault, Parsed},
};

/// Levels of a path to a part.
const PATH_MAX: usize = 64;

/// What of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The part, by numbers from the outside in; empty: the message itself.
    pub path: Box<[u32]>,
    /// What of the part.
    pub text: SectionText,
}

/// What of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// All: of the message itself with its header, of a part its body only.
    Whole,
    /// The header, of the message or of one that is a part, and the empty line behind it.
    Header,
    /// Likewise, but only these fields, or all but these. Names are as they were spelled.
    Fields {
        /// All but these.
        not: bool,
        /// The names.
        names: Box<[Box<str>]>,
    },
    /// The body, of the message or of one that is a part.
    Text,
    /// The MIME header of a part.
    Mime,
}

/// A range of octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partial {
    /// The first one, counted from 0.
    pub offset: u64,
    /// How many at most, not 0.
    pub octets_max: u64,
}

impl Partial {
    /// The part of `octets` octets that is meant, from where to where; empty when it begins beyond.
    #[must_use]
    pub fn within(&self, octets: u64) -> std::ops::Range<u64> {
        let from = self.offset.min(octets);
        from..from.saturating_add(self.octets_max).min(octets)
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        if !cursor.eat(b'<') {
            return Ok(None);
        }
        let offset = cursor.number64()?;
        cursor.expect(b'.', "Malformed partial range")?;
        let octets_max = cursor.number64()?;
        cursor.expect(b'>', "Malformed partial range")?;
        if octets_max == 0 {
            return Err(Fault::Syntax("A partial range is empty"));
        }
        Ok(Some(Self { offset, octets_max }))
    }
}

impl Section {
    /// The whole message, its header or its body.
    pub(super) fn of_message(text: SectionText) -> Self {
        Self { path: Box::default(), text }
    }

    /// `[` … `]`
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.expect(b'[', "A section is missing")?;
        let (path, more) = path(cursor)?;
        let text = if more { Self::text(cursor, !path.is_empty())? } else { SectionText::Whole };
        cursor.expect(b']', "A section does not end")?;
        Ok(Self { path, text })
    }

    fn text(cursor: &mut Cursor<'_>, of_part: bool) -> Parsed<SectionText> {
        Ok(match cursor.word().as_bytes() {
            b"HEADER" => SectionText::Header,
            b"TEXT" => SectionText::Text,
            b"MIME" if of_part => SectionText::Mime,
            b"HEADER.FIELDS" => SectionText::Fields { not: false, names: names(cursor)? },
            b"HEADER.FIELDS.NOT" => SectionText::Fields { not: true, names: names(cursor)? },
            _ => return Err(Fault::Syntax("Unknown section")),
        })
    }

    /// Appends the section as it is named in a response, without brackets.
    pub(in crate::imap) fn write(&self, out: &mut Vec<u8>) {
        write_path(&self.path, out);
        let text: &[u8] = match &self.text {
            SectionText::Whole => return,
            SectionText::Header => b"HEADER",
            SectionText::Fields { not: false, .. } => b"HEADER.FIELDS",
            SectionText::Fields { not: true, .. } => b"HEADER.FIELDS.NOT",
            SectionText::Text => b"TEXT",
            SectionText::Mime => b"MIME",
        };
        if !self.path.is_empty() {
            out.push(b'.');
        }
        out.extend_from_slice(text);
        if let SectionText::Fields { names, .. } = &self.text {
            out.extend_from_slice(b" (");
            for (at, name) in names.iter().enumerate() {
                if at > 0 {
                    out.push(b' ');
                }
                write_astring(name.as_bytes(), out);
            }
            out.push(b')');
        }
    }
}

/// `[1.2]`, as `BINARY` has it.
pub(super) fn read_part(cursor: &mut Cursor<'_>) -> Parsed<Box<[u32]>> {
    cursor.expect(b'[', "A section is missing")?;
    let mut numbers = Box::default();
    if cursor.peek() != Some(b']') {
        let (read, more) = path(cursor)?;
        if more {
            return Err(Fault::Syntax("A part number is missing"));
        }
        numbers = read;
    }
    cursor.expect(b']', "A section does not end")?;
    Ok(numbers)
}

/// Appends `1.2`.
pub(in crate::imap) fn write_path(path: &[u32], out: &mut Vec<u8>) {
    for (at, number) in path.iter().enumerate() {
        if at > 0 {
            out.push(b'.');
        }
        push_number(u64::from(*number), out);
    }
}

/// Numbers, and whether something follows them that is no number.
fn path(cursor: &mut Cursor<'_>) -> Parsed<(Box<[u32]>, bool)> {
    let mut path = Vec::new();
    while cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        if path.len() >= PATH_MAX {
            return Err(Fault::Limit("Nested too deeply"));
        }
        path.push(cursor.nz_number()?);
        if !cursor.eat(b'.') {
            return Ok((path.into(), false));
        }
    }
    let more = !path.is_empty() || cursor.peek() != Some(b']');
    Ok((path.into(), more))
}

fn names(cursor: &mut Cursor<'_>) -> Parsed<Box<[Box<str>]>> {
    let mut names = Vec::new();
    cursor.space()?;
    cursor.list(|cursor| {
        names.push(cursor.text()?);
        Ok(())
    })?;
    if names.is_empty() {
        return Err(Fault::Syntax("A list is empty"));
    }
    Ok(names.into())
}
