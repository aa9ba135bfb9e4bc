//! Lines: where one ends, and that it ends properly.
//!
//! Only CRLF ends a line. One that ends with LF alone, or not within the limit, is not passed over to
//! go on behind it: it may have announced a literal, whose octets would then be obeyed.

use memchr::memchr;

/// What the front of the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'i> {
    /// No whole line yet.
    Incomplete,
    /// One line without its CRLF, which was so many octets with it.
    Whole(&'i [u8], usize),
    /// It is longer than it may be.
    Long,
    /// It holds a bare LF.
    BareLf,
}

/// Looks for a line of `bytes_max` octets at most, its CRLF counted.
pub(super) fn find(input: &[u8], bytes_max: usize) -> Line<'_> {
    let window = &input[..input.len().min(bytes_max)];
    let Some(at) = memchr(b'\n', window) else {
        return if window.len() < bytes_max { Line::Incomplete } else { Line::Long };
    };
    match window[..at].split_last() {
        Some((b'\r', line)) => Line::Whole(line, at + 1),
        _ => Line::BareLf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_line() {
        assert_eq!(find(b"ab\r\nc", 9), Line::Whole(b"ab", 4));
        assert_eq!(find(b"\r\n", 9), Line::Whole(b"", 2));
        assert_eq!(find(b"ab\r", 9), Line::Incomplete);
        assert_eq!(find(b"a\nb\r\n", 9), Line::BareLf);
        assert_eq!(find(b"\n", 9), Line::BareLf);
        assert_eq!(find(b"ab\r\n", 4), Line::Whole(b"ab", 4));
        assert_eq!(find(b"abc\r\n", 4), Line::Long);
        assert_eq!(find(b"abc", 4), Line::Incomplete);
        assert_eq!(find(b"", 0), Line::Long);
    }
}
