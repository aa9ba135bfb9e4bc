//! Mail from and to other programs: Maildir++ folders and mbox files.
//!
//! What must stay true: what one of the writers here writes, the reader gives back: octets, flags,
//! keywords, and dates to the second. Stored mail ends its lines with CRLF, files of others with LF:
//! readers make the one, writers the other. A message that is too large is told and left out; memory
//! is bounded by the largest message, for Maildir also by the names of one folder.
//!
//! What cannot be told apart is lost: a CR before CRLF, and in mbox the absence of a last line's end
//! and a message's own `Status`, `X-Status` and `X-Keywords` fields.
//!
//! `maildir` and `mbox` are the two forms, `journal` remembers what an import has done, `date` reads
//! and writes the dates of mbox, `place` keeps to the directories that are meant. Everything here blocks: it is for programs of the command line.

mod date;
pub mod journal;
pub mod maildir;
pub mod mbox;
mod place;
#[cfg(test)]
mod tests;

use proto::types::Timestamp;

use crate::mailbox::{Flags, KEYWORD_OCTETS_MAX, Marks};

/// A message as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// With CRLF.
    pub message: Vec<u8>,
    /// Flags and keywords.
    pub marks: Marks,
    /// When it came.
    pub internal: Timestamp,
}

/// A message's flags and keywords, as a folder with these keywords has them.
#[must_use]
pub fn marks_of(flags: Flags, known: &[Box<str>]) -> Marks {
    let keywords = flags.keywords().filter_map(|index| known.get(index).cloned()).collect();
    Marks { flags: Flags(flags.0 & Flags::SYSTEM.0), keywords }
}

/// Appends `octets` with every LF that has no CR before it made CRLF. `out` may hold what came before.
fn push_crlf(octets: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    for end in memchr::memchr_iter(b'\n', octets) {
        out.extend_from_slice(&octets[at..end]);
        if out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(b'\n');
        at = end + 1;
    }
    out.extend_from_slice(&octets[at..]);
}

/// `octets` with every CRLF made LF.
fn with_lf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    for end in memchr::memchr_iter(b'\n', octets) {
        let line = &octets[at..end];
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.push(b'\n');
        at = end + 1;
    }
    out.extend_from_slice(&octets[at..]);
    out
}

/// Adds a keyword that IMAP can name (RFC 9051 §9, flag-keyword) and that is not there yet.
fn add_keyword(marks: &mut Marks, name: &str) {
    let is_atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    let fits = !name.is_empty() && name.len() <= KEYWORD_OCTETS_MAX && name.bytes().all(is_atom);
    if fits && !marks.keywords.iter().any(|one| one.eq_ignore_ascii_case(name)) {
        marks.keywords.push(name.into());
    }
}
