//! mbox files (RFC 4155), as mboxrd and mboxo quote them.
//!
//! What must stay true: a file of any size is read with memory for one message; a message begins at a
//! line `From ` with a date in it that is the first or follows an empty line: prose that nobody quoted
//! is no message. [`MboxReader::offset`] is where reading can go on later. Flags are in `Status`,
//! `X-Status` and `X-Keywords`, which are not part of the message.
//!
//! How it fails: a file that does not begin with `From ` is none; of everything else something is made.

use std::io::{self, BufRead, Read, Write};

use proto::types::Timestamp;

use super::{Mail, add_keyword, date, push_crlf, with_lf};
use crate::mailbox::{Flags, Marks};

/// Octets of a line that are looked at together.
const PIECE_OCTETS: u64 = 64 << 10;
const FROM: &[u8] = b"From ";

/// What is next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A message.
    Mail(Mail),
    /// A message that is too large.
    TooLarge {
        /// Where it begins.
        at: u64,
        /// Its octets.
        bytes: u64,
    },
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MboxError {
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no message at this offset.
    #[error("no message begins at octet {0}: this is no mbox file")]
    NoMessage(u64),
}

/// Reads one message after the other.
pub struct MboxReader<R> {
    input: R,
    message_max: usize,
    /// For messages whose From_ line has no date.
    fallback: Timestamp,
    /// Octets read.
    at: u64,
    /// Where the next message begins, or the file ends.
    boundary: u64,
    /// Its date, when its From_ line has been read.
    begun: Option<Timestamp>,
    piece: Vec<u8>,
    /// The next piece is the beginning of a line.
    is_start: bool,
}

impl<R: BufRead> MboxReader<R> {
    /// Reads `input`, which stands at the octet `at` of its file. A message has `message_max` octets at
    /// most; those without a date get `fallback`.
    pub const fn new(input: R, at: u64, message_max: usize, fallback: Timestamp) -> Self {
        let piece = Vec::new();
        Self { input, message_max, fallback, at, boundary: at, begun: None, piece, is_start: true }
    }

    /// Where the next message begins: a reader that begins there goes on as this one would.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.boundary
    }

    /// The next message; `None` at the end.
    ///
    /// # Errors
    /// See [`MboxError`].
    pub fn read(&mut self) -> Result<Option<Found>, MboxError> {
        let internal = match self.begun.take() {
            Some(internal) => internal,
            None => match self.first()? {
                Some(internal) => internal,
                None => return Ok(None),
            },
        };
        let at = self.boundary;
        let mut body = Body::new(self.message_max);
        let mut is_after_empty = false;
        loop {
            let line = self.at;
            let Some(is_start) = self.next_piece()? else {
                self.boundary = self.at;
                break;
            };
            if is_start
                && is_after_empty
                && let Some(rest) = self.piece.strip_prefix(FROM)
                && let Some(next) = date::parse(rest)
            {
                (self.boundary, self.begun) = (line, Some(next));
                self.skip_line()?;
                break;
            }
            body.take(&self.piece, is_start);
            is_after_empty = is_start && is_empty(&self.piece);
        }
        let bytes = body.bytes;
        let mail = body.finish(is_after_empty, internal);
        Ok(Some(mail.map_or(Found::TooLarge { at, bytes }, Found::Mail)))
    }

    /// Reads the file's first From_ line.
    fn first(&mut self) -> Result<Option<Timestamp>, MboxError> {
        loop {
            let line = self.at;
            if self.next_piece()?.is_none() {
                self.boundary = self.at;
                return Ok(None);
            }
            if is_empty(&self.piece) {
                continue;
            }
            let rest = self.piece.strip_prefix(FROM).ok_or(MboxError::NoMessage(line))?;
            let internal = date::parse(rest).unwrap_or(self.fallback);
            self.boundary = line;
            self.skip_line()?;
            return Ok(Some(internal));
        }
    }

    /// Reads a line, or as much of it as is looked at together; whether it is the line's beginning.
    fn next_piece(&mut self) -> io::Result<Option<bool>> {
        self.piece.clear();
        let count = (&mut self.input).take(PIECE_OCTETS).read_until(b'\n', &mut self.piece)?;
        self.at += count as u64;
        let is_start = std::mem::replace(&mut self.is_start, self.piece.ends_with(b"\n"));
        Ok((count > 0).then_some(is_start))
    }

    /// Leaves out what is left of a line.
    fn skip_line(&mut self) -> io::Result<()> {
        while !self.is_start && self.next_piece()?.is_some() {}
        Ok(())
    }
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\n" | b"\r\n")
}

/// A message that is being read.
struct Body {
    message: Vec<u8>,
    marks: Marks,
    bytes: u64,
    max: usize,
    is_header: bool,
}

impl Body {
    fn new(max: usize) -> Self {
        Self { message: Vec::new(), marks: Marks::default(), bytes: 0, max, is_header: true }
    }

    fn take(&mut self, piece: &[u8], is_start: bool) {
        let is_whole = is_start && piece.ends_with(b"\n");
        if self.is_header && is_whole && self.is_status(piece) {
            return;
        }
        self.is_header &= !(is_start && is_empty(piece));
        let piece = if is_start { unquoted(piece) } else { piece };
        self.bytes += piece.len() as u64;
        if self.bytes > self.max as u64 {
            self.message = Vec::new();
        } else {
            push_crlf(piece, &mut self.message);
        }
    }

    /// Takes the flags of a field that has them.
    fn is_status(&mut self, line: &[u8]) -> bool {
        let Some(colon) = memchr::memchr(b':', line) else { return false };
        let (name, value) = (&line[..colon], String::from_utf8_lossy(&line[colon + 1..]));
        if name.eq_ignore_ascii_case(b"X-Keywords") {
            let names = value.split([' ', '\t', ',', '\r', '\n']);
            names.for_each(|name| add_keyword(&mut self.marks, name));
            return true;
        }
        let is_status =
            name.eq_ignore_ascii_case(b"Status") || name.eq_ignore_ascii_case(b"X-Status");
        // A field of the same name with prose in it is the message's own.
        if !is_status || !value.trim().bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return false;
        }
        for letter in value.trim().bytes() {
            let flag = match letter {
                b'R' => Flags::SEEN,
                b'A' => Flags::ANSWERED,
                b'F' => Flags::FLAGGED,
                b'D' => Flags::DELETED,
                b'T' => Flags::DRAFT,
                _ => Flags::default(),
            };
            self.marks.flags = self.marks.flags.with(flag);
        }
        true
    }

    fn finish(mut self, ends_empty: bool, internal: Timestamp) -> Option<Mail> {
        // The empty line before a From_ line is the file's.
        if ends_empty && self.message.ends_with(b"\r\n") {
            self.message.truncate(self.message.len() - 2);
        }
        let is_whole = self.bytes <= self.max as u64 && self.message.len() <= self.max;
        is_whole.then_some(Mail { message: self.message, marks: self.marks, internal })
    }
}

/// `>>From ` is `>From `.
fn unquoted(line: &[u8]) -> &[u8] {
    if line.first() == Some(&b'>') && is_from(line) { &line[1..] } else { line }
}

/// Whether it is `From ` behind any number of `>`.
fn is_from(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    line[quotes..].starts_with(FROM)
}

/// Writes a message as mboxrd does.
///
/// # Errors
/// The output's.
pub fn write(
    out: &mut impl Write,
    marks: &Marks,
    internal: Timestamp,
    message: &[u8],
) -> io::Result<()> {
    writeln!(out, "From MAILER-DAEMON {}", date::write(internal))?;
    let has = |flag| marks.flags.contains(flag);
    writeln!(out, "Status: {}", if has(Flags::SEEN) { "RO" } else { "O" })?;
    let flags = [(Flags::ANSWERED, 'A'), (Flags::FLAGGED, 'F'), (Flags::DRAFT, 'T')];
    let flags = flags.into_iter().chain([(Flags::DELETED, 'D')]);
    let letters: String = flags.filter(|(flag, _)| has(*flag)).map(|(_, letter)| letter).collect();
    if !letters.is_empty() {
        writeln!(out, "X-Status: {letters}")?;
    }
    if !marks.keywords.is_empty() {
        writeln!(out, "X-Keywords: {}", marks.keywords.join(" "))?;
    }
    let message = with_lf(message);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        if is_from(line) {
            out.write_all(b">")?;
        }
        out.write_all(line)?;
    }
    // A message that does not end its last line does so here.
    let end: &[u8] = if message.is_empty() || message.ends_with(b"\n") { b"\n" } else { b"\n\n" };
    out.write_all(end)
}
