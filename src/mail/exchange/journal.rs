//! What an import has done, in a file, so that one that was cut off goes on without doing anything twice.
//!
//! What must stay true: a batch is written here, and is on stable storage, before it goes into
//! the mailbox, with the UIDs that it will get; when it is there that is written, too. So of all batches
//! only the last can be in doubt, and the mailbox itself says whether it is there.
//!
//! How it fails: a line that was cut off is removed; a line in the middle that makes no sense is an error.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The folder of all journals in the data directory.
const FOLDER: &str = "imports";

/// Messages that go into a folder together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The file, or the folder of a Maildir.
    pub source: String,
    /// The mailbox's folder.
    pub folder: String,
    /// Its UIDVALIDITY.
    pub validity: u32,
    /// The UID of the first message.
    pub uid: u32,
    /// Messages.
    pub count: u32,
    /// Size and date (milliseconds) of the first and of the last.
    pub ends: [(u32, u64); 2],
    /// What it is of the source.
    pub taken: Taken,
}

/// How far a source has been imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taken {
    /// All before this offset of a file that is so long.
    Until {
        /// Where the next message begins.
        offset: u64,
        /// Octets of the whole file.
        size: u64,
    },
    /// The messages of these names.
    Names(Vec<Box<str>>),
}

#[derive(Serialize, Deserialize)]
enum Line {
    Batch(Batch),
    Kept,
}

type Key = (String, String);

/// The journal of one account.
#[derive(Debug)]
pub struct Journal {
    file: File,
    offsets: HashMap<Key, (u64, u64)>,
    names: HashMap<Key, HashSet<Box<str>>>,
    /// The last batch and where its line begins, when it may not be in the mailbox.
    doubt: Option<(u64, Batch)>,
}

impl Journal {
    /// Where the journal of an account is.
    #[must_use]
    pub fn path(data_dir: &Path, account: &str) -> PathBuf {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@._+-".contains(&byte);
        let name: String = account
            .bytes()
            .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
            .collect();
        // The suffix keeps `.` and `..` from being names.
        data_dir.join(FOLDER).join(format!("{name}.jsonl"))
    }

    /// Opens or makes the journal.
    ///
    /// # Errors
    /// The disk's, and [`io::ErrorKind::InvalidData`].
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut journal = Self {
            file: options.open(path)?,
            offsets: HashMap::new(),
            names: HashMap::new(),
            doubt: None,
        };
        journal.recover()?;
        Ok(journal)
    }

    fn recover(&mut self) -> io::Result<()> {
        let mut input = BufReader::new(self.file.try_clone()?);
        let (mut at, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let count = input.read_until(b'\n', &mut line)? as u64;
            if !line.ends_with(b"\n") {
                break;
            }
            match serde_json::from_slice(&line).map_err(io::Error::from)? {
                Line::Batch(batch) => self.doubt = Some((at, batch)),
                Line::Kept => self.note_kept(),
            }
            at += count;
        }
        self.file.set_len(at)?;
        self.file.seek(SeekFrom::Start(at)).map(drop)
    }

    fn note_kept(&mut self) {
        let Some((_, batch)) = self.doubt.take() else { return };
        let key = (batch.source, batch.folder);
        match batch.taken {
            Taken::Until { offset, size } => _ = self.offsets.insert(key, (offset, size)),
            Taken::Names(names) => self.names.entry(key).or_default().extend(names),
        }
    }

    /// The batch that may be in the mailbox or not: [`Journal::kept`] or [`Journal::void`] is due.
    #[must_use]
    pub fn doubt(&self) -> Option<&Batch> {
        self.doubt.as_ref().map(|(_, batch)| batch)
    }

    /// Offset of a file where its import goes on, and the octets that the file had.
    #[must_use]
    pub fn offset(&self, source: &str, folder: &str) -> Option<(u64, u64)> {
        self.offsets.get(&(source.into(), folder.into())).copied()
    }

    /// The names of a Maildir's folder that are imported.
    pub fn take_names(&mut self, source: &str, folder: &str) -> HashSet<Box<str>> {
        self.names.remove(&(source.into(), folder.into())).unwrap_or_default()
    }

    /// A batch is about to go into the mailbox.
    ///
    /// # Errors
    /// The disk's: the batch must not be stored.
    pub fn begin(&mut self, batch: Batch) -> io::Result<()> {
        let at = self.file.stream_position()?;
        let line = Line::Batch(batch);
        self.append(&line)?;
        self.file.sync_data()?;
        if let Line::Batch(batch) = line {
            self.doubt = Some((at, batch));
        }
        Ok(())
    }

    /// The batch is in the mailbox.
    ///
    /// # Errors
    /// The disk's: the batch stays in doubt.
    pub fn kept(&mut self) -> io::Result<()> {
        self.append(&Line::Kept)?;
        self.note_kept();
        Ok(())
    }

    /// The batch is not in the mailbox.
    ///
    /// # Errors
    /// The disk's.
    pub fn void(&mut self) -> io::Result<()> {
        if let Some((at, _)) = self.doubt.take() {
            self.file.set_len(at)?;
            self.file.seek(SeekFrom::Start(at))?;
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut octets = serde_json::to_vec(line)?;
        octets.push(b'\n');
        self.file.write_all(&octets)
    }
}
