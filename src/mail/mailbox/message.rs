//! A message as a folder has it, its names (RFC 8474), and its flags.
//!
//! What must stay true: an entry is immutable but for flags and modseq; the message behind it never
//! changes at all. A keyword is a bit that means something in its folder only.

use std::fmt;

use proto::types::Timestamp;
use serde::{Deserialize, Serialize};

use super::MailboxError;

/// Keywords of one folder at most: bits that system flags leave.
pub const KEYWORDS_MAX: usize = 58;
/// Octets of a keyword at most.
pub const KEYWORD_OCTETS_MAX: usize = 64;
const KEYWORD_BIT_FIRST: u32 = 6;

/// Flags and keywords of a message, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags(pub u64);

impl Flags {
    /// `\Seen`
    pub const SEEN: Self = Self(1);
    /// `\Answered`
    pub const ANSWERED: Self = Self(1 << 1);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(1 << 2);
    /// `\Deleted`
    pub const DELETED: Self = Self(1 << 3);
    /// `\Draft`
    pub const DRAFT: Self = Self(1 << 4);
    /// All of the above.
    pub const SYSTEM: Self = Self(0b1_1111);

    /// Whether all of `flags` are set.
    #[must_use]
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These and those.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }

    /// The bit of the keyword at `index` in its folder's list.
    #[must_use]
    pub const fn keyword(index: usize) -> Self {
        Self(if index < KEYWORDS_MAX { 1 << (KEYWORD_BIT_FIRST as usize + index) } else { 0 })
    }

    /// Indexes of its keywords in its folder's list.
    pub fn keywords(self) -> impl Iterator<Item = usize> {
        (0..KEYWORDS_MAX).filter(move |index| self.contains(Self::keyword(*index)))
    }
}

/// Flags and keywords as clients name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// System flags.
    pub flags: Flags,
    /// Keywords; case does not matter.
    pub keywords: Vec<Box<str>>,
}

impl From<Flags> for Marks {
    fn from(flags: Flags) -> Self {
        Self { flags, keywords: Vec::new() }
    }
}

impl Marks {
    /// As bits in a folder whose keywords are `known`, which learns those that are new.
    ///
    /// # Errors
    /// [`MailboxError::TooMany`]; `known` is as it was.
    pub(super) fn learn(&self, known: &mut Vec<Box<str>>) -> Result<Flags, MailboxError> {
        let before = known.len();
        let mut flags = Flags(self.flags.0 & Flags::SYSTEM.0);
        for keyword in &self.keywords {
            let index = find(known, keyword).unwrap_or_else(|| {
                known.push(keyword.clone());
                known.len() - 1
            });
            if index >= KEYWORDS_MAX || keyword.len() > KEYWORD_OCTETS_MAX || keyword.is_empty() {
                known.truncate(before);
                return Err(MailboxError::TooMany("keywords"));
            }
            flags = flags.with(Flags::keyword(index));
        }
        Ok(flags)
    }

    /// Likewise, but keywords that find no room are left out.
    pub(super) fn learn_some(&self, known: &mut Vec<Box<str>>) -> Flags {
        self.learn(known).unwrap_or_else(|_| {
            let mut flags = Flags(self.flags.0 & Flags::SYSTEM.0);
            for keyword in &self.keywords {
                let one = Self { flags: Flags(0), keywords: vec![keyword.clone()] };
                flags = flags.with(one.learn(known).unwrap_or_default());
            }
            flags
        })
    }

    /// As bits in a folder, without keywords that it does not know.
    pub(super) fn known(&self, known: &[Box<str>]) -> Flags {
        let bits = self.keywords.iter().filter_map(|keyword| find(known, keyword));
        bits.fold(Flags(self.flags.0 & Flags::SYSTEM.0), |all, index| {
            all.with(Flags::keyword(index))
        })
    }
}

fn find(known: &[Box<str>], keyword: &str) -> Option<usize> {
    known.iter().position(|one| one.eq_ignore_ascii_case(keyword))
}

/// How flags of one folder are in another. Each keyword is looked up once, however many messages have it.
pub(super) struct Translation<'k> {
    from: &'k [Box<str>],
    to: &'k mut Vec<Box<str>>,
    known: [Option<Flags>; KEYWORDS_MAX],
}

impl<'k> Translation<'k> {
    /// From a folder with the keywords `from` to one with `to`, which learns those that are new.
    pub fn new(from: &'k [Box<str>], to: &'k mut Vec<Box<str>>) -> Self {
        Self { from, to, known: [None; KEYWORDS_MAX] }
    }

    /// Keywords that find no room are left out.
    pub fn translate(&mut self, flags: Flags) -> Flags {
        let system = Flags(flags.0 & Flags::SYSTEM.0);
        flags.keywords().fold(system, |all, index| all.with(self.keyword(index)))
    }

    fn keyword(&mut self, index: usize) -> Flags {
        if let Some(known) = self.known[index] {
            return known;
        }
        let marks = |keyword: &str| Marks { keywords: vec![keyword.into()], ..Marks::default() };
        let found = self
            .from
            .get(index)
            .map(|keyword| marks(keyword))
            .map(|marks| marks.learn_some(self.to));
        *self.known[index].insert(found.unwrap_or_default())
    }
}

/// EMAILID: the octets of a message, wherever it was copied or delivered to. Unique in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EmailId(pub u64);

/// THREADID: messages that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ThreadId(pub u64);

impl fmt::Display for EmailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:x}", self.0)
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{:x}", self.0)
    }
}

/// One message in one folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its UID.
    pub uid: u32,
    /// Octets.
    pub size: u32,
    /// Which message.
    pub id: EmailId,
    /// Which thread.
    pub thread: ThreadId,
    /// Of the last change to its flags.
    pub modseq: u64,
    /// Flags and keywords.
    pub flags: Flags,
    /// INTERNALDATE.
    pub internal: Timestamp,
    /// SAVEDATE (RFC 8514): when it came into this folder.
    pub saved: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(keywords: &[&str]) -> Marks {
        let keywords = keywords.iter().map(|keyword| (*keyword).into()).collect();
        Marks { flags: Flags::SEEN, keywords }
    }

    #[test]
    fn keywords_are_bits_of_their_folder() {
        let mut here = Vec::new();
        let flags = marks(&["$Work", "Later"]).learn(&mut here).unwrap();
        assert_eq!(flags.keywords().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(marks(&["later"]).learn(&mut here).unwrap().keywords().next(), Some(1));
        assert_eq!(marks(&["unknown"]).known(&here), Flags::SEEN);
        let mut there: Vec<Box<str>> = vec!["x".into(), "LATER".into()];
        let moved = Translation::new(&here, &mut there).translate(flags);
        assert_eq!(there.len(), 3);
        assert_eq!(moved.keywords().collect::<Vec<_>>(), [1, 2]);
        assert!(moved.contains(Flags::SEEN));
    }

    #[test]
    fn a_folder_has_room_for_so_many() {
        let mut known = Vec::new();
        for number in 0..KEYWORDS_MAX {
            marks(&[&format!("k{number}")]).learn(&mut known).unwrap();
        }
        let full = known.clone();
        let refused = marks(&["k3", "one more"]).learn(&mut known);
        assert_eq!(refused, Err(MailboxError::TooMany("keywords")));
        assert_eq!(known, full);
        let from = ["y".into()];
        assert_eq!(Translation::new(&from, &mut known).translate(Flags::keyword(0)), Flags(0));
        let some = marks(&["one more", "k3"]).learn_some(&mut known);
        assert_eq!((some, &known), (Flags::SEEN.with(Flags::keyword(3)), &full));
        assert!(marks(&[&"x".repeat(65)]).learn(&mut Vec::new()).is_err());
    }
}
