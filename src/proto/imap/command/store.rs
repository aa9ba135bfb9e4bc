//! `STORE` (RFC 9051 §6.4.6), on condition too (RFC 7162 §3.1.3).

use crate::imap::syntax::{Cursor, Fault, Flags, Messages, Parsed, read_flags};

/// How flags are to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `FLAGS`: these and no others.
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// A change of flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The numbers are UIDs.
    pub uid: bool,
    /// Which messages.
    pub messages: Messages,
    /// Only those that have not changed since; the others are told in `[MODIFIED …]`.
    pub unchanged_since: Option<u64>,
    /// How.
    pub change: Change,
    /// `.SILENT`: the new flags need not be told, but for a new `MODSEQ` with CONDSTORE.
    pub silent: bool,
    /// Which flags.
    pub flags: Flags,
}

impl Store {
    pub(super) fn read(uid: bool, cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let messages = Messages::read(cursor)?;
        cursor.space()?;
        let mut unchanged_since = None;
        if cursor.peek() == Some(b'(') {
            cursor.list(|cursor| {
                if !cursor.eat_word("UNCHANGEDSINCE") {
                    return Err(Fault::Syntax("Unknown STORE modifier"));
                }
                cursor.space()?;
                unchanged_since = Some(cursor.number64()?);
                Ok(())
            })?;
            cursor.space()?;
        }
        // `+` and `-` are letters of a word.
        let (change, silent) = match cursor.word().as_bytes() {
            b"FLAGS" => (Change::Replace, false),
            b"FLAGS.SILENT" => (Change::Replace, true),
            b"+FLAGS" => (Change::Add, false),
            b"+FLAGS.SILENT" => (Change::Add, true),
            b"-FLAGS" => (Change::Remove, false),
            b"-FLAGS.SILENT" => (Change::Remove, true),
            _ => return Err(Fault::Syntax("Unknown STORE item")),
        };
        cursor.space()?;
        let flags = read_flags(cursor)?;
        Ok(Self { uid, messages, unchanged_since, change, silent, flags })
    }
}
