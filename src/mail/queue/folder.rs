//! Where queues lie under the data directory, and which of them nobody keeps any more.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The folder of all queues.
const QUEUES: &str = "queue";
/// Ends the name of a queue that is on its way out.
const REMOVED: &str = "removed";

/// The directory of queue `index` under the data directory.
#[must_use]
pub fn queue_dir(data: &Path, index: u16) -> PathBuf {
    data.join(QUEUES).join(index.to_string())
}

/// Queues of an earlier run with more shards that shard `shard` of `shards` adopts, in order.
///
/// # Errors
/// When the folder of queues cannot be read.
pub fn orphans(data: &Path, shard: u16, shards: u16) -> io::Result<Vec<u16>> {
    let entries = match std::fs::read_dir(data.join(QUEUES)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if Path::new(&name).extension().is_some_and(|end| end == REMOVED) {
            // Killed while it went. Another shard may be at it, too.
            let _ = std::fs::remove_dir_all(entry.path());
            continue;
        }
        let number = name.to_str().and_then(|name| name.parse::<u16>().ok());
        // "+7" and "07" are numbers too, but no names of ours.
        let number = number.filter(|n| name.to_str() == Some(n.to_string().as_str()));
        found.extend(number.filter(|n| *n >= shards && n % shards.max(1) == shard));
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes the directory of a queue: at once, as far as the next start can see, which would take half
/// of one for a damaged one.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    let removed = folder.with_extension(REMOVED);
    std::fs::rename(folder, &removed)?;
    std::fs::remove_dir_all(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_killed_while_it_was_removed_is_no_queue_and_goes() {
        let data = tempfile::tempdir().unwrap();
        let [whole, half] = [3, 5].map(|number| queue_dir(data.path(), number));
        for folder in [&whole, &half] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("CURRENT"), "x").unwrap();
        }
        std::fs::rename(&half, half.with_extension(REMOVED)).unwrap();
        assert_eq!(orphans(data.path(), 1, 2).unwrap(), [3]);
        assert!(!half.with_extension(REMOVED).exists());
        remove(&whole).unwrap();
        assert_eq!(std::fs::read_dir(data.path().join(QUEUES)).unwrap().count(), 0);
    }

    #[test]
    fn every_orphan_has_one_parent() {
        let data = tempfile::tempdir().unwrap();
        assert!(orphans(data.path(), 0, 2).unwrap().is_empty(), "no folder yet");
        for name in ["0", "1", "2", "3", "7", "lost+found", "+5", "09"] {
            std::fs::create_dir_all(data.path().join(QUEUES).join(name)).unwrap();
        }
        assert_eq!(orphans(data.path(), 0, 2).unwrap(), [2]);
        assert_eq!(orphans(data.path(), 1, 2).unwrap(), [3, 7]);
        assert_eq!(orphans(data.path(), 0, 1).unwrap(), [1, 2, 3, 7]);
        assert!(orphans(data.path(), 5, 8).unwrap().is_empty());
        assert_eq!(queue_dir(data.path(), 7), data.path().join("queue/7"));
    }
}
