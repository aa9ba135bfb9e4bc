//! Making, removing and renaming folders, and what is to be known of them from outside.
//!
//! What must stay true: a name is one folder; a UIDVALIDITY is one folder of the account for good; the
//! UIDs and the MAILBOXID of a folder stay with it when its name changes, but for INBOX: there the
//! messages go, and the name and its MAILBOXID stay (RFC 9051 §6.3.6, RFC 8474 §4.2). A folder without
//! a row that has others beneath it does not exist, and LIST says so.

use std::{ops::Bound, rc::Rc};

use super::account::{Account, AccountState};
use super::feed::{Change, What};
use super::folder::Folder;
use super::names::{INBOX, SEPARATOR, beneath, folder_name, parents};
use super::plan::Plan;
use super::record::{self, FOLDER};
use super::{Counts, Mailbox, MailboxError, SpecialUse};

/// A folder as LIST and STATUS tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderInfo {
    /// Its name, in Net-Unicode, parts divided by `/`.
    pub name: Box<str>,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Whether the account is subscribed to it.
    pub is_subscribed: bool,
    /// Whether there are folders beneath it.
    pub has_children: bool,
    /// MAILBOXID (RFC 8474), without its parentheses.
    pub id: Box<str>,
    /// UIDVALIDITY.
    pub validity: u32,
    /// What is in it, as it is on stable storage.
    pub counts: Counts,
    /// Messages that no session has been told of.
    pub recent: u32,
    /// Keywords, by bit.
    pub keywords: Vec<Box<str>>,
}

impl Mailbox {
    /// All folders, by name.
    ///
    /// # Errors
    /// [`MailboxError::Lost`].
    pub fn folders(&self) -> Result<Vec<FolderInfo>, MailboxError> {
        self.account.alive()?;
        let state = self.account.state.borrow();
        Ok(state.folders.iter().map(|(name, folder)| info(&state, name, folder)).collect())
    }

    /// One folder.
    ///
    /// # Errors
    /// [`MailboxError::NoFolder`], [`MailboxError::Lost`].
    pub fn folder(&self, name: &str) -> Result<FolderInfo, MailboxError> {
        let name = folder_name(name).map_err(|_| MailboxError::NoFolder)?;
        let folder = self.account.folder(&name)?;
        Ok(info(&self.account.state.borrow(), &name, &folder))
    }

    /// Names that the account is subscribed to, by name, whether there are such folders or not.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<Box<str>> {
        self.account.state.borrow().names.subscriptions.clone()
    }

    /// Makes a folder, and those above it that are not there.
    ///
    /// # Errors
    /// [`MailboxError::Exists`], [`MailboxError::BadName`], [`MailboxError::TooMany`] and the disk's.
    pub async fn create(
        &self,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<(), MailboxError> {
        let name = folder_name(name)?;
        let plan = {
            self.account.alive()?;
            if self.account.state.borrow().folders.contains_key(&*name) {
                return Err(MailboxError::Exists);
            }
            let mut plan = Plan::default();
            self.make_folders(&mut plan, &name, special_use)?;
            plan
        };
        Ok(plan.commit(&self.store.0).await?)
    }

    /// Removes a folder and what is in it. Those beneath it stay.
    ///
    /// # Errors
    /// [`MailboxError::Inbox`], [`MailboxError::NoFolder`] and the disk's.
    pub async fn delete(&self, name: &str) -> Result<(), MailboxError> {
        let name = folder_name(name).map_err(|_| MailboxError::NoFolder)?;
        if name == INBOX {
            return Err(MailboxError::Inbox);
        }
        let folder = self.account.folder(&name)?;
        let mut plan = Plan::default();
        let counts = {
            let state = &mut *folder.state.borrow_mut();
            state.row.is_doomed = true;
            plan.put_folder(&folder, &state.row);
            state.row.counts
        };
        self.account.state.borrow_mut().folders.remove(&*name);
        self.account.use_less(counts.bytes, u64::from(counts.messages));
        plan.of(&self.account);
        plan.show(&folder, Change { by: 0, what: What::Deleted, counts });
        plan.doom(&folder);
        Ok(plan.commit(&self.store.0).await?)
    }

    /// Gives a folder another name, and those beneath it theirs. Renaming INBOX moves what is in
    /// it to a new folder; what is beneath it stays.
    ///
    /// # Errors
    /// [`MailboxError::NoFolder`], [`MailboxError::Exists`], [`MailboxError::Inbox`] and the disk's.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), MailboxError> {
        let from = folder_name(from).map_err(|_| MailboxError::NoFolder)?;
        let to = folder_name(to)?;
        let folder = self.account.folder(&from)?;
        if to == INBOX {
            return Err(MailboxError::Inbox);
        }
        if beneath(&to, &from).is_some() && from != INBOX {
            return Err(MailboxError::BadName("it is beneath itself"));
        }
        let moved = self.names_beneath(&from)?;
        let is_inbox = from == INBOX;
        let moved = if is_inbox { Vec::new() } else { moved };
        let renamed = |name: &str| format!("{to}{}", &name[from.len()..]);
        // What has another name in the end takes none away.
        let goes = |name: &str| {
            !is_inbox && (name == from || moved.binary_search_by(|one| (**one).cmp(name)).is_ok())
        };
        let is_taken =
            |name: &str| self.account.state.borrow().folders.contains_key(name) && !goes(name);
        if is_taken(&to) || moved.iter().any(|name| is_taken(&renamed(name))) {
            return Err(MailboxError::Exists);
        }
        if moved.iter().any(|name| folder_name(&renamed(name)).is_err()) {
            return Err(MailboxError::BadName("one beneath it would be too long"));
        }
        let mut plan = Plan::default();
        if is_inbox {
            self.empty_inbox_into(&mut plan, &folder, &to)?;
            return Ok(plan.commit(&self.store.0).await?);
        }
        if let Some((above, _)) = to.rsplit_once(SEPARATOR)
            && !is_taken(above)
        {
            self.make_folders(&mut plan, above, None)?;
        }
        self.take_names(&mut plan, &from, &to, &moved);
        Ok(plan.commit(&self.store.0).await?)
    }

    /// Subscribes to a name, or no more.
    ///
    /// # Errors
    /// [`MailboxError::BadName`], [`MailboxError::TooMany`] and the disk's.
    pub async fn subscribe(&self, name: &str, wanted: bool) -> Result<(), MailboxError> {
        let name = folder_name(name)?;
        self.account.alive()?;
        let mut plan = Plan::default();
        {
            let names = &mut self.account.state.borrow_mut().names;
            let all = &mut names.subscriptions;
            match (all.binary_search_by(|one| (**one).cmp(&name)), wanted) {
                (Ok(_), true) | (Err(_), false) => return Ok(()),
                (Err(_), true) if all.len() >= self.store.settings().folders_max as usize * 2 => {
                    return Err(MailboxError::TooMany("subscriptions"));
                }
                (Err(at), true) => all.insert(at, name.into()),
                (Ok(at), false) => _ = all.remove(at),
            }
            plan.put(FOLDER, record::names_key(self.account.number), &*names);
        }
        plan.of(&self.account);
        Ok(plan.commit(&self.store.0).await?)
    }

    /// Adds a folder and those above it to the account.
    fn make_folders(
        &self,
        plan: &mut Plan,
        name: &str,
        special_use: Option<SpecialUse>,
    ) -> Result<(), MailboxError> {
        let number = self.account.number;
        let now = self.store.0.now();
        let state = &mut *self.account.state.borrow_mut();
        let missing: Vec<&str> = parents(name)
            .filter(|parent| !state.folders.contains_key(*parent))
            .chain([name])
            .collect();
        if state.folders.len() + missing.len() > self.store.settings().folders_max as usize {
            return Err(MailboxError::TooMany("folders"));
        }
        for one in missing {
            let special_use = special_use.filter(|_| one == name);
            let row = state.names.next_row(one, special_use, now)?;
            plan.put(FOLDER, record::folder_key(number, row.object), &row);
            state.folders.insert(one.into(), Folder::new(number, row.object, row));
        }
        plan.put(FOLDER, record::names_key(number), &state.names);
        plan.of(&self.account);
        Ok(())
    }

    fn names_beneath(&self, name: &str) -> Result<Vec<Box<str>>, MailboxError> {
        self.account.alive()?;
        let state = self.account.state.borrow();
        Ok(state.folders.keys().filter(|one| beneath(one, name).is_some()).cloned().collect())
    }

    /// Gives a folder and those beneath it their new names. All leave their old ones first: what one had
    /// another may get.
    fn take_names(&self, plan: &mut Plan, from: &str, to: &str, beneath: &[Box<str>]) {
        let state = &mut *self.account.state.borrow_mut();
        let mut taken = Vec::with_capacity(beneath.len() + 1);
        for name in std::iter::once(from).chain(beneath.iter().map(|name| &**name)) {
            let Some(folder) = state.folders.remove(name) else { continue };
            taken.push((format!("{to}{}", &name[from.len()..]), folder));
        }
        for (name, folder) in taken {
            let row = &mut folder.state.borrow_mut().row;
            row.name = name.as_str().into();
            plan.put_folder(&folder, row);
            state.folders.insert(name.into(), Rc::clone(&folder));
        }
        plan.of(&self.account);
    }

    /// The folder that was INBOX gets the new name, and a new one is INBOX: nothing is moved.
    fn empty_inbox_into(
        &self,
        plan: &mut Plan,
        inbox: &Rc<Folder>,
        to: &str,
    ) -> Result<(), MailboxError> {
        self.make_folders(plan, to, None)?;
        let state = &mut *self.account.state.borrow_mut();
        let Some(fresh) = state.folders.remove(to) else { return Err(MailboxError::NoFolder) };
        {
            let (old, new) = (&mut *inbox.state.borrow_mut(), &mut *fresh.state.borrow_mut());
            std::mem::swap(&mut old.row.name, &mut new.row.name);
            std::mem::swap(&mut old.row.object, &mut new.row.object);
            plan.put_folder(inbox, &old.row);
            plan.put_folder(&fresh, &new.row);
            let counts = old.row.counts;
            plan.show(inbox, Change { by: 0, what: What::Parted, counts });
        }
        state.folders.insert(INBOX.into(), fresh);
        state.folders.insert(to.into(), Rc::clone(inbox));
        Ok(())
    }
}

fn info(account: &AccountState, name: &str, folder: &Rc<Folder>) -> FolderInfo {
    let state = folder.state.borrow();
    let subscriptions = &account.names.subscriptions;
    // The next name in order that begins with it is beneath it, but for such as "a-b" after "a".
    let first = format!("{name}{SEPARATOR}");
    let next =
        account.folders.range::<str, _>((Bound::Included(first.as_str()), Bound::Unbounded)).next();
    FolderInfo {
        name: name.into(),
        special_use: state.row.special_use,
        is_subscribed: subscriptions.binary_search_by(|one| (**one).cmp(name)).is_ok(),
        has_children: next.is_some_and(|(one, _)| one.starts_with(&first)),
        id: format!("F{:x}-{:x}", folder.account, state.row.object).into(),
        validity: state.row.validity,
        counts: state.shown,
        recent: recent(&state),
        keywords: state.row.keywords.clone(),
    }
}

/// Messages that no session has been told of: exact when the folder is in memory, otherwise at most
/// as many as there are.
fn recent(state: &super::folder::State) -> u32 {
    let from = state.row.recent_from;
    match &state.index {
        Some(index) => {
            let entries = index.entries();
            (entries.len() - entries.partition_point(|entry| entry.uid < from)) as u32
        }
        None => state.shown.uid_next.saturating_sub(from).min(state.shown.messages),
    }
}

impl Account {
    /// Whether the folder takes `count` messages more.
    pub(super) fn has_room_for(
        folder: &Folder,
        count: usize,
        messages_max: u32,
    ) -> Result<(), MailboxError> {
        let state = folder.state.borrow();
        if state.row.is_doomed {
            return Err(MailboxError::NoFolder);
        }
        let counts = state.row.counts;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if counts.messages.checked_add(count).is_none_or(|all| all > messages_max) {
            return Err(MailboxError::TooMany("messages in the folder"));
        }
        counts.uid_next.checked_add(count).map(drop).ok_or(MailboxError::TooMany("UIDs"))
    }
}
