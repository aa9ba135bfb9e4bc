//! How many stores there are, where they lie, and whose they are.
//!
//! What must stay true: the number is written once, when the data directory is made, and never
//! changes; an account's name says which store it is in, for good; a shard owns whole stores, so a
//! change of the number of shards moves no data.
//!
//! How it fails: a directory that has stores but no number, or a number that is none, is refused: a
//! guess would look for mail where it is not.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::MailboxError;

/// The folder of all stores under the data directory.
const STORES: &str = "store";
const COUNT: &str = "count";
const COUNT_MIN: u16 = 4;
const COUNT_MAX: u16 = 1024;

/// The stores of a data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    folder: PathBuf,
    stores: u16,
}

impl Layout {
    /// Reads how the data directory is laid out; lays it out for `cores` cores when it is new.
    ///
    /// # Errors
    /// [`MailboxError::Layout`].
    pub fn open(data: &Path, cores: usize) -> Result<Self, MailboxError> {
        let folder = data.join(STORES);
        let file = folder.join(COUNT);
        let fault = |error: &dyn std::fmt::Display| {
            MailboxError::Layout(format!("{}: {error}", file.display()).into())
        };
        let stores = match fs::read_to_string(&file) {
            Ok(text) => parse(&text).ok_or_else(|| fault(&"not a number of stores"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if has_stores(&folder).map_err(|error| fault(&error))? {
                    return Err(fault(&"missing, but there are stores"));
                }
                let stores = stores_for(cores);
                make(&folder, &file, stores).map_err(|error| fault(&error))?;
                stores
            }
            Err(error) => return Err(fault(&error)),
        };
        Ok(Self { folder, stores })
    }

    /// How many stores there are.
    #[must_use]
    pub const fn stores(&self) -> u16 {
        self.stores
    }

    /// The store of the account of this name, folded as the directory does.
    #[must_use]
    pub fn store_of(&self, account: &str) -> u16 {
        // The checksum is part of the layout: it must never change.
        (crc32fast::hash(account.as_bytes()) % u32::from(self.stores)) as u16
    }

    /// The shard that owns a store.
    #[must_use]
    pub const fn shard_of(&self, store: u16, shards: u16) -> u16 {
        if shards == 0 { 0 } else { store % shards }
    }

    /// The stores of a shard, in order.
    pub fn stores_of(&self, shard: u16, shards: u16) -> impl Iterator<Item = u16> {
        let layout = self.clone();
        (0..self.stores).filter(move |store| layout.shard_of(*store, shards) == shard)
    }

    /// Where a store lies.
    #[must_use]
    pub fn dir(&self, store: u16) -> PathBuf {
        self.folder.join(store.to_string())
    }
}

fn stores_for(cores: usize) -> u16 {
    let cores = u16::try_from(cores).unwrap_or(COUNT_MAX).min(COUNT_MAX);
    cores.next_power_of_two().max(COUNT_MIN)
}

fn parse(text: &str) -> Option<u16> {
    let count: u16 = text.trim_end().parse().ok()?;
    (count.is_power_of_two() && (COUNT_MIN..=COUNT_MAX).contains(&count)).then_some(count)
}

fn has_stores(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.any(|entry| {
            entry.is_ok_and(|e| e.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes the number so that it is there, whole, or not at all.
fn make(folder: &Path, file: &Path, stores: u16) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let fresh = file.with_extension("new");
    let mut out = File::create(&fresh)?;
    writeln!(out, "{stores}")?;
    out.sync_all()?;
    fs::rename(&fresh, file)?;
    File::open(folder)?.sync_all()?;
    match folder.parent() {
        Some(data) => File::open(data)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_for_good() {
        let data = tempfile::tempdir().unwrap();
        let layout = Layout::open(data.path(), 6).unwrap();
        assert_eq!(layout.stores(), 8);
        assert_eq!(Layout::open(data.path(), 64).unwrap(), layout);
        assert_eq!(layout.dir(3), data.path().join("store/3"));
        fs::create_dir(layout.dir(0)).unwrap();
        fs::remove_file(data.path().join("store/count")).unwrap();
        assert!(matches!(Layout::open(data.path(), 6), Err(MailboxError::Layout(_))));
        fs::write(data.path().join("store/count"), "6\n").unwrap();
        assert!(matches!(Layout::open(data.path(), 6), Err(MailboxError::Layout(_))));
    }

    #[test]
    fn every_store_has_one_shard_and_every_account_one_store() {
        assert_eq!([1, 4, 5, 9000].map(stores_for), [4, 4, 8, COUNT_MAX]);
        let data = tempfile::tempdir().unwrap();
        let layout = Layout::open(data.path(), 1).unwrap();
        for shards in 1..6 {
            let mut all: Vec<u16> =
                (0..shards).flat_map(|shard| layout.stores_of(shard, shards)).collect();
            all.sort_unstable();
            assert_eq!(all, [0, 1, 2, 3]);
        }
        // What is written here is what is on people's disks.
        let names = ["a@x.example", "b@x.example", "joe@example.org", "ann@example.org"];
        let stores = names.map(|name| layout.store_of(name));
        assert_eq!(stores, names.map(|name| (crc32fast::hash(name.as_bytes()) & 3) as u16));
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926, "CRC-32 as everybody has it");
    }
}
