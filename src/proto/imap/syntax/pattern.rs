//! What `LIST` and `LSUB` match names with (RFC 9051 §6.3.9): `*` is anything, `%` anything within one
//! level.
//!
//! All places that a pattern may have reached are followed at once, so that the work is the product
//! of two bounded lengths, whatever the wildcards.

use super::{Cursor, MailboxName, Parsed, mailbox::decoded};

const INBOX: &str = MailboxName::INBOX;

/// A pattern: reference and mailbox argument joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Box<str>);

impl Pattern {
    /// A pattern as it is meant, with no reference before it.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// The pattern itself; empty asks for the hierarchy delimiter (RFC 9051 §6.3.9).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let pattern = self.0.as_bytes();
        // `at[i]`: the first `i` octets of the pattern can have matched what was read so far.
        let mut at = vec![false; pattern.len() + 1];
        at[0] = true;
        skip_wildcards(pattern, &mut at);
        for octet in name.bytes() {
            at[pattern.len()] = false;
            // From the end, so that each place still is that of before this octet.
            for place in (0..pattern.len()).rev() {
                let stays = match pattern[place] {
                    b'*' => true,
                    b'%' => octet != MailboxName::DELIMITER as u8,
                    _ => false,
                };
                if at[place] && !stays && pattern[place] == octet {
                    at[place + 1] = true;
                }
                at[place] = at[place] && stays;
            }
            skip_wildcards(pattern, &mut at);
        }
        at[pattern.len()]
    }

    pub(in crate::imap) fn read(cursor: &mut Cursor<'_>, reference: &str) -> Parsed<Self> {
        let octets = cursor.pattern()?;
        let mut pattern = decoded(&octets, cursor.is_utf8())?;
        // An empty one asks about the hierarchy itself, not about what is below the reference.
        if !pattern.is_empty() {
            pattern.insert_str(0, reference);
        }
        let root = pattern.get(..INBOX.len()).is_some_and(|root| root.eq_ignore_ascii_case(INBOX));
        if root && matches!(pattern.as_bytes().get(INBOX.len()), None | Some(b'/' | b'*' | b'%')) {
            pattern.replace_range(..INBOX.len(), INBOX);
        }
        Ok(Self(pattern.into()))
    }
}

/// A wildcard may match nothing.
fn skip_wildcards(pattern: &[u8], at: &mut [bool]) {
    for (place, octet) in pattern.iter().enumerate() {
        if at[place] && matches!(octet, b'*' | b'%') {
            at[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern(pattern.into()).matches(name)
    }

    #[test]
    fn wildcards() {
        for (pattern, name) in [
            ("*", ""),
            ("*", "a/b"),
            ("%", "a"),
            ("INBOX", "INBOX"),
            ("a/%", "a/b"),
            ("a*c", "a/b/c"),
            ("%/%", "a/b"),
            ("*b", "abab"),
            ("%ü%", "aüb"),
            ("a*", "a"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("", "a"), ("%", "a/b"), ("a/%", "a"), ("a/%", "a/b/c"), ("*b", "aba"), ("a", "ab")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        assert!(!matches(&"*a%".repeat(300), &"a".repeat(299)));
        assert!(matches(&"*a%".repeat(300), &"a".repeat(1000)));
    }

    /// The definition, as it reads.
    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|n| naive(rest, &name[n..])),
            Some((b'%', rest)) => (0..=name.len())
                .take_while(|n| !name[..*n].contains(&b'/'))
                .any(|n| naive(rest, &name[n..])),
            Some((octet, rest)) => {
                name.split_first().is_some_and(|(first, name)| first == octet && naive(rest, name))
            }
        }
    }

    proptest! {
        #[test]
        fn as_defined(pattern in "[ab/*%]{0,8}", name in "[ab/]{0,8}") {
            prop_assert_eq!(matches(&pattern, &name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
