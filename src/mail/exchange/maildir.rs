//! Maildir++ folders: `cur` and `new` of INBOX, and `.Sent.2024` for each folder beneath.
//!
//! What must stay true: names of folders are modified UTF-7 as Dovecot and Courier write them; a dot in
//! a name of ours is written `&AC4-`, which is read back. Flags are the letters behind `:2,`,
//! keywords the small ones, which `dovecot-keywords` names; the date is the file's mtime.
//! A file that is written appears in `cur` whole, with a name that says which message it is, so that
//! an export that runs again writes what is missing, and what a crash left short. Whose Maildir it is
//! may change it meanwhile: everything but the root is reached through `place`, which follows no links.
//!
//! How it fails: keywords beyond 26 of a folder have no letter and are left out. Folders that are links
//! are not read, nor is what is no regular file; where one is to be written, that is an error.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{DirBuilder, FileTimes};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use proto::imap::syntax::{decode_utf7, encode_utf7};
use proto::types::Timestamp;
use rustix::fs::FileType;

use super::place::Place;
use super::{Mail, add_keyword, push_crlf, with_lf};
use crate::mailbox::{Flags, INBOX, Marks, SEPARATOR};

const KEYWORDS: &str = "dovecot-keywords";
/// Octets of the keywords' file that are read; more than its letters can name.
const KEYWORDS_BYTES_MAX: u64 = 64 << 10;
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
#[derive(Clone, Debug)]
pub struct Folder {
    /// As we name it.
    pub name: String,
    /// Where it lies, for messages.
    pub path: PathBuf,
    root: Rc<Place>,
    /// What the root calls it; `None` is the root itself.
    entry: Option<OsString>,
}

/// A message's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// What stays of its name when its flags change.
    pub unique: Box<str>,
    /// Where it lies, for messages.
    pub path: PathBuf,
    /// Which of the reader's directories has it.
    side: usize,
}

/// Reads one folder.
#[derive(Debug)]
pub struct Reader {
    /// `new` and `cur`, as far as they are there.
    sides: Vec<Place>,
    known: Vec<Box<str>>,
}

/// All folders, INBOX first.
///
/// # Errors
/// The disk's; a directory without `cur` is [`io::ErrorKind::InvalidInput`].
pub fn folders(root: &Path) -> io::Result<Vec<Folder>> {
    let place = Rc::new(Place::named(root)?);
    if place.enter("cur").is_err() {
        let text = "this is no Maildir: it has no directory named cur";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut found = Vec::new();
    for entry in place.entries()? {
        let (entry, _) = entry?;
        if let Some(name) = entry.to_string_lossy().strip_prefix('.')
            && place.enter(&entry).and_then(|folder| folder.enter("cur")).is_ok()
        {
            let (name, path) = (decoded(name), root.join(&entry));
            found.push(Folder { name, path, root: place.clone(), entry: Some(entry) });
        }
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let inbox = Folder { name: INBOX.into(), path: root.into(), root: place, entry: None };
    found.insert(0, inbox);
    Ok(found)
}

impl Folder {
    /// Opens it to read its messages.
    ///
    /// # Errors
    /// The disk's; also when it, a part of it, or its keywords' file has become or is a link.
    pub fn open(&self) -> io::Result<Reader> {
        match &self.entry {
            None => Reader::of(&self.root),
            Some(entry) => Reader::of(&self.root.enter(entry)?),
        }
    }
}

impl Reader {
    fn of(place: &Place) -> io::Result<Self> {
        let mut sides = Vec::with_capacity(2);
        for side in ["new", "cur"] {
            match place.enter(side) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                side => sides.push(side?),
            }
        }
        Ok(Self { sides, known: keywords(place)? })
    }

    /// The messages in the order of their names, which begin with when they came.
    ///
    /// # Errors
    /// The disk's.
    pub fn letters(&self) -> io::Result<Vec<Letter>> {
        let mut found = Vec::new();
        for (side, place) in self.sides.iter().enumerate() {
            for name in names(place)? {
                let unique = unique_of(&name.to_string_lossy()).into();
                found.push(Letter { unique, path: place.path().join(name), side });
            }
        }
        found.sort_unstable_by(|a, b| a.unique.cmp(&b.unique));
        // One that was moved from new to cur while the folder was read is there twice.
        found.dedup_by(|a, b| a.unique == b.unique);
        Ok(found)
    }

    /// Reads a message; `None` when it has more than `message_max` octets.
    ///
    /// # Errors
    /// The disk's; what is no regular file is [`io::ErrorKind::InvalidInput`].
    pub fn read(&self, letter: &Letter, message_max: u64) -> io::Result<Option<Mail>> {
        let (Some(place), Some(name)) = (self.sides.get(letter.side), letter.path.file_name())
        else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let file = place.open(name)?;
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
        let marks = marks(&name.to_string_lossy(), &self.known);
        Ok((message.len() as u64 <= message_max).then_some(Mail { message, marks, internal }))
    }
}

/// The files of `new` or `cur` that are messages.
fn names(side: &Place) -> io::Result<Vec<OsString>> {
    let mut found = Vec::new();
    for entry in side.entries()? {
        let (name, kind) = entry?;
        let is_file = matches!(kind, FileType::RegularFile | FileType::Unknown);
        if is_file && !name.as_encoded_bytes().starts_with(b".") {
            found.push(name);
        }
    }
    Ok(found)
}

fn unique_of(name: &str) -> &str {
    name.split(':').next().unwrap_or_default()
}

/// The keywords of a folder, by letter.
fn keywords(folder: &Place) -> io::Result<Vec<Box<str>>> {
    let mut octets = Vec::new();
    match folder.open(KEYWORDS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{KEYWORDS}: {error}"))),
        Ok(file) => file.take(KEYWORDS_BYTES_MAX).read_to_end(&mut octets)?,
    };
    if octets.len() as u64 == KEYWORDS_BYTES_MAX {
        // The last line may have been cut off.
        octets.truncate(memchr::memrchr(b'\n', &octets).unwrap_or_default());
    }
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
pub(super) fn decoded(name: &str) -> String {
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

/// What the root calls a folder beneath it: one name, whatever is in ours.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`].
pub(super) fn entry_of(name: &str) -> io::Result<String> {
    // With nothing in a part it could be `.` or `..`; otherwise dots stand between two others.
    if name.split(SEPARATOR).any(str::is_empty) {
        let text = format!("a part of the folder's name {name:?} is empty");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(format!(".{}", encoded(name)))
}

/// Writes one folder.
#[derive(Debug)]
pub struct Writer {
    tmp: Place,
    cur: Place,
    validity: u32,
    known: Vec<Box<str>>,
    /// Names of messages that are whole in `cur`, by UID.
    present: HashMap<u32, Box<str>>,
}

impl Writer {
    /// Makes the folder, or goes on with it. `known` are the folder's keywords.
    ///
    /// # Errors
    /// The disk's; [`io::ErrorKind::NotADirectory`] when the folder or a part of it is a link or another
    /// thing.
    pub fn open(root: &Path, name: &str, validity: u32, known: &[Box<str>]) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let mut folder = Place::named(root)?;
        if name != INBOX {
            folder = folder.make(entry_of(name)?)?;
            match folder.create("maildirfolder") {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        folder.make("new")?;
        let (tmp, cur) = (folder.make("tmp")?, folder.make("cur")?);
        let mut writer = Self { tmp, cur, validity, known: Vec::new(), present: HashMap::new() };
        writer.learn(&folder, known)?;
        for name in names(&writer.cur)? {
            let name = name.to_string_lossy();
            if let Some(uid) = writer.whole(&name) {
                writer.present.insert(uid, name.into());
            }
        }
        Ok(writer)
    }

    fn learn(&mut self, folder: &Place, known: &[Box<str>]) -> io::Result<()> {
        self.known = keywords(folder)?;
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
        self.tmp.replace(KEYWORDS)?.write_all(text.as_bytes())?;
        self.tmp.rename(KEYWORDS, folder, KEYWORDS)
    }

    /// The UID of a message that is there as a whole.
    fn whole(&self, name: &str) -> Option<u32> {
        let unique = unique_of(name);
        let uid = self.uid_of(unique)?;
        let size = unique.rsplit_once(",S=")?.1.parse().ok()?;
        (self.cur.size(name) == Some(size)).then_some(uid)
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
        let wanted = format!("{}:2,{}", unique_of(name), self.letters(marks));
        if **name != *wanted {
            self.cur.rename(&**name, &self.cur, wanted)?;
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
        let mut file = self.tmp.replace(&unique)?;
        file.write_all(&message)?;
        let at = UNIX_EPOCH + Duration::from_millis(internal.0);
        file.set_times(FileTimes::new().set_modified(at))?;
        drop(file);
        self.tmp.rename(&unique, &self.cur, format!("{unique}:2,{}", self.letters(marks)))
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
