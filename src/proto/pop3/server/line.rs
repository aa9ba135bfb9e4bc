//! Command lines: where one ends.
//!
//! CRLF ends a command (RFC 1939 §3). A bare LF does too, as with every server in use: people and
//! scripts type it, and here nothing is hidden behind it, for no other server reads what we have read.
//! A line over the limit is swallowed without being stored.

use memchr::memchr;

/// Octets of a line in an `AUTH` exchange, with its CRLF: RFC 5034 §4 sets no limit but that of the
/// mechanism, so it is that of RFC 4954 §4.
const RESPONSE_BYTES_MAX: usize = 12_288;
/// A limit below the shortest commands would refuse everything.
const COMMAND_BYTES_MIN: usize = 64;

/// What the front of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'i> {
    /// No whole line yet.
    Incomplete,
    /// One line without its end.
    Whole(&'i [u8]),
    /// The end of a line that was too long.
    Long,
}

/// Finds lines; holds no octets.
#[derive(Debug)]
pub(super) struct Lines {
    bytes_max: usize,
    /// Inside a line that is too long.
    is_long: bool,
}

impl Lines {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max: bytes_max.max(COMMAND_BYTES_MIN), is_long: false }
    }

    /// Looks at the front of `input` for a command: how much is consumed, and what it was. An
    /// incomplete line stays with the caller until it is complete or over the limit.
    pub(super) fn command<'i>(&mut self, input: &'i [u8]) -> (usize, Line<'i>) {
        self.line(input, self.bytes_max)
    }

    /// Likewise for a line that answers a challenge of SASL.
    pub(super) fn response<'i>(&mut self, input: &'i [u8]) -> (usize, Line<'i>) {
        self.line(input, RESPONSE_BYTES_MAX)
    }

    fn line<'i>(&mut self, input: &'i [u8], bytes_max: usize) -> (usize, Line<'i>) {
        if self.is_long {
            return self.swallow(input);
        }
        let window = &input[..input.len().min(bytes_max)];
        match memchr(b'\n', window) {
            Some(at) => {
                let line = &window[..at];
                (at + 1, Line::Whole(line.strip_suffix(b"\r").unwrap_or(line)))
            }
            None if window.len() < bytes_max => (0, Line::Incomplete),
            None => self.swallow(input),
        }
    }

    fn swallow<'i>(&mut self, input: &'i [u8]) -> (usize, Line<'i>) {
        let end = memchr(b'\n', input);
        self.is_long = end.is_none();
        end.map_or((input.len(), Line::Incomplete), |at| (at + 1, Line::Long))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], read_bytes: usize) -> Vec<String> {
        let mut lines = Lines::new(64);
        let (mut from, mut to) = (0, 0);
        let mut seen = Vec::new();
        loop {
            let (used, line) = lines.command(&input[from..to]);
            from += used;
            match line {
                Line::Incomplete if to == input.len() => return seen,
                Line::Incomplete => to = (to + read_bytes).min(input.len()),
                Line::Whole(text) => seen.push(String::from_utf8_lossy(text).into_owned()),
                Line::Long => seen.push("LONG".into()),
            }
        }
    }

    #[test]
    fn crlf_or_lf_ends_a_line() {
        for read_bytes in [1, 3, 100] {
            assert_eq!(
                all(b"A\r\nB\n\r\n\nC\r\r\nD\rE\r\nF", read_bytes),
                ["A", "B", "", "", "C\r", "D\rE"]
            );
        }
    }

    #[test]
    fn the_limit_counts_the_end() {
        for read_bytes in [1, 7, 1000] {
            let line = |octets: usize| format!("{}\r\nX\r\n", "a".repeat(octets)).into_bytes();
            assert_eq!(all(&line(62), read_bytes), ["a".repeat(62), "X".into()]);
            assert_eq!(all(&line(63), read_bytes), ["LONG", "X"]);
            assert_eq!(all(&line(500), read_bytes), ["LONG", "X"]);
        }
    }
}
