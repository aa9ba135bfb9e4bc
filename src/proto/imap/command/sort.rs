//! `SORT` and `THREAD` (RFC 5256).

use super::Search;
use crate::imap::syntax::{Cursor, Fault, Parsed};

/// What to find, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Keys and whether they run backwards, each key once; the first decides first, and the sequence
    /// number last.
    pub by: Vec<(SortKey, bool)>,
    /// What to find.
    pub search: Search,
}

/// What orders messages (RFC 5256 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// Internal date.
    Arrival,
    /// The first address in `Cc`, its local part.
    Cc,
    /// The date it was sent.
    Date,
    /// The first address in `From`.
    From,
    /// Octets.
    Size,
    /// The base subject.
    Subject,
    /// The first address in `To`.
    To,
}

impl Sort {
    pub(super) fn read(uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut by = Vec::new();
        cursor.list(|cursor| {
            let reverse = cursor.eat_word("REVERSE");
            if reverse {
                cursor.space()?;
            }
            let key = SortKey::read(cursor)?;
            // Where a key is the same it is the same again.
            if !by.iter().any(|(known, _)| *known == key) {
                by.push((key, reverse));
            }
            Ok(())
        })?;
        if by.is_empty() {
            return Err(Fault::Syntax("A list is empty"));
        }
        cursor.space()?;
        Ok(Self { by, search: Search::behind_charset(uid, cursor)? })
    }
}

impl SortKey {
    fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match cursor.word().as_bytes() {
            b"ARRIVAL" => Self::Arrival,
            b"CC" => Self::Cc,
            b"DATE" => Self::Date,
            b"FROM" => Self::From,
            b"SIZE" => Self::Size,
            b"SUBJECT" => Self::Subject,
            b"TO" => Self::To,
            _ => return Err(Fault::Syntax("Unknown sort key")),
        })
    }
}

/// What to find, and how to thread it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// How.
    pub algorithm: ThreadAlgorithm,
    /// What to find.
    pub search: Search,
}

/// How messages hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    /// By base subject and date.
    OrderedSubject,
    /// By `References` and `In-Reply-To`.
    References,
}

impl Thread {
    pub(super) fn read(uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let algorithm = match cursor.word().as_bytes() {
            b"ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
            b"REFERENCES" => ThreadAlgorithm::References,
            _ => return Err(Fault::Syntax("Unknown threading algorithm")),
        };
        cursor.space()?;
        Ok(Self { algorithm, search: Search::behind_charset(uid, cursor)? })
    }
}
