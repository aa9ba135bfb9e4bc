//! Maildir++ folders: `cur` and `new` of INBOX, and `.Sent.2024` for each folder beneath.
//!
//! What must stay true: names of folders are modified UTF-7 as Dovecot and Courier write them; a dot in
//! a name of ours is written `&AC4-`, which is read back. Flags are the letters behind `:2,`,
//! keywords the small ones, which `dovecot-keywords` names; the date is the file's mtime.
//! A file that is written appears in `cur` whole, with a name that says which message it is, so that
//! an export that runs again writes what is missing, and what a crash left short.
//!
//! How it fails: keywords beyond 26 of a folder have no letter and are left out.

use std::collections::HashMap;
use std::fs::{self, File, FileTimes};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use proto::imap::syntax::{decode_utf7, encode_utf7};
use proto::types::Timestamp;

use super::{Mail, add_keyword, push_crlf, with_lf};
use crate::mailbox::{Flags, INBOX, Marks, SEPARATOR};

const KEYWORDS: &str = "dovecot-keywords";
const LETTERS_MAX: usize = 26;
/// A dot within a part of a folder's name.
const DOT: &str = "&AC4-";
const FLAGS: [(u8, Flags); 5] = [
    (b'D', Flags::DRAFT),
    (b'F', Flags::FLAGGED),
    (b'R', Flags::ANSWERED),
    (b'S', Flags::SEEN),
    (b'T', Flags::DELETED),
];
/// Passed: forwarded, resent or bounced.
const PASSED: (u8, &str) = (b'P', "$Forwarded");

/// A folder of a Maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// As we name it.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// A message's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What stays of its name when its flags change.
    pub unique: Box<str>,
    /// Where it lies.
    pub path: PathBuf,
}

/// All folders, INBOX first.
///
/// # Errors
/// The disk's; a directory without `cur` is [`io::ErrorKind::InvalidInput`].
pub fn folders(root: &Path) -> io::Result<Vec<Folder>> {
    if !root.join("cur").is_dir() {
        let text = "this is no Maildir: it has no folder named cur";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if let Some(name) = name.strip_prefix('.').filter(|name| !name.is_empty())
            && entry.path().join("cur").is_dir()
        {
            found.push(Folder { name: decoded(name), path: entry.path() });
        }
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found.insert(0, Folder { name: INBOX.into(), path: root.into() });
    Ok(found)
}

/// The messages of a folder in the order of their names, which begin with when they came.
///
/// # Errors
/// The disk's.
pub fn letters(folder: &Path) -> io::Result<Vec<Letter>> {
    let mut found = Vec::new();
    for side in ["new", "cur"] {
        let entries = match fs::read_dir(folder.join(side)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || entry.file_type()?.is_dir() {
                continue;
            }
            let unique = name.split(':').next().unwrap_or_default().into();
            found.push(Letter { unique, path: entry.path() });
        }
    }
    found.sort_unstable_by(|a, b| a.unique.cmp(&b.unique));
    // One that was moved from new to cur while the folder was read is there twice.
    found.dedup_by(|a, b| a.unique == b.unique);
    Ok(found)
}

/// The keywords of a folder, by letter.
///
/// # Errors
/// The disk's.
pub fn keywords(folder: &Path) -> io::Result<Vec<Box<str>>> {
    let octets = match fs::read(folder.join(KEYWORDS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        octets => octets?,
    };
    let mut known: Vec<Box<str>> = Vec::new();
    for line in String::from_utf8_lossy(&octets).lines() {
        let Some((index, name)) = line.split_once(' ') else { continue };
        let Some(index) = index.parse().ok().filter(|index| *index < LETTERS_MAX) else { continue };
        if known.len() <= index {
            known.resize(index + 1, "".into());
        }
        known[index] = name.trim().into();
    }
    Ok(known)
}

/// Reads a message; `None` when it has more than `message_max` octets.
///
/// # Errors
/// The disk's.
pub fn read(letter: &Letter, known: &[Box<str>], message_max: u64) -> io::Result<Option<Mail>> {
    let file = File::open(&letter.path)?;
    let modified = file.metadata()?.modified()?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let internal = Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let mut octets = Vec::new();
    file.take(message_max.saturating_add(1)).read_to_end(&mut octets)?;
    if octets.len() as u64 > message_max {
        return Ok(None);
    }
    let mut message = Vec::with_capacity(octets.len() + octets.len() / 32);
    push_crlf(&octets, &mut message);
    let name = letter.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let marks = marks(&name, known);
    Ok((message.len() as u64 <= message_max).then_some(Mail { message, marks, internal }))
}

fn marks(name: &str, known: &[Box<str>]) -> Marks {
    let mut marks = Marks::default();
    let Some((_, letters)) = name.rsplit_once(":2,") else { return marks };
    for letter in letters.bytes() {
        if let Some((_, flag)) = FLAGS.iter().find(|(one, _)| *one == letter) {
            marks.flags = marks.flags.with(*flag);
        } else if letter == PASSED.0 {
            add_keyword(&mut marks, PASSED.1);
        } else if letter.is_ascii_lowercase()
            && let Some(name) = known.get(usize::from(letter - b'a'))
        {
            add_keyword(&mut marks, name);
        }
    }
    marks
}

/// `Sent.2024` is `Sent/2024`.
fn decoded(name: &str) -> String {
    // What is not modified UTF-7 is UTF-8, as some write it.
    let part = |part: &str| decode_utf7(part.as_bytes()).unwrap_or_else(|| part.to_owned());
    let dotted = |text: &str| {
        // The dots of ours are not what the field's encoder writes: they are read beside it.
        text.split(DOT).map(part).collect::<Vec<_>>().join(".")
    };
    name.split('.').map(dotted).collect::<Vec<_>>().join("/")
}

fn encoded(name: &str) -> String {
    let part = |part: &str| {
        let pieces = part.split('.').map(|piece| {
            let mut octets = Vec::new();
            encode_utf7(piece, &mut octets);
            String::from_utf8_lossy(&octets).into_owned()
        });
        pieces.collect::<Vec<_>>().join(DOT)
    };
    name.split(SEPARATOR).map(part).collect::<Vec<_>>().join(".")
}

/// Writes one folder.
pub struct Writer {
    path: PathBuf,
    validity: u32,
    known: Vec<Box<str>>,
    /// Names of messages that are there, by UID.
    present: HashMap<u32, Box<str>>,
}

impl Writer {
    /// Makes the folder, or goes on with it. `known` are the folder's keywords.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(root: &Path, name: &str, validity: u32, known: &[Box<str>]) -> io::Result<Self> {
        let path = match name {
            INBOX => root.to_owned(),
            _ => root.join(format!(".{}", encoded(name))),
        };
        for side in ["tmp", "new", "cur"] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path.join(side))?;
        }
        if name != INBOX {
            File::create(path.join("maildirfolder"))?;
        }
        let mut writer = Self { path, validity, known: Vec::new(), present: HashMap::new() };
        writer.learn(known)?;
        for letter in letters(&writer.path)? {
            let is_whole = || {
                let size = letter.unique.rsplit_once(",S=")?.1.parse::<u64>().ok()?;
                Some(fs::metadata(&letter.path).ok()?.len() == size)
            };
            if let Some(uid) = writer.uid_of(&letter.unique)
                && is_whole() == Some(true)
                && let Some(name) = letter.path.file_name()
            {
                writer.present.insert(uid, name.to_string_lossy().into());
            }
        }
        Ok(writer)
    }

    fn learn(&mut self, known: &[Box<str>]) -> io::Result<()> {
        self.known = keywords(&self.path)?;
        let before = self.known.len();
        for name in known {
            let is_new = !self.known.iter().any(|one| one.eq_ignore_ascii_case(name));
            if is_new && self.known.len() < LETTERS_MAX {
                self.known.push(name.clone());
            }
        }
        if self.known.len() == before {
            return Ok(());
        }
        let lines = self.known.iter().enumerate();
        let text: String = lines.map(|(index, name)| format!("{index} {name}\n")).collect();
        fs::write(self.path.join(KEYWORDS), text)
    }

    fn uid_of(&self, unique: &str) -> Option<u32> {
        let (validity, uid) = unique.split('.').nth(1)?.strip_prefix('V')?.split_once('U')?;
        let uid = uid.parse().ok()?;
        (validity.parse() == Ok(self.validity)).then_some(uid)
    }

    /// Whether the message of this UID is there; if so, its flags are made these.
    ///
    /// # Errors
    /// The disk's.
    pub fn keep(&self, uid: u32, marks: &Marks) -> io::Result<bool> {
        let Some(name) = self.present.get(&uid) else { return Ok(false) };
        let unique = name.split(':').next().unwrap_or_default();
        let wanted = format!("{unique}:2,{}", self.letters(marks));
        let cur = self.path.join("cur");
        if **name != *wanted {
            fs::rename(cur.join(&**name), cur.join(wanted))?;
        }
        Ok(true)
    }

    /// Writes a message.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(
        &self,
        uid: u32,
        marks: &Marks,
        internal: Timestamp,
        message: &[u8],
    ) -> io::Result<()> {
        let message = with_lf(message);
        let (seconds, validity, size) = (internal.0 / 1000, self.validity, message.len());
        let unique = format!("{seconds}.V{validity}U{uid}.ringpost,S={size}");
        let fresh = self.path.join("tmp").join(&unique);
        let options = File::options().write(true).create(true).truncate(true).mode(0o600).clone();
        let mut file = options.open(&fresh)?;
        file.write_all(&message)?;
        let at = UNIX_EPOCH + Duration::from_millis(internal.0);
        file.set_times(FileTimes::new().set_modified(at))?;
        drop(file);
        fs::rename(fresh, self.path.join("cur").join(format!("{unique}:2,{}", self.letters(marks))))
    }

    fn letters(&self, marks: &Marks) -> String {
        let flags = FLAGS.iter().filter(|(_, flag)| marks.flags.contains(*flag));
        let mut letters: Vec<u8> = flags.map(|(letter, _)| *letter).collect();
        for (letter, name) in (b'a'..=b'z').zip(&self.known) {
            if marks.keywords.iter().any(|one| one.eq_ignore_ascii_case(name)) {
                letters.push(letter);
            }
        }
        letters.into_iter().map(char::from).collect()
    }
}
