//! The log of changes: every change is in it, on stable storage, before anybody hears of it.
//!
//! What must stay true: one change is one frame, written and synced as a whole; the log is replayed
//! onto the snapshot of its own generation and no other. How it fails: a frame that was being
//! written when the machine died is cut off at the next start (nobody had heard of it); damage
//! anywhere before the end is an error, since what follows was promised. A write that fails is taken
//! back; a sync that fails leaves the log closed until the next start, since nobody knows what is
//! on the disk then.
//!
//! A file is a head (magic, generation) and frames: `length (u32) | CRC-32 (u32) | postcard`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::StoreError;

/// Form 1.
const MAGIC: &[u8; 8] = b"RPDIRLG\x01";
const HEAD: usize = 16;
const FRAME_HEAD: usize = 8;
/// A frame is a command, or a batch of an import, and never larger.
const FRAME_MAX: usize = 256 << 20;
pub(super) const FILE_MODE: u32 = 0o600;

/// One change: what the audit log says about it, and what became of which key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Frame<'a> {
    /// The audit log's number of the first entry.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at: u64,
    pub who: &'a str,
    #[serde(borrow)]
    pub entries: Vec<Entry<'a>>,
    #[serde(borrow)]
    pub changes: Vec<(&'a [u8], Option<&'a [u8]>)>,
}

/// What was done to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry<'a> {
    pub what: &'a str,
    pub on: &'a str,
}

/// The open log.
#[derive(Debug)]
pub(super) struct Changelog {
    file: File,
    len: u64,
    is_broken: bool,
}

/// Where the log of a generation lies.
pub(super) fn path_of(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("changes.{generation}"))
}

/// The generation that a file's name says.
pub(super) fn generation_of(name: &str) -> Option<u64> {
    name.strip_prefix("changes.")?.parse().ok()
}

fn head(generation: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..].copy_from_slice(&generation.to_le_bytes());
    head
}

impl Changelog {
    /// Makes an empty log; its name is on the disk when the caller has synced the folder.
    pub fn create(path: &Path, generation: u64) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(true).mode(FILE_MODE);
        let mut file = options.open(path)?;
        file.write_all(&head(generation))?;
        file.sync_all()?;
        Ok(Self { file, len: HEAD as u64, is_broken: false })
    }

    /// Opens a log and hands every change in it to `replay`; what was half written goes.
    pub fn open(
        path: &Path,
        generation: u64,
        mut replay: impl FnMut(Frame<'_>) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let mut file = File::options().read(true).write(true).open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let damaged = |at: usize| StoreError::Damaged { path: path.into(), at: at as u64 };
        if text.len() < HEAD {
            // The machine died while the file was made; nothing was ever said in it.
            drop(file);
            return Ok(Self::create(path, generation)?);
        }
        if text[..HEAD] != head(generation) {
            return Err(damaged(0));
        }
        let mut at = HEAD;
        while at < text.len() {
            match take_frame(&text[at..]) {
                Taken::Whole(frame, octets) => {
                    let frame = postcard::from_bytes(frame).map_err(|_| damaged(at))?;
                    replay(frame)?;
                    at += octets;
                }
                Taken::Torn => break,
                Taken::Damaged => return Err(damaged(at)),
            }
        }
        let len = at as u64;
        if at < text.len() {
            file.set_len(len)?;
            file.sync_all()?;
        }
        file.seek(SeekFrom::Start(len))?;
        Ok(Self { file, len, is_broken: false })
    }

    /// Writes one change; when this returns it is on stable storage.
    pub fn append(&mut self, frame: &Frame<'_>) -> Result<(), StoreError> {
        if self.is_broken {
            return Err(StoreError::Closed);
        }
        let mut text = postcard::to_extend(frame, vec![0; FRAME_HEAD])
            .map_err(|error| StoreError::Refused(error.to_string()))?;
        let body = text.len() - FRAME_HEAD;
        if body > FRAME_MAX {
            return Err(StoreError::Refused("one change is too large; make it smaller".into()));
        }
        let crc = crc32fast::hash(&text[FRAME_HEAD..]);
        text[..4].copy_from_slice(&(body as u32).to_le_bytes());
        text[4..FRAME_HEAD].copy_from_slice(&crc.to_le_bytes());
        if let Err(error) = self.file.write_all(&text) {
            self.take_back();
            return Err(error.into());
        }
        if let Err(error) = self.file.sync_data() {
            self.is_broken = true;
            return Err(error.into());
        }
        self.len += text.len() as u64;
        Ok(())
    }

    fn take_back(&mut self) {
        let is_undone =
            self.file.set_len(self.len).and_then(|()| self.file.seek(SeekFrom::Start(self.len)));
        self.is_broken = is_undone.is_err();
    }

    /// Octets written.
    pub fn len(&self) -> u64 {
        self.len
    }
}

enum Taken<'a> {
    /// A frame, and the octets that it took.
    Whole(&'a [u8], usize),
    /// The end of the file, as a crash leaves it.
    Torn,
    /// Wrong, and more follows.
    Damaged,
}

fn take_frame(text: &[u8]) -> Taken<'_> {
    // A file may have grown before its octets came to the disk.
    let is_empty = || text.iter().all(|octet| *octet == 0);
    let Some((head, rest)) = text.split_first_chunk::<FRAME_HEAD>() else { return Taken::Torn };
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let Some(frame) = rest.get(..len) else {
        let is_plausible = len <= FRAME_MAX;
        return if is_plausible || is_empty() { Taken::Torn } else { Taken::Damaged };
    };
    if len > 0 && crc32fast::hash(frame) == crc {
        return Taken::Whole(frame, FRAME_HEAD + len);
    }
    let is_last = rest.len() == len;
    if is_last || is_empty() { Taken::Torn } else { Taken::Damaged }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(log: &mut Changelog, number: u64) {
        let entries = vec![Entry { what: "add", on: "a@x.example" }];
        let changes = vec![(&b"key"[..], Some(&b"value"[..])), (&b"gone"[..], None)];
        log.append(&Frame { number, at: 5, who: "me", entries, changes }).unwrap();
    }

    fn numbers(path: &Path) -> Result<Vec<u64>, StoreError> {
        let mut numbers = Vec::new();
        Changelog::open(path, 3, |frame| {
            assert_eq!((frame.who, frame.changes.len()), ("me", 2));
            numbers.push(frame.number);
            Ok(())
        })?;
        Ok(numbers)
    }

    #[test]
    fn a_log_cut_anywhere_keeps_what_was_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(dir.path(), 3);
        let mut log = Changelog::create(&path, 3).unwrap();
        let mut ends = vec![log.len()];
        for number in 0..4 {
            append(&mut log, number);
            ends.push(log.len());
        }
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let expected = ends.iter().filter(|end| **end <= cut as u64).count();
            assert_eq!(numbers(&path).unwrap().len(), expected.saturating_sub(1), "{cut}");
            // What follows goes behind what was whole.
            let mut log = Changelog::open(&path, 3, |_| Ok(())).unwrap();
            append(&mut log, 77);
            assert_eq!(numbers(&path).unwrap().last(), Some(&77));
        }
        // A long frame that is torn leaves nothing behind a short one.
        std::fs::write(&path, &whole).unwrap();
        let long = vec![7; 5000];
        let frame = Frame {
            number: 4,
            at: 5,
            who: "me",
            entries: Vec::new(),
            changes: vec![(&b"key"[..], Some(&long[..])), (&b"gone"[..], None)],
        };
        let mut log = Changelog::open(&path, 3, |_| Ok(())).unwrap();
        log.append(&frame).unwrap();
        let torn = std::fs::read(&path).unwrap();
        std::fs::write(&path, &torn[..torn.len() - 1]).unwrap();
        let mut log = Changelog::open(&path, 3, |_| Ok(())).unwrap();
        append(&mut log, 77);
        assert_eq!(numbers(&path).unwrap(), [0, 1, 2, 3, 77]);
        // Blocks of zeros, as some file systems leave them.
        std::fs::write(&path, [whole.as_slice(), &[0; 5000]].concat()).unwrap();
        assert_eq!(numbers(&path).unwrap().len(), 4);
    }

    #[test]
    fn damage_before_the_end_is_not_taken_for_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(dir.path(), 3);
        let mut log = Changelog::create(&path, 3).unwrap();
        append(&mut log, 0);
        let end = log.len() as usize;
        append(&mut log, 1);
        let whole = std::fs::read(&path).unwrap();
        for at in (0..HEAD).chain(HEAD + 4..end) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(numbers(&path), Err(StoreError::Damaged { .. })), "{at}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(matches!(Changelog::open(&path, 4, |_| Ok(())), Err(StoreError::Damaged { .. })));
    }
}
