//! `STATUS` (RFC 9051 §6.3.11, RFC 7162, RFC 7889, RFC 8438, RFC 8474, RFC 9208).

use super::Command;
use crate::imap::syntax::{Cursor, Fault, MailboxName, Parsed};

/// What to tell of a mailbox, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusItems(u16);

impl StatusItems {
    /// `MESSAGES`: how many there are.
    pub const MESSAGES: Self = Self(1);
    /// `RECENT` (RFC 3501)
    pub const RECENT: Self = Self(1 << 1);
    /// `UIDNEXT`
    pub const UID_NEXT: Self = Self(1 << 2);
    /// `UIDVALIDITY`
    pub const UID_VALIDITY: Self = Self(1 << 3);
    /// `UNSEEN`: how many are without `\Seen`.
    pub const UNSEEN: Self = Self(1 << 4);
    /// `DELETED`: how many have `\Deleted`.
    pub const DELETED: Self = Self(1 << 5);
    /// `SIZE`: octets of all (RFC 8438).
    pub const SIZE: Self = Self(1 << 6);
    /// `HIGHESTMODSEQ` (RFC 7162)
    pub const HIGHEST_MODSEQ: Self = Self(1 << 7);
    /// `APPENDLIMIT` (RFC 7889)
    pub const APPEND_LIMIT: Self = Self(1 << 8);
    /// `MAILBOXID` (RFC 8474)
    pub const MAILBOX_ID: Self = Self(1 << 9);
    /// `DELETED-STORAGE`: octets of those with `\Deleted` (RFC 9208).
    pub const DELETED_STORAGE: Self = Self(1 << 10);

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
}

pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = MailboxName::read(cursor)?;
    cursor.space()?;
    Ok(Command::Status { mailbox, items: items(cursor)? })
}

pub(super) fn items(cursor: &mut Cursor<'_>) -> Parsed<StatusItems> {
    let mut items = StatusItems::default();
    cursor.list(|cursor| {
        items = items.with(match cursor.word().as_bytes() {
            b"MESSAGES" => StatusItems::MESSAGES,
            b"RECENT" => StatusItems::RECENT,
            b"UIDNEXT" => StatusItems::UID_NEXT,
            b"UIDVALIDITY" => StatusItems::UID_VALIDITY,
            b"UNSEEN" => StatusItems::UNSEEN,
            b"DELETED" => StatusItems::DELETED,
            b"SIZE" => StatusItems::SIZE,
            b"HIGHESTMODSEQ" => StatusItems::HIGHEST_MODSEQ,
            b"APPENDLIMIT" => StatusItems::APPEND_LIMIT,
            b"MAILBOXID" => StatusItems::MAILBOX_ID,
            b"DELETED-STORAGE" => StatusItems::DELETED_STORAGE,
            _ => return Err(Fault::Syntax("Unknown STATUS item")),
        });
        Ok(())
    })?;
    Ok(items)
}
