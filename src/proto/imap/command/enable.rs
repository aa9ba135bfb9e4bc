//! `ENABLE` (RFC 5161), and what a client has enabled.

use crate::imap::syntax::{Cursor, Parsed};

/// What a client has said that it understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enabled(u8);

impl Enabled {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `CONDSTORE` (RFC 7162): `FETCH` answers carry `MODSEQ`.
    pub const CONDSTORE: Self = Self(1);
    /// `QRESYNC` (RFC 7162), and with it CONDSTORE: `VANISHED` stands for `EXPUNGE`.
    pub const QRESYNC: Self = Self(2 | 1);
    /// `IMAP4rev2` (RFC 9051): names are UTF-8, `ESEARCH` stands for `SEARCH`.
    pub const IMAP4REV2: Self = Self(4);
    /// `UTF8=ACCEPT` (RFC 6855): strings are UTF-8.
    pub const UTF8: Self = Self(8);

    const NAMES: [(&str, Self); 4] = [
        ("CONDSTORE", Self::CONDSTORE),
        ("QRESYNC", Self::QRESYNC),
        ("IMAP4rev2", Self::IMAP4REV2),
        ("UTF8=ACCEPT", Self::UTF8),
    ];

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

    /// Whether names and quoted strings are UTF-8, both ways.
    #[must_use]
    pub const fn is_utf8(self) -> bool {
        self.0 & (Self::IMAP4REV2.0 | Self::UTF8.0) != 0
    }

    /// Their names (RFC 5161 §3.2), as `ENABLED` tells them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(_, one)| self.contains(*one)).map(|(name, _)| *name)
    }

    /// Names that mean nothing here are passed over (RFC 5161 §3.1).
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut enabled = Self::NONE;
        cursor.space()?;
        loop {
            cursor.count()?;
            let name = cursor.atom()?;
            let known = Self::NAMES.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
            enabled = known.map_or(enabled, |(_, one)| enabled.with(*one));
            if !cursor.eat(b' ') {
                return Ok(enabled);
            }
        }
    }
}
