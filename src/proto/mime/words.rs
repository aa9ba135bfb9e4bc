//! Encoded words in headers (RFC 2047, RFC 2231 §5), to UTF-8.
//!
//! Never fails: what cannot be decoded stays as it is. Blanks between two encoded words go, and
//! two of one charset are decoded as one text, since senders cut characters in two.

use std::borrow::Cow;

use encoding_rs::{Encoding as Charset, UTF_8, WINDOWS_1252};
use memchr::memmem;

use super::{
    octets::is_blank,
    transfer::{Encoding, decode, hex_digit},
};

/// An encoded word is no longer; RFC 2047 §2 says 75, and many are longer.
const WORD_OCTETS_MAX: usize = 1000;

/// The text of an unstructured field's body, or of a phrase. Folding and line ends go, other blanks
/// stay; octets that are not UTF-8 are taken for Windows-1252.
#[must_use]
pub fn decode_words(body: &[u8]) -> Cow<'_, str> {
    let body = body.trim_ascii();
    let is_folded = body.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
    if memmem::find(body, b"=?").is_none() && !is_folded {
        return raw(body);
    }
    let mut text = Text::default();
    let mut rest = body;
    while let Some(at) = memmem::find(rest, b"=?") {
        match word(&rest[at..]) {
            Some(word) => {
                text.plain(&rest[..at], true);
                text.word(&word);
                rest = &rest[at + word.octets..];
            }
            None => {
                text.plain(&rest[..at + 2], false);
                rest = &rest[at + 2..];
            }
        }
    }
    text.plain(rest, false);
    text.end_words();
    Cow::Owned(text.out)
}

/// `label` is as it stands in mail.
pub(super) fn charset(label: &[u8]) -> Option<&'static Charset> {
    let found = Charset::for_label(label)?;
    // What calls itself ASCII and is not, is UTF-8 nowadays.
    let is_ascii = label.trim_ascii().to_ascii_lowercase().ends_with(b"ascii");
    Some(if is_ascii { UTF_8 } else { found })
}

/// Octets in a header that nothing says the charset of.
fn raw(text: &[u8]) -> Cow<'_, str> {
    str::from_utf8(text)
        .map_or_else(|_| WINDOWS_1252.decode_without_bom_handling(text).0, Cow::Borrowed)
}

/// An encoded word.
struct Word<'a> {
    charset: Option<&'static Charset>,
    is_base64: bool,
    text: &'a [u8],
    /// Of all of it.
    octets: usize,
}

/// The encoded word that `text` begins with.
fn word(text: &[u8]) -> Option<Word<'_>> {
    let near = &text[..text.len().min(WORD_OCTETS_MAX)];
    let mut marks = near.iter().enumerate().skip(2).filter(|(_, octet)| **octet == b'?');
    let (first, _) = marks.next()?;
    let (second, _) = marks.next()?;
    let is_base64 = match &near[first + 1..second] {
        [b'B' | b'b'] => true,
        [b'Q' | b'q'] => false,
        _ => return None,
    };
    let end = second + 1 + memmem::find(&near[second + 1..], b"?=")?;
    let text = &near[second + 1..end];
    // Spaces are not allowed in it, but written; a line end is the end of a word that has none.
    if text.iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
        return None;
    }
    let label = near[2..first].split(|octet| *octet == b'*').next().unwrap_or_default();
    Some(Word { charset: charset(label), is_base64, text, octets: end + 2 })
}

#[derive(Default)]
struct Text {
    out: String,
    /// Octets of encoded words, not yet decoded, and their charset.
    octets: Vec<u8>,
    charset: Option<&'static Charset>,
    /// The last that came was an encoded word.
    after_word: bool,
}

impl Text {
    fn plain(&mut self, text: &[u8], before_word: bool) {
        let between = self.after_word && before_word && text.iter().all(|octet| is_blank(*octet));
        if text.is_empty() || between {
            return;
        }
        self.end_words();
        self.after_word = false;
        for line in text.split(|octet| matches!(octet, b'\r' | b'\n')) {
            self.out.push_str(&raw(line));
        }
    }

    fn word(&mut self, word: &Word<'_>) {
        if self.charset != word.charset {
            self.end_words();
            self.charset = word.charset;
        }
        self.after_word = true;
        if word.is_base64 {
            // Base64 is known.
            let _ = decode(Encoding::Base64, word.text, &mut self.octets);
        } else {
            push_q(word.text, &mut self.octets);
        }
    }

    fn end_words(&mut self) {
        let octets = std::mem::take(&mut self.octets);
        match self.charset.take() {
            Some(charset) => self.out.push_str(&charset.decode_without_bom_handling(&octets).0),
            None => self.out.push_str(&raw(&octets)),
        }
    }
}

/// The encoding `Q` (RFC 2047 §4.2).
fn push_q(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let [octet, after @ ..] = rest {
        rest = after;
        let digit = |at: usize| after.get(at).copied().and_then(hex_digit);
        match (octet, digit(0), digit(1)) {
            (b'=', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                rest = &after[2..];
            }
            (b'_', ..) => out.push(b' '),
            _ => out.push(*octet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most of it from RFC 2047 §8.
    #[test]
    fn words_are_decoded() {
        for (body, text) in [
            (" plain text\r\n", "plain text"),
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            ("=?US-ASCII?Q?Keith_Moore?= <m@x>", "Keith Moore <m@x>"),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
            ("=?utf-8?b?w6k=?=", "é"),
            ("=?utf-8?B?w?= =?utf-8?B?6k=?=", "�"),
            ("=?UTF-8?Q?=C3?= =?UTF-8?Q?=A9?=", "é"),
            ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
            ("=?utf-8*en?q?x?=", "x"),
            ("a =?x", "a =?x"),
            ("=?utf-8?x?y?= =?", "=?utf-8?x?y?= =?"),
            ("=?nonsense?q?caf=C3=A9?=", "café"),
            ("a\r\n b\r\n\tc", "a b\tc"),
            ("é", "é"),
            ("", ""),
        ] {
            assert_eq!(decode_words(body.as_bytes()), text, "{body}");
        }
        assert_eq!(decode_words(b"caf\xe9"), "café");
        assert_eq!(decode_words(b"\xe9 =?utf-8?q?=e2=82=ac?="), "é €");
        assert!(matches!(decode_words(b"plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn hostile_words_take_linear_time() {
        for piece in ["=?", "=?a?q?", "=?a?q??=", "=?=", "?", "=?a?"] {
            let _ = decode_words(piece.repeat(1 << 18).as_bytes());
        }
    }
}
