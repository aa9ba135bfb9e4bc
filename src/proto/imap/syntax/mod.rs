//! The tokens of IMAP (RFC 9051 §9) and the nouns that commands and responses share.
//!
//! A cursor goes over one whole command whose literals stand in place behind their `{n}`. It copies
//! nothing: only what a command keeps is owned, and only once it was read whole. How it fails: a
//! fault, which the machine turns into a tagged `BAD` or `NO`.
//!
//! Files: `cursor` reads tokens, `fault` is what can be wrong with them, `literal` finds the literal
//! at the end of a line, `sequence` has sets of numbers, `mailbox` and `utf7` names, `pattern` what
//! `LIST` matches, `flag` and `date` the rest.

mod cursor;
mod date;
mod fault;
mod flag;
mod literal;
mod mailbox;
mod pattern;
mod sequence;
mod utf7;

pub(in crate::imap) use cursor::{Cursor, Word, is_atom_octet};
pub use date::{Date, write_internal_date};
pub(in crate::imap) use date::{read_date, read_internal_date};
pub use fault::Bounds;
pub(in crate::imap) use fault::{Fault, Parsed};
pub use flag::{Flags, SystemFlags};
pub(in crate::imap) use flag::{read_flag_list, read_flags, write_flags};
pub(in crate::imap) use literal::LiteralMark;
pub use mailbox::MailboxName;
pub use pattern::Pattern;
pub use sequence::{Messages, Ranges, SequenceSet};
pub use utf7::{decode_utf7, encode_utf7};
