//! `LIST` (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154) and `LSUB` (RFC 3501 §6.3.9).

use super::{StatusItems, status};
use crate::imap::syntax::{Cursor, Fault, MailboxName, Parsed, Pattern};

/// Patterns of one command.
const PATTERNS_MAX: usize = 16;

/// Which mailboxes to list, and what to tell of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// It is `LSUB`: subscribed names only, `\Noselect` for what only has some below it.
    pub lsub: bool,
    /// What the patterns were joined to.
    pub reference: Box<str>,
    /// Names that match one of these.
    pub patterns: Vec<Pattern>,
    /// Only those that are subscribed, be they there or not (`SUBSCRIBED`).
    pub select_subscribed: bool,
    /// Only those with a special use (`SPECIAL-USE`).
    pub select_special_use: bool,
    /// Also those below which something is selected, as `CHILDINFO` (`RECURSIVEMATCH`).
    pub recursive_match: bool,
    /// Tell `\Subscribed`.
    pub return_subscribed: bool,
    /// Tell `\HasChildren` and `\HasNoChildren`, which may be told anyway (RFC 3348).
    pub return_children: bool,
    /// Tell the special use, which may be told anyway (RFC 6154 §2).
    pub return_special_use: bool,
    /// Send `STATUS` of each that can be selected.
    pub return_status: Option<StatusItems>,
}

impl List {
    /// Whether it asks what the hierarchy delimiter is, and for no mailbox (RFC 9051 §6.3.9).
    #[must_use]
    pub fn asks_delimiter(&self) -> bool {
        matches!(&*self.patterns, [only] if only.as_str().is_empty())
    }

    /// Whether `name` matches one of the patterns.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    pub(super) fn read_lsub(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let reference = reference(cursor)?;
        let patterns = vec![Pattern::read(cursor, &reference)?];
        Ok(Self { lsub: true, reference, patterns, ..Self::default() })
    }

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut list = Self::default();
        if cursor.peek() == Some(b'(') {
            cursor.list(|cursor| list.selection(cursor))?;
            cursor.space()?;
        }
        // RFC 5258 §3.1: it says nothing alone.
        if list.recursive_match && !list.select_subscribed && !list.select_special_use {
            return Err(Fault::Syntax("RECURSIVEMATCH needs another selection option"));
        }
        list.reference = reference(cursor)?;
        if cursor.peek() == Some(b'(') {
            cursor.list(|cursor| {
                if list.patterns.len() >= PATTERNS_MAX {
                    return Err(Fault::Limit("Too many patterns"));
                }
                list.patterns.push(Pattern::read(cursor, &list.reference)?);
                Ok(())
            })?;
        } else {
            list.patterns.push(Pattern::read(cursor, &list.reference)?);
        }
        if cursor.eat(b' ') {
            if !cursor.eat_word("RETURN") {
                return Err(Fault::Syntax("Unexpected arguments"));
            }
            cursor.space()?;
            cursor.list(|cursor| list.returning(cursor))?;
        }
        Ok(list)
    }

    fn selection(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        match cursor.word().as_bytes() {
            b"SUBSCRIBED" => self.select_subscribed = true,
            b"SPECIAL-USE" => self.select_special_use = true,
            b"RECURSIVEMATCH" => self.recursive_match = true,
            // There are no remote mailboxes.
            b"REMOTE" => {}
            _ => return Err(Fault::Syntax("Unknown LIST selection option")),
        }
        Ok(())
    }

    fn returning(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        match cursor.word().as_bytes() {
            b"SUBSCRIBED" => self.return_subscribed = true,
            b"CHILDREN" => self.return_children = true,
            b"SPECIAL-USE" => self.return_special_use = true,
            b"STATUS" => {
                cursor.space()?;
                self.return_status = Some(status::items(cursor)?);
            }
            _ => return Err(Fault::Syntax("Unknown LIST return option")),
        }
        Ok(())
    }
}

fn reference(cursor: &mut Cursor<'_>) -> Parsed<Box<str>> {
    let name = MailboxName::read(cursor)?;
    cursor.space()?;
    Ok(name.as_str().into())
}

/// What a mailbox is for (RFC 6154 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// Each.
    pub const EACH: [Self; 7] = [
        Self::All,
        Self::Archive,
        Self::Drafts,
        Self::Flagged,
        Self::Junk,
        Self::Sent,
        Self::Trash,
    ];

    /// Its attribute, with the backslash.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// `None`: an attribute that is no use, or none we know.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        cursor.expect(b'\\', "A special-use attribute is missing")?;
        let name = cursor.atom()?;
        Ok(Self::EACH.into_iter().find(|one| one.attribute()[1..].eq_ignore_ascii_case(name)))
    }
}
