//! Identities and passwords as they are compared (RFC 8265).
//!
//! A keyboard, a phone and a directory may spell one `é` in two ways. Passwords follow the
//! `OpaqueString` profile (§4.2.2): blanks of any kind become U+0020, the rest is NFC, nothing is
//! case-folded, controls and emptiness are refused. Not done: the profile also refuses code points
//! that no Unicode version has assigned and a few that are ignorable or need a context. The one
//! crate that does has the tables of Unicode 6.3 and would refuse every emoji made since; what is
//! let through here is compared octet by octet, so letting it through proves nothing to anybody.
//!
//! Identities are NFC without controls; whether case matters in them the directory decides.

use std::fmt;

use icu_normalizer::ComposingNormalizerBorrowed;
use zeroize::Zeroizing;

use super::{Failure, Limits};

/// A password, prepared; it is wiped when dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The password itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Prepares a password for being stored or compared; `None` when it is empty or holds a control
/// character. What is stored must be made of this too.
#[must_use]
pub fn prepare_password(text: &str) -> Option<Password> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return None;
    }
    if text.is_ascii() {
        return Some(Password(Zeroizing::new(text.to_owned())));
    }
    // A blank is a space separator: what is white space and no control, but for U+2028 and U+2029.
    let is_blank = |c: char| c.is_whitespace() && !matches!(c, '\u{2028}' | '\u{2029}');
    let mut blanks = Zeroizing::new(String::with_capacity(text.len()));
    blanks.extend(text.chars().map(|c| if is_blank(c) { ' ' } else { c }));
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&blanks).into_owned();
    Some(Password(Zeroizing::new(composed)))
}

/// A password as a client sent it. One that nobody can have is a wrong one.
pub(super) fn password(octets: &[u8], limits: &Limits) -> Result<Password, Failure> {
    if octets.len() > limits.password_octets_max {
        return Err(Failure::Wrong);
    }
    let text = std::str::from_utf8(octets).map_err(|_| Failure::Wrong)?;
    prepare_password(text).ok_or(Failure::Wrong)
}

/// An identity as a client sent it; `None` when it is empty.
pub(super) fn identity(text: &str, limits: &Limits) -> Result<Option<Box<str>>, Failure> {
    if text.len() > limits.identity_octets_max || text.chars().any(char::is_control) {
        return Err(Failure::Wrong);
    }
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    Ok((!composed.is_empty()).then(|| composed.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(text: &str) -> Option<String> {
        prepare_password(text).map(|password| password.as_str().to_owned())
    }

    #[test]
    fn passwords_of_rfc_8265_4_3() {
        assert_eq!(
            prepared("correct horse battery staple").unwrap(),
            "correct horse battery staple"
        );
        assert_eq!(prepared("Correct Horse").unwrap(), "Correct Horse", "case is kept");
        assert_eq!(prepared("πß\u{e5}").unwrap(), "πß\u{e5}");
        assert_eq!(prepared("Jack of ♦s").unwrap(), "Jack of ♦s");
        assert_eq!(prepared("foo\u{1680}bar").unwrap(), "foo bar", "OGHAM SPACE MARK is a blank");
        assert_eq!(prepared(""), None);
        assert_eq!(prepared("my cat is a \u{9}by"), None);
    }

    #[test]
    fn spellings_of_one_password_are_one() {
        assert_eq!(prepared("e\u{301}🤖").unwrap(), "\u{e9}🤖");
        assert_eq!(prepared("a\u{a0}b"), prepared("a b"));
        assert_eq!(prepared("\u{fb01}").unwrap(), "\u{fb01}", "compatibility forms differ");
    }

    #[test]
    fn bounds_and_controls() {
        let limits = Limits { identity_octets_max: 4, password_octets_max: 4 };
        assert_eq!(identity("abcd", &limits), Ok(Some("abcd".into())));
        assert_eq!(identity("", &limits), Ok(None));
        for text in ["abcde", "a\0", "a\r", "\u{85}"] {
            assert_eq!(identity(text, &limits), Err(Failure::Wrong), "{text:?}");
        }
        assert_eq!(password(b"abcd", &limits).unwrap().as_str(), "abcd");
        for octets in [&b"abcde"[..], b"", b"a\0", b"\xff"] {
            assert_eq!(password(octets, &limits), Err(Failure::Wrong), "{octets:?}");
        }
        assert_eq!(format!("{:?}", password(b"abcd", &limits)), "Ok(Password(…))");
    }
}
