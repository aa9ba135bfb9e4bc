//! Counts by day that outlive a restart: a folder of JSON files, one a day and shard (`DAY-SHARD.json`).
//!
//! What must stay true: a file holds whole counts, the ones before a write or the ones after it; old days
//! go. How it fails: what cannot be written is told in the log, and stays with whoever counts.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use engine::{
    shard::wall_ms,
    telemetry::{Level, note},
};
use serde::{Serialize, de::DeserializeOwned};

/// Days that files are kept: a report is late after one.
const DAYS_KEPT: u64 = 14;
const DAY_MS: u64 = 86_400_000;

/// The files of one shard.
#[derive(Clone, Debug)]
pub(crate) struct DayFiles {
    folder: PathBuf,
    shard: usize,
}

/// Days since 1970-01-01, UTC.
pub(crate) fn today() -> u64 {
    wall_ms() / DAY_MS
}

impl DayFiles {
    /// Makes the folder, and removes what is too old in it.
    ///
    /// # Errors
    /// It cannot be made or read.
    pub fn open(folder: PathBuf, shard: usize) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        remove_old(&folder, today())?;
        Ok(Self { folder, shard })
    }

    /// What was written of a day, if there is anything that can be read.
    pub fn read<T: DeserializeOwned>(&self, day: u64) -> Option<T> {
        let text = fs::read(self.folder.join(self.name(day))).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes the counts of a day; whether that was done. Blocks: not on a shard.
    pub fn save(&self, day: u64, counts: &impl Serialize) -> bool {
        let name = self.name(day);
        let saved = write_whole(&self.folder, &name, counts);
        if let Err(error) = &saved {
            let folder = self.folder.display();
            note(Level::Warn, format_args!("{folder}/{name} cannot be written: {error}"));
        }
        saved.is_ok()
    }

    fn name(&self, day: u64) -> String {
        format!("{day}-{}.json", self.shard)
    }
}

/// The old file, or the new one whole.
fn write_whole(folder: &Path, name: &str, counts: &impl Serialize) -> io::Result<()> {
    let fresh = folder.join(format!(".{name}"));
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(counts)?)?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn remove_old(folder: &Path, today: u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let day = name.split_once('-').and_then(|(day, _)| day.parse::<u64>().ok());
        if day.is_some_and(|day| day + DAYS_KEPT < today) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
