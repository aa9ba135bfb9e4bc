//! `CREATE` (RFC 9051 §6.3.4, RFC 6154 §3) and `RENAME` (RFC 9051 §6.3.6).

use super::{Command, SpecialUse};
use crate::imap::syntax::{Cursor, Fault, MailboxName, Parsed};

/// A mailbox that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// What it is called. A delimiter at its end only says that others will be below it (RFC 9051
    /// §6.3.4), and is not part of the name.
    pub mailbox: MailboxName,
    /// What it is for, if that was said: one use at most.
    pub special_use: Option<SpecialUse>,
}

impl Create {
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mailbox = MailboxName::read(cursor)?;
        let mailbox = mailbox.without_trailing_delimiter()?;
        let mut special_use = None;
        if cursor.eat(b' ') {
            cursor.list(|cursor| {
                if !cursor.eat_word("USE") {
                    return Err(Fault::Syntax("Unknown CREATE parameter"));
                }
                cursor.space()?;
                cursor.list(|cursor| {
                    let one = SpecialUse::read(cursor)?.ok_or(Fault::Use)?;
                    // RFC 6154 §3: a server may refuse combinations.
                    if special_use.replace(one).is_some_and(|before| before != one) {
                        return Err(Fault::Use);
                    }
                    Ok(())
                })
            })?;
        }
        Ok(Self { mailbox, special_use })
    }
}

pub(super) fn rename(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let from = MailboxName::read(cursor)?;
    cursor.space()?;
    let to = MailboxName::read(cursor)?.without_trailing_delimiter()?;
    Ok(Command::Rename { from, to })
}
