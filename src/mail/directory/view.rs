//! The directory at one moment: a few tables, the newest last.
//!
//! Each change makes a small table; tables of like size are merged, so that there are only a few
//! (one for each factor of [`GROWTH`]) and a record is copied only a few times, however many
//! changes there are. A view is never changed, so whoever has one sees one state of everything.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::RandomState;
use smallvec::SmallVec;

use super::table::{Builder, Item, Items, Table, TableError};

/// A table is merged with the one before it, unless that has so many times as many records.
const GROWTH: usize = 4;

/// Keys that change, and to what; `None` removes.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// One state of the directory.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Oldest and largest first.
    tables: SmallVec<[Arc<Table>; 12]>,
    hasher: RandomState,
}

impl View {
    /// What a snapshot holds.
    pub fn from_data(data: Vec<u8>) -> Result<Self, TableError> {
        let hasher = RandomState::default();
        let table = Table::from_data(data, &hasher)?;
        let mut view = Self { tables: SmallVec::new(), hasher };
        view.push(table);
        Ok(view)
    }

    /// The value of `key`. No lock, no allocation, no system call.
    #[inline]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let hash = self.hasher.hash_one(key);
        self.tables.iter().rev().find_map(|table| table.get(hash, key)).flatten()
    }

    /// The state after `changes`.
    pub fn with(&self, changes: &Changes) -> Result<Self, TableError> {
        let mut builder = Builder::default();
        for (key, value) in changes {
            // At the bottom there is nothing that a removal could hide.
            if value.is_some() || !self.tables.is_empty() {
                builder.push(Item { key, value: value.as_deref() })?;
            }
        }
        let mut next = self.clone();
        next.push(builder.finish(&self.hasher)?);
        next.settle(GROWTH)?;
        Ok(next)
    }

    /// The same state in one table.
    pub fn compacted(&self) -> Result<Self, TableError> {
        let mut next = self.clone();
        next.settle(usize::MAX)?;
        Ok(next)
    }

    fn settle(&mut self, growth: usize) -> Result<(), TableError> {
        while let [.., older, newer] = self.tables.as_slice() {
            if newer.len().saturating_mul(growth) < older.len() {
                break;
            }
            let is_bottom = self.tables.len() == 2;
            let merged = Table::merge(older, newer, is_bottom, &self.hasher)?;
            self.tables.truncate(self.tables.len() - 2);
            self.push(merged);
        }
        Ok(())
    }

    fn push(&mut self, table: Table) {
        if table.len() > 0 {
            self.tables.push(Arc::new(table));
        }
    }

    /// The records of the only table, as they lie; `None` when there are more tables.
    pub fn data(&self) -> Option<&[u8]> {
        match self.tables.as_slice() {
            [] => Some(&[]),
            [table] => Some(table.data()),
            _ => None,
        }
    }

    /// Keys and values in order, from `from` on.
    pub fn scan(&self, from: &[u8]) -> Scan<'_> {
        let lanes = self.tables.iter().map(|table| {
            let mut items = table.items_from(from);
            (items.next(), items)
        });
        Scan { lanes: lanes.collect() }
    }

    /// Octets of memory that it takes.
    pub fn memory(&self) -> usize {
        self.tables.iter().map(|table| table.memory()).sum()
    }

    /// How many tables a look-up may have to ask.
    #[cfg(test)]
    pub fn depth(&self) -> usize {
        self.tables.len()
    }
}

/// Walks all tables at once, in order of keys.
pub(super) struct Scan<'a> {
    lanes: SmallVec<[(Option<Item<'a>>, Items<'a>); 12]>,
}

impl<'a> Iterator for Scan<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let key = self.lanes.iter().filter_map(|(next, _)| next.map(|item| item.key)).min()?;
            let mut value = None;
            // The newest is last, and what it says holds.
            for (next, items) in &mut self.lanes {
                if let Some(item) = *next
                    && item.key == key
                {
                    value = item.value;
                    *next = items.next();
                }
            }
            if let Some(value) = value {
                return Some((key, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn changes() -> impl Strategy<Value = Changes> {
        let key = prop::collection::vec(0_u8..3, 0..4);
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..3));
        prop::collection::btree_map(key, value, 0..12)
    }

    proptest! {
        #[test]
        fn views_are_what_was_changed(all in prop::collection::vec(changes(), 0..40)) {
            let mut model = BTreeMap::new();
            let mut view = View::default();
            for changes in &all {
                let before: Vec<_> = view.scan(&[]).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                let next = view.with(changes).unwrap();
                // Whoever has the old one sees the old state.
                prop_assert!(view.scan(&[]).map(|(k, v)| (k.to_vec(), v.to_vec())).eq(before));
                view = next;
                for (key, value) in changes {
                    match value {
                        Some(value) => _ = model.insert(key.clone(), value.clone()),
                        None => _ = model.remove(key),
                    }
                }
                let seen: BTreeMap<_, _> =
                    view.scan(&[]).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                prop_assert_eq!(&seen, &model);
                for key in changes.keys() {
                    prop_assert_eq!(view.get(key).map(<[u8]>::to_vec), model.get(key).cloned());
                }
            }
            let from = vec![1, 1];
            let rest: Vec<_> = view.scan(&from).map(|(key, _)| key.to_vec()).collect();
            prop_assert!(rest.iter().eq(model.range(from..).map(|(key, _)| key)));
            let compacted = view.compacted().unwrap();
            let again = View::from_data(compacted.data().unwrap().to_vec()).unwrap();
            let seen: BTreeMap<_, _> =
                again.scan(&[]).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(seen, model);
        }
    }

    #[test]
    fn many_changes_make_few_tables() {
        let mut view = View::default();
        for number in 0_u32..3000 {
            let key = number.wrapping_mul(2_654_435_761).to_be_bytes().to_vec();
            view = view.with(&Changes::from([(key, Some(vec![1]))])).unwrap();
            assert!(view.depth() <= 8, "{}", view.depth());
        }
        assert_eq!(view.scan(&[]).count(), 3000);
    }
}
