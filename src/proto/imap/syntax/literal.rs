//! The literal that a line announces at its end (RFC 9051 §4.3, RFC 7888, RFC 3516).

/// `{n}`, `{n+}`, `~{n}` or `~{n+}` at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::imap) struct LiteralMark {
    /// Octets that follow the line; more than can be counted is `u64::MAX`.
    pub octets: u64,
    /// The client waits for `+`.
    pub waits: bool,
    /// NUL may be in it (`literal8`).
    pub binary: bool,
    /// Where in the line the mark begins.
    pub begins: usize,
}

impl LiteralMark {
    /// Looks at the end of `line`, which is without its CRLF. Whatever looks like a mark is one, also
    /// where the grammar has no literal: the client that sent it goes on with its octets, and they
    /// are never to be taken for a command.
    pub(in crate::imap) fn find(line: &[u8]) -> Option<Self> {
        let inside = line.strip_suffix(b"}")?;
        let (inside, waits) = match inside.strip_suffix(b"+") {
            Some(inside) => (inside, false),
            None => (inside, true),
        };
        let digits = inside.iter().rev().take_while(|octet| octet.is_ascii_digit()).count();
        let (before, digits) = inside.split_at(inside.len() - digits);
        let before = before.strip_suffix(b"{").filter(|_| !digits.is_empty())?;
        let octets = digits.iter().fold(0u64, |number, octet| {
            number.saturating_mul(10).saturating_add(u64::from(octet - b'0'))
        });
        let binary = before.last() == Some(&b'~');
        Some(Self { octets, waits, binary, begins: before.len() - usize::from(binary) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_at_the_end() {
        let mark = |line: &str| LiteralMark::find(line.as_bytes());
        let found =
            |octets, waits, binary, begins| Some(LiteralMark { octets, waits, binary, begins });
        assert_eq!(mark("a LOGIN {3}"), found(3, true, false, 8));
        assert_eq!(mark("a LOGIN {003+}"), found(3, false, false, 8));
        assert_eq!(mark("~{0}"), found(0, true, true, 0));
        assert_eq!(mark("a ~{12+}"), found(12, false, true, 2));
        assert_eq!(mark("{99999999999999999999999}"), found(u64::MAX, true, false, 0));
        for line in ["", "}", "{}", "{+}", "{3", "3}", "{3} ", "{3-}", "{ 3}", "{3++}", "(3}"] {
            assert_eq!(mark(line), None, "{line}");
        }
    }
}
