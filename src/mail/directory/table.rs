//! Records in one piece of memory: sorted by key, found by hash, never changed once built.
//!
//! What must stay true: keys ascend strictly; a look-up reads the index, one record, and nothing
//! else: no lock, no allocation. A table may say that a key is *removed*, which hides what an older
//! table says. How it fails: a table has less than 4 GiB ([`TableError::Full`]), and what is read
//! from a disk is judged before it is believed ([`TableError::Damaged`]).
//!
//! A record is `key length (u16) | value length (u32, all ones: removed) | key | value`. The index
//! is open addressing with linear probing; an entry holds 32 bits of the hash beside the offset, so
//! that a key which is not there costs one read.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;

const HEAD: usize = 6;
const REMOVED: u32 = u32::MAX;
/// A place to start reading is kept for every so many records.
const MARK_EVERY: usize = 64;
/// Octets of a key at most: domain, separator and local part.
const KEY_MAX: usize = 1024;

/// Why a table cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Over 4 GiB.
    #[error("the directory is full: it holds 4 GiB at most")]
    Full,
    /// What was read is no table.
    #[error("the directory's data are damaged")]
    Damaged,
}

/// One record of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    pub key: &'a [u8],
    /// `None`: removed.
    pub value: Option<&'a [u8]>,
}

/// Sorted records and their index.
#[derive(Debug, Default)]
pub(super) struct Table {
    data: Vec<u8>,
    /// Upper half: hash; lower half: offset and one. 0 is free.
    index: Box<[u64]>,
    marks: Vec<u32>,
    len: usize,
}

/// Records in order, from somewhere on.
#[derive(Clone, Debug)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

/// Puts a table together, record by record in ascending order.
#[derive(Default)]
pub(super) struct Builder {
    data: Vec<u8>,
}

impl Builder {
    pub fn with_capacity(octets: usize) -> Self {
        Self { data: Vec::with_capacity(octets) }
    }

    /// Adds a record whose key is greater than all before.
    pub fn push(&mut self, item: Item<'_>) -> Result<(), TableError> {
        let value = item.value.unwrap_or_default();
        let key_len = u16::try_from(item.key.len()).map_err(|_| TableError::Full)?;
        let value_len = u32::try_from(value.len()).map_err(|_| TableError::Full)?;
        let needed = HEAD + item.key.len() + value.len();
        if item.key.len() > KEY_MAX || self.data.len() + needed >= REMOVED as usize {
            return Err(TableError::Full);
        }
        let stored_len = if item.value.is_some() { value_len } else { REMOVED };
        self.data.extend_from_slice(&key_len.to_le_bytes());
        self.data.extend_from_slice(&stored_len.to_le_bytes());
        self.data.extend_from_slice(item.key);
        self.data.extend_from_slice(value);
        Ok(())
    }

    pub fn finish(self, hasher: &RandomState) -> Result<Table, TableError> {
        Table::from_data(self.data, hasher)
    }
}

impl Table {
    /// Makes a table of records that lie in order in `data`.
    pub fn from_data(mut data: Vec<u8>, hasher: &RandomState) -> Result<Self, TableError> {
        if data.len() >= REMOVED as usize {
            return Err(TableError::Full);
        }
        data.shrink_to_fit();
        let (mut len, mut marks) = (0, Vec::new());
        let mut before: Option<&[u8]> = None;
        let mut items = Items { rest: &data };
        loop {
            let offset = data.len() - items.rest.len();
            let Some(item) = items.next() else { break };
            if before.is_some_and(|before| before >= item.key) {
                return Err(TableError::Damaged);
            }
            before = Some(item.key);
            if len % MARK_EVERY == 0 {
                marks.push(offset as u32);
            }
            len += 1;
        }
        if !items.rest.is_empty() {
            return Err(TableError::Damaged);
        }
        let mut table = Self { data, index: Box::default(), marks, len };
        table.build_index(hasher);
        Ok(table)
    }

    fn build_index(&mut self, hasher: &RandomState) {
        let slots = (self.len + self.len / 3 + 1).next_power_of_two();
        let mut index = vec![0_u64; slots].into_boxed_slice();
        let mut items = self.items();
        loop {
            let offset = self.data.len() - items.rest.len();
            let Some(item) = items.next() else { break };
            let hash = hasher.hash_one(item.key);
            let mut slot = hash as usize & (slots - 1);
            while index[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            index[slot] = (hash & !u64::from(u32::MAX)) | (offset as u64 + 1);
        }
        self.index = index;
    }

    /// Records, removals included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The records as they lie.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Octets of memory that it takes.
    pub fn memory(&self) -> usize {
        self.data.capacity() + self.index.len() * 8 + self.marks.capacity() * 4
    }

    /// What is said about `key`: nothing, that it is removed, or its value. `hash` is the key's.
    #[inline]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<Option<&[u8]>> {
        let mask = self.index.len().checked_sub(1)?;
        let mut slot = hash as usize & mask;
        loop {
            let entry = self.index[slot];
            if entry == 0 {
                return None;
            }
            if entry >> 32 == hash >> 32 {
                let offset = (entry as u32 - 1) as usize;
                let item = Items { rest: &self.data[offset..] }.next()?;
                if item.key == key {
                    return Some(item.value);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    /// All records in order.
    pub fn items(&self) -> Items<'_> {
        Items { rest: &self.data }
    }

    /// The records in order whose keys are `from` or greater.
    pub fn items_from(&self, from: &[u8]) -> Items<'_> {
        let at = |mark: u32| Items { rest: &self.data[mark as usize..] };
        let before =
            self.marks.partition_point(|mark| at(*mark).next().is_some_and(|item| item.key < from));
        let mut items = self.marks.get(before.saturating_sub(1)).map_or(self.items(), |m| at(*m));
        loop {
            let here = items.clone();
            match items.next() {
                Some(item) if item.key < from => (),
                _ => return here,
            }
        }
    }

    /// Both in one: what `newer` says hides what `older` says. At the bottom, where nothing is left
    /// to be hidden, removals go.
    pub fn merge(
        older: &Self,
        newer: &Self,
        is_bottom: bool,
        hasher: &RandomState,
    ) -> Result<Self, TableError> {
        let mut builder = Builder::with_capacity(older.data.len() + newer.data.len());
        let (mut old, mut new) = (older.items().peekable(), newer.items().peekable());
        loop {
            let item = match (old.peek().copied(), new.peek().copied()) {
                (None, None) => break,
                (Some(old_item), Some(new_item)) if old_item.key < new_item.key => old.next(),
                (Some(old_item), Some(new_item)) => {
                    if old_item.key == new_item.key {
                        old.next();
                    }
                    new.next()
                }
                (Some(_), None) => old.next(),
                (None, Some(_)) => new.next(),
            };
            if let Some(item) = item
                && (item.value.is_some() || !is_bottom)
            {
                builder.push(item)?;
            }
        }
        builder.finish(hasher)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    /// Ends at the first record that is not whole: the caller sees octets left over.
    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<HEAD>()?;
        let key_len = usize::from(u16::from_le_bytes([head[0], head[1]]));
        let stored_len = u32::from_le_bytes([head[2], head[3], head[4], head[5]]);
        let value_len = if stored_len == REMOVED { 0 } else { stored_len as usize };
        let (key, rest) = rest.split_at_checked(key_len)?;
        let (value, rest) = rest.split_at_checked(value_len)?;
        self.rest = rest;
        Some(Item { key, value: (stored_len != REMOVED).then_some(value) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    type Map = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    fn build(map: &Map, hasher: &RandomState) -> Table {
        let mut builder = Builder::default();
        for (key, value) in map {
            builder.push(Item { key, value: value.as_deref() }).unwrap();
        }
        builder.finish(hasher).unwrap()
    }

    fn content(items: Items<'_>) -> Map {
        items.map(|item| (item.key.to_vec(), item.value.map(<[u8]>::to_vec))).collect()
    }

    fn maps() -> impl Strategy<Value = Map> {
        let key = prop::collection::vec(0_u8..4, 0..5);
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..3));
        prop::collection::btree_map(key, value, 0..200)
    }

    proptest! {
        #[test]
        fn a_table_is_a_map(map in maps(), newer in maps(), asked in prop::collection::vec(0_u8..5, 0..5)) {
            let hasher = RandomState::default();
            let table = build(&map, &hasher);
            prop_assert_eq!(table.len(), map.len());
            for key in map.keys().chain([&asked]) {
                let found = table.get(hasher.hash_one(key.as_slice()), key);
                prop_assert_eq!(found.map(|v| v.map(<[u8]>::to_vec)), map.get(key).cloned());
            }
            let behind: Map = map.range(asked.clone()..).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(content(table.items_from(&asked)), behind);

            let mut both = map.clone();
            both.extend(newer.clone());
            let merged = Table::merge(&table, &build(&newer, &hasher), false, &hasher).unwrap();
            prop_assert_eq!(content(merged.items()), both.clone());
            both.retain(|_, value| value.is_some());
            let bottom = Table::merge(&table, &build(&newer, &hasher), true, &hasher).unwrap();
            prop_assert_eq!(content(bottom.items()), both);
        }

        #[test]
        fn any_octets_are_a_table_or_an_error(data in prop::collection::vec(0_u8..3, 0..60)) {
            if let Ok(table) = Table::from_data(data.clone(), &RandomState::default()) {
                prop_assert_eq!(table.data(), data.as_slice());
            }
        }
    }

    #[test]
    fn disorder_and_halves_are_damage() {
        let hasher = RandomState::default();
        let map = Map::from([(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None)]);
        let data = build(&map, &hasher).data().to_vec();
        let swapped = [&data[8..], &data[..8]].concat();
        assert_eq!(Table::from_data(swapped, &hasher).unwrap_err(), TableError::Damaged);
        let cut = data[..data.len() - 1].to_vec();
        assert_eq!(Table::from_data(cut, &hasher).unwrap_err(), TableError::Damaged);
        assert_eq!(Table::default().get(1, b"a"), None);
    }
}
