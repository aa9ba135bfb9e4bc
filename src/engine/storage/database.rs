//! RocksDB itself: its options, which were measured, and its families.
//!
//! * `atomic_flush`: a family that fills slowly would otherwise pin old logs for ever.
//! * recycled logs: a log whose blocks exist already syncs in one disk write.
//! * point-in-time recovery: what was synced is there after a power cut, a torn tail is cut off.
//! * blobs: bodies are written once and dropped with their file; compaction does not copy them.
//! * never `enable_blob_direct_write` (unflushed blobs are not replayed), never FIFO compaction.
//!
//! Laws for callers, of which [`Op`](super::Op) reminds: a key is put once and removed once with
//! `SingleDelete`, except in an overwriting family, where it is put at will and removed with `Delete`.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, LogLevel, Options, WriteBatch, WriteOptions,
};

use super::{Key, Op, StorageError, settings::Sizes, settings::WRITE_BUFFERS};

/// A family of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name on disk.
    pub name: &'static str,
    /// Values of 1 KiB and more are kept in blob files.
    pub blobs: bool,
    /// Keys are overwritten, and removed with a plain delete. Others are put once and removed once.
    pub overwrites: bool,
}

/// An open database.
pub(super) struct Database {
    db: DB,
    families: &'static [Family],
}

/// Blobs from this size on; smaller values stay in the tree.
const BLOB_BYTES_MIN: u64 = 1 << 10;
const OPEN_FILES_MAX: i32 = 512;
const RECYCLED_LOGS: usize = 4;

impl Database {
    pub(super) fn open(
        path: &Path,
        sizes: &Sizes,
        families: &'static [Family],
    ) -> Result<Self, StorageError> {
        let cache = Cache::new_lru_cache(sizes.block_cache);
        let descriptors = families.iter().map(|family| {
            ColumnFamilyDescriptor::new(family.name, family_options(family, sizes, &cache))
        });
        let db = DB::open_cf_descriptors(&database_options(sizes), path, descriptors)
            .map_err(StorageError::open)?;
        Ok(Self { db, families })
    }

    #[allow(clippy::expect_used)]
    fn handle(&self, family: usize) -> &ColumnFamily {
        // Every family was named when the database was opened.
        self.db.cf_handle(self.families[family].name).expect("opened with all families")
    }

    pub(super) fn add(&self, batch: &mut WriteBatch, op: &Op) {
        match op {
            Op::Put { family, key, value } => self.put(batch, *family, key, value),
            Op::Remove { family, key } => self.remove(batch, *family, key),
        }
    }

    pub(super) fn remove(&self, batch: &mut WriteBatch, family: usize, key: &[u8]) {
        if self.families[family].overwrites {
            batch.delete_cf(self.handle(family), key);
        } else {
            batch.single_delete_cf(self.handle(family), key);
        }
    }

    pub(super) fn put(&self, batch: &mut WriteBatch, family: usize, key: &[u8], value: &[u8]) {
        batch.put_cf(self.handle(family), key, value);
    }

    /// Writes and syncs.
    pub(super) fn write(&self, batch: WriteBatch) -> Result<(), StorageError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options).map_err(|error| StorageError::of(&error))
    }

    pub(super) fn get(&self, family: usize, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError> {
        self.db.get_cf(self.handle(family), key).map_err(|error| StorageError::of(&error))
    }

    /// Reads many values, in the order of `keys`.
    pub(super) fn get_many(
        &self,
        family: usize,
        keys: &[Key],
    ) -> Result<Vec<Option<Vec<u8>>>, StorageError> {
        let handle = self.handle(family);
        let found = self.db.multi_get_cf(keys.iter().map(|key| (handle, key)));
        found.into_iter().map(|value| value.map_err(|error| StorageError::of(&error))).collect()
    }

    /// Calls `each` with keys and values from `from` on, in order, until it says false.
    pub(super) fn scan(
        &self,
        family: usize,
        from: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StorageError> {
        let mut at = self.db.raw_iterator_cf(self.handle(family));
        at.seek(from);
        while let Some((key, value)) = at.item() {
            if !each(key, value) {
                break;
            }
            at.next();
        }
        at.status().map_err(|error| StorageError::of(&error))
    }

    /// Gives the disk back what removed keys and their blobs take. RocksDB does so by itself as new
    /// data comes; while the disk is full none does.
    pub(super) fn tidy(&self) {
        for family in 0..self.families.len() {
            self.db.compact_range_cf(self.handle(family), None::<&[u8]>, None::<&[u8]>);
        }
    }

    /// The last key of a family.
    pub(super) fn last_key(&self, family: usize) -> Result<Option<Vec<u8>>, StorageError> {
        let mut at = self.db.raw_iterator_cf(self.handle(family));
        at.seek_to_last();
        let key = at.key().map(<[u8]>::to_vec);
        at.status().map_err(|error| StorageError::of(&error))?;
        Ok(key)
    }
}

fn database_options(sizes: &Sizes) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_atomic_flush(true);
    options.set_recycle_log_file_num(RECYCLED_LOGS);
    options.set_max_total_wal_size(sizes.wal_max);
    options.set_db_write_buffer_size(sizes.memory);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // One thread writes: nothing to gain from RocksDB's own grouping.
    options.set_allow_concurrent_memtable_write(false);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(4 << 20);
    options
}

fn family_options(family: &Family, sizes: &Sizes, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::None);
    options.set_max_write_buffer_number(WRITE_BUFFERS);
    options.set_write_buffer_size(if family.blobs {
        sizes.write_buffer
    } else {
        sizes.write_buffer_small
    });
    if family.blobs {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(BLOB_BYTES_MIN);
        options.set_blob_file_size(sizes.blob_file);
        options.set_blob_compression_type(DBCompressionType::None);
        options.set_enable_blob_gc(true);
        options.set_blob_gc_age_cutoff(0.25);
    }
    options
}
