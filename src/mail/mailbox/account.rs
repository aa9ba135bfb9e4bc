//! Accounts in memory: who is used, made at first use, and let go when memory is short.
//!
//! What must stay true: an account is in memory once, and is not let go while a session, a delivery
//! or a write on its way holds it; so nobody works on an older state than anybody else.
//!
//! How it fails: an account with a row that cannot be read is not opened at all; mail for it waits in the
//! queue until somebody has looked.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, VecDeque},
    hash::BuildHasher,
    rc::Rc,
};

use foldhash::quality::RandomState;
use proto::types::Timestamp;
use tokio::sync::Mutex;

use super::folder::Folder;
use super::names::{DEFAULT_FOLDERS, INBOX};
use super::plan::Plan;
use super::quota::{DomainPart, domain_of};
use super::record::{self, ACCOUNT, AccountRow, FOLDER, FOLDER_FIRST, FolderRow, MARKS, Names};
use super::{Counts, Inner, MailboxError, Usage};

/// Octets of an account's name at most (RFC 5321 §4.5.3.1: 64 + 1 + 255).
const NAME_OCTETS_MAX: usize = 320;
/// Accounts that can be read from disk at one time.
const TURNS: usize = 64;
const PAGE_ROWS: usize = 1024;
/// What an account costs beside its folders.
const ACCOUNT_BYTES: usize = 512;
/// Accounts that are looked at when memory is short, at a time.
const EVICTIONS: usize = 16;

/// An account.
pub(super) struct Account {
    pub name: Box<str>,
    pub number: u32,
    pub state: RefCell<AccountState>,
    /// What it uses, as it is on stable storage.
    pub shown: Cell<Usage>,
    /// A write was lost: nothing here counts any more.
    pub is_lost: Cell<bool>,
    pub domain: DomainPart,
    was_used: Cell<bool>,
    bytes: Cell<usize>,
}

/// As it is once everything on its way is written.
pub(super) struct AccountState {
    pub names: Names,
    pub usage: Usage,
    pub folders: BTreeMap<Box<str>, Rc<Folder>>,
}

impl Account {
    /// Whether what is in memory counts.
    pub fn alive(&self) -> Result<(), MailboxError> {
        if self.is_lost.get() { Err(MailboxError::Lost) } else { Ok(()) }
    }

    pub fn folder(&self, name: &str) -> Result<Rc<Folder>, MailboxError> {
        self.alive()?;
        self.state.borrow().folders.get(name).map(Rc::clone).ok_or(MailboxError::NoFolder)
    }

    pub fn use_more(&self, bytes: u64, messages: u64) {
        self.state.borrow_mut().usage.add(bytes, messages);
        self.domain.gauge.add(bytes);
    }

    pub fn use_less(&self, bytes: u64, messages: u64) {
        self.state.borrow_mut().usage.sub(bytes, messages);
        self.domain.gauge.sub(bytes);
    }

    fn weigh(&self) -> usize {
        let state = self.state.borrow();
        let folders: usize = state.folders.values().map(|f| f.state.borrow().bytes()).sum();
        let names: usize = state.names.subscriptions.iter().map(|name| name.len() + 16).sum();
        ACCOUNT_BYTES + self.name.len() * 2 + folders + names
    }
}

/// The accounts of a store that are in memory.
pub(super) struct Accounts {
    known: RefCell<Known>,
    turns: [Mutex<()>; TURNS],
    hasher: RandomState,
    bytes_max: Cell<usize>,
}

#[derive(Default)]
struct Known {
    by_name: HashMap<Box<str>, Rc<Account>, RandomState>,
    round: VecDeque<Rc<Account>>,
    bytes: usize,
}

impl Accounts {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            known: RefCell::default(),
            turns: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::default(),
            bytes_max: Cell::new(bytes_max),
        }
    }

    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.set(bytes_max);
    }

    pub fn bytes(&self) -> usize {
        self.known.borrow().bytes
    }

    fn get(&self, name: &str) -> Option<Rc<Account>> {
        let known = self.known.borrow();
        let account = known.by_name.get(name)?;
        account.was_used.set(true);
        Some(Rc::clone(account))
    }

    /// Only one may read an account.
    pub fn turn(&self, name: &str) -> &Mutex<()> {
        &self.turns[self.hasher.hash_one(name) as usize % TURNS]
    }

    fn insert(&self, account: &Rc<Account>) {
        {
            let known = &mut *self.known.borrow_mut();
            known.by_name.insert(account.name.clone(), Rc::clone(account));
            known.round.push_back(Rc::clone(account));
        }
        self.weigh(account);
    }

    /// An account has grown or shrunk.
    pub fn weigh(&self, account: &Rc<Account>) {
        let known = &mut *self.known.borrow_mut();
        if known.by_name.get(&account.name).is_some_and(|one| Rc::ptr_eq(one, account)) {
            let bytes = account.weigh();
            known.bytes = known.bytes + bytes - account.bytes.replace(bytes);
        }
        known.make_room(self.bytes_max.get());
    }

    /// What is in memory of an account does not count any more.
    fn forget(&self, account: &Rc<Account>) {
        let known = &mut *self.known.borrow_mut();
        if known.by_name.get(&account.name).is_some_and(|one| Rc::ptr_eq(one, account)) {
            known.by_name.remove(&account.name);
            known.round.retain(|one| !Rc::ptr_eq(one, account));
            known.bytes -= account.bytes.get();
        }
    }
}

impl Known {
    fn make_room(&mut self, bytes_max: usize) {
        for _ in 0..EVICTIONS {
            if self.bytes <= bytes_max {
                return;
            }
            let Some(account) = self.round.pop_front() else { return };
            if account.was_used.replace(false) {
                self.round.push_back(account);
            } else if Rc::strong_count(&account) == 2 {
                // Held here and by the map, and by nobody else.
                self.by_name.remove(&account.name);
                self.bytes -= account.bytes.get();
            } else {
                for folder in account.state.borrow().folders.values() {
                    folder.state.borrow_mut().shrink();
                }
                let bytes = account.weigh();
                self.bytes = self.bytes + bytes - account.bytes.replace(bytes);
                self.round.push_back(account);
            }
        }
    }
}

impl Inner {
    /// The account of this name, made if there is none.
    pub(super) async fn account(self: &Rc<Self>, name: &str) -> Result<Rc<Account>, MailboxError> {
        match self.find_account(name, true).await? {
            Some(account) => Ok(account),
            None => Err(MailboxError::Unreadable("account")),
        }
    }

    /// The account of this name; when there is none it is made if `make` says so.
    pub(super) async fn find_account(
        self: &Rc<Self>,
        name: &str,
        make: bool,
    ) -> Result<Option<Rc<Account>>, MailboxError> {
        if let Some(account) = self.accounts.get(name) {
            self.metrics.account_hits.inc();
            return Ok(Some(account));
        }
        if name.is_empty() || name.len() > NAME_OCTETS_MAX {
            return Err(MailboxError::BadName("an account has 1 to 320 octets"));
        }
        let _turn = self.accounts.turn(name).lock().await;
        if let Some(account) = self.accounts.get(name) {
            self.metrics.account_hits.inc();
            return Ok(Some(account));
        }
        self.metrics.account_misses.inc();
        let account = match self.disk.get(ACCOUNT, name.as_bytes()).await? {
            Some(row) => {
                let row: AccountRow = self.seen(record::read("account", &row))?;
                self.read_account(name, row.number).await?
            }
            None if make => self.make_account(name).await?,
            None => return Ok(None),
        };
        self.accounts.insert(&account);
        self.note_accounts();
        Ok(Some(account))
    }

    async fn read_account(
        self: &Rc<Self>,
        name: &str,
        number: u32,
    ) -> Result<Rc<Account>, MailboxError> {
        let (mut names, mut usage) = (None, None);
        let mut folders = BTreeMap::new();
        let until = record::behind_account(number);
        let mut from = record::usage_key(number);
        let mut doomed = Vec::new();
        loop {
            let page = self.disk.range(FOLDER, &from, &until, PAGE_ROWS).await?;
            let Some((last, _)) = page.last() else { break };
            from = record::behind(last);
            for (key, row) in &page {
                let Some((_, folder, [])) = record::split(key) else {
                    return self.seen(Err(MailboxError::Unreadable("key of a folder")));
                };
                match folder {
                    0 => usage = Some(self.seen(record::read::<Usage>("usage", row))?),
                    1 => names = Some(self.seen(record::read::<Names>("names", row))?),
                    _ => {
                        let row: FolderRow = self.seen(record::read("folder", row))?;
                        if row.is_doomed {
                            doomed.push(folder);
                        } else {
                            folders.insert(row.name.clone(), Folder::new(number, folder, row));
                        }
                    }
                }
            }
        }
        let (Some(names), Some(usage)) = (names, usage) else {
            return self.seen(Err(MailboxError::Unreadable("rows of an account")));
        };
        doomed.into_iter().for_each(|folder| self.sweep(number, folder));
        Ok(self.new_account(name, number, AccountState { names, usage, folders }))
    }

    /// A new account with the folders that all have.
    async fn make_account(self: &Rc<Self>, name: &str) -> Result<Rc<Account>, MailboxError> {
        let number = self.next_account.get();
        let next = number.checked_add(1).ok_or(MailboxError::TooMany("accounts"))?;
        self.next_account.set(next);
        let now = self.now();
        let mut state = AccountState {
            names: Names { next_folder: FOLDER_FIRST, ..Names::default() },
            usage: Usage::default(),
            folders: BTreeMap::new(),
        };
        let mut plan = Plan::default();
        plan.put(MARKS, record::MARK_ACCOUNTS.into(), &next);
        plan.put(ACCOUNT, name.as_bytes().into(), &AccountRow { number, made: now });
        for (name, special_use) in DEFAULT_FOLDERS {
            let row = state.names.next_row(name, special_use, now)?;
            let folder = Folder::new(number, state.names.next_folder - 1, row);
            plan.put_folder(&folder, &folder.state.borrow().row);
            state.folders.insert(name.into(), folder);
        }
        state.names.subscriptions = state.folders.keys().cloned().collect();
        plan.put(FOLDER, record::names_key(number), &state.names);
        plan.put(FOLDER, record::usage_key(number), &state.usage);
        plan.commit(self).await?;
        debug_assert!(state.folders.contains_key(INBOX));
        Ok(self.new_account(name, number, state))
    }

    fn new_account(&self, name: &str, number: u32, state: AccountState) -> Rc<Account> {
        Rc::new(Account {
            name: name.into(),
            number,
            shown: Cell::new(state.usage),
            state: RefCell::new(state),
            is_lost: Cell::new(false),
            domain: self.domain_part(domain_of(name)),
            was_used: Cell::new(true),
            bytes: Cell::new(0),
        })
    }

    /// A write of this account was lost.
    pub(super) fn lose(&self, account: &Rc<Account>) {
        if !account.is_lost.get() {
            self.metrics.lost.inc();
            self.part_with(account);
        }
    }

    /// What is in memory of this account does not count any more; its sessions end.
    pub(super) fn part_with(&self, account: &Rc<Account>) {
        account.is_lost.set(true);
        account.domain.gauge.add(account.shown.get().bytes);
        account.domain.gauge.sub(account.state.borrow().usage.bytes);
        self.accounts.forget(account);
        self.note_accounts();
        for folder in account.state.borrow().folders.values() {
            folder.news.notify_waiters();
        }
    }
}

impl Names {
    /// The row of a new folder, with a UIDVALIDITY that no folder of the account ever had.
    pub(super) fn next_row(
        &mut self,
        name: &str,
        special_use: Option<super::SpecialUse>,
        now: Timestamp,
    ) -> Result<FolderRow, MailboxError> {
        let number = self.next_folder;
        self.next_folder = number.checked_add(1).ok_or(MailboxError::TooMany("folders"))?;
        let seconds = u32::try_from(now.0 / 1000).unwrap_or(u32::MAX);
        let least = self.last_validity.checked_add(1).ok_or(MailboxError::TooMany("folders"))?;
        self.last_validity = seconds.max(least);
        Ok(FolderRow {
            name: name.into(),
            object: number,
            validity: self.last_validity,
            special_use,
            keywords: Vec::new(),
            counts: Counts::default(),
            recent_from: 1,
            gone_rows: 0,
            gone_floor: 0,
            is_doomed: false,
        })
    }
}
