//! `APPEND` (RFC 9051 §6.3.12), of several messages at once (RFC 3502), of binary ones (RFC 3516 §4.4)
//! and of ones with UTF-8 in their header (RFC 6855 §4).
//!
//! It is read line by line: each ends in the literal that is a message, which the machine passes on.

use crate::{
    imap::syntax::{
        Cursor, Fault, Flags, LiteralMark, MailboxName, Parsed, read_flag_list, read_internal_date,
    },
    types::Timestamp,
};

/// A message that is to be appended, before its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub mailbox: MailboxName,
    /// With which flags.
    pub flags: Flags,
    /// The internal date it is to have; that of now, if none.
    pub date: Option<Timestamp>,
    /// How many octets follow.
    pub octets: u64,
    /// It may hold NUL, and parts in no transfer encoding (RFC 3516).
    pub binary: bool,
    /// Its header may be UTF-8 (RFC 6855).
    pub utf8: bool,
    /// It is the first of its command: none of those before it belongs to it.
    pub first: bool,
}

/// What a line that announces a literal is, when its verb is `APPEND`.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::imap) enum Preface {
    /// The literal is the mailbox's name.
    Name,
    /// The literal is the message.
    Message(Message),
}

/// Reads what stands before the first message: `cursor` is behind the verb, and `mark` announces the
/// literal at its end.
pub(in crate::imap) fn preface(mut cursor: Cursor<'_>, mark: LiteralMark) -> Parsed<Preface> {
    cursor.space()?;
    let mailbox = match MailboxName::read(&mut cursor) {
        Err(Fault::Pending) => return Ok(Preface::Name),
        other => other?,
    };
    message(&mut cursor, mailbox, mark, true).map(Preface::Message)
}

/// Reads what stands between two messages.
pub(in crate::imap) fn next_message(
    mut cursor: Cursor<'_>,
    before: &Message,
    mark: LiteralMark,
) -> Parsed<Message> {
    message(&mut cursor, before.mailbox.clone(), mark, false)
}

fn message(
    cursor: &mut Cursor<'_>,
    mailbox: MailboxName,
    mark: LiteralMark,
    first: bool,
) -> Parsed<Message> {
    cursor.space()?;
    let mut flags = Flags::default();
    if cursor.peek() == Some(b'(') {
        flags = read_flag_list(cursor)?;
        cursor.space()?;
    }
    let mut date = None;
    if cursor.peek() == Some(b'"') {
        date = Some(read_internal_date(cursor)?);
        cursor.space()?;
    }
    let utf8 = cursor.eat_word("UTF8");
    if utf8 {
        cursor.space()?;
        cursor.expect(b'(', "A literal is missing")?;
        if !mark.binary {
            return Err(Fault::Syntax("A literal8 is missing"));
        }
    }
    if LiteralMark::find(cursor.rest().trim_ascii_end()).is_none_or(|found| found.begins != 0) {
        return Err(Fault::Syntax("A message is missing"));
    }
    Ok(Message { mailbox, flags, date, octets: mark.octets, binary: mark.binary, utf8, first })
}
