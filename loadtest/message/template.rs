//! Bodies that are made once and sent often: synthetic ones of given sizes, or real ones from a folder.
//!
//! A template is all that stands below the label, ready for the wire, with its size and digest.

use std::{fs, io, path::Path};

use proto::text::stuff_dots;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Label, Spread, now_us};

/// Templates that stand for a distribution of sizes.
const TEMPLATES: usize = 256;
/// Octets that all templates of a run may have together.
const OCTETS_MAX: usize = 1 << 30;

/// How a message goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// DATA: dots doubled, a lone dot at the end (RFC 5321 §4.1.1.4).
    Data,
    /// BDAT: the octets as they are (RFC 3030).
    Chunk,
}

/// See the module.
#[derive(Debug)]
pub struct Template {
    /// As [`Framing`] wants it.
    pub wire: Vec<u8>,
    /// Octets below the label, dots not doubled.
    pub size: usize,
    /// Their CRC-32.
    pub digest: u32,
    /// Whether an octet above 127 is among them (RFC 6152).
    pub eight_bit: bool,
}

impl Template {
    /// What stands below the label, made ready for the wire.
    #[must_use]
    pub fn new(below: &[u8], framing: Framing) -> Self {
        let wire = match framing {
            Framing::Data => {
                let mut wire = stuff_dots(below).into_owned();
                wire.extend_from_slice(b".\r\n");
                wire
            }
            Framing::Chunk => below.to_vec(),
        };
        let digest = crc32fast::hash(below);
        Self { wire, size: below.len(), digest, eight_bit: !below.is_ascii() }
    }
}

/// Makes synthetic templates whose sizes follow `sizes`.
#[must_use]
pub fn synthetic(sizes: &Spread, seed: u64, framing: Framing) -> Vec<Template> {
    bodies(sizes, seed).map(|body| Template::new(&body, framing)).collect()
}

/// What [`synthetic`] makes templates of: messages whose sizes follow `sizes`.
pub fn bodies(sizes: &Spread, seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let count = if sizes.is_fixed() { 8 } else { TEMPLATES };
    let mut octets = 0;
    (0..count).map_while(move |_| {
        (octets < OCTETS_MAX).then(|| {
            let size = usize::try_from(sizes.draw(&mut random)).unwrap_or(OCTETS_MAX);
            let body = compose(size.min(OCTETS_MAX), &mut random);
            octets += body.len();
            body
        })
    })
}

/// A whole synthetic message with its label, for clients that are given a file.
#[must_use]
pub fn labelled(run: &str, number: u64, size: usize) -> Vec<u8> {
    let body = compose(size, &mut Pcg64Mcg::seed_from_u64(number));
    let (size, digest) = (body.len(), crc32fast::hash(&body));
    let mut message = Vec::with_capacity(size + 128);
    Label { run, number, due_us: now_us(), size, digest }.write(&mut message);
    message.extend_from_slice(&body);
    message
}

/// Reads every `.eml` of a folder (and of its folders, one deep), line ends made CRLF.
///
/// # Errors
/// The folder or a file cannot be read, or it has no `.eml`.
pub fn corpus(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            for inner in fs::read_dir(&path)? {
                paths.push(inner?.path());
            }
        } else {
            paths.push(path);
        }
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
    // The order of a folder is the file system's: a run must be repeatable.
    paths.sort();
    let mut messages = Vec::with_capacity(paths.len());
    let mut octets = 0;
    for path in paths {
        let body = with_crlf(&fs::read(&path)?);
        octets += body.len();
        if octets > OCTETS_MAX {
            let text =
                format!("{} holds more than {} MiB of mail", folder.display(), OCTETS_MAX >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        messages.push(body);
    }
    if messages.is_empty() {
        let text = format!("{} holds no .eml file", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    Ok(messages)
}

/// Every line end CRLF, also the last (RFC 5321 §2.3.8).
fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        // A bare CR is not allowed in mail either (RFC 5322 §2.3).
        out.extend(text.iter().filter(|byte| **byte != b'\r'));
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A message of about `size` octets below the label; some lines start with a dot, some are one.
fn compose(size: usize, random: &mut impl Rng) -> Vec<u8> {
    let mut out = format!(
        "From: load <load@source.test>\r\nTo: load <load@sink.test>\r\nSubject: a load of {size} octets\r\n\
         Message-ID: <{:016x}@source.test>\r\nDate: Fri, 27 Nov 2026 09:00:00 +0000\r\n\r\n",
        random.random::<u64>(),
    )
    .into_bytes();
    while out.len() + 2 < size {
        let width = 76.min(size - out.len() - 2);
        write_line(width, random, &mut out);
    }
    out
}

fn write_line(width: usize, random: &mut impl Rng, out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789. ";
    let end = out.len() + width;
    let mut bits: u64 = random.random();
    if bits & 15 == 0 {
        out.push(b'.');
    }
    while out.len() < end {
        out.push(LETTERS[(bits & 63) as usize]);
        bits >>= 6;
        if bits == 0 {
            bits = random.random();
        }
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_met_and_dots_are_doubled() {
        let data = synthetic(&Spread::Fixed(65_536), 1, Framing::Data);
        let chunk = synthetic(&Spread::Fixed(65_536), 1, Framing::Chunk);
        assert_eq!(data.len(), 8);
        for (data, chunk) in data.iter().zip(&chunk) {
            assert!(chunk.size.abs_diff(65_536) <= 2, "{}", chunk.size);
            assert_eq!((data.size, data.digest), (chunk.size, chunk.digest));
            assert!(data.wire.ends_with(b"\r\n.\r\n") && data.wire.len() > chunk.wire.len() + 3);
        }
        let spread: Spread = "1 KiB..64 KiB".parse().unwrap();
        assert_eq!(synthetic(&spread, 1, Framing::Data).len(), TEMPLATES);
    }

    #[test]
    fn a_corpus_is_read_in_order_with_proper_line_ends() {
        let folder = tempfile::tempdir().unwrap();
        assert!(corpus(folder.path()).is_err());
        fs::write(folder.path().join("b.eml"), "Subject: b\n\nb").unwrap();
        fs::write(folder.path().join("a.eml"), "Subject: a\r\n\r\na\rx\r\n").unwrap();
        fs::write(folder.path().join("c.txt"), "no mail").unwrap();
        let messages = corpus(folder.path()).unwrap();
        assert_eq!(messages, [&b"Subject: a\r\n\r\nax\r\n"[..], b"Subject: b\r\n\r\nb\r\n"]);
    }
}
