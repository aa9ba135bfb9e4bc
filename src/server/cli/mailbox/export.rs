//! `ringpost mailbox export`: the folders of an account to a Maildir or an mbox file.
//!
//! What must stay true: flags and dates go along; an mbox file appears whole or not at all, and never in
//! place of another; a Maildir may be exported to again and gets what it lacks. Only the owner of what
//! is written may read it; nothing is written through a link that somebody put where it goes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use mail::exchange::{maildir, marks_of, mbox};
use mail::mailbox::{FolderInfo, Mailbox, View};
use serde_json::json;

use super::arguments::ExportArgs;
use super::premises::{Premises, close, failed};
use super::{bar, none};
use crate::cli::{Failure, words, write_line};

const WRITE_BYTES: usize = 1 << 20;

/// What came of an export.
#[derive(Default)]
struct Tally {
    exported: u64,
    before: u64,
    folders: u64,
}

/// Writes mail.
pub(super) async fn export(
    premises: &Premises,
    given: &ExportArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let name = Premises::name(&given.account)?;
    let store = premises.store_of(&name)?;
    let mailbox = store.existing(&name).await.map_err(failed)?.ok_or_else(|| none(&name))?;
    let folders = folders(&mailbox, &given.folder)?;
    let messages = folders.iter().map(|folder| u64::from(folder.counts.messages)).sum();
    let bar = bar(messages, "{bar:30} {pos} of {len} messages, {elapsed}, {eta} left");
    let mut exporter = Exporter { mailbox, bar: &bar, tally: Tally::default() };
    match (&given.maildir, &given.mbox) {
        (Some(root), _) => exporter.maildir(root, &folders).await?,
        (None, Some(file)) => exporter.mbox(file, &folders).await?,
        (None, None) => return Err(failed("say --maildir or --mbox")),
    }
    bar.finish_and_clear();
    let Exporter { mailbox, tally: Tally { exported, before, folders }, .. } = exporter;
    drop(mailbox);
    close(store).await?;
    premises.record("export mailbox", &name)?;
    if json {
        let line = json!({ "exported": exported, "before": before, "folders": folders });
        return write_line(&line, out);
    }
    let earlier = match before {
        0 => String::new(),
        _ => format!(", {} were there", words::grouped(before)),
    };
    let exported = words::messages(exported);
    Ok(writeln!(out, "{exported} of {} folders exported{earlier}.", words::grouped(folders))?)
}

/// Those that are wanted.
fn folders(mailbox: &Mailbox, wanted: &[String]) -> Result<Vec<FolderInfo>, Failure> {
    if wanted.is_empty() {
        return mailbox.folders().map_err(failed);
    }
    let named = wanted.iter().map(|name| {
        mailbox.folder(name).map_err(|error| failed(format!("folder {name}: {error}")))
    });
    named.collect()
}

struct Exporter<'a> {
    mailbox: Mailbox,
    bar: &'a ProgressBar,
    tally: Tally,
}

impl Exporter<'_> {
    async fn open(&mut self, folder: &FolderInfo) -> Result<View, Failure> {
        self.tally.folders += 1;
        let view = self.mailbox.open(&folder.name, true).await;
        view.map_err(|error| failed(format!("folder {}: {error}", folder.name)))
    }

    async fn maildir(&mut self, root: &Path, folders: &[FolderInfo]) -> Result<(), Failure> {
        let fault = |error: io::Error| failed(format!("{}: {error}", root.display()));
        // A Maildir without INBOX is none.
        maildir::Writer::open(root, mail::mailbox::INBOX, 0, &[]).map_err(fault)?;
        for folder in folders {
            let view = self.open(folder).await?;
            let known = view.keywords();
            let writer = maildir::Writer::open(root, &folder.name, view.validity(), &known);
            let writer = writer.map_err(fault)?;
            for uid in view.uids() {
                self.bar.inc(1);
                let Some(entry) = view.entry(*uid) else { continue };
                let marks = marks_of(entry.flags, &known);
                if writer.keep(*uid, &marks).map_err(fault)? {
                    self.tally.before += 1;
                    continue;
                }
                let message = body(&view, *uid, folder).await?;
                writer.write(*uid, &marks, entry.internal, &message).map_err(fault)?;
                self.tally.exported += 1;
            }
        }
        Ok(())
    }

    async fn mbox(&mut self, path: &Path, folders: &[FolderInfo]) -> Result<(), Failure> {
        let fault = |error: io::Error| failed(format!("{}: {error}", path.display()));
        // A link that leads nowhere is there, too.
        if path.symlink_metadata().is_ok() {
            return Err(failed(format!("{} exists: give a new name", path.display())));
        }
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".part");
        let fresh = PathBuf::from(fresh);
        let file = replace(&fresh).map_err(fault)?;
        let mut out = BufWriter::with_capacity(WRITE_BYTES, file);
        for folder in folders {
            let view = self.open(folder).await?;
            let known = view.keywords();
            for uid in view.uids() {
                self.bar.inc(1);
                let Some(entry) = view.entry(*uid) else { continue };
                let message = body(&view, *uid, folder).await?;
                let marks = marks_of(entry.flags, &known);
                mbox::write(&mut out, &marks, entry.internal, &message).map_err(fault)?;
                self.tally.exported += 1;
            }
        }
        let file = out.into_inner().map_err(|error| fault(error.into_error()))?;
        file.sync_all().map_err(fault)?;
        fs::rename(&fresh, path).map_err(fault)
    }
}

/// Makes a file in place of what an export that was cut off has left: unlinked, as it may be a link to
/// another file; and a new file is made through no link.
fn replace(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::options().write(true).create_new(true).mode(0o600).open(path),
    }
}

async fn body(view: &View, uid: u32, folder: &FolderInfo) -> Result<bytes::Bytes, Failure> {
    let body = view.body(uid, 0..u64::MAX).await;
    body.map_err(|error| failed(format!("folder {}, message {uid}: {error}", folder.name)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_in_the_place_of_a_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, part) = (dir.path().join("theirs"), dir.path().join("out.part"));
        fs::write(&theirs, "secret").unwrap();
        for target in [&*theirs, Path::new("nowhere")] {
            symlink(target, &part).unwrap();
            replace(&part).unwrap().write_all(b"mail").unwrap();
            let found = fs::symlink_metadata(&part).unwrap();
            assert!(found.is_file());
            assert_eq!(found.permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read(&theirs).unwrap(), b"secret");
            fs::remove_file(&part).unwrap();
        }
        // What an earlier one has left.
        fs::write(&part, "longer than what comes").unwrap();
        replace(&part).unwrap().write_all(b"mail").unwrap();
        assert_eq!(fs::read(&part).unwrap(), b"mail");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
