//! What an admin can set about a store, and the sizes that follow from it.
//!
//! One figure, `memory`, scales everything: measured options for a busy server and a store that
//! is happy on a laptop differ by nothing else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Bytes;

/// How much memory and disk a store uses. Each shard has one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Memory for write buffers, per shard. The log on disk may grow to four times this (at most
    /// 1 GiB) before old parts of it are dropped.
    pub memory: Bytes,
    /// Mail is refused (452) when less than this is free on the disk. What the stores of all shards
    /// may need at once (write buffers and logs) is always kept free; this only raises it.
    pub free_min: Bytes,
    /// A file of this size, per shard, is given up when the disk is full all the same, so that
    /// delivered mail can still be removed. "0 B" keeps none.
    pub ballast: Bytes,
    /// Bytes that one disk write carries at most, so that large messages do not hold small ones.
    pub batch_bytes_max: Bytes,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: Bytes::mib(128),
            free_min: Bytes::mib(64),
            ballast: Bytes::mib(64),
            batch_bytes_max: Bytes::mib(4),
        }
    }
}

const MIB: u64 = 1 << 20;

/// Sizes in bytes, for RocksDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// All write buffers together.
    pub memory: usize,
    /// One write buffer of a family with blobs.
    pub write_buffer: usize,
    /// One write buffer of another family.
    pub write_buffer_small: usize,
    /// Blocks read from disk.
    pub block_cache: usize,
    /// Log files that are still needed.
    pub wal_max: u64,
    /// One blob file.
    pub blob_file: u64,
    /// What must stay free on the disk for this store alone.
    pub need: u64,
}

/// Write buffers of a family, full ones included.
pub(super) const WRITE_BUFFERS: i32 = 4;

impl Sizes {
    pub(super) fn of(settings: &Settings) -> Self {
        let memory = settings.memory.get().clamp(4 * MIB, 8 << 30);
        let write_buffer = (memory / WRITE_BUFFERS as u64).clamp(MIB, 256 * MIB);
        let wal_max = (memory * 4).min(1 << 30);
        let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        Self {
            memory: bytes(memory),
            write_buffer: bytes(write_buffer),
            write_buffer_small: bytes((write_buffer / 4).max(MIB)),
            block_cache: bytes((memory / 8).max(MIB)),
            wal_max,
            blob_file: (write_buffer * 2).clamp(2 * MIB, 64 * MIB),
            need: memory + wal_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_memory() {
        let small = Sizes::of(&Settings { memory: Bytes::mib(8), ..Settings::default() });
        assert_eq!(small.write_buffer, 2 << 20);
        assert_eq!(small.need, 40 << 20);
        let large = Sizes::of(&Settings { memory: Bytes::mib(1024), ..Settings::default() });
        assert_eq!(large.wal_max, 1 << 30);
        assert_eq!(large.blob_file, 64 << 20);
        let absurd = Sizes::of(&Settings { memory: Bytes(u64::MAX), ..Settings::default() });
        assert_eq!(absurd.write_buffer, 256 << 20);
    }
}
