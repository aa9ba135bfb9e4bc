//! `UTF8` and `LANG` (RFC 6856): what the client understands, and in which language it is spoken to.
//!
//! There is one language, so that `LANG` changes nothing; clients still learn which it is.

use super::{Maildrop, Outcome, Server, command, replies};

/// The language of all replies, and what RFC 2277 §4.5 calls it where none was agreed on.
const LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("i-default", "Default language")];

impl<M: Maildrop> Server<M> {
    pub(super) fn utf8(&mut self, argument: &str, out: &mut Vec<u8>) -> Outcome {
        self.authorization()?;
        command::none(argument)?;
        self.client.utf8 = true;
        replies::ok("UTF-8 enabled", out);
        Ok(None)
    }

    pub(super) fn lang(&mut self, range: &str, out: &mut Vec<u8>) -> Outcome {
        if range.is_empty() {
            replies::ok("Language listing follows", out);
            for (tag, name) in LANGUAGES {
                out.extend_from_slice(tag.as_bytes());
                out.push(b' ');
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b".\r\n");
            return Ok(None);
        }
        let tag = find(range).ok_or(replies::NO_SUCH_LANGUAGE)?;
        out.extend_from_slice(b"+OK ");
        out.extend_from_slice(tag.as_bytes());
        out.extend_from_slice(b" English is spoken\r\n");
        Ok(None)
    }
}

/// Looks a basic language range up (RFC 4647 §3.4): the longest start of it that is a tag of ours.
fn find(range: &str) -> Option<&'static str> {
    if range == "*" {
        return Some(LANGUAGES[0].0);
    }
    let mut range = range;
    loop {
        if let Some((tag, _)) = LANGUAGES.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(range)) {
            return Some(tag);
        }
        range = range.rsplit_once('-')?.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_shortened_until_they_fit() {
        for (range, tag) in [
            ("en", Some("en")),
            ("EN-gb", Some("en")),
            ("en-Latn-GB", Some("en")),
            ("*", Some("en")),
            ("I-Default", Some("i-default")),
            ("i", None),
            ("fr-en", None),
            ("eng", None),
            ("-", None),
        ] {
            assert_eq!(find(range), tag, "{range}");
        }
    }
}
