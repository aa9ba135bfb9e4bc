//! Where queues lie under the data directory, and which of them nobody keeps any more.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The folder of all queues.
const QUEUES: &str = "queue";

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
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u16>().ok());
        // "+7" and "07" are numbers too, but no names of ours.
        let number = number.filter(|n| name.to_str() == Some(n.to_string().as_str()));
        found.extend(number.filter(|n| *n >= shards && n % shards.max(1) == shard));
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

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
