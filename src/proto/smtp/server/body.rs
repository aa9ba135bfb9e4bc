//! The text of a message: its end, its stuffed dots, its line endings and its limits.
//!
//! One reader serves `DATA` (dots: RFC 5321 §4.5.2) and `BDAT` (octets counted: RFC 3030). It owns
//! no bytes: pieces are the longest slices of the input between two octets that do not belong to
//! the message. What must stay true:
//! - only CRLF `.` CRLF ends `DATA`, whatever [`LineEndings`] says and wherever input is split;
//! - what it gives out holds CR and LF only as CRLF, no NUL, and ends with CRLF unless empty;
//! - a dot is stuffing only behind CRLF: behind a mended ending the peer put none;
//! - once something is wrong it gives out nothing more but still finds the end, so that the reply
//!   comes when the peer expects it; what was wrong first is what is said, however input is split.

use memchr::memchr3;

use super::{Limits, LineEndings, replies};
use crate::types::Reply;

/// What reading the front of the input gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'i> {
    /// All of the input is consumed, and nothing of it is left to give out.
    More,
    /// A piece of the message.
    Piece(&'i [u8]),
    /// The end.
    End,
}

/// Where the reader stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a line: a dot here is stuffing or the end.
    LineStart,
    /// Behind a dot at the start of a line; the dot is consumed and not given out.
    Dot,
    /// Behind that dot and a CR; neither is given out.
    DotCr,
    /// Inside a line.
    Text,
    /// Behind a CR that may be half of a CRLF; it is not given out.
    Cr,
}

/// Reads one message.
#[derive(Debug)]
pub(super) struct BodyReader {
    place: Place,
    dots: bool,
    endings: LineEndings,
    failure: Option<Reply>,
    bytes: u64,
    bytes_max: u64,
    line_left: u64,
    line_max: u64,
    /// `u64::MAX` once the header is over.
    header_left: u64,
}

impl BodyReader {
    /// A reader for `DATA` (`dots`) or `BDAT`.
    pub(super) fn new(dots: bool, endings: LineEndings, limits: &Limits) -> Self {
        let line_max = (limits.text_line_bytes_max as u64).saturating_sub(2);
        Self {
            place: Place::LineStart,
            dots,
            endings,
            failure: None,
            bytes: 0,
            bytes_max: limits.message_bytes_max,
            line_left: line_max,
            line_max,
            header_left: limits.header_bytes_max as u64,
        }
    }

    /// Octets given out.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the message is refused already.
    pub(super) const fn failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Why the message is refused, if it is.
    pub(super) fn failure(&mut self) -> Option<Reply> {
        self.failure.take()
    }

    /// Gives out nothing more; the first reason stays.
    pub(super) fn fail(&mut self, reply: Reply) {
        self.failure.get_or_insert(reply);
    }

    /// Reads from the front of `input`; returns how much is consumed.
    pub(super) fn read<'i>(&mut self, input: &'i [u8]) -> (usize, Part<'i>) {
        // `input[start..at]` belongs to the message and is not yet given out or counted.
        let (mut start, mut at) = (0, 0);
        while at < input.len() {
            match self.place {
                Place::LineStart if self.dots && input[at] == b'.' => {
                    self.place = Place::Dot;
                    if start < at {
                        return (at + 1, Part::Piece(&input[start..at]));
                    }
                    at += 1;
                    start = at;
                }
                Place::LineStart => self.place = Place::Text,
                Place::Dot if input[at] == b'\r' => {
                    self.place = Place::DotCr;
                    at += 1;
                    start = at;
                }
                // Not the end: the dot was stuffing, and this octet is text like any other.
                Place::Dot => self.place = Place::Text,
                Place::DotCr if input[at] == b'\n' => return (at + 1, Part::End),
                Place::DotCr | Place::Cr => {
                    if let Some(piece) = self.after_cr(input[at]) {
                        return (at + usize::from(input[at] == b'\n'), Part::Piece(piece));
                    }
                    at += usize::from(input[at] == b'\n');
                    start = at;
                }
                Place::Text => match self.text(input, start, at) {
                    Ok((given, next)) => (start, at) = (given, next),
                    Err(result) => return result,
                },
            }
        }
        if start < at && self.failure.is_none() {
            return (at, Part::Piece(&input[start..at]));
        }
        (at, Part::More)
    }

    /// Inside a line: goes on to its end. `Ok` holds the new `start` and `at`.
    fn text<'i>(
        &mut self,
        input: &'i [u8],
        start: usize,
        at: usize,
    ) -> Result<(usize, usize), (usize, Part<'i>)> {
        let end = memchr3(b'\r', b'\n', 0, &input[at..]).map_or(input.len(), |n| at + n);
        self.count(end - at);
        let start = if self.failure.is_some() { end } else { start };
        let piece = |used: usize| -> Result<(usize, usize), (usize, Part<'i>)> {
            if start < end {
                Err((used, Part::Piece(&input[start..end])))
            } else {
                Ok((used, used))
            }
        };
        match (input.get(end), input.get(end + 1)) {
            (None, _) => Ok((start, end)),
            (Some(b'\r'), Some(b'\n')) => {
                self.line_end();
                self.place = Place::LineStart;
                Ok((if self.failure.is_some() { end + 2 } else { start }, end + 2))
            }
            // Whether it is bare, the next octet tells.
            (Some(b'\r'), _) => {
                self.place = Place::Cr;
                piece(end + 1)
            }
            (Some(octet), _) => {
                if start < end {
                    return Err((end, Part::Piece(&input[start..end])));
                }
                let mended = self.bare(*octet == b'\n');
                if mended.is_empty() {
                    return Ok((end + 1, end + 1));
                }
                Err((end + 1, Part::Piece(mended)))
            }
        }
    }

    /// Behind a CR that was not given out: what to give out for it. A following LF is consumed
    /// by the caller, anything else is not.
    fn after_cr(&mut self, octet: u8) -> Option<&'static [u8]> {
        if octet == b'\n' {
            self.line_end();
            self.place = Place::LineStart;
            return self.failure.is_none().then_some(b"\r\n");
        }
        self.place = Place::Text;
        let mended = self.bare(true);
        (!mended.is_empty()).then_some(mended)
    }

    /// A bare CR or LF (`ending`) or a NUL: refused, or what stands in its place.
    fn bare(&mut self, ending: bool) -> &'static [u8] {
        if self.endings == LineEndings::Refuse {
            self.fail(if ending { replies::BARE_ENDING } else { replies::NUL });
        } else if ending {
            self.line_end();
        }
        if ending && self.failure.is_none() { b"\r\n" } else { b"" }
    }

    /// Counts a CRLF and starts a line.
    fn line_end(&mut self) {
        let empty = self.line_left == self.line_max;
        self.line_left = u64::MAX;
        self.count(2);
        self.line_left = self.line_max;
        if empty {
            self.header_left = u64::MAX;
        }
    }

    /// Counts octets of the current line against the limits.
    fn count(&mut self, octets: usize) {
        if self.failure.is_some() {
            return;
        }
        let octets = octets as u64;
        let left = self.bytes_max - self.bytes;
        let least = left.min(self.line_left).min(self.header_left);
        if octets > least {
            self.failure = Some(if least == left {
                replies::MESSAGE_TOO_BIG
            } else if least == self.line_left {
                replies::TEXT_LINE_TOO_LONG
            } else {
                replies::HEADER_TOO_BIG
            });
            return;
        }
        self.bytes += octets;
        self.line_left -= octets;
        if self.header_left != u64::MAX {
            self.header_left -= octets;
        }
    }

    /// The last `BDAT` chunk is read: what completes the message (RFC 3030 leaves the last line's
    /// CRLF to the peer; SMTP without CHUNKING cannot pass on a line without one).
    pub(super) fn finish(&mut self) -> &'static [u8] {
        match self.place {
            Place::Cr => {
                self.place = Place::LineStart;
                self.bare(true)
            }
            Place::Text if self.line_left != self.line_max => {
                self.place = Place::LineStart;
                self.line_end();
                if self.failure.is_none() { b"\r\n" } else { b"" }
            }
            _ => b"",
        }
    }
}
