//! Names of folders: what they may be, and the folders that every account has.
//!
//! What must stay true: a name in the store is Net-Unicode (RFC 9051 §5.1: NFC, no controls), its parts
//! are divided by `/` and none is empty; INBOX is written in capitals, alone and as a parent.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::{Deserialize, Serialize};

use super::MailboxError;

/// Divides the parts of a name.
pub const SEPARATOR: char = '/';
/// The folder that is always there.
pub const INBOX: &str = "INBOX";
/// Octets of a name at most.
const NAME_OCTETS_MAX: usize = 1000;
/// Parts of a name at most.
const DEPTH_MAX: usize = 32;

/// What a folder is for (RFC 6154).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SpecialUse {
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// As LIST names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// What CREATE names; `None` for uses that no folder of ours has.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Archive, Self::Drafts, Self::Junk, Self::Sent, Self::Trash];
        all.into_iter().find(|one| one.as_str().eq_ignore_ascii_case(name))
    }
}

/// What is made with an account.
pub(super) const DEFAULT_FOLDERS: [(&str, Option<SpecialUse>); 6] = [
    (INBOX, None),
    ("Drafts", Some(SpecialUse::Drafts)),
    ("Sent", Some(SpecialUse::Sent)),
    ("Junk", Some(SpecialUse::Junk)),
    ("Trash", Some(SpecialUse::Trash)),
    ("Archive", Some(SpecialUse::Archive)),
];

/// A name as it is kept.
///
/// # Errors
/// [`MailboxError::BadName`].
pub fn folder_name(name: &str) -> Result<Cow<'_, str>, MailboxError> {
    // Clients say so that they will make folders beneath it (RFC 9051 §6.3.4).
    let name = name.strip_suffix(SEPARATOR).unwrap_or(name);
    let name = if name.is_ascii() {
        Cow::Borrowed(name)
    } else {
        ComposingNormalizerBorrowed::new_nfc().normalize(name)
    };
    if name.len() > NAME_OCTETS_MAX {
        return Err(MailboxError::BadName("it is too long"));
    }
    if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(MailboxError::BadName("it has control characters"));
    }
    if name.contains(['*', '%']) {
        return Err(MailboxError::BadName("it has wildcards"));
    }
    if name.split(SEPARATOR).any(str::is_empty) {
        return Err(MailboxError::BadName("a part of it is empty"));
    }
    if name.split(SEPARATOR).count() > DEPTH_MAX {
        return Err(MailboxError::BadName("it has too many parts"));
    }
    Ok(inbox_in_capitals(name))
}

fn inbox_in_capitals(name: Cow<'_, str>) -> Cow<'_, str> {
    let first = name.split(SEPARATOR).next().unwrap_or_default();
    if first == INBOX || !first.eq_ignore_ascii_case(INBOX) {
        return name;
    }
    Cow::Owned(format!("{INBOX}{}", &name[INBOX.len()..]))
}

/// The names above a name, from the top.
pub(super) fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR).map(move |(at, _)| &name[..at])
}

/// Whether `name` is beneath `parent`; if so, what follows the parent's name, with the separator.
pub(super) fn beneath<'a>(name: &'a str, parent: &str) -> Option<&'a str> {
    name.strip_prefix(parent).filter(|rest| rest.starts_with(SEPARATOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_in_one_form() {
        for (name, kept) in [
            ("inbox", "INBOX"),
            ("Inbox/Lists", "INBOX/Lists"),
            ("Inboxes", "Inboxes"),
            ("a/b/", "a/b"),
            ("Entwu\u{308}rfe", "Entw\u{fc}rfe"),
            ("with space & \"quotes\"", "with space & \"quotes\""),
        ] {
            assert_eq!(folder_name(name).as_deref(), Ok(kept));
        }
        let long = "x".repeat(1001);
        let deep = ["x"; 33].join("/");
        for name in ["", "/", "/a", "a//b", "a\nb", "a*", "%", "a\u{2028}", &long, &deep] {
            assert!(matches!(folder_name(name), Err(MailboxError::BadName(_))), "{name:?}");
        }
    }

    #[test]
    fn a_name_has_parents() {
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(beneath("a/b/c", "a"), Some("/b/c"));
        assert_eq!(beneath("ab", "a"), None);
        assert_eq!(beneath("a", "a"), None);
        assert_eq!(SpecialUse::parse("\\sent"), Some(SpecialUse::Sent));
        assert_eq!(SpecialUse::parse("\\All"), None);
    }
}
