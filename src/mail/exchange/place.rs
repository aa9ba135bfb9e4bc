//! Directories that somebody else may write, held open.
//!
//! What must stay true: who runs an import or export may read and write more than whose directory it
//! is. So what lies in a directory is reached from its descriptor, a name at a time, and no symbolic
//! link is followed, whatever is put in place of what was looked at before; only the directory that an
//! administrator names may be one. What is read is a regular file: no pipe is waited for, no device
//! read. What is written is new, and its owner's alone.
//!
//! How it fails: a link or anything else in the place of a directory or a file is an error that says so.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, mkdirat, open, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;

/// A directory.
#[derive(Debug)]
pub(super) struct Place {
    fd: OwnedFd,
    path: PathBuf,
}

impl Place {
    /// What an administrator names; links are followed.
    pub(super) fn named(path: &Path) -> io::Result<Self> {
        let fd = open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, path: path.into() })
    }

    /// Where it was when it was opened: for messages, and never to open anything.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A directory in this one; [`io::ErrorKind::NotADirectory`] when it is a link or another thing.
    pub(super) fn enter(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        let path = self.path.join(&name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.fd, name.as_ref(), flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) => {
                let text = format!("{} is a link or no directory", path.display());
                Err(io::Error::new(io::ErrorKind::NotADirectory, text))
            }
            fd => Ok(Self { fd: fd?, path }),
        }
    }

    /// Enters a directory, which is made when it is not there.
    pub(super) fn make(&self, name: impl AsRef<Path>) -> io::Result<Self> {
        match mkdirat(&self.fd, name.as_ref(), Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.enter(name),
            Err(error) => Err(error.into()),
        }
    }

    /// What is in it, and of which type, [`FileType::Unknown`] where the file system does not say.
    pub(super) fn entries(
        &self,
    ) -> io::Result<impl Iterator<Item = io::Result<(OsString, FileType)>>> {
        let entries = Dir::read_from(&self.fd)?.map(|entry| {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            Ok((name.to_owned(), entry.file_type()))
        });
        let is_itself = |name: &OsStr| name == "." || name == "..";
        Ok(entries.filter(move |entry| !matches!(entry, Ok((name, _)) if is_itself(name))))
    }

    /// Opens a file to be read; [`io::ErrorKind::InvalidInput`] when it is a link or no regular file.
    pub(super) fn open(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let odd = || io::Error::new(io::ErrorKind::InvalidInput, "it is a link or no regular file");
        // Without NONBLOCK a pipe would be waited for until somebody writes.
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(&self.fd, name.as_ref(), flags, Mode::empty()) {
            // A socket is NXIO.
            Err(Errno::LOOP | Errno::NXIO) => return Err(odd()),
            fd => File::from(fd?),
        };
        if file.metadata()?.is_file() { Ok(file) } else { Err(odd()) }
    }

    /// Octets of a regular file; `None` when it is none.
    pub(super) fn size(&self, name: impl AsRef<Path>) -> Option<u64> {
        let found = statat(&self.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let is_file = FileType::from_raw_mode(found.st_mode).is_file();
        is_file.then(|| u64::try_from(found.st_size).unwrap_or(0))
    }

    /// Makes a file to be written. [`io::ErrorKind::AlreadyExists`] when anything has its name, be it a
    /// link that leads nowhere.
    pub(super) fn create(&self, name: impl AsRef<Path>) -> io::Result<File> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.fd, name.as_ref(), flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// The same in place of what has its name: that is unlinked, not opened.
    pub(super) fn replace(&self, name: impl AsRef<Path>) -> io::Result<File> {
        match unlinkat(&self.fd, name.as_ref(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => self.create(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a file of this directory a name in another or the same, where it replaces what has it.
    pub(super) fn rename(
        &self,
        from: impl AsRef<Path>,
        place: &Self,
        to: impl AsRef<Path>,
    ) -> io::Result<()> {
        Ok(renameat(&self.fd, from.as_ref(), &place.fd, to.as_ref())?)
    }
}
