//! Replies as they come in: bounded, cut anywhere, cleaned (RFC 5321 §4.2).
//!
//! One buffer a connection holds the text of the reply in hand; it is used again for the next, so
//! that a reply costs no allocation until somebody wants to keep it. A reply over its bound, a
//! line that is no reply line, or lines that contradict each other are [`Fault`]s: nothing after
//! them can be trusted, and the connection is of no more use.

use memchr::memchr;

use crate::types::{Enhanced, Reply, Severity};

/// Octets of text that a kept reply has at most: it is stored, logged and returned in bounces.
const KEPT_OCTETS_MAX: usize = 1024;

/// Why the peer's bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Longer than the bound.
    Long,
    /// No reply line, or a code outside 200–599.
    Malformed,
}

impl Fault {
    /// What the recipients are told.
    pub(super) const fn reply(self) -> Reply {
        match self {
            Self::Long => Reply::new(451, STATUS, "server sent an over-long reply"),
            Self::Malformed => Reply::new(451, STATUS, "server sent something that is no reply"),
        }
    }
}

/// "Other or undefined protocol status", and it may be better next time (RFC 3463 §3.6).
pub(super) const STATUS: Enhanced = Enhanced(4, 5, 0);

/// Puts replies together.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The piece of a line whose end has not come yet.
    partial: Vec<u8>,
    /// Text of the lines so far, separated by `\n`, without codes.
    text: Vec<u8>,
    /// Octets of the reply so far.
    octets: usize,
    code: u16,
    enhanced: Option<Enhanced>,
    lines: u32,
    complete: bool,
}

impl Reader {
    /// Consumes from the front of `input`; `true` when a reply is complete, which then stays
    /// until the next call.
    pub(super) fn read(&mut self, input: &[u8], octets_max: usize) -> (usize, Result<bool, Fault>) {
        if self.complete {
            self.clear();
        }
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &input[at..]) {
            let piece = &input[at..=at + length];
            at += piece.len();
            if let Err(fault) = self.grow(piece.len(), octets_max) {
                return (at, Err(fault));
            }
            match self.line(piece) {
                Ok(false) => {}
                ended => return (at, ended),
            }
        }
        let piece = &input[at..];
        if let Err(fault) = self.grow(piece.len(), octets_max) {
            return (input.len(), Err(fault));
        }
        self.partial.extend_from_slice(piece);
        (input.len(), Ok(false))
    }

    fn grow(&mut self, octets: usize, octets_max: usize) -> Result<(), Fault> {
        self.octets = self.octets.saturating_add(octets);
        if self.octets > octets_max { Err(Fault::Long) } else { Ok(()) }
    }

    fn line(&mut self, piece: &[u8]) -> Result<bool, Fault> {
        if self.partial.is_empty() {
            return self.take_line(piece);
        }
        let mut line = std::mem::take(&mut self.partial);
        line.extend_from_slice(piece);
        let ended = self.take_line(&line);
        line.clear();
        self.partial = line;
        ended
    }

    /// `Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF`.
    /// A bare LF is taken for a line end: it cannot smuggle anything towards us.
    fn take_line(&mut self, line: &[u8]) -> Result<bool, Fault> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (code, rest) = parse_code(line).ok_or(Fault::Malformed)?;
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(Fault::Malformed),
        };
        // All lines carry one code (§4.2.1). A last line that means something else than the
        // others is nonsense; one that is only more precise is forgiven.
        if self.lines > 0 && code / 100 != self.code / 100 {
            return Err(Fault::Malformed);
        }
        self.code = code;
        self.push_text(text);
        self.complete = last;
        Ok(last)
    }

    fn push_text(&mut self, text: &[u8]) {
        let (enhanced, text) = match split_enhanced(self.code, text) {
            Some((enhanced, text)) => (Some(enhanced), text),
            None => (None, text),
        };
        if self.lines > 0 {
            self.text.push(b'\n');
        }
        self.enhanced = self.enhanced.or(enhanced);
        self.lines += 1;
        let clean = |byte: &u8| if byte.is_ascii_control() { b' ' } else { *byte };
        self.text.extend(text.trim_ascii().iter().map(clean));
    }

    fn clear(&mut self) {
        self.partial.clear();
        self.text.clear();
        (self.octets, self.code, self.enhanced, self.lines) = (0, 0, None, 0);
        self.complete = false;
    }

    /// Whether a reply has begun and not ended.
    #[cfg(test)]
    const fn in_reply(&self) -> bool {
        self.octets > 0 && !self.complete
    }

    /// The code of the complete reply.
    pub(super) const fn code(&self) -> u16 {
        self.code
    }

    /// What the complete reply means.
    pub(super) const fn severity(&self) -> Severity {
        Reply { code: self.code, enhanced: None, text: std::borrow::Cow::Borrowed("") }.severity()
    }

    /// The text as it came, lines separated by `\n`; ASCII controls are gone.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// The complete reply to keep, its text cut to a bound.
    pub(super) fn reply(&self) -> Reply {
        let text = String::from_utf8_lossy(&self.text);
        let cut = text.floor_char_boundary(KEPT_OCTETS_MAX);
        // C1 controls (U+0080–U+009F) can move a terminal's cursor as well as ASCII ones can.
        let keep = |c: char| if c != '\n' && c.is_control() { ' ' } else { c };
        let text = if text[..cut].is_ascii() {
            text[..cut].to_owned()
        } else {
            text[..cut].chars().map(keep).collect()
        };
        Reply { code: self.code, enhanced: self.enhanced, text: text.into() }
    }
}

fn parse_code(line: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    if !digits.iter().all(u8::is_ascii_digit) || !(b'2'..=b'5').contains(&digits[0]) {
        return None;
    }
    let number = digits.iter().fold(0u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some((number, rest))
}

/// `class.subject.detail` before the text; its class must be the code's (RFC 2034 §4).
fn split_enhanced(code: u16, text: &[u8]) -> Option<(Enhanced, &[u8])> {
    let length = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let mut parts = text[..length].split(|byte| *byte == b'.');
    let class = parse_part(parts.next()?, 1)?;
    let (subject, detail) = (parse_part(parts.next()?, 3)?, parse_part(parts.next()?, 3)?);
    if parts.next().is_some() || class != code / 100 || class == 3 {
        return None;
    }
    Some((Enhanced(class as u8, subject, detail), &text[length..]))
}

fn parse_part(digits: &[u8], length_max: usize) -> Option<u16> {
    if digits.is_empty() || digits.len() > length_max || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> (usize, Result<Option<Reply>, Fault>) {
        let mut reader = Reader::default();
        let (used, ended) = reader.read(input, 200);
        (used, ended.map(|complete| complete.then(|| reader.reply())))
    }

    fn one(input: &str) -> Reply {
        read(input.as_bytes()).1.unwrap().unwrap()
    }

    #[test]
    fn codes_statuses_and_lines() {
        assert_eq!(one("250 ok\r\n"), Reply::bare(250, "ok"));
        assert_eq!(one("250\r\n"), Reply::bare(250, ""));
        assert_eq!(one("250 ok\n"), Reply::bare(250, "ok"));
        assert_eq!(one("550 5.1.1 who?\r\n"), Reply::new(550, Enhanced(5, 1, 1), "who?"));
        assert_eq!(
            one("550-5.7.1 no\r\n550-\r\n550 5.7.1 way\r\n"),
            Reply::new(550, Enhanced(5, 7, 1), "no\n\nway")
        );
        assert_eq!(one("250-a\r\n251 b\r\n"), Reply::bare(251, "a\nb"));
    }

    #[test]
    fn a_status_that_contradicts_its_code_is_text() {
        for text in ["5.1.1 x", "2.1 x", "2.1.1.1 x", "2.1000.1 x", "2..1 x", "x2.1.1 y"] {
            assert_eq!(one(&format!("250 {text}\r\n")).text, text);
            assert_eq!(one(&format!("250 {text}\r\n")).enhanced, None);
        }
        assert_eq!(one("354 3.0.0 go\r\n").enhanced, None);
    }

    #[test]
    fn nonsense_is_a_fault() {
        for text in ["\r\n", "25 x\r\n", "abc d\r\n", "199 x\r\n", "600 x\r\n", "2500 x\r\n"] {
            assert_eq!(read(text.as_bytes()).1, Err(Fault::Malformed), "{text:?}");
        }
        assert_eq!(read(b"250-a\r\n550 b\r\n").1, Err(Fault::Malformed));
        assert_eq!(read(&[b'2'; 201]).1, Err(Fault::Long));
        assert_eq!(read("250-abc\r\n".repeat(30).as_bytes()).1, Err(Fault::Long));
    }

    #[test]
    fn text_is_cleaned_and_cut() {
        assert_eq!(one("250 a\x1b[2Jb\x00c\rd\r\n").text, "a [2Jb c d");
        assert_eq!(one("250 \u{85}é\r\n").text, " é");
        let mut reader = Reader::default();
        let mut line = b"250 ".to_vec();
        line.extend_from_slice("é".repeat(1000).as_bytes());
        line.extend_from_slice(b"\xff\r\n");
        assert_eq!(reader.read(&line, 4000), (line.len(), Ok(true)));
        let kept = reader.reply().text;
        assert!(kept.len() <= KEPT_OCTETS_MAX && kept.chars().all(|c| c == 'é'));
    }

    #[test]
    fn one_reply_at_a_time_and_split_anywhere() {
        assert_eq!(read(b"250 a\r\n250 b\r\n").0, 7);
        let all = b"250-2.1.0 one\r\n250 2.1.0 two\r\n550 x\r\n";
        for cut in 0..all.len() {
            let mut reader = Reader::default();
            let mut replies = Vec::new();
            for mut piece in [&all[..cut], &all[cut..]] {
                while !piece.is_empty() {
                    let (used, complete) = reader.read(piece, 200);
                    piece = &piece[used..];
                    if complete.unwrap() {
                        assert!(!reader.in_reply());
                        replies.push(reader.reply().to_string());
                    }
                }
            }
            assert_eq!(replies, ["250 2.1.0 one two", "550 x"], "cut at {cut}");
        }
    }
}
