//! Connection slots of sites, for the whole process: the only thing that shards' deliveries share.
//!
//! A *seat* is a shard with a class of terms: mail for the same hosts on other terms needs connections
//! of its own, and shares the site's slots with the rest as if it were on another shard.
//!
//! What must stay true: a site never has more slots out than the limit that was asked with; a slot
//! comes back when it is dropped; a shard that waits is served before one that holds more than its
//! share asks again, so that a limit of 1 still serves all shards. The lock is taken when a connection
//! is opened, closed or waited for, never for a message.

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasher,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use foldhash::fast::RandomState;
use tokio::sync::{Notify, futures::Notified, oneshot};

use super::tls::Terms;

const TABLES: usize = 64;

/// The slots of all sites.
#[derive(Debug)]
pub struct SiteTable {
    tables: Vec<Mutex<HashMap<Arc<str>, Entry, RandomState>>>,
    hasher: RandomState,
    seats: usize,
}

#[derive(Debug)]
struct Entry {
    /// Slots out, by seat.
    used: Vec<u32>,
    waiting: VecDeque<Waiter>,
    wanted: Arc<Wanted>,
}

#[derive(Debug)]
struct Waiter {
    seat: usize,
    to: oneshot::Sender<Slot>,
}

/// Tells the holders of a site's slots that others wait.
#[derive(Debug, Default)]
struct Wanted {
    waiters: AtomicU32,
    bell: Notify,
}

/// The right to one connection to a site.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None`: it was never given out.
    table: Option<Arc<SiteTable>>,
    site: Arc<str>,
    seat: usize,
    wanted: Arc<Wanted>,
}

/// What a shard gets that asks for a slot.
pub(super) enum Asked {
    /// A slot.
    Now(Slot),
    /// A place in the line; dropping it leaves the line.
    Later(oneshot::Receiver<Slot>),
}

impl SiteTable {
    /// A table for so many shards.
    #[must_use]
    pub fn new(shards: usize) -> Self {
        let tables = (0..TABLES).map(|_| Mutex::default()).collect();
        Self { tables, hasher: RandomState::default(), seats: shards.max(1) * Terms::CLASSES }
    }

    /// Asks for a slot of `site` for a seat; `limit` of the site may be out.
    pub(super) fn ask(self: &Arc<Self>, site: &str, seat: usize, limit: u32) -> Asked {
        let mut table = self.table(site).lock().unwrap_or_else(PoisonError::into_inner);
        let known = table.get_key_value(site).map(|(name, _)| Arc::clone(name));
        let name: Arc<str> = known.unwrap_or_else(|| site.into());
        let seats = self.seats;
        let entry = table.entry(Arc::clone(&name)).or_insert_with(|| Entry::new(seats));
        entry.waiting.retain(|waiter| !waiter.to.is_closed());
        let is_free = entry.total() < limit.max(1) && entry.waiting.is_empty();
        let asked = if is_free {
            entry.used[seat % self.seats] += 1;
            Asked::Now(self.slot(name, seat, entry))
        } else {
            let (to, later) = oneshot::channel();
            entry.waiting.push_back(Waiter { seat, to });
            Asked::Later(later)
        };
        entry.count_waiters();
        if matches!(asked, Asked::Later(_)) {
            // Counted first: who hears the bell looks at the count.
            entry.wanted.bell.notify_waiters();
        }
        asked
    }

    /// Whether other seats wait for a slot of `site` that `seat` does not use, or holds beyond its
    /// share.
    fn is_greedy(&self, site: &str, seat: usize, is_idle: bool) -> bool {
        let table = self.table(site).lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.get(site) else { return false };
        let mut takes: Vec<bool> = entry.used.iter().map(|used| *used > 0).collect();
        let mut others_wait = false;
        for waiter in entry.waiting.iter().filter(|waiter| !waiter.to.is_closed()) {
            takes[waiter.seat % self.seats] = true;
            others_wait |= waiter.seat != seat;
        }
        let takers = takes.iter().filter(|takes| **takes).count();
        let own = entry.used.get(seat).copied().unwrap_or(0) as usize;
        others_wait && (is_idle || own * takers > entry.total() as usize)
    }

    fn slot(self: &Arc<Self>, site: Arc<str>, seat: usize, entry: &Entry) -> Slot {
        Slot { table: Some(Arc::clone(self)), site, seat, wanted: Arc::clone(&entry.wanted) }
    }

    /// A slot has come back: it goes to the first in line, or is free.
    fn give_back(self: &Arc<Self>, slot: &Slot) {
        let mut table = self.table(&slot.site).lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = table.get_mut(&*slot.site) else { return };
        entry.used[slot.seat % self.seats] -= 1;
        while let Some(Waiter { seat, to }) = entry.waiting.pop_front() {
            let next = self.slot(Arc::clone(&slot.site), seat, entry);
            match to.send(next) {
                Ok(()) => {
                    entry.used[seat % self.seats] += 1;
                    break;
                }
                // It has left the line. The slot was none yet.
                Err(mut slot) => slot.table = None,
            }
        }
        entry.count_waiters();
        if entry.total() == 0 && entry.waiting.is_empty() {
            table.remove(&*slot.site);
        }
    }

    fn table(&self, site: &str) -> &Mutex<HashMap<Arc<str>, Entry, RandomState>> {
        &self.tables[self.hasher.hash_one(site) as usize % TABLES]
    }
}

impl Entry {
    fn new(seats: usize) -> Self {
        Self { used: vec![0; seats], waiting: VecDeque::new(), wanted: Arc::default() }
    }

    fn total(&self) -> u32 {
        self.used.iter().sum()
    }

    fn count_waiters(&self) {
        let waiters = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.wanted.waiters.store(waiters, Ordering::Relaxed);
    }
}

impl Slot {
    /// Whether the slot should be given back for others: at the next occasion, or at once when it is
    /// idle. Cheap while nobody waits: one relaxed load of a line that nobody writes.
    pub fn is_wanted(&self, is_idle: bool) -> bool {
        let is_greedy = |table: &Arc<SiteTable>| table.is_greedy(&self.site, self.seat, is_idle);
        self.wanted.waiters.load(Ordering::Relaxed) > 0
            && self.table.as_ref().is_some_and(is_greedy)
    }

    /// Waits until somebody asks for a slot of the site and gets none, from this call on.
    pub fn asked_for(&self) -> Notified<'_> {
        self.wanted.bell.notified()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(table) = self.table.take() {
            table.give_back(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(asked: Asked) -> Slot {
        match asked {
            Asked::Now(slot) => slot,
            Asked::Later(_) => panic!("a slot is free"),
        }
    }

    fn later(asked: Asked) -> oneshot::Receiver<Slot> {
        match asked {
            Asked::Now(_) => panic!("no slot is free"),
            Asked::Later(later) => later,
        }
    }

    #[test]
    fn the_limit_holds_over_all_shards_and_slots_come_back() {
        let table = Arc::new(SiteTable::new(2));
        let first = now(table.ask("site", 0, 2));
        let second = now(table.ask("site", 1, 2));
        let mut third = later(table.ask("site", 1, 2));
        let other = now(table.ask("other", 1, 1));
        assert!(third.try_recv().is_err());
        drop(first);
        let third = third.try_recv().expect("the first in line gets it");
        drop((second, third, other));
        assert!(table.tables.iter().all(|table| table.lock().unwrap().is_empty()));
    }

    /// A limit of one goes round all shards that want it.
    #[test]
    fn a_limit_of_one_serves_all_shards() {
        let table = Arc::new(SiteTable::new(3));
        let mut held = (0, now(table.ask("site", 0, 1)));
        assert!(!held.1.is_wanted(false));
        let mut line: VecDeque<_> =
            [1, 2].map(|shard| (shard, later(table.ask("site", shard, 1)))).into();
        let mut served = vec![0];
        for _ in 0..9 {
            let (shard, slot) = held;
            assert!(slot.is_wanted(false), "others wait");
            let again = later(table.ask("site", shard, 1));
            drop(slot);
            line.push_back((shard, again));
            let (next, mut waiting) = line.pop_front().unwrap();
            held = (next, waiting.try_recv().expect("its turn"));
            served.push(next);
        }
        assert_eq!(served, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn equal_shares_are_left_alone_and_large_ones_are_not() {
        let table = Arc::new(SiteTable::new(2));
        let mut zero: Vec<Slot> = (0..3).map(|_| now(table.ask("site", 0, 4))).collect();
        let one = now(table.ask("site", 1, 4));
        let waiting = later(table.ask("site", 1, 4));
        assert!(zero[0].is_wanted(false) && !one.is_wanted(false));
        let also = later(table.ask("site", 0, 4));
        drop(zero.pop());
        let mut waiting = waiting;
        let second = waiting.try_recv().unwrap();
        assert!(!zero[0].is_wanted(false) && !second.is_wanted(false), "two each is fair");
        drop(also);
        assert!(!one.is_wanted(false));
    }

    #[test]
    fn who_leaves_the_line_is_passed_over() {
        let table = Arc::new(SiteTable::new(2));
        let slot = now(table.ask("site", 0, 1));
        let left = later(table.ask("site", 1, 1));
        let mut stays = later(table.ask("site", 0, 1));
        drop(left);
        drop(slot);
        assert!(stays.try_recv().is_ok());
    }

    /// Mail for the same hosts on other terms waits as another shard's would, on the same shard too.
    #[test]
    fn classes_of_a_shard_share_the_limit() {
        let table = Arc::new(SiteTable::new(1));
        let usual = now(table.ask("site", 0, 1));
        let mut strict = later(table.ask("site", Terms::CLASSES - 1, 1));
        assert!(usual.is_wanted(false));
        drop(usual);
        let strict = strict.try_recv().expect("its turn");
        assert!(!strict.is_wanted(true));
    }
}
