//! The collation `i;unicode-casemap` (RFC 5051), by which SORT, THREAD and SEARCH compare text.
//!
//! Two texts are equal, or one holds the other, when their mapped forms are equal or hold each
//! other octet by octet.

use std::borrow::Cow;

use icu_normalizer::DecomposingNormalizerBorrowed;
use memchr::memmem;

/// `text` in the form in which it is compared: upper case, decomposed (RFC 5051 §2).
#[must_use]
pub fn casemap(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|octet| octet.is_ascii_lowercase()) {
            Cow::Owned(text.to_ascii_uppercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let upper: String = text.chars().map(upper).collect();
    Cow::Owned(DecomposingNormalizerBorrowed::new_nfkd().normalize(&upper).into_owned())
}

/// The simple mapping: characters that become several ones stay (`ß`).
fn upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => character,
    }
}

/// A text that SEARCH looks for, in text that comes in pieces.
#[derive(Debug)]
pub struct Needle {
    finder: memmem::Finder<'static>,
    /// The end of what came, mapped: what is looked for may begin in it.
    tail: String,
}

impl Needle {
    /// Looks for `text`, by the rules of [`casemap`].
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mapped = casemap(text);
        Self { finder: memmem::Finder::new(mapped.as_bytes()).into_owned(), tail: String::new() }
    }

    /// Whether it stands in what came since the last [`Needle::restart`], `piece` included.
    pub fn is_in(&mut self, piece: &str) -> bool {
        let needle = self.finder.needle().len();
        if needle == 0 {
            return true;
        }
        let mapped = casemap(piece);
        if self.tail.is_empty() && self.finder.find(mapped.as_bytes()).is_some() {
            return true;
        }
        if !self.tail.is_empty() {
            self.tail.push_str(&mapped);
            if self.finder.find(self.tail.as_bytes()).is_some() {
                return true;
            }
        } else {
            self.tail.push_str(&mapped);
        }
        let mut cut = self.tail.len().saturating_sub(needle - 1);
        while !self.tail.is_char_boundary(cut) {
            cut -= 1;
        }
        self.tail.drain(..cut);
        false
    }

    /// Another text begins.
    pub fn restart(&mut self) {
        self.tail.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_composition_do_not_count() {
        for (a, b) in [("aB", "Ab"), ("é", "E\u{301}"), ("ÄÖ", "äö"), ("ß", "ß")] {
            assert_eq!(casemap(a), casemap(b));
        }
        assert_ne!(casemap("e"), casemap("é"));
        assert!(matches!(casemap("ABC 1"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_needle_is_found_across_pieces() {
        let mut needle = Needle::new("Ünder the");
        assert!(!needle.is_in("x ü"));
        assert!(!needle.is_in("n"));
        assert!(!needle.is_in("DER t"));
        assert!(needle.is_in("He end"));
        let mut needle = Needle::new("ab");
        assert!(!needle.is_in("a"));
        needle.restart();
        assert!(!needle.is_in("b"));
        assert!(needle.is_in("ab"));
        assert!(Needle::new("").is_in(""));
    }
}
