//! `SEARCH` (RFC 9051 §6.4.4), with ESEARCH (RFC 4731), SEARCHRES (RFC 5182), WITHIN (RFC 5032),
//! CONDSTORE (RFC 7162 §3.1.5), OBJECTID (RFC 8474 §6) and SAVEDATE (RFC 8514).

use crate::imap::syntax::{Cursor, Date, Fault, Messages, Parsed, SystemFlags, read_date};

/// What to find, and how to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// UIDs are told, not sequence numbers.
    pub uid: bool,
    /// What to tell with `ESEARCH`; `None`: nothing was said, so all, with `SEARCH` (and with
    /// `ESEARCH` under IMAP4rev2).
    pub returns: Option<Returns>,
    /// What to find. Texts are UTF-8.
    pub key: SearchKey,
}

/// What `ESEARCH` tells, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns(u8);

impl Returns {
    /// The smallest number.
    pub const MIN: Self = Self(1);
    /// The greatest number.
    pub const MAX: Self = Self(2);
    /// All numbers.
    pub const ALL: Self = Self(4);
    /// How many.
    pub const COUNT: Self = Self(8);
    /// They are kept as `$` (RFC 5182); alone, nothing is told.
    pub const SAVE: Self = Self(16);

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

    fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut returns = Self::default();
        cursor.list(|cursor| {
            returns = returns.with(match cursor.word().as_bytes() {
                b"MIN" => Self::MIN,
                b"MAX" => Self::MAX,
                b"ALL" => Self::ALL,
                b"COUNT" => Self::COUNT,
                b"SAVE" => Self::SAVE,
                _ => return Err(Fault::Syntax("Unknown SEARCH return option")),
            });
            Ok(())
        })?;
        Ok(if returns == Self::default() { Self::ALL } else { returns })
    }
}

/// Which messages to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    /// Every one.
    All,
    /// Those for which all of these hold.
    And(Vec<SearchKey>),
    /// Those for which one of the two holds, or both.
    Or(Box<(SearchKey, SearchKey)>),
    /// Those for which it does not hold.
    Not(Box<SearchKey>),
    /// By sequence number.
    Numbers(Messages),
    /// By UID.
    Uids(Messages),
    /// With all of these flags.
    Flags(SystemFlags),
    /// Without any of these flags.
    Unflagged(SystemFlags),
    /// With this keyword, in any case.
    Keyword(Box<str>),
    /// Without it.
    Unkeyword(Box<str>),
    /// `\Recent` (RFC 3501).
    Recent,
    /// Received before this day.
    Before(Date),
    /// Received on this day.
    On(Date),
    /// Received on this day or later.
    Since(Date),
    /// With a `Date:` before this day; the zone is passed over.
    SentBefore(Date),
    /// With a `Date:` on this day.
    SentOn(Date),
    /// With a `Date:` on this day or later.
    SentSince(Date),
    /// Put into this mailbox before this day.
    SavedBefore(Date),
    /// Put into this mailbox on this day.
    SavedOn(Date),
    /// Put into this mailbox on this day or later.
    SavedSince(Date),
    /// All, if the mailbox keeps such dates.
    SaveDateSupported,
    /// Received longer ago than this many seconds, or just then.
    Older(u32),
    /// Received within this many seconds.
    Younger(u32),
    /// With a field of this name that holds this text; with an empty text, with such a field.
    Header {
        /// The field's name, in any case.
        name: Box<str>,
        /// What its value holds, in any case.
        value: Box<str>,
    },
    /// With this text in the body.
    Body(Box<str>),
    /// With this text in header or body.
    Text(Box<str>),
    /// Larger than this many octets.
    Larger(u64),
    /// Smaller than this many octets.
    Smaller(u64),
    /// Changed at this mod-sequence or later.
    ModSeq(SearchModSeq),
    /// With this identity.
    EmailId(Box<str>),
    /// Of this thread.
    ThreadId(Box<str>),
}

/// A mod-sequence to search for. Ours are one for the whole message, so entry names tell nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchModSeq(pub u64);

impl Search {
    pub(super) fn read(uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut returns = None;
        if cursor.eat_word("RETURN") {
            cursor.space()?;
            returns = Some(Returns::read(cursor)?);
            cursor.space()?;
        }
        if cursor.eat_word("CHARSET") {
            cursor.space()?;
            charset(cursor)?;
            cursor.space()?;
        }
        Ok(Self { uid, returns, key: SearchKey::program(cursor)? })
    }

    /// As `SORT` and `THREAD` have it: a charset always, and keys.
    pub(super) fn behind_charset(uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        charset(cursor)?;
        cursor.space()?;
        Ok(Self { uid, returns: None, key: SearchKey::program(cursor)? })
    }
}

fn charset(cursor: &mut Cursor<'_>) -> Parsed<()> {
    let name = cursor.astring()?;
    let known = ["UTF-8", "US-ASCII"].iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes()));
    if known { Ok(()) } else { Err(Fault::Charset) }
}

impl SearchKey {
    /// Whether a mod-sequence is asked for anywhere in it.
    #[must_use]
    pub fn names_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::And(keys) => keys.iter().any(Self::names_modseq),
            Self::Or(keys) => keys.0.names_modseq() || keys.1.names_modseq(),
            Self::Not(key) => key.names_modseq(),
            _ => false,
        }
    }

    /// Keys up to the end of the command or of the group.
    fn program(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let first = Self::read(cursor)?;
        let mut more = Vec::new();
        while !matches!(cursor.rest(), [] | [b')', ..] | [b' ']) {
            cursor.space()?;
            more.push(Self::read(cursor)?);
        }
        if more.is_empty() {
            return Ok(first);
        }
        more.insert(0, first);
        Ok(Self::And(more))
    }

    fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        cursor.count()?;
        match cursor.peek() {
            Some(b'(') => cursor.nested(|cursor| {
                cursor.expect(b'(', "A list is missing")?;
                let group = Self::program(cursor)?;
                cursor.expect(b')', "A list does not end")?;
                Ok(group)
            }),
            Some(b'0'..=b'9' | b'*' | b'$') => Messages::read(cursor).map(Self::Numbers),
            _ => Self::named(cursor),
        }
    }

    /// A key that begins with its name.
    fn named(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let name = cursor.word();
        if let Some(key) = Self::alone(name.as_bytes()) {
            return Ok(key);
        }
        cursor.space()?;
        match name.as_bytes() {
            b"NOT" => cursor.nested(|cursor| Ok(Self::Not(Box::new(Self::read(cursor)?)))),
            b"OR" => cursor.nested(|cursor| {
                let one = Self::read(cursor)?;
                cursor.space()?;
                Ok(Self::Or(Box::new((one, Self::read(cursor)?))))
            }),
            other => Self::dated(other, cursor).unwrap_or_else(|| Self::argued(other, cursor)),
        }
    }

    /// A key without an argument.
    fn alone(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"ALL" => Self::All,
            b"ANSWERED" => Self::Flags(SystemFlags::ANSWERED),
            b"DELETED" => Self::Flags(SystemFlags::DELETED),
            b"DRAFT" => Self::Flags(SystemFlags::DRAFT),
            b"FLAGGED" => Self::Flags(SystemFlags::FLAGGED),
            b"SEEN" => Self::Flags(SystemFlags::SEEN),
            b"UNANSWERED" => Self::Unflagged(SystemFlags::ANSWERED),
            b"UNDELETED" => Self::Unflagged(SystemFlags::DELETED),
            b"UNDRAFT" => Self::Unflagged(SystemFlags::DRAFT),
            b"UNFLAGGED" => Self::Unflagged(SystemFlags::FLAGGED),
            b"UNSEEN" => Self::Unflagged(SystemFlags::SEEN),
            b"RECENT" => Self::Recent,
            b"NEW" => Self::And(vec![Self::Recent, Self::Unflagged(SystemFlags::SEEN)]),
            b"OLD" => Self::Not(Box::new(Self::Recent)),
            b"SAVEDATESUPPORTED" => Self::SaveDateSupported,
            _ => return None,
        })
    }

    /// A key whose argument is a day.
    fn dated(name: &[u8], cursor: &mut Cursor<'_>) -> Option<Parsed<Self>> {
        let key = match name {
            b"BEFORE" => Self::Before,
            b"ON" => Self::On,
            b"SINCE" => Self::Since,
            b"SENTBEFORE" => Self::SentBefore,
            b"SENTON" => Self::SentOn,
            b"SENTSINCE" => Self::SentSince,
            b"SAVEDBEFORE" => Self::SavedBefore,
            b"SAVEDON" => Self::SavedOn,
            b"SAVEDSINCE" => Self::SavedSince,
            _ => return None,
        };
        Some(read_date(cursor).map(key))
    }

    /// A key with another argument.
    fn argued(name: &[u8], cursor: &mut Cursor<'_>) -> Parsed<Self> {
        Ok(match name {
            b"UID" => Self::Uids(Messages::read(cursor)?),
            b"KEYWORD" => Self::Keyword(cursor.atom()?.into()),
            b"UNKEYWORD" => Self::Unkeyword(cursor.atom()?.into()),
            b"BCC" | b"CC" | b"FROM" | b"SUBJECT" | b"TO" => {
                let name = name.iter().map(|octet| char::from(*octet)).collect::<String>();
                Self::Header { name: name.into(), value: cursor.text()? }
            }
            b"HEADER" => {
                let name = cursor.text()?;
                cursor.space()?;
                Self::Header { name, value: cursor.text()? }
            }
            b"BODY" => Self::Body(cursor.text()?),
            b"TEXT" => Self::Text(cursor.text()?),
            b"LARGER" => Self::Larger(cursor.number64()?),
            b"SMALLER" => Self::Smaller(cursor.number64()?),
            b"OLDER" => Self::Older(cursor.nz_number()?),
            b"YOUNGER" => Self::Younger(cursor.nz_number()?),
            b"MODSEQ" => Self::ModSeq(SearchModSeq::read(cursor)?),
            b"EMAILID" => Self::EmailId(cursor.atom()?.into()),
            b"THREADID" => Self::ThreadId(cursor.atom()?.into()),
            _ => return Err(Fault::Syntax("Unknown SEARCH key")),
        })
    }
}

impl SearchModSeq {
    /// `620162338`, or `"/flags/\\Draft" all 620162338`.
    fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        if cursor.peek() == Some(b'"') {
            cursor.string()?;
            cursor.space()?;
            if !matches!(cursor.word().as_bytes(), b"ALL" | b"PRIV" | b"SHARED") {
                return Err(Fault::Syntax("Unknown MODSEQ entry type"));
            }
            cursor.space()?;
        }
        cursor.number64().map(Self)
    }
}
