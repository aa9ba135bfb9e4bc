//! Content-Transfer-Encoding: reading base64 and quoted-printable (RFC 2045 §6), for BINARY
//! (RFC 3516) and SEARCH.
//!
//! A body comes in pieces of any size. What must stay true: the same octets come out however it is
//! cut, no more is held than one line, and nothing fails but an encoding that is not known: what
//! breaks the rules is read as well as it can be, as RFC 2045 advises.

use memchr::memrchr;
use serde::{Deserialize, Serialize};

use super::octets::is_blank;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// Not at all: `7bit`, `8bit`, `binary`, or nothing said.
    #[default]
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// Something else: BINARY answers UNKNOWN-CTE (RFC 3516 §4.3).
    Unknown,
}

impl Encoding {
    pub(super) fn named(name: &[u8]) -> Self {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        if is(b"7bit") || is(b"8bit") || is(b"binary") {
            Self::Identity
        } else if is(b"base64") {
            Self::Base64
        } else if is(b"quoted-printable") {
            Self::QuotedPrintable
        } else {
            Self::Unknown
        }
    }
}

/// The encoding is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown content transfer encoding")]
pub struct Undecodable;

/// Appends the decoded `body`.
///
/// # Errors
/// [`Undecodable`]; nothing is appended then.
pub fn decode(encoding: Encoding, body: &[u8], out: &mut Vec<u8>) -> Result<(), Undecodable> {
    let mut decoder = Decoder::new(encoding)?;
    decoder.push(body, out);
    decoder.finish(out);
    Ok(())
}

/// The octets of the decoded `body`: BINARY.SIZE. Holds some KiB of them at a time.
///
/// # Errors
/// [`Undecodable`].
pub fn decoded_octets(encoding: Encoding, body: &[u8]) -> Result<u64, Undecodable> {
    let mut decoder = Decoder::new(encoding)?;
    if encoding == Encoding::Identity {
        return Ok(body.len() as u64);
    }
    let (mut octets, mut out) = (0, Vec::with_capacity(8192));
    for piece in body.chunks(8192) {
        decoder.push(piece, &mut out);
        octets += out.len() as u64;
        out.clear();
    }
    decoder.finish(&mut out);
    Ok(octets + out.len() as u64)
}

/// Decodes a body that comes in pieces.
#[derive(Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Identity,
    /// Bits of an unfinished group, and how many characters they came from.
    Base64(u32, u8),
    /// The beginning of an unfinished line.
    QuotedPrintable(Vec<u8>),
}

/// Longer lines of quoted-printable are cut; RFC 2045 allows 76 octets.
const LINE_OCTETS_MAX: usize = 4096;

impl Decoder {
    pub(super) const IDENTITY: Self = Self { state: State::Identity };

    /// Begins a body.
    ///
    /// # Errors
    /// [`Undecodable`].
    pub fn new(encoding: Encoding) -> Result<Self, Undecodable> {
        let state = match encoding {
            Encoding::Identity => State::Identity,
            Encoding::Base64 => State::Base64(0, 0),
            Encoding::QuotedPrintable => State::QuotedPrintable(Vec::new()),
            Encoding::Unknown => return Err(Undecodable),
        };
        Ok(Self { state })
    }

    /// Appends what the next `piece` says.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(piece),
            State::Base64(bits, count) => push_base64(bits, count, piece, out),
            State::QuotedPrintable(held) => push_quoted(held, piece, out),
        }
    }

    /// The body ends: appends what was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => {}
            State::Base64(bits, count) => end_group(bits, count, out),
            State::QuotedPrintable(held) => {
                decode_line(held, out);
                held.clear();
            }
        }
    }
}

/// The value of each character of base64; 64: it has none.
const VALUES: [u8; 256] = {
    let mut values = [64; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut at = 0;
    while at < 64 {
        values[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    values
};

fn push_base64(bits: &mut u32, count: &mut u8, piece: &[u8], out: &mut Vec<u8>) {
    let mut rest = piece;
    while let Some(octet) = rest.first() {
        // Whole groups, as long as nothing is between them.
        if *count == 0 {
            let (groups, _) = rest.as_chunks::<4>();
            let mut taken = 0;
            for group in groups {
                let [a, b, c, d] = group.map(|octet| VALUES[usize::from(octet)]);
                if (a | b | c | d) > 63 {
                    break;
                }
                out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                taken += 4;
            }
            if taken > 0 {
                rest = &rest[taken..];
                continue;
            }
        }
        rest = &rest[1..];
        match VALUES[usize::from(*octet)] {
            value @ 0..=63 => {
                *bits = *bits << 6 | u32::from(value);
                *count += 1;
                if *count == 4 {
                    out.extend_from_slice(&bits.to_be_bytes()[1..]);
                    (*bits, *count) = (0, 0);
                }
            }
            // The end; more may follow where bodies were put together.
            _ if *octet == b'=' => end_group(bits, count, out),
            // Line ends, and what does not belong here (RFC 2045 §6.8).
            _ => {}
        }
    }
}

fn end_group(bits: &mut u32, count: &mut u8, out: &mut Vec<u8>) {
    match count {
        2 => out.push((*bits >> 4) as u8),
        3 => out.extend_from_slice(&[(*bits >> 10) as u8, (*bits >> 2) as u8]),
        _ => {}
    }
    (*bits, *count) = (0, 0);
}

fn push_quoted(held: &mut Vec<u8>, piece: &[u8], out: &mut Vec<u8>) {
    let whole = memrchr(b'\n', piece).map_or(0, |end| end + 1);
    let (lines, rest) = piece.split_at(whole);
    for line in lines.split_inclusive(|octet| *octet == b'\n') {
        if held.is_empty() && line.len() <= LINE_OCTETS_MAX {
            decode_line(line, out);
        } else {
            hold(held, line, out);
            decode_line(held, out);
            held.clear();
        }
    }
    hold(held, rest, out);
}

/// Adds to the line that is held; a line that grows too long is cut at a place that does not
/// depend on how it came.
fn hold(held: &mut Vec<u8>, text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while held.len() + rest.len() > LINE_OCTETS_MAX {
        let (now, later) = rest.split_at(LINE_OCTETS_MAX - held.len());
        held.extend_from_slice(now);
        // An escape stays whole, and so do blanks that may end the line.
        let tail = held.iter().rposition(|octet| !is_blank(*octet)).map_or(0, |at| at + 1);
        let near = tail.saturating_sub(2);
        let escape = held[near..tail].iter().position(|octet| *octet == b'=');
        let cut = escape.map_or(tail, |at| near + at);
        let cut = if cut == 0 { held.len() } else { cut };
        push_escaped(&held[..cut], out);
        held.drain(..cut);
        rest = later;
    }
    held.extend_from_slice(rest);
}

/// One line with its end, or the last one without.
fn decode_line(line: &[u8], out: &mut Vec<u8>) {
    let end = line.iter().rposition(|octet| !is_blank(*octet)).map_or(0, |at| at + 1);
    let (text, after) = line.split_at(end);
    let line_end: &[u8] = match after {
        after if after.ends_with(b"\r\n") => b"\r\n",
        after if after.ends_with(b"\n") => b"\n",
        // No line ends here: blanks are text.
        after => return push_last(text, after, out),
    };
    // Blanks before the line end were put there on the way (RFC 2045 §6.7, rule 3).
    match text.strip_suffix(b"=") {
        Some(text) => push_escaped(text, out),
        None => {
            push_escaped(text, out);
            out.extend_from_slice(line_end);
        }
    }
}

fn push_last(text: &[u8], blanks: &[u8], out: &mut Vec<u8>) {
    match text.strip_suffix(b"=") {
        Some(text) => push_escaped(text, out),
        None => {
            push_escaped(text, out);
            out.extend_from_slice(blanks);
        }
    }
}

/// Text with `=XX`; a `=` that begins nothing stands for itself.
fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let digit = |at: usize| rest.get(at).copied().and_then(hex_digit);
        let octets = match (digit(1), digit(2)) {
            (Some(high), Some(low)) => {
                out.push(high << 4 | low);
                3
            }
            _ => {
                out.push(b'=');
                1
            }
        };
        rest = &rest[octets..];
    }
    out.extend_from_slice(rest);
}

pub(super) fn hex_digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: Encoding, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        decode(encoding, body, &mut out).unwrap();
        out
    }

    #[test]
    fn base64_is_read_leniently() {
        for (body, text) in [
            ("aGVsbG8=\r\n", "hello"),
            ("aGVs\r\nbG8\r\n", "hello"),
            ("aG*Vs bG8=", "hello"),
            ("aGVsbG8=aGVsbG8=", "hellohello"),
            ("aGVsbG8sIHdvcmxkIQ==", "hello, world!"),
            ("", ""),
            ("a", ""),
            ("====", ""),
        ] {
            assert_eq!(decoded(Encoding::Base64, body.as_bytes()), text.as_bytes(), "{body}");
        }
    }

    #[test]
    fn quoted_printable_is_read_leniently() {
        for (body, text) in [
            ("a=3Db=\r\nc \t\r\nd=20\r\n", "a=bc\r\nd \r\n"),
            ("a= \t\r\nb", "ab"),
            ("100% = x =3 =G1=", "100% = x =3 =G1"),
            ("=c3=A9\n.", "é\n."),
            ("end  ", "end  "),
            ("\r\n\r\n", "\r\n\r\n"),
        ] {
            let found = decoded(Encoding::QuotedPrintable, body.as_bytes());
            assert_eq!(String::from_utf8_lossy(&found), text, "{body}");
        }
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        for before in LINE_OCTETS_MAX - 8..LINE_OCTETS_MAX + 3 {
            let body = format!("{}=41=\r\n=42  ", "x".repeat(before));
            let found = decoded(Encoding::QuotedPrintable, body.as_bytes());
            let text = format!("{}AB  ", "x".repeat(before));
            assert_eq!(String::from_utf8_lossy(&found), text, "{before}");
        }
    }

    #[test]
    fn unknown_encodings_are_refused() {
        assert_eq!(decode(Encoding::Unknown, b"x", &mut Vec::new()), Err(Undecodable));
        assert_eq!(decoded_octets(Encoding::Unknown, b"x"), Err(Undecodable));
        assert_eq!(Encoding::named(b"BASE64"), Encoding::Base64);
        assert_eq!(Encoding::named(b"x-uuencode"), Encoding::Unknown);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn pieces_say_what_the_whole_says(
            body in prop::collection::vec(
                prop::sample::select(&b"=\r\n \tAa3Z+/x"[..]), 0..200),
            long in any::<bool>(),
            cuts in prop::collection::vec(0..10_000usize, 0..6),
        ) {
            let body = if long { body.repeat(60) } else { body };
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Identity] {
                let whole = decoded(encoding, &body);
                let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
                cuts.sort_unstable();
                let (mut decoder, mut out) = (Decoder::new(encoding).unwrap(), Vec::new());
                let mut from = 0;
                for cut in cuts.into_iter().chain([body.len()]) {
                    decoder.push(&body[from..cut], &mut out);
                    from = cut;
                }
                decoder.finish(&mut out);
                prop_assert_eq!(&out, &whole);
                prop_assert_eq!(decoded_octets(encoding, &body).unwrap(), whole.len() as u64);
                prop_assert!(whole.len() <= body.len());
            }
        }

        #[test]
        fn base64_comes_back(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = data_encoding::BASE64_MIME.encode(&octets);
            prop_assert_eq!(decoded(Encoding::Base64, text.as_bytes()), octets);
        }
    }
}
