//! One folder in memory: how it will be, how it is on the disk, and what lies between.
//!
//! What must stay true: `row` is how the folder is once everything on its way is written: new UIDs and
//! modseqs are taken from it. `shown` and the index are how it is on stable storage: sessions see only
//! those. `pending` holds what is between for messages that are changed twice meanwhile. The index
//! is read when a session opens the folder; a delivery needs none.
//!
//! How it fails: an entry that cannot be read is left out, counted and told; it is never removed.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use engine::storage;
use engine::telemetry::{Level, note};
use foldhash::fast::RandomState;
use tokio::sync::{Mutex, Notify};

use super::account::Account;
use super::feed::{Change, Feed, What};
use super::index::Index;
use super::record::{self, ENTRY, FolderRow};
use super::{Counts, Entry, MailboxError, Metrics};

/// Entries that are read at a time.
const PAGE_ROWS: usize = 4096;
/// Room that is made at once for what a folder's row says is there.
const EXPECTED_MAX: usize = 1 << 20;

/// A folder of an account.
pub(super) struct Folder {
    pub account: u32,
    pub number: u32,
    pub state: RefCell<State>,
    /// Something was published.
    pub news: Notify,
    /// Held by who reads the index.
    loading: Mutex<()>,
}

/// See the module.
pub(super) struct State {
    pub row: FolderRow,
    pub shown: Counts,
    pub index: Option<Index>,
    pub feed: Feed,
    pending: HashMap<u32, Pending, RandomState>,
    pub is_deleted: bool,
    /// How often it was INBOX and got another name. Sessions that opened it before are not in it.
    pub partings: u32,
}

/// A message as it will be.
struct Pending {
    /// The change that made it so.
    number: u64,
    entry: Option<Entry>,
}

/// A reader of a folder's feed. The index stays in memory while there are any.
pub(super) struct Reader {
    pub folder: Rc<Folder>,
    number: usize,
}

impl Folder {
    pub fn new(account: u32, number: u32, row: FolderRow) -> Rc<Self> {
        let state = State {
            shown: row.counts,
            row,
            index: None,
            feed: Feed::default(),
            pending: HashMap::default(),
            is_deleted: false,
            partings: 0,
        };
        let state = RefCell::new(state);
        Rc::new(Self { account, number, state, news: Notify::new(), loading: Mutex::new(()) })
    }

    /// Everything up to change `last` is on stable storage: it is seen from now on.
    pub fn publish(&self, last: u64) {
        {
            let state = &mut *self.state.borrow_mut();
            let State { feed, index, pending, shown, is_deleted, partings, .. } = state;
            for (number, change) in feed.due(last) {
                *shown = change.counts;
                *is_deleted |= matches!(change.what, What::Deleted);
                *partings += u32::from(matches!(change.what, What::Parted));
                if let Some(index) = index {
                    apply(index, &change.what);
                }
                let settle = |uid: u32| {
                    if pending.get(&uid).is_some_and(|pending| pending.number <= number) {
                        pending.remove(&uid);
                    }
                };
                match &change.what {
                    What::Flags(entries) => entries.iter().map(|e| e.uid).for_each(settle),
                    What::Gone(uids) => uids.iter().copied().for_each(settle),
                    What::New(_) | What::Deleted | What::Parted => {}
                }
            }
            feed.publish(last);
        }
        self.news.notify_waiters();
    }

    /// Reads the index unless it is in memory. The reader keeps it there.
    ///
    /// # Errors
    /// The disk's, and [`MailboxError::Lost`].
    pub async fn open(
        self: &Rc<Self>,
        account: &Account,
        disk: &storage::Store,
        metrics: &Metrics,
    ) -> Result<Reader, MailboxError> {
        let reader = Reader::new(self);
        if self.state.borrow().index.is_some() {
            metrics.index_hits.inc();
            return Ok(reader);
        }
        let _turn = self.loading.lock().await;
        if self.state.borrow().index.is_some() {
            metrics.index_hits.inc();
            return Ok(reader);
        }
        metrics.index_misses.inc();
        while !self.load(account, disk, metrics).await? {
            metrics.lagged.inc();
        }
        Ok(reader)
    }

    /// Reads all entries, waits until everything that may have been read is on stable storage, then makes
    /// the changes that were published meanwhile. False if those are not all there any more.
    async fn load(
        self: &Rc<Self>,
        account: &Account,
        disk: &storage::Store,
        metrics: &Metrics,
    ) -> Result<bool, MailboxError> {
        let since = Reader::new(self);
        let entries = self.read_entries(disk, metrics).await?;
        self.settle(account).await?;
        let Ok(changes) = since.read() else { return Ok(false) };
        let mut index = Index::new(entries);
        for change in &changes {
            apply(&mut index, &change.what);
        }
        self.state.borrow_mut().index = Some(index);
        Ok(true)
    }

    /// Waits until everything that is on its way now is published.
    async fn settle(&self, account: &Account) -> Result<(), MailboxError> {
        let end = self.state.borrow().feed.end();
        loop {
            let news = self.news.notified();
            account.alive()?;
            if self.state.borrow().feed.is_published(end) {
                return Ok(());
            }
            news.await;
        }
    }

    async fn read_entries(
        &self,
        disk: &storage::Store,
        metrics: &Metrics,
    ) -> Result<Vec<Entry>, MailboxError> {
        let expected = self.state.borrow().shown.messages as usize;
        let mut entries = Vec::with_capacity(expected.min(EXPECTED_MAX));
        let until = record::behind_folder(self.account, self.number);
        let mut from = record::entry_key(self.account, self.number, 0);
        loop {
            let page = disk.range(ENTRY, &from, &until, PAGE_ROWS).await?;
            let Some((last, _)) = page.last() else { return Ok(entries) };
            let Some(next) = record::uid_of(last).and_then(|uid| uid.checked_add(1)) else {
                return Ok(entries);
            };
            from = record::entry_key(self.account, self.number, next);
            for (key, row) in &page {
                match record::read::<Entry>("entry", row) {
                    Ok(entry) if Some(entry.uid) == record::uid_of(key) => entries.push(entry),
                    _ => {
                        metrics.unreadable.inc();
                        note(Level::Error, format_args!("mailbox: entry {key:?} cannot be read"));
                    }
                }
            }
        }
    }

    /// Waits until there is something to read for `reader`, or the folder's account is lost.
    pub async fn changed(&self, reader: &Reader) {
        let news = self.news.notified();
        if !reader.has_news() {
            news.await;
        }
    }
}

impl State {
    /// A message as it will be.
    pub fn current(&self, uid: u32) -> Option<Entry> {
        match self.pending.get(&uid) {
            Some(pending) => pending.entry,
            None => self.index.as_ref()?.get(uid).copied(),
        }
    }

    /// All messages as they will be that sessions can know of.
    pub fn currents(&self) -> impl Iterator<Item = Entry> + '_ {
        let index = self.index.as_ref().map_or(&[][..], Index::entries);
        index.iter().filter_map(|entry| match self.pending.get(&entry.uid) {
            Some(pending) => pending.entry,
            None => Some(*entry),
        })
    }

    /// A change is on its way to the disk; returns its number.
    pub fn change(&mut self, change: Change) -> u64 {
        let what = change.what.clone();
        let number = self.feed.push(change);
        match what {
            What::Flags(entries) => {
                for entry in entries {
                    self.pending.insert(entry.uid, Pending { number, entry: Some(entry) });
                }
            }
            What::Gone(uids) => {
                for uid in uids {
                    self.pending.insert(uid, Pending { number, entry: None });
                }
            }
            // Nobody can name these before they are published.
            What::New(_) | What::Deleted | What::Parted => {}
        }
        number
    }

    /// Octets in memory, about.
    pub fn bytes(&self) -> usize {
        let names: usize = self.row.keywords.iter().map(|keyword| keyword.len() + 16).sum();
        let index = self.index.as_ref().map_or(0, Index::bytes);
        size_of::<Folder>() + self.row.name.len() * 2 + names + index
    }

    /// Forgets the index if nobody looks at it. True if there was one.
    pub fn shrink(&mut self) -> bool {
        self.feed.readers() == 0 && self.feed.is_settled() && self.index.take().is_some()
    }
}

fn apply(index: &mut Index, what: &What) {
    match what {
        What::New(entries) | What::Flags(entries) => {
            entries.iter().for_each(|entry| index.put(*entry));
        }
        What::Gone(uids) => index.remove(uids),
        What::Deleted | What::Parted => {}
    }
}

impl Reader {
    pub fn new(folder: &Rc<Folder>) -> Self {
        let number = folder.state.borrow_mut().feed.subscribe();
        Self { folder: Rc::clone(folder), number }
    }

    pub fn has_news(&self) -> bool {
        self.folder.state.borrow().feed.has_news(self.number)
    }

    pub fn read(&self) -> Result<smallvec::SmallVec<[Change; 2]>, super::feed::Lagged> {
        self.folder.state.borrow_mut().feed.read(self.number)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.folder.state.borrow_mut().feed.unsubscribe(self.number);
    }
}
