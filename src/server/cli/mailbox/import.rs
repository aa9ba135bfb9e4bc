//! `ringpost mailbox import`: mail from a Maildir or mbox files into the folders of an account.
//!
//! What must stay true: messages go in by batches, each durable as a whole; the journal says what was
//! taken, so that an import that was cut off, at whatever moment, goes on without a message twice or
//! left out. Memory does not grow with a file; of a Maildir's folder it holds the names.
//!
//! How it fails: messages that are too large or cannot be read are told and left out, and the others are
//! in; a full disk or quota ends the import, which goes on when there is room.

use std::fs::{self, File};
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use indicatif::ProgressBar;
use mail::exchange::journal::{Batch, Journal, Taken};
use mail::exchange::mbox::{Found, MboxReader};
use mail::exchange::{Mail, maildir};
use mail::mailbox::{FolderInfo, INBOX, Limits, Mailbox, MailboxError, Parcel, folder_name};
use proto::types::Timestamp;
use serde_json::json;

use super::arguments::ImportArgs;
use super::premises::{Premises, close, failed};
use super::{bar, forget};
use crate::cli::{Failure, words, write_line};

/// Messages of a batch at most.
const BATCH_MESSAGES: usize = 500;
/// Octets of a batch, one message more at most.
const BATCH_BYTES: usize = 8 << 20;
/// Messages that are left out and complained about.
const COMPLAINTS_MAX: u64 = 20;
const READ_BYTES: usize = 1 << 20;
/// No session appends.
const NO_SESSION: u32 = 0;

/// What came of an import.
#[derive(Default)]
struct Tally {
    imported: u64,
    before: u64,
    left_out: u64,
}

struct Importer<'a> {
    mailbox: Mailbox,
    limits: Limits,
    message_max: u64,
    journal: Journal,
    bar: &'a ProgressBar,
    tally: Tally,
    pending: Pending,
}

/// The next batch.
#[derive(Default)]
struct Pending {
    parcels: Vec<Parcel>,
    names: Vec<Box<str>>,
    ends: Option<[(u32, u64); 2]>,
    bytes: usize,
}

/// From where to where.
struct Way {
    source: String,
    folder: String,
}

/// Takes mail in.
pub(super) async fn import(
    premises: &Premises,
    given: &ImportArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let name = Premises::name(&given.account)?;
    let limits = premises.limits(&name)?;
    if given.again {
        forget(premises, &name)?;
    }
    let data_dir = &premises.settings.server.data_dir;
    let journal = Journal::open(&Journal::path(data_dir, &name))
        .map_err(|error| failed(format!("the journal of imports: {error}")))?;
    let store = premises.store_of(&name)?;
    let bar = bar(0, "{bar:30} {percent} %, {msg} messages, {elapsed}, {eta} left");
    let mut importer = Importer {
        mailbox: store.mailbox(&name).await.map_err(failed)?,
        limits,
        message_max: premises.settings.mailbox.append_bytes_max.get(),
        journal,
        bar: &bar,
        tally: Tally::default(),
        pending: Pending::default(),
    };
    let done = importer.run(given).await;
    bar.finish_and_clear();
    let Importer { mailbox, tally: Tally { imported, before, left_out }, .. } = importer;
    drop(mailbox);
    close(store).await?;
    if imported > 0 {
        premises.record(&format!("import {imported} messages"), &name)?;
    }
    if json {
        let line = json!({ "imported": imported, "before": before, "left_out": left_out });
        write_line(&line, out)?;
    } else {
        let earlier = match before {
            0 => String::new(),
            _ => format!(", {} were imported before", words::grouped(before)),
        };
        writeln!(out, "{} imported{earlier}.", words::messages(imported))?;
    }
    done?;
    match left_out {
        0 => Ok(()),
        _ => Err(failed(format!("{} left out", words::messages(left_out)))),
    }
}

impl Importer<'_> {
    async fn run(&mut self, given: &ImportArgs) -> Result<(), Failure> {
        self.settle().await?;
        let top = folder_name(given.folder.as_deref().unwrap_or(INBOX)).map_err(failed)?;
        match &given.maildir {
            Some(root) => self.maildir(root, given.folder.as_ref().map(|_| &*top)).await,
            None => {
                for file in &given.mbox {
                    self.mbox(file, &top).await?;
                }
                Ok(())
            }
        }
    }

    /// Finds out whether the batch that an import was cut off at is in the mailbox.
    async fn settle(&mut self) -> Result<(), Failure> {
        let Some(batch) = self.journal.doubt().cloned() else { return Ok(()) };
        let done = if self.is_stored(&batch).await.map_err(failed)? {
            self.journal.kept()
        } else {
            self.journal.void()
        };
        done.map_err(of_journal)
    }

    async fn is_stored(&self, batch: &Batch) -> Result<bool, MailboxError> {
        let view = match self.mailbox.open(&batch.folder, true).await {
            Err(MailboxError::NoFolder) => return Ok(false),
            view => view?,
        };
        let end = batch.uid.saturating_add(batch.count);
        if view.validity() != batch.validity || view.counts().uid_next < end {
            return Ok(false);
        }
        // The UIDs may have been given to others since; and one of ours may be gone.
        let is_there = |uid: u32, (size, internal): (u32, u64)| {
            view.entry(uid).is_some_and(|entry| (entry.size, entry.internal.0) == (size, internal))
        };
        let [first, last] = batch.ends;
        Ok(is_there(batch.uid, first) || is_there(end - 1, last))
    }

    async fn maildir(&mut self, root: &Path, top: Option<&str>) -> Result<(), Failure> {
        let folders = maildir::folders(root).map_err(|error| named(root, &error))?;
        for folder in folders {
            let name = match (top, folder.name.as_str()) {
                (None, name) => name.to_owned(),
                (Some(top), INBOX) => top.to_owned(),
                (Some(top), name) => format!("{top}/{name}"),
            };
            let name = match folder_name(&name) {
                Ok(name) => name.into_owned(),
                Err(error) => {
                    self.complain(&folder.path, &error);
                    continue;
                }
            };
            self.maildir_folder(&folder, name).await?;
        }
        Ok(())
    }

    async fn maildir_folder(
        &mut self,
        found: &maildir::Folder,
        folder: String,
    ) -> Result<(), Failure> {
        let fault = |error: io::Error| named(&found.path, &error);
        let way = Way { source: source_of(&found.path).map_err(fault)?, folder };
        self.folder(&way.folder).await?;
        let reader = found.open().map_err(fault)?;
        let letters = reader.letters().map_err(fault)?;
        let taken = self.journal.take_names(&way.source, &way.folder);
        self.bar.inc_length(letters.len() as u64);
        for letter in letters {
            self.bar.inc(1);
            if taken.contains(&letter.unique) {
                self.tally.before += 1;
                continue;
            }
            match reader.read(&letter, self.message_max) {
                Ok(Some(mail)) => {
                    self.pending.names.push(letter.unique);
                    self.take(mail);
                }
                Ok(None) => self.complain(&letter.path, &"it is too large"),
                Err(error) => self.complain(&letter.path, &error),
            }
            if self.pending.is_full() {
                let names = std::mem::take(&mut self.pending.names);
                self.send(&way, Taken::Names(names)).await?;
            }
        }
        let names = std::mem::take(&mut self.pending.names);
        self.send(&way, Taken::Names(names)).await
    }

    async fn mbox(&mut self, path: &Path, folder: &str) -> Result<(), Failure> {
        let fault = |error: io::Error| named(path, &error);
        let way = Way { source: source_of(path).map_err(fault)?, folder: folder.into() };
        self.folder(&way.folder).await?;
        let mut file = File::open(path).map_err(fault)?;
        let found = file.metadata().map_err(fault)?;
        let size = found.len();
        let begin = match self.journal.offset(&way.source, &way.folder) {
            None => 0,
            Some((offset, before)) if before == size => offset,
            Some(_) => {
                let text = "it has changed since its import began; --again imports all of it";
                return Err(named(path, &text));
            }
        };
        file.seek(SeekFrom::Start(begin)).map_err(fault)?;
        self.bar.inc_length(size);
        self.bar.inc(begin);
        let modified = found.modified().map_err(fault)?.duration_since(UNIX_EPOCH);
        let modified = u64::try_from(modified.unwrap_or_default().as_millis()).unwrap_or(0);
        let input = BufReader::with_capacity(READ_BYTES, file);
        let message_max = usize::try_from(self.message_max).unwrap_or(usize::MAX);
        let mut reader = MboxReader::new(input, begin, message_max, Timestamp(modified));
        loop {
            let at = reader.offset();
            let found = reader.read().map_err(|error| named(path, &error))?;
            let offset = reader.offset();
            self.bar.inc(offset.saturating_sub(at));
            match found {
                None => return self.send(&way, Taken::Until { offset, size }).await,
                Some(Found::Mail(mail)) => self.take(mail),
                Some(Found::TooLarge { at, bytes }) => {
                    let bytes = words::size(bytes);
                    self.complain(
                        path,
                        &format!("the message at octet {at} is too large: {bytes}"),
                    );
                }
            }
            if self.pending.is_full() {
                self.send(&way, Taken::Until { offset, size }).await?;
            }
        }
    }

    /// The folder, which is made when it is not there.
    async fn folder(&self, name: &str) -> Result<FolderInfo, Failure> {
        let fault = |error: MailboxError| failed(format!("folder {name}: {error}"));
        match self.mailbox.folder(name) {
            Err(MailboxError::NoFolder) => {
                self.mailbox.create(name, None).await.map_err(fault)?;
                self.mailbox.subscribe(name, true).await.map_err(fault)?;
                self.mailbox.folder(name).map_err(fault)
            }
            found => found.map_err(fault),
        }
    }

    fn take(&mut self, mail: Mail) {
        let pending = &mut self.pending;
        let end = (u32::try_from(mail.message.len()).unwrap_or(u32::MAX), mail.internal.0);
        let first = pending.ends.map_or(end, |[first, _]| first);
        pending.ends = Some([first, end]);
        pending.bytes += mail.message.len();
        let parcel = Parcel::new(Bytes::from(mail.message), mail.internal);
        pending.parcels.push(parcel.with(mail.marks));
    }

    /// Stores what waits.
    async fn send(&mut self, way: &Way, taken: Taken) -> Result<(), Failure> {
        let Pending { parcels, ends, .. } = std::mem::take(&mut self.pending);
        let Some(ends) = ends else { return Ok(()) };
        let folder = self.folder(&way.folder).await?;
        let batch = Batch {
            source: way.source.clone(),
            folder: way.folder.clone(),
            validity: folder.validity,
            uid: folder.counts.uid_next,
            count: u32::try_from(parcels.len()).unwrap_or(u32::MAX),
            ends,
            taken,
        };
        self.journal.begin(batch).map_err(of_journal)?;
        let stored = self.mailbox.append(&way.folder, &parcels, self.limits, NO_SESSION).await;
        stored.map_err(|error| failed(format!("folder {}: {error}", way.folder)))?;
        self.journal.kept().map_err(of_journal)?;
        self.tally.imported += parcels.len() as u64;
        self.bar.set_message(words::grouped(self.tally.imported));
        Ok(())
    }

    fn complain(&mut self, path: &Path, what: &dyn std::fmt::Display) {
        self.tally.left_out += 1;
        let text = match self.tally.left_out {
            ..=COMPLAINTS_MAX => words::clean(&format!("ringpost: {}: {what}", path.display())),
            count if count == COMPLAINTS_MAX + 1 => "ringpost: … and more of these".into(),
            _ => return,
        };
        // Between the lines of the bar, when there is one.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }
}

impl Pending {
    fn is_full(&self) -> bool {
        self.parcels.len() >= BATCH_MESSAGES || self.bytes >= BATCH_BYTES
    }
}

/// What the journal calls a file: its whole path, whatever the working directory.
fn source_of(path: &Path) -> io::Result<String> {
    Ok(fs::canonicalize(path)?.to_string_lossy().into_owned())
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    failed(format!("{}: {error}", path.display()))
}

#[allow(clippy::needless_pass_by_value)] // for map_err
fn of_journal(error: io::Error) -> Failure {
    failed(format!("the journal of imports: {error}"))
}
