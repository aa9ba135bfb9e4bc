//! What is written together and becomes visible together.
//!
//! What must stay true: a plan is filled and committed without a wait in between, so that what is
//! computed from the state in memory reaches the disk in the order in which it was computed. When it is
//! on stable storage, and not before, its changes are published, be there anybody left who
//! waits for it or not.
//!
//! How it fails: the plans that were made after a lost one are lost with it (the store is *chained*), so what is
//! on the disk stays a state that once was. The accounts of lost plans leave memory; their
//! sessions hear [`MailboxError::Lost`](super::MailboxError::Lost), new ones read the disk.

use std::{ops::Range, rc::Rc, rc::Weak, sync::Arc};

use bytes::Bytes;
use engine::storage::{Commit, Key};
use serde::Serialize;
use smallvec::SmallVec;

use super::account::Account;
use super::cache::Place;
use super::digest::Digest;
use super::feed::{Change, What};
use super::folder::Folder;
use super::record::{self, FOLDER, FolderRow};
use super::share::Pins;
use super::{EmailId, Entry, Inner, Usage};

/// What a step costs in a batch beside key and value.
const STEP_BYTES: usize = 16;

enum Step {
    Row { family: usize, key: Key, at: Range<usize> },
    Octets { family: usize, key: Key, octets: Bytes },
    Remove { family: usize, key: Key },
}

/// See the module.
#[derive(Default)]
pub(super) struct Plan {
    steps: Vec<Step>,
    rows: Vec<u8>,
    bytes: usize,
    shows: SmallVec<[(Rc<Folder>, Change); 2]>,
    accounts: SmallVec<[Rc<Account>; 1]>,
    pins: Option<Pins>,
    fresh: SmallVec<[Fresh; 1]>,
    doomed: Option<Rc<Folder>>,
}

/// What caches will keep of a message that comes.
pub(super) struct Fresh {
    pub place: Place,
    pub id: EmailId,
    pub body: Bytes,
    pub digest: Arc<Digest>,
    /// Octets of the digest on the disk.
    pub encoded: usize,
}

impl Plan {
    pub fn put(&mut self, family: usize, key: Key, row: &impl Serialize) {
        let start = self.rows.len();
        record::write(row, &mut self.rows);
        let at = start..self.rows.len();
        self.bytes += key.len() + at.len() + STEP_BYTES;
        self.steps.push(Step::Row { family, key, at });
    }

    pub fn put_octets(&mut self, family: usize, key: Key, octets: Bytes) {
        self.bytes += key.len() + octets.len() + STEP_BYTES;
        self.steps.push(Step::Octets { family, key, octets });
    }

    pub fn remove(&mut self, family: usize, key: Key) {
        self.bytes += key.len() + STEP_BYTES;
        self.steps.push(Step::Remove { family, key });
    }

    pub fn put_folder(&mut self, folder: &Folder, row: &FolderRow) {
        self.put(FOLDER, record::folder_key(folder.account, folder.number), row);
    }

    /// The account of what is written: it is lost if the plan is.
    pub fn of(&mut self, account: &Rc<Account>) {
        if !self.accounts.iter().any(|one| Rc::ptr_eq(one, account)) {
            self.accounts.push(Rc::clone(account));
        }
    }

    /// Sessions see this once it is written.
    pub fn show(&mut self, folder: &Rc<Folder>, change: Change) {
        self.shows.push((Rc::clone(folder), change));
    }

    /// Counts that are changed by what is written.
    pub fn pinned(&mut self, pins: Pins) {
        self.pins = Some(pins);
    }

    /// The caches keep this once it is written.
    pub fn keep(&mut self, fresh: Fresh) {
        self.fresh.push(fresh);
    }

    /// The folder is swept once this is written.
    pub fn doom(&mut self, folder: &Rc<Folder>) {
        self.doomed = Some(Rc::clone(folder));
    }

    /// Hands everything over.
    pub fn commit(self, store: &Rc<Inner>) -> Commit {
        let Self { steps, rows, bytes, shows, accounts, pins, fresh, doomed } = self;
        // Accounts' own rows go last, when all has been counted.
        let mut usages = Plan::default();
        let accounts: SmallVec<[(Rc<Account>, Usage); 1]> = accounts
            .into_iter()
            .map(|account| {
                let usage = account.state.borrow().usage;
                usages.put(FOLDER, record::usage_key(account.number), &usage);
                (account, usage)
            })
            .collect();
        let shows = shows
            .into_iter()
            .map(|(folder, change)| {
                let gone = match &change.what {
                    What::Gone(uids) => uids.clone(),
                    _ => SmallVec::new(),
                };
                let number = folder.state.borrow_mut().change(change);
                Show { folder, number, gone }
            })
            .collect();
        let commit = store.disk.commit(bytes + usages.bytes, |writer| {
            for (steps, rows) in [(&steps, &rows), (&usages.steps, &usages.rows)] {
                for step in steps {
                    match step {
                        Step::Row { family, key, at } => {
                            writer.put(*family, key, &rows[at.clone()]);
                        }
                        Step::Octets { family, key, octets } => writer.put(*family, key, octets),
                        Step::Remove { family, key } => writer.remove(*family, key),
                    }
                }
            }
        });
        let store = Rc::downgrade(store);
        let ending = Ending { store, shows, accounts, pins, fresh, doomed };
        commit.watch(move |is_written| if is_written { ending.written() } else { ending.lost() });
        commit
    }
}

struct Show {
    folder: Rc<Folder>,
    number: u64,
    gone: SmallVec<[u32; 4]>,
}

/// What is left to do when the disk has answered. It must not keep the store alive.
struct Ending {
    store: Weak<Inner>,
    shows: SmallVec<[Show; 2]>,
    accounts: SmallVec<[(Rc<Account>, Usage); 1]>,
    pins: Option<Pins>,
    fresh: SmallVec<[Fresh; 1]>,
    doomed: Option<Rc<Folder>>,
}

impl Ending {
    fn written(mut self) {
        if let Some(pins) = &mut self.pins {
            pins.keep();
        }
        for (account, usage) in &self.accounts {
            account.shown.set(*usage);
        }
        if let Some(store) = self.store.upgrade() {
            for Fresh { place, id, body, digest, encoded } in self.fresh.drain(..) {
                store.caches.keep_body(place, id, body);
                store.caches.keep_digest(place, id, digest, encoded);
            }
            for show in &self.shows {
                for uid in &show.gone {
                    store.caches.forget(store.place(&show.folder, *uid));
                }
            }
        }
        if let (Some(store), Some(folder)) = (self.store.upgrade(), self.doomed) {
            store.sweep(folder.account, folder.number);
        }
        for show in self.shows {
            show.folder.publish(show.number);
        }
    }

    fn lost(self) {
        // Its pins are dropped, which takes back what was counted.
        let Some(store) = self.store.upgrade() else { return };
        store.reserve_messages_again();
        for (account, _) in &self.accounts {
            store.lose(account);
        }
        // A folder that was to be deleted is its account's no more, but sessions may wait for news of it.
        for show in &self.shows {
            show.folder.news.notify_waiters();
        }
    }
}

impl Inner {
    /// Where the caches keep a message.
    pub(super) fn place(&self, folder: &Folder, uid: u32) -> Place {
        Place { store: self.number, account: folder.account, folder: folder.number, uid }
    }

    /// Messages come into a folder: gives them UIDs and a modseq, and counts them. That there is
    /// room for them has been seen to.
    pub(super) fn arrive(
        &self,
        plan: &mut Plan,
        account: &Rc<Account>,
        folder: &Rc<Folder>,
        by: u32,
        fresh: impl IntoIterator<Item = Entry>,
    ) -> SmallVec<[Entry; 1]> {
        let state = &mut *folder.state.borrow_mut();
        let row = &mut state.row;
        row.counts.modseq += 1;
        let mut bytes = 0;
        let mut entries = SmallVec::new();
        for mut entry in fresh {
            entry.uid = row.counts.uid_next;
            entry.modseq = row.counts.modseq;
            row.counts.uid_next += 1;
            row.counts.add(&entry);
            bytes += u64::from(entry.size);
            let key = record::entry_key(folder.account, folder.number, entry.uid);
            plan.put(record::ENTRY, key, &entry);
            entries.push(entry);
        }
        account.use_more(bytes, entries.len() as u64);
        plan.of(account);
        plan.put_folder(folder, row);
        let what = What::New(entries.clone());
        plan.show(folder, Change { by, what, counts: row.counts });
        entries
    }

    /// Messages leave a folder; `entries` are there, by UID. What becomes of their bodies is the caller's
    /// to say.
    pub(super) fn depart(
        &self,
        plan: &mut Plan,
        account: &Rc<Account>,
        folder: &Rc<Folder>,
        by: u32,
        entries: &[Entry],
    ) -> u64 {
        let state = &mut *folder.state.borrow_mut();
        let row = &mut state.row;
        row.counts.modseq += 1;
        row.gone_rows += 1;
        let mut bytes = 0;
        for entry in entries {
            row.counts.sub(entry);
            bytes += u64::from(entry.size);
            plan.remove(record::ENTRY, record::entry_key(folder.account, folder.number, entry.uid));
        }
        account.use_less(bytes, entries.len() as u64);
        let uids: SmallVec<[u32; 4]> = entries.iter().map(|entry| entry.uid).collect();
        let key = record::gone_key(folder.account, folder.number, row.counts.modseq);
        plan.put(record::GONE, key, &super::ranges::of(&uids));
        plan.of(account);
        plan.put_folder(folder, row);
        plan.show(folder, Change { by, what: What::Gone(uids), counts: row.counts });
        row.counts.modseq
    }

    /// The counts of messages that entries of the plan refer to no more; those that nothing
    /// refers to are removed.
    pub(super) fn release(&self, plan: &mut Plan, pins: &mut Pins, entries: &[Entry]) {
        for entry in entries {
            let key = record::message_key(entry.id.0);
            match pins.change(entry.id, false) {
                Some(0) => {
                    plan.remove(record::SHARE, key.clone());
                    plan.remove(record::BODY, key.clone());
                    plan.remove(record::DIGEST, key);
                }
                Some(count) => plan.put(record::SHARE, key, &count),
                // Unknown: better kept for ever than removed too soon.
                None => {}
            }
        }
    }
}
