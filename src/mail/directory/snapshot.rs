//! The snapshot: all records in one file, in the form of a table, so that a start is one read.
//!
//! What must stay true: the file is replaced as a whole (written beside, synced, renamed), and its
//! generation names the only log that continues it: the new log is there before the new snapshot is.
//! Damage is an error; there is nothing to fall back to but a backup.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::changelog::FILE_MODE;
use super::error::StoreError;

/// Form 1.
const MAGIC: &[u8; 8] = b"RPDIRSN\x01";
const HEAD: usize = 40;
const NAME: &str = "snapshot";
const NEW_NAME: &str = "snapshot.new";

/// What a snapshot says beside its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub generation: u64,
    /// The number of the next entry of the audit log.
    pub number: u64,
}

/// Reads the snapshot in `folder`; `None` when there is none yet.
pub(super) fn read(folder: &Path) -> Result<Option<(Head, Vec<u8>)>, StoreError> {
    let path = folder.join(NAME);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = || StoreError::Damaged { path: path.clone(), at: 0 };
    let mut head = [0; HEAD];
    file.read_exact(&mut head).map_err(|_| damaged())?;
    let number = |at: usize| {
        let mut octets = [0; 8];
        octets.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(octets)
    };
    let crc = |at: usize| number(at) as u32;
    if &head[..8] != MAGIC || crc32fast::hash(&head[..36]) != (number(32) >> 32) as u32 {
        return Err(damaged());
    }
    let len = usize::try_from(number(24)).map_err(|_| damaged())?;
    if file.metadata()?.len() != (HEAD + len) as u64 {
        return Err(damaged());
    }
    let mut data = Vec::with_capacity(len);
    file.read_to_end(&mut data)?;
    if data.len() != len || crc32fast::hash(&data) != crc(32) {
        return Err(damaged());
    }
    Ok(Some((Head { generation: number(8), number: number(16) }, data)))
}

/// Puts a new snapshot in the place of the old one.
pub(super) fn write(folder: &Path, head: Head, data: &[u8]) -> io::Result<()> {
    let new = folder.join(NEW_NAME);
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&new)?;
    let mut text = Vec::with_capacity(HEAD);
    text.extend_from_slice(MAGIC);
    text.extend_from_slice(&head.generation.to_le_bytes());
    text.extend_from_slice(&head.number.to_le_bytes());
    text.extend_from_slice(&(data.len() as u64).to_le_bytes());
    text.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
    let crc = crc32fast::hash(&text);
    text.extend_from_slice(&crc.to_le_bytes());
    file.write_all(&text)?;
    file.write_all(data)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, folder.join(NAME))?;
    sync_folder(folder)
}

/// Makes names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_comes_back_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap().is_none());
        let head = Head { generation: 7, number: 1 << 40 };
        write(dir.path(), head, b"records").unwrap();
        assert_eq!(read(dir.path()).unwrap(), Some((head, b"records".to_vec())));
        let path = dir.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert!(matches!(read(dir.path()), Err(StoreError::Damaged { .. })), "{at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(matches!(read(dir.path()), Err(StoreError::Damaged { .. })), "{at}");
        }
    }
}
