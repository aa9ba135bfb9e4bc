//! Names of mailboxes (RFC 9051 §5.1).
//!
//! Inside they are UTF-8; how they travel depends on what was enabled. `INBOX` is written so however
//! a client spells it, alone and as the root of others. What a store thinks of a name, of its depth
//! or its letters, is the store's to say: here it only is bounded, and holds no control characters.

use std::fmt;

use super::{Cursor, Fault, Parsed, decode_utf7};

/// Octets of a name, which is longer than any that a store keeps.
const NAME_OCTETS_MAX: usize = 1024;

/// The name of a mailbox, in UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailboxName(Box<str>);

impl MailboxName {
    /// Where mail arrives.
    pub const INBOX: &str = "INBOX";
    /// What separates the levels of a name.
    pub const DELIMITER: char = '/';

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the inbox.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == Self::INBOX
    }

    pub(in crate::imap) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let octets = cursor.astring()?;
        decoded(&octets, cursor.is_utf8()).map(Self::spelled)
    }

    /// Without a delimiter at its end, which says nothing; a name of nothing else is none.
    pub(in crate::imap) fn without_trailing_delimiter(self) -> Parsed<Self> {
        let name = self.0.strip_suffix(Self::DELIMITER).unwrap_or(&self.0);
        if name.is_empty() {
            return Err(Fault::Name("Mailbox name is empty"));
        }
        Ok(if name.len() == self.0.len() { self } else { Self(name.into()) })
    }

    fn spelled(mut name: String) -> Self {
        let inbox = Self::INBOX.len();
        let root = name.get(..inbox).is_some_and(|root| root.eq_ignore_ascii_case(Self::INBOX));
        if root && matches!(name.as_bytes().get(inbox), None | Some(b'/')) {
            name.replace_range(..inbox, Self::INBOX);
        }
        Self(name.into())
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name or pattern as it was meant.
pub(super) fn decoded(octets: &[u8], utf8: bool) -> Parsed<String> {
    if octets.len() > NAME_OCTETS_MAX {
        return Err(Fault::Name("Mailbox name is too long"));
    }
    let name = if utf8 {
        std::str::from_utf8(octets)
            .map(str::to_owned)
            .map_err(|_| Fault::Name("Mailbox name is no UTF-8"))?
    } else {
        decode_utf7(octets).ok_or(Fault::Name("Mailbox name is no modified UTF-7"))?
    };
    if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Fault::Name("Mailbox name holds a control character"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Bounds;

    fn read(text: &str, utf8: bool) -> Parsed<String> {
        let bounds = Bounds { items_max: 1, depth_max: 1 };
        let mut cursor = Cursor::new(text.as_bytes(), utf8, bounds);
        MailboxName::read(&mut cursor).map(|name| name.to_string())
    }

    #[test]
    fn names_are_what_was_meant() {
        assert_eq!(read("inBox", false).as_deref(), Ok("INBOX"));
        assert_eq!(read("inbox/Sub", false).as_deref(), Ok("INBOX/Sub"));
        assert_eq!(read("inboxes", false).as_deref(), Ok("inboxes"));
        assert_eq!(read("Entw&APw-rfe", false).as_deref(), Ok("Entwürfe"));
        assert_eq!(read("\"Entw&APw-rfe\"", true).as_deref(), Ok("Entw&APw-rfe"));
        assert_eq!(read("\"Entwürfe\"", true).as_deref(), Ok("Entwürfe"));
        assert_eq!(read("{3}\r\na b", true).as_deref(), Ok("a b"));
        for (text, utf8) in [
            ("\"Entwürfe\"", false),
            ("a&b", false),
            ("\"\t\"", true),
            ("&AAk-", false),
            ("{2}\r\n\r\n", true),
            (&*"x".repeat(1025), true),
        ] {
            assert!(matches!(read(text, utf8), Err(Fault::Name(_))), "{text}");
        }
    }
}
