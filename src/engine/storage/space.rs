//! Room on the disk: the guard that refuses new data in time, and the ballast for when it failed.
//!
//! At ENOSPC RocksDB can neither write nor remove, and needs room for a write buffer to recover. So
//! new data is refused while everything that the stores hold in memory still fits. Other programs
//! fill disks too: then the ballast file is given up, and made again once there is room.

use std::{
    cell::Cell,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::telemetry::{Level, note};

/// How old a figure may get.
const CHECK_PERIOD: Duration = Duration::from_secs(1);
/// How much may be written on the strength of one figure.
const CHECK_BYTES: u64 = 16 << 20;
/// How often a missing ballast is thought of.
const BALLAST_PERIOD: Duration = Duration::from_secs(10);

/// Bytes free for us on the file system of `path`.
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The guard; lives on the shard.
pub(super) struct Guard {
    path: PathBuf,
    need: u64,
    free: Cell<u64>,
    checked: Cell<Option<Instant>>,
    written: Cell<u64>,
}

impl Guard {
    pub(super) fn new(path: &Path, need: u64) -> Self {
        Self {
            path: path.to_owned(),
            need,
            free: Cell::new(u64::MAX),
            checked: Cell::new(None),
            written: Cell::new(0),
        }
    }

    /// Bytes free, and whether that is enough for new data.
    pub(super) fn look(&self) -> (u64, bool) {
        let is_stale = self.checked.get().is_none_or(|at| at.elapsed() >= CHECK_PERIOD);
        if is_stale || self.written.get() >= CHECK_BYTES {
            self.checked.set(Some(Instant::now()));
            self.written.set(0);
            // A file system that cannot say is taken for roomy: writing will tell.
            self.free.set(free_bytes(&self.path).unwrap_or(u64::MAX));
        }
        (self.free.get(), self.free.get() >= self.need)
    }

    /// The figure is known to be wrong.
    pub(super) fn forget(&self) {
        self.checked.set(None);
    }

    /// Counts what was handed over for writing.
    pub(super) fn wrote(&self, bytes: u64) {
        self.written.set(self.written.get().saturating_add(bytes));
    }

    /// What must stay free.
    pub(super) const fn need(&self) -> u64 {
        self.need
    }
}

/// The ballast; lives on the committer thread.
pub(super) struct Ballast {
    file: PathBuf,
    bytes: u64,
    need: u64,
    is_there: bool,
    tried: Option<Instant>,
}

impl Ballast {
    pub(super) fn new(store: &Path, bytes: u64, need: u64) -> Self {
        let mut ballast =
            Self { file: store.join("ballast"), bytes, need, is_there: false, tried: None };
        ballast.is_there = fs::metadata(&ballast.file).is_ok_and(|file| file.len() == bytes);
        ballast.restore();
        ballast
    }

    /// The disk is full: gives the ballast up. True if there was one.
    pub(super) fn give_up(&mut self) -> bool {
        if !self.is_there {
            return false;
        }
        self.is_there = false;
        self.tried = Some(Instant::now());
        note(Level::Error, format_args!("disk full: giving up {}", self.file.display()));
        fs::remove_file(&self.file).is_ok()
    }

    /// Makes the ballast if it is missing and there is ample room. Called after writes; cheap.
    pub(super) fn restore(&mut self) {
        let is_soon = self.tried.is_some_and(|at| at.elapsed() < BALLAST_PERIOD);
        if self.is_there || self.bytes == 0 || is_soon {
            return;
        }
        self.tried = Some(Instant::now());
        let wanted = self.need.saturating_add(self.bytes.saturating_mul(2));
        let has_room = self.file.parent().and_then(|dir| free_bytes(dir).ok());
        if has_room.is_some_and(|free| free >= wanted) {
            self.is_there = self.make().is_ok();
            if !self.is_there {
                let _ = fs::remove_file(&self.file);
            }
        }
    }

    fn make(&self) -> io::Result<()> {
        let file = File::create(&self.file)?;
        fallocate(&file, FallocateFlags::empty(), 0, self.bytes)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_comes_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut ballast = Ballast::new(dir.path(), 1 << 20, 0);
        assert_eq!(fs::metadata(dir.path().join("ballast")).unwrap().len(), 1 << 20);
        assert!(ballast.give_up());
        assert!(!dir.path().join("ballast").exists());
        assert!(!ballast.give_up());
        ballast.restore();
        assert!(!dir.path().join("ballast").exists(), "not at once");
        ballast.tried = None;
        ballast.restore();
        assert!(dir.path().join("ballast").exists());
        let modest = Ballast::new(&dir.path().join("nowhere"), 1 << 20, 0);
        assert!(!modest.is_there);
    }

    #[test]
    fn guard_keeps_what_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Guard::new(dir.path(), 0).look().1);
        assert!(!Guard::new(dir.path(), u64::MAX).look().1);
    }
}
