//! Messages that prove themselves: the first header field says which one it is and what follows.
//!
//! `X-Ringpost-Load: RUN NUMBER SENT SIZE DIGEST`, where SENT is the moment the message was due, in microseconds
//! of the machine's monotonic clock, and SIZE and DIGEST (CRC-32) are those of all octets below the line. A relay
//! adds its fields above that one and must change nothing below it (RFC 5321 §4.4), so whoever receives
//! the message can tell a changed, cut or lengthened one without knowing anything of its sender.

use std::{io::Write, time::Duration};

use memchr::memmem;
use rustix::time::{ClockId, clock_gettime};

/// The field that a proving message starts with.
const FIELD: &[u8] = b"X-Ringpost-Load: ";
/// How far into a message the field is looked for: what relays may put above it.
const ABOVE_MAX: usize = 64 << 10;

/// What a proving message says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// The run it belongs to: letters and digits.
    pub run: &'a str,
    /// Its number in the run.
    pub number: u64,
    /// When it was due: [`now_us`] of this machine.
    pub due_us: u64,
    /// Octets below the label.
    pub size: usize,
    /// Their CRC-32.
    pub digest: u32,
}

impl<'a> Label<'a> {
    /// Appends the field, with its line end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { run, number, due_us, size, digest } = self;
        out.extend_from_slice(FIELD);
        // Writing into memory cannot fail.
        let _ = write!(out, "{run} {number} {due_us} {size} {digest:08x}\r\n");
    }

    /// Reads the label of a received message and compares all that stands below it.
    ///
    /// `None` when no label is in its header; otherwise whether the octets are those that were sent.
    #[must_use]
    pub fn check(message: &'a [u8]) -> Option<(Self, bool)> {
        let (label, below) = Self::read(message)?;
        let same = label.size == below.len() && label.digest == crc32fast::hash(below);
        Some((label, same))
    }

    /// As [`Self::check`], of a message with its dots still doubled (RFC 5321 §4.5.2).
    #[must_use]
    pub fn check_stuffed(message: &'a [u8]) -> Option<(Self, bool)> {
        let (label, below) = Self::read(message)?;
        let (size, digest) = digest_stuffed(below);
        let same = label.size == size && label.digest == digest;
        Some((label, same))
    }

    /// The label, and what stands below it.
    fn read(message: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let line = find_line(message)?;
        let end = line + memchr::memchr(b'\r', &message[line..])?;
        let text = std::str::from_utf8(&message[line + FIELD.len()..end]).ok()?;
        let mut words = text.split(' ');
        let label = Self {
            run: words.next()?,
            number: words.next()?.parse().ok()?,
            due_us: words.next()?.parse().ok()?,
            size: words.next()?.parse().ok()?,
            digest: u32::from_str_radix(words.next()?, 16).ok()?,
        };
        Some((label, message.get(end + 2..)?))
    }
}

/// Where the label's line starts; only within the header.
fn find_line(message: &[u8]) -> Option<usize> {
    let top = &message[..message.len().min(ABOVE_MAX)];
    let at = memmem::find(top, FIELD)?;
    let in_header = memmem::find(&top[..at], b"\r\n\r\n").is_none();
    let at_line_start = at == 0 || top[at - 1] == b'\n';
    (in_header && at_line_start).then_some(at)
}

/// Size and CRC-32 of octets whose leading dots are doubled, as if they were not. They follow a line end.
fn digest_stuffed(stuffed: &[u8]) -> (usize, u32) {
    let mut digest = crc32fast::Hasher::new();
    let mut size = 0;
    let mut rest = stuffed.strip_prefix(b".").unwrap_or(stuffed);
    let dots = memmem::Finder::new(b"\n.");
    while let Some(at) = dots.find(rest) {
        digest.update(&rest[..=at]);
        size += at + 1;
        rest = &rest[at + 2..];
    }
    digest.update(rest);
    (size + rest.len(), digest.finalize())
}

/// Microseconds of the monotonic clock: the same for every program on this machine.
#[must_use]
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000
}

/// What lies between two moments of [`now_us`]; nothing when they are in the wrong order.
#[must_use]
pub fn between(from_us: u64, to_us: u64) -> Duration {
    Duration::from_micros(to_us.saturating_sub(from_us))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::text::stuff_dots;

    use super::*;

    fn labelled(below: &[u8]) -> Vec<u8> {
        let digest = crc32fast::hash(below);
        let label = Label { run: "r1", number: 7, due_us: 123, size: below.len(), digest };
        let mut message = b"Received: from x\r\n\tby y\r\n".to_vec();
        label.write(&mut message);
        message.extend_from_slice(below);
        message
    }

    #[test]
    fn a_changed_or_cut_message_shows() {
        let whole = labelled(b"Subject: x\r\n\r\n.dots\r\n..\r\nend\r\n");
        let (label, same) = Label::check(&whole).unwrap();
        assert_eq!((label.run, label.number, label.due_us, same), ("r1", 7, 123, true));
        let mut changed = whole.clone();
        let last = changed.len() - 3;
        changed[last] ^= 1;
        assert!(!Label::check(&changed).unwrap().1);
        assert!(!Label::check(&whole[..whole.len() - 5]).unwrap().1);
        assert!(!Label::check(&[&whole[..], b"\r\n"].concat()).unwrap().1);
    }

    #[test]
    fn only_a_field_of_the_header_counts() {
        assert_eq!(Label::check(b"Subject: x\r\n\r\nX-Ringpost-Load: r 1 2 3 0\r\n"), None);
        assert_eq!(Label::check(b"Subject: X-Ringpost-Load: r 1 2 3 0\r\n\r\n"), None);
        assert_eq!(Label::check(b""), None);
        assert_eq!(Label::check(b"X-Ringpost-Load: r 1"), None);
    }

    proptest! {
        #[test]
        fn stuffed_octets_prove_themselves_too(body in "(\\.{0,3}[a-c]{0,3}\r\n){0,12}") {
            let message = labelled(body.as_bytes());
            let stuffed = stuff_dots(&message);
            prop_assert!(Label::check(&message).unwrap().1);
            prop_assert!(Label::check_stuffed(&stuffed).unwrap().1);
        }
    }
}
