//! Flags and keywords (RFC 9051 §2.3.2).

use super::{Cursor, Fault, Parsed};

/// Octets of a keyword, longer than any that is in use.
const KEYWORD_OCTETS_MAX: usize = 128;

/// The system flags of a message, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SystemFlags(u8);

impl SystemFlags {
    /// None.
    pub const NONE: Self = Self(0);
    /// `\Answered`
    pub const ANSWERED: Self = Self(1);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(2);
    /// `\Deleted`
    pub const DELETED: Self = Self(4);
    /// `\Seen`
    pub const SEEN: Self = Self(8);
    /// `\Draft`
    pub const DRAFT: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);

    const NAMES: [(&str, Self); 5] = [
        ("Answered", Self::ANSWERED),
        ("Flagged", Self::FLAGGED),
        ("Deleted", Self::DELETED),
        ("Seen", Self::SEEN),
        ("Draft", Self::DRAFT),
    ];

    /// The flags as bits: 1 answered, 2 flagged, 4 deleted, 8 seen, 16 draft. A store may keep them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Reads [`SystemFlags::bits`]; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// These and `others`.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether all of `others` are among these.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Flags as a client names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The system flags.
    pub system: SystemFlags,
    /// The keywords, each once, as they were spelled; case does not tell them apart.
    pub keywords: Vec<Box<str>>,
}

impl Flags {
    fn add(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        if cursor.eat(b'\\') {
            let name = cursor.atom()?;
            // It is the server's alone, and what copies a mailbox sends it along (RFC 3501 §2.3.2).
            if name.eq_ignore_ascii_case("Recent") {
                return Ok(());
            }
            let known = SystemFlags::NAMES.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
            let (_, flag) = known.ok_or(Fault::Syntax("Unknown system flag"))?;
            self.system = self.system.with(*flag);
            return Ok(());
        }
        let keyword = cursor.atom()?;
        if keyword.len() > KEYWORD_OCTETS_MAX {
            return Err(Fault::Limit("Keyword is too long"));
        }
        if !self.keywords.iter().any(|one| one.eq_ignore_ascii_case(keyword)) {
            self.keywords.push(keyword.into());
        }
        Ok(())
    }
}

/// `(` flags `)`.
pub(in crate::imap) fn read_flag_list(cursor: &mut Cursor<'_>) -> Parsed<Flags> {
    let mut flags = Flags::default();
    cursor.list(|cursor| flags.add(cursor))?;
    Ok(flags)
}

/// A list of flags, or some without parentheses, as `STORE` takes them.
pub(in crate::imap) fn read_flags(cursor: &mut Cursor<'_>) -> Parsed<Flags> {
    if cursor.peek() == Some(b'(') {
        return read_flag_list(cursor);
    }
    let mut flags = Flags::default();
    loop {
        cursor.count()?;
        flags.add(cursor)?;
        if !cursor.eat(b' ') {
            return Ok(flags);
        }
    }
}

/// Appends `(\Seen keyword)`; `\*` (any keyword can be made) with `open`.
pub(in crate::imap) fn write_flags<'k>(
    system: SystemFlags,
    keywords: impl IntoIterator<Item = &'k str>,
    open: bool,
    out: &mut Vec<u8>,
) {
    let system = SystemFlags::NAMES.iter().filter(|(_, flag)| system.contains(*flag));
    let mut separator = b'(';
    let mut put = |mark: &[u8], name: &str| {
        out.push(separator);
        separator = b' ';
        out.extend_from_slice(mark);
        out.extend_from_slice(name.as_bytes());
    };
    system.for_each(|(name, _)| put(b"\\", name));
    keywords.into_iter().for_each(|keyword| put(b"", keyword));
    if open {
        put(b"\\", "*");
    }
    if separator == b'(' {
        out.push(b'(');
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::syntax::Bounds;

    fn read(text: &str) -> Parsed<String> {
        let bounds = Bounds { items_max: 6, depth_max: 1 };
        let mut cursor = Cursor::new(text.as_bytes(), false, bounds);
        let flags = read_flags(&mut cursor)?;
        cursor.end()?;
        let mut out = Vec::new();
        write_flags(flags.system, flags.keywords.iter().map(|one| &**one), false, &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn flags_are_read_and_written() {
        for (text, written) in [
            ("()", "()"),
            ("(\\seen $Junk \\DRAFT)", "(\\Seen \\Draft $Junk)"),
            ("\\Answered \\Flagged \\Deleted", "(\\Answered \\Flagged \\Deleted)"),
            ("(a A \\Recent a)", "(a)"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(written), "{text}");
        }
        for text in ["", "(\\Foo)", "(\\)", "(a", "\"a\"", "a (b)", "\\*"] {
            assert!(matches!(read(text), Err(Fault::Syntax(_))), "{text}");
        }
        assert!(matches!(read("a b c d e f g"), Err(Fault::Limit(_))));
        assert!(matches!(read(&"k".repeat(129)), Err(Fault::Limit(_))));
        let mut out = Vec::new();
        write_flags(SystemFlags::SEEN, ["k"], true, &mut out);
        assert_eq!(out, b"(\\Seen k \\*)");
    }

    #[test]
    fn bits_come_back() {
        assert_eq!(SystemFlags::from_bits(0xff), SystemFlags::ALL);
        let some = SystemFlags::SEEN.with(SystemFlags::DRAFT);
        assert_eq!(SystemFlags::from_bits(some.bits()), some);
        assert!(some.contains(SystemFlags::DRAFT) && !some.contains(SystemFlags::ALL));
        assert_eq!(some.without(SystemFlags::SEEN), SystemFlags::DRAFT);
        assert!(SystemFlags::NONE.is_empty() && !some.is_empty());
    }
}
