//! The one pass over a message that finds its parts (RFC 2046 §5.1).
//!
//! What must stay true: each octet is looked at a bounded number of times, nothing is recursive,
//! and ranges nest. A delimiter line holds the boundary and then its end, a blank or `--`; among
//! multiparts inside of each other the innermost one counts, and a delimiter of an outer one ends
//! all those inside. The line end before a delimiter belongs to it.
//!
//! Odd mail: a part without an end ends with its message; a multipart without a boundary is text;
//! one without a delimiter has its whole body as its only part; what is too deep is one part; what
//! follows when there are too many belongs to the last.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::{
    Limits,
    describe::{MayHold, describe, keep},
    draft::{Content, Fields},
    envelope::write_nested,
    header::{self, HeaderIndex},
    structure::{Kind, Part, Span, Structure},
};

/// Comparisons of a line with a boundary in one message: some milliseconds.
const COMPARISONS_MAX: u32 = 1 << 22;

/// What the pass finds.
pub(super) struct Walked<'a> {
    pub(super) fields: Fields<'a>,
    pub(super) header: HeaderIndex,
    pub(super) structure: Structure,
}

/// Reads `message`, which is no longer than 4 GiB.
pub(super) fn walk<'a>(message: &'a [u8], limits: &'a Limits) -> Walked<'a> {
    let walk = Walk {
        message,
        limits,
        at: 0,
        lines: 0,
        parts: Vec::new(),
        text: Vec::with_capacity(512),
        frames: Vec::new(),
        comparisons: COMPARISONS_MAX,
    };
    walk.run()
}

struct Walk<'a> {
    message: &'a [u8],
    limits: &'a Limits,
    /// What was read; a line begins here.
    at: usize,
    /// Line ends before `at`.
    lines: u32,
    parts: Vec<Part>,
    text: Vec<u8>,
    /// The parts that are open, from the message itself to the innermost.
    frames: Vec<Frame>,
    /// Comparisons that may still be made.
    comparisons: u32,
}

struct Frame {
    part: usize,
    /// What ends the parts inside; `None` in all but multiparts, and behind their last delimiter.
    boundary: Option<Vec<u8>>,
    /// Parts inside are messages by default (RFC 2046 §5.1.5).
    is_digest: bool,
    /// Line ends before the body.
    lines: u32,
}

/// A delimiter line.
struct Delimiter {
    /// Whose it is: an index into the frames.
    frame: usize,
    /// It is the last.
    closes: bool,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Walked<'a> {
        let mut index = HeaderIndex::new();
        let (fields, range) = self.read_header(Some(&mut index));
        self.open(&fields.content, range, false);
        self.enter_messages();
        while let Some(delimiter) = self.next_delimiter() {
            self.leave(delimiter.frame + 1, true);
            let line = &self.message[self.at..];
            let end = memchr(b'\n', line);
            self.at += end.map_or(line.len(), |end| end + 1);
            self.lines += u32::from(end.is_some());
            let frame = &mut self.frames[delimiter.frame];
            if delimiter.closes {
                frame.boundary = None;
                continue;
            }
            let is_digest = frame.is_digest;
            let (fields, range) = self.read_header(None);
            self.open(&fields.content, range, is_digest);
            self.enter_messages();
        }
        self.leave(0, false);
        let structure = Structure { text: self.text.into(), parts: self.parts };
        Walked { fields, header: index, structure }
    }

    /// Reads the header that begins here.
    fn read_header(&mut self, mut index: Option<&mut HeaderIndex>) -> (Fields<'a>, Range<u32>) {
        let mut fields = Fields::default();
        let (mut count, fields_max) = (0, self.limits.fields_max as usize);
        let Self { frames, comparisons, .. } = self;
        let end = header::read(
            self.message,
            self.at,
            &mut |line| find(frames, comparisons, line).is_some(),
            &mut |start, field| {
                let Some((name, body)) = header::split(field) else { return };
                if let Some(index) = &mut index {
                    index.note(name, start, field.len(), fields_max);
                }
                if count < fields_max {
                    fields.note(name, body);
                }
                count += 1;
            },
        );
        let range = place(self.at)..place(end.at);
        self.at = end.at;
        self.lines += end.lines;
        (fields, range)
    }

    /// A part begins, whose header was read.
    fn open(&mut self, content: &Content<'_>, header: Range<u32>, in_digest: bool) {
        // One place is kept for the message inside a message.
        let is_deep = self.frames.len() + 1 >= self.limits.depth_max as usize
            || self.parts.len() + 1 >= self.limits.parts_max as usize;
        let may_hold = MayHold { parts: !is_deep, fields: !self.is_full() };
        let described = describe(content, in_digest, may_hold, &mut self.text);
        let body = header.end..header.end;
        self.frames.push(Frame {
            part: self.parts.len(),
            boundary: described.boundary,
            is_digest: described.is_digest,
            lines: self.lines,
        });
        self.parts.push(Part {
            kind: described.kind,
            encoding: described.encoding,
            is_attachment: described.is_attachment,
            header,
            body,
            lines: 0,
            descendants: 0,
            basic: described.basic,
            extension: described.extension,
            envelope: Span::default(),
            charset: described.charset,
        });
    }

    /// As long as the innermost part is a message, what is inside begins too.
    fn enter_messages(&mut self) {
        while let Some(part) = self.parts.len().checked_sub(1)
            && self.parts[part].kind == Kind::Message
        {
            let (fields, range) = self.read_header(None);
            let room = if self.is_full() { 0 } else { self.limits.envelope_octets_max as usize };
            self.parts[part].envelope =
                keep(&mut self.text, |out| write_nested(&fields, room, out));
            self.open(&fields.content, range, false);
        }
    }

    /// Goes on to the next delimiter that counts, and stops at its line; or at the message's end.
    fn next_delimiter(&mut self) -> Option<Delimiter> {
        let rest = &self.message[self.at..];
        let mut line_ends = memchr_iter(b'\n', rest);
        if self.frames.iter().all(|frame| frame.boundary.is_none()) {
            self.lines += place(line_ends.count());
            self.at = self.message.len();
            return None;
        }
        let may_open = self.parts.len() < self.limits.parts_max as usize;
        let mut line_at = 0;
        loop {
            let line = &rest[line_at..];
            if line.starts_with(b"--")
                && let Some(found) = find(&self.frames, &mut self.comparisons, line)
                && (found.closes || may_open)
            {
                self.at += line_at;
                return Some(found);
            }
            let Some(end) = line_ends.next() else {
                self.at = self.message.len();
                return None;
            };
            self.lines += 1;
            line_at = end + 1;
        }
    }

    /// Ends the parts from the innermost to the `keep`th, which stays; `delimited`: by a delimiter.
    fn leave(&mut self, keep: usize, delimited: bool) {
        let before = &self.message[..self.at];
        let without = before.strip_suffix(b"\n").filter(|_| delimited);
        let without = without.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut end = place(without.unwrap_or(before).len());
        while self.frames.len() > keep
            && let Some(frame) = self.frames.pop()
        {
            let part = &self.parts[frame.part];
            // Nothing before the delimiter: the line end belongs to the header.
            end = end.max(part.body.start);
            let cut = u32::from((end as usize) < self.at);
            let body = part.body.start..end;
            let lines = self.lines.saturating_sub(frame.lines + cut);
            if part.kind == Kind::Multipart && self.parts.len() == frame.part + 1 {
                self.add_only_part(body.clone(), lines);
            }
            let descendants = place(self.parts.len() - frame.part - 1);
            let part = &mut self.parts[frame.part];
            (part.body, part.lines, part.descendants) = (body, lines, descendants);
        }
    }

    /// The whole body of a multipart without a delimiter is its part: a client can show it then.
    fn add_only_part(&mut self, body: Range<u32>, lines: u32) {
        if self.parts.len() >= self.limits.parts_max as usize {
            return;
        }
        self.open(&Content::default(), body.start..body.start, false);
        self.frames.pop();
        if let Some(part) = self.parts.last_mut() {
            (part.body, part.lines) = (body, lines);
        }
    }

    /// Whether the fields of further parts are no longer kept.
    fn is_full(&self) -> bool {
        self.text.len() >= self.limits.structure_octets_max as usize
    }
}

/// A place in a message, which is no longer than 4 GiB.
pub(super) fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The delimiter that `line` begins with; it begins with `--`.
fn find(frames: &[Frame], comparisons: &mut u32, line: &[u8]) -> Option<Delimiter> {
    for (at, frame) in frames.iter().enumerate().rev() {
        let Some(boundary) = &frame.boundary else { continue };
        *comparisons = comparisons.checked_sub(1)?;
        let Some(rest) = line[2..].strip_prefix(&boundary[..]) else { continue };
        let closes = rest.starts_with(b"--");
        if closes || matches!(rest.first(), None | Some(b'\r' | b'\n' | b' ' | b'\t')) {
            return Some(Delimiter { frame: at, closes });
        }
    }
    None
}
