//! Domain names as mail uses them: ASCII, lower case, checked once.
//!
//! U-labels (RFC 6531) become A-labels when they are parsed, so that routing, limits and queues
//! compare plain bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A syntactically valid domain name: A-labels, lower case, no final dot (RFC 5321 §4.1.2,
/// RFC 5891).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Domain(Box<str>);

/// Why a text is no domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing there.
    #[error("empty domain")]
    Empty,
    /// Over 255 octets, or a label over 63 (RFC 5321 §4.5.3.1.2, RFC 1035 §2.3.4).
    #[error("domain or label too long")]
    Long,
    /// A character or label form that no domain has.
    #[error("malformed domain")]
    Malformed,
}

impl Domain {
    /// Parses a domain in ASCII or UTF-8.
    ///
    /// # Errors
    /// See [`DomainError`].
    pub fn parse(text: &str) -> Result<Self, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        if text.len() > 1020 {
            return Err(DomainError::Long);
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| DomainError::Malformed)?
        };
        if ascii.len() > 255 {
            return Err(DomainError::Long);
        }
        for label in ascii.split('.') {
            check_label(label.as_bytes())?;
        }
        Ok(Self(ascii.into_boxed_str()))
    }

    /// The name, lower case, without a final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Letters, digits, hyphens inside; underscores are no host names but live in the wild.
fn check_label(label: &[u8]) -> Result<(), DomainError> {
    if label.len() > 63 {
        return Err(DomainError::Long);
    }
    let edge = |byte: Option<&u8>| byte.is_none_or(|b| *b == b'-');
    let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if edge(label.first()) || edge(label.last()) || !label.iter().all(inside) {
        return Err(DomainError::Malformed);
    }
    Ok(())
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_to_lower_case_a_labels() {
        assert_eq!(Domain::parse("Example.ORG.").unwrap().as_str(), "example.org");
        assert_eq!(Domain::parse("Bücher.example").unwrap().as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ".", "a..b", "-a.b", "a-.b", "a b", "a\u{0}b", "exa mple", "a@b"] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Domain::parse(&"a".repeat(64)), Err(DomainError::Long));
        assert_eq!(Domain::parse(&"a.".repeat(140)), Err(DomainError::Long));
    }
}
