//! A message on its way out: dots stuffed (RFC 1939 §3), cut off behind so many lines (`TOP`).
//!
//! It owns no octets and copies few: long runs between two stuffed dots are named, to be sent from where
//! they lie, and only short ones are gathered in `out`. What must stay true, and is tested by cutting
//! messages at every octet: what is sent does not depend on how the message was cut into pieces; taking
//! stuffed dots and the last line away gives back the message, octet for octet.
//!
//! Stored messages hold only CRLF line ends. Should a bare LF ever get in, a dot behind it is stuffed
//! too: a client that takes LF for a line end must never see the end inside a message.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::Retrieval;

/// Shorter runs are copied: a place of its own in a gathered write costs more.
const COPIED_BYTES_MAX: usize = 4 << 10;

/// What is to be done with a piece of a message: send `out`, then `verbatim` of the piece, and give what
/// is behind `used` next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Octets of the piece that are done with once that is sent.
    pub used: usize,
    /// What goes out as it is, behind `out`; may be empty.
    pub verbatim: Range<usize>,
    /// More of the message is wanted; if not, [`super::Server::body_ended`] is next.
    pub wants_more: bool,
}

impl Portion {
    /// Nothing of it is sent.
    pub(super) const fn nothing(piece: &[u8]) -> Self {
        Self { used: piece.len(), verbatim: 0..0, wants_more: false }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Transfer {
    retrieval: Retrieval,
    cut: Option<Cut>,
    /// At the start of a line, where a dot is stuffed.
    at_line_start: bool,
}

impl Transfer {
    pub(super) fn new(retrieval: Retrieval) -> Self {
        Self { retrieval, cut: retrieval.lines.map(Cut::new), at_line_start: true }
    }

    pub(super) const fn retrieval(&self) -> Retrieval {
        self.retrieval
    }

    /// Takes the front of `piece`.
    pub(super) fn next(&mut self, piece: &[u8], bytes_max: usize, out: &mut Vec<u8>) -> Portion {
        let mut used = 0;
        let mut verbatim = 0..0;
        while used < piece.len() && self.wants_more() {
            let run = self.run(&piece[used..]);
            if run.is_stuffed {
                out.push(b'.');
            }
            let octets = used..used + run.octets;
            used = octets.end;
            if run.octets > COPIED_BYTES_MAX {
                verbatim = octets;
                break;
            }
            out.extend_from_slice(&piece[octets]);
            if out.len() >= bytes_max {
                break;
            }
        }
        Portion { used, verbatim, wants_more: self.wants_more() }
    }

    /// The longest front of `rest` (which is not empty) that has no dot to stuff but before it.
    fn run(&mut self, rest: &[u8]) -> Run {
        let octets = memmem::find(rest, b"\n.").map_or(rest.len(), |at| at + 1);
        let octets = self.cut.as_mut().map_or(octets, |cut| cut.take(&rest[..octets]));
        let is_stuffed = self.at_line_start && rest.first() == Some(&b'.') && octets > 0;
        if let Some(last) = rest[..octets].last() {
            self.at_line_start = *last == b'\n';
        }
        Run { octets, is_stuffed }
    }

    fn wants_more(&self) -> bool {
        self.cut.as_ref().is_none_or(|cut| cut.place != Place::End)
    }

    /// The last line, behind a line end.
    pub(super) const fn end(&self) -> &'static [u8] {
        if self.at_line_start { b".\r\n" } else { b"\r\n.\r\n" }
    }
}

/// Octets that go out as they are.
struct Run {
    octets: usize,
    /// Behind a dot that is not theirs.
    is_stuffed: bool,
}

/// Finds the end of the header and of so many lines behind it.
#[derive(Debug)]
struct Cut {
    place: Place,
    lines_left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a line of the header.
    HeaderLine,
    /// Behind a CR there.
    Cr,
    /// Inside a line of the header.
    Header,
    /// Behind the empty line.
    Text,
    /// Behind what is wanted.
    End,
}

impl Cut {
    fn new(lines: u32) -> Self {
        Self { place: Place::HeaderLine, lines_left: lines }
    }

    /// How many octets at the front of `text` are wanted.
    fn take(&mut self, text: &[u8]) -> usize {
        let mut at = 0;
        while let Some(octet) = text.get(at) {
            at = match (self.place, octet) {
                (Place::End, _) => break,
                (Place::HeaderLine, b'\r') => self.go(Place::Cr, at + 1),
                (Place::HeaderLine | Place::Cr, b'\n') => {
                    let next = if self.lines_left == 0 { Place::End } else { Place::Text };
                    self.go(next, at + 1)
                }
                (Place::HeaderLine | Place::Cr, _) => self.go(Place::Header, at),
                (Place::Header | Place::Text, _) => match memchr(b'\n', &text[at..]) {
                    Some(end) => self.line_ended(at + end + 1),
                    None => text.len(),
                },
            };
        }
        at
    }

    fn line_ended(&mut self, at: usize) -> usize {
        if self.place == Place::Header {
            return self.go(Place::HeaderLine, at);
        }
        self.lines_left = self.lines_left.saturating_sub(1);
        let next = if self.lines_left == 0 { Place::End } else { Place::Text };
        self.go(next, at)
    }

    fn go(&mut self, place: Place, at: usize) -> usize {
        self.place = place;
        at
    }
}
