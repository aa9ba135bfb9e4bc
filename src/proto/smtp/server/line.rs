//! Command lines: where one ends, and that it ends properly.
//!
//! Only CRLF ends a command (RFC 5321 §2.3.8). With [`LineEndings::Refuse`] a line that holds a
//! bare LF is refused piece by piece up to and including its CRLF, so that nothing hidden behind
//! an LF ever runs, and a peer that knows only LF is still told why. With [`LineEndings::Fix`] an
//! LF alone ends a line too. A line over the limit is swallowed without being stored.

use memchr::memchr;

use super::LineEndings;

/// Octets of a line in an `AUTH` exchange, with its CRLF (RFC 4954 §4).
const RESPONSE_BYTES_MAX: usize = 12_288;

/// What the front of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'i> {
    /// No whole line yet.
    Incomplete,
    /// One line without its end.
    Command(&'i [u8]),
    /// The end of a line that was too long (RFC 5321 §4.5.3.1.4).
    Long,
    /// A piece of a line that holds a bare LF.
    BareLf,
}

/// Finds lines; holds no bytes.
#[derive(Debug)]
pub(super) struct Lines {
    bytes_max: usize,
    endings: LineEndings,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a line.
    Fresh,
    /// Behind a bare LF, before the CRLF that ends the line for the peer.
    Tainted,
    /// Inside a line that is too long.
    Long { after_cr: bool },
}

impl Lines {
    pub(super) fn new(bytes_max: usize, endings: LineEndings) -> Self {
        // A limit below the shortest command would refuse everything, with no way to say why.
        Self { bytes_max: bytes_max.max(64), endings, place: Place::Fresh }
    }

    /// Looks at the front of `input` for a command: how much is consumed, and what it was. An
    /// incomplete line stays with the caller until it is complete or over the limit.
    pub(super) fn next<'i>(&mut self, input: &'i [u8]) -> (usize, Line<'i>) {
        self.line(input, self.bytes_max)
    }

    /// Likewise for a line that answers a challenge of SASL.
    pub(super) fn response<'i>(&mut self, input: &'i [u8]) -> (usize, Line<'i>) {
        self.line(input, RESPONSE_BYTES_MAX)
    }

    fn line<'i>(&mut self, input: &'i [u8], bytes_max: usize) -> (usize, Line<'i>) {
        if let Place::Long { after_cr } = self.place {
            return self.swallow(input, 0, after_cr);
        }
        let window = &input[..input.len().min(bytes_max)];
        let Some(at) = memchr(b'\n', window) else {
            if window.len() < bytes_max {
                return (0, Line::Incomplete);
            }
            return self.swallow(input, window.len(), window.last() == Some(&b'\r'));
        };
        let used = at + 1;
        let tainted = self.place == Place::Tainted;
        match window[..at].split_last() {
            Some((b'\r', line)) => {
                self.place = Place::Fresh;
                (used, if tainted { Line::BareLf } else { Line::Command(line) })
            }
            _ if self.endings == LineEndings::Fix => (used, Line::Command(&window[..at])),
            _ => {
                self.place = Place::Tainted;
                (used, Line::BareLf)
            }
        }
    }

    /// Swallows `input` from `from` up to the next LF.
    fn swallow<'i>(&mut self, input: &'i [u8], from: usize, after_cr: bool) -> (usize, Line<'i>) {
        let rest = &input[from..];
        let Some(at) = memchr(b'\n', rest) else {
            let after_cr = rest.last().map_or(after_cr, |last| *last == b'\r');
            self.place = Place::Long { after_cr };
            return (input.len(), Line::Incomplete);
        };
        let crlf = if at == 0 { after_cr } else { rest[at - 1] == b'\r' };
        let ended = crlf || self.endings == LineEndings::Fix;
        self.place = if ended { Place::Fresh } else { Place::Tainted };
        (from + at + 1, Line::Long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(endings: LineEndings, input: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(64, endings);
        let mut at = 0;
        let mut seen = Vec::new();
        loop {
            let (used, line) = lines.next(&input[at..]);
            at += used;
            seen.push(match line {
                Line::Incomplete => return seen,
                Line::Command(text) => String::from_utf8_lossy(text).into_owned(),
                Line::Long => "LONG".into(),
                Line::BareLf => "LF".into(),
            });
        }
    }

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(all(LineEndings::Refuse, b"A\r\nB\nC\r\nD\r\nE"), ["A", "LF", "LF", "D"]);
        assert_eq!(all(LineEndings::Fix, b"A\r\nB\nC\r\r\nD"), ["A", "B", "C\r"]);
        assert_eq!(all(LineEndings::Refuse, b"\r\n\n\r\n"), ["", "LF", "LF"]);
    }

    #[test]
    fn the_limit_counts_the_crlf() {
        let line = |n: usize| format!("{}\r\nX\r\n", "a".repeat(n)).into_bytes();
        assert_eq!(all(LineEndings::Refuse, &line(62)), ["a".repeat(62), "X".into()]);
        assert_eq!(all(LineEndings::Refuse, &line(63)), ["LONG", "X"]);
        assert_eq!(all(LineEndings::Refuse, &line(500)), ["LONG", "X"]);
        let split = [&b"a".repeat(63)[..], b"\n", b"X\r\nY\r\n"].concat();
        assert_eq!(all(LineEndings::Refuse, &split), ["LF", "LF", "Y"]);
        let split = [&b"a".repeat(80)[..], b"\n", b"X\r\nY\r\n"].concat();
        assert_eq!(all(LineEndings::Refuse, &split), ["LONG", "LF", "Y"]);
    }
}
