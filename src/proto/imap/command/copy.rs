//! `COPY` (RFC 9051 §6.4.7) and `MOVE` (RFC 6851).

use crate::imap::syntax::{Cursor, MailboxName, Messages, Parsed};

/// What to copy or move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The numbers are UIDs.
    pub uid: bool,
    /// Which messages.
    pub messages: Messages,
    /// Where to.
    pub mailbox: MailboxName,
}

impl Copy {
    pub(super) fn read(uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let messages = Messages::read(cursor)?;
        cursor.space()?;
        Ok(Self { uid, messages, mailbox: MailboxName::read(cursor)? })
    }
}
