//! The audit log: who changed what, and when; lines of JSON that are only ever added to.
//!
//! What must stay true: every change that took effect has its line, exactly once. A change is first
//! made durable in the change log, which repeats what the line says; a line that a crash lost is
//! written again at the next start, by its number. Neither hashes nor passwords are ever in it.
//! How it fails: a line that cannot be written now is kept in the change log and tried at the next
//! change and the next start; the change log is not thrown away before.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::changelog::{FILE_MODE, Frame};

const NAME: &str = "audit.log";
/// More than any line: names and a list of changed fields.
const LINE_MAX: u64 = 8 << 10;
/// Lines of one page at most.
pub const AUDIT_LINES_MAX: usize = 1000;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Its number, from 1.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who: the user at the other end of the admin socket, or the server itself.
    pub who: String,
    /// What, e.g. `add account` or `set account quota_bytes`.
    pub what: String,
    /// To which domain or address.
    pub on: String,
}

#[derive(Debug)]
pub(super) struct Audit {
    file: File,
    /// The number that the next line needs to have.
    next: u64,
    len: u64,
}

impl Audit {
    /// Opens the log; a half line at its end goes.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        let mut file = options.open(folder.join(NAME))?;
        let (len, last) = last_line(&file)?;
        file.set_len(len)?;
        file.seek(SeekFrom::Start(len))?;
        Ok(Self { file, next: last.map_or(1, |line| line.number + 1), len })
    }

    /// The number that the next entry will have.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Writes the lines of a change that are not there yet.
    pub fn append(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let mut text = Vec::new();
        let mut next = self.next;
        for (number, entry) in (frame.number..).zip(&frame.entries) {
            if number < self.next {
                continue;
            }
            let line = AuditLine {
                number,
                at: frame.at,
                who: frame.who.into(),
                what: entry.what.into(),
                on: entry.on.into(),
            };
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
            next = number + 1;
        }
        if let Err(error) = self.file.write_all(&text) {
            self.file.set_len(self.len)?;
            self.file.seek(SeekFrom::Start(self.len))?;
            return Err(error);
        }
        self.len += text.len() as u64;
        self.next = next;
        Ok(())
    }

    /// Puts on the disk what was written: before the change log may go.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// A page of lines that are not older than `since_ms`, from `after` (an octet offset) on, and
    /// where the next page begins.
    pub fn page(
        &self,
        since_ms: u64,
        after: u64,
        limit: usize,
    ) -> io::Result<(Vec<AuditLine>, Option<u64>)> {
        let from = after.max(self.first_since(since_ms)?).min(self.len);
        let mut reader = BufReader::new(At { file: &self.file, at: from, end: self.len });
        let (mut lines, mut at) = (Vec::new(), from);
        let mut text = Vec::new();
        while lines.len() < limit.min(AUDIT_LINES_MAX) {
            text.clear();
            let octets = reader.read_until(b'\n', &mut text)?;
            if octets == 0 {
                return Ok((lines, None));
            }
            at += octets as u64;
            lines.push(serde_json::from_slice(&text)?);
        }
        Ok((lines, (at < self.len).then_some(at)))
    }

    /// Where the first line is that is not older than `since_ms`: lines are in order of time, as
    /// far as the clock is.
    fn first_since(&self, since_ms: u64) -> io::Result<u64> {
        let (mut low, mut high) = (0, self.len);
        while since_ms > 0 && low < high {
            let middle = low.midpoint(high);
            let (start, end, line) = self.line_around(middle)?;
            if line.is_some_and(|line| line.at < since_ms) {
                low = end;
            } else {
                high = start;
            }
        }
        Ok(low)
    }

    /// The line that the octet at `at` belongs to: its start, its end, and what it says.
    fn line_around(&self, at: u64) -> io::Result<(u64, u64, Option<AuditLine>)> {
        let from = at.saturating_sub(LINE_MAX);
        let mut text = vec![0; usize::try_from((self.len - from).min(2 * LINE_MAX)).unwrap_or(0)];
        self.file.read_exact_at(&mut text, from)?;
        let here = usize::try_from(at - from).unwrap_or(0);
        let start = text[..here].iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        let end = text[here..].iter().position(|octet| *octet == b'\n');
        let end = end.map_or(text.len(), |end| here + end + 1);
        let line = serde_json::from_slice(&text[start..end]).ok();
        Ok((from + start as u64, from + end as u64, line))
    }
}

/// Reads a file from a place on without moving its cursor.
struct At<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let got = self.file.read_at(&mut buffer[..wanted], self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

/// Where the last whole line ends, and what it says.
fn last_line(file: &File) -> io::Result<(u64, Option<AuditLine>)> {
    let len = file.metadata()?.len();
    let from = len.saturating_sub(2 * LINE_MAX);
    let mut text = vec![0; usize::try_from(len - from).unwrap_or(0)];
    file.read_exact_at(&mut text, from)?;
    // What a crash leaves may be half a line, or zeros behind the last one.
    let mut end = text.len();
    while let Some(at) = text[..end].iter().rposition(|octet| *octet == b'\n') {
        let start = text[..at].iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
        if let Ok(line) = serde_json::from_slice::<AuditLine>(&text[start..at]) {
            return Ok((from + at as u64 + 1, Some(line)));
        }
        end = at;
    }
    if from > 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "audit.log is damaged at its end"));
    }
    Ok((0, None))
}

#[cfg(test)]
mod tests {
    use super::super::changelog::Entry;
    use super::*;

    fn frame<'a>(number: u64, at: u64, on: &'a [&'a str]) -> Frame<'a> {
        let entries = on.iter().map(|on| Entry { what: "add account", on }).collect();
        Frame { number, at, who: "root", entries, changes: Vec::new() }
    }

    #[test]
    fn lines_are_written_once_and_found_by_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut audit = Audit::open(dir.path()).unwrap();
        for number in 0..500 {
            audit
                .append(&frame(2 * number + 1, 1000 + number, &["a@x.example", "b@x.example"]))
                .unwrap();
        }
        // Said again, as a start does.
        audit.append(&frame(999, 9, &["a@x.example", "b@x.example", "c@x.example"])).unwrap();
        let mut audit = Audit::open(dir.path()).unwrap();
        assert_eq!(audit.next(), 1002);
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let (lines, next) = audit.page(0, after, 77).unwrap();
            seen.extend(lines.iter().map(|line| line.number));
            let Some(next) = next else { break };
            after = next;
        }
        assert_eq!(seen, (1..=1001).collect::<Vec<_>>());
        for since in [1000, 1001, 1250, 1499] {
            let (lines, _) = audit.page(since, 0, 1).unwrap();
            assert_eq!((lines[0].at, lines[0].on.as_str()), (since, "a@x.example"));
        }
        audit.append(&frame(1002, 5000, &["d@x.example"])).unwrap();
        assert_eq!(audit.page(4000, 0, 9).unwrap().0.len(), 1);
        assert!(audit.page(6000, 0, 9).unwrap().0.is_empty());
    }

    #[test]
    fn a_half_line_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        Audit::open(dir.path())
            .unwrap()
            .append(&frame(1, 1, &["a@x.example", "b@x.example"]))
            .unwrap();
        let whole = std::fs::read(&path).unwrap();
        let half = whole.iter().position(|octet| *octet == b'\n').unwrap() + 1;
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let lines = (cut >= half) as u64 + (cut == whole.len()) as u64;
            assert_eq!(Audit::open(dir.path()).unwrap().next(), lines + 1, "{cut}");
        }
        std::fs::write(&path, [&whole[..half], &[0; 100]].concat()).unwrap();
        assert_eq!(Audit::open(dir.path()).unwrap().next(), 2);
    }
}
