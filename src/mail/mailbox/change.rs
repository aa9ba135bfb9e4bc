//! What sessions do to messages: flags, expunge, copy, move.
//!
//! What must stay true: what is done is computed from how messages will be when all on its way is
//! written, in one step with handing it over; so two sessions that change one message do so one after the
//! other. Large sets go in pieces, each a group of its own; a copy is one group, since it is done
//! whole or not at all (RFC 9051 §6.4.7).

use std::rc::Rc;

use smallvec::SmallVec;

use super::account::Account;
use super::feed::{Change, What};
use super::folder::Folder;
use super::message::Translation;
use super::names::folder_name;
use super::plan::Plan;
use super::quota;
use super::record::{self, ENTRY, GONE};
use super::{Entry, Flags, Inner, Limits, MailboxError, Marks, View};

/// Messages that are changed in one group.
const PIECE: usize = 1000;
/// Messages that one COPY takes: they are one group.
pub const COPY_MAX: usize = 100_000;

/// How flags are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// They are these.
    Replace,
    /// These as well.
    Add,
    /// These no more.
    Remove,
}

/// What became of a STORE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Messages that have the flags now, as they are.
    pub entries: Vec<Entry>,
    /// Messages that were changed since UNCHANGEDSINCE and left alone (MODIFIED, RFC 7162).
    pub modified: Vec<u32>,
    /// Modseq of the last change; `None`: nothing had to be changed.
    pub modseq: Option<u64>,
}

/// What became of an EXPUNGE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expunged {
    /// What is gone.
    pub uids: Vec<u32>,
    /// HIGHESTMODSEQ after it; `None`: nothing had to be expunged.
    pub modseq: Option<u64>,
}

/// What a COPY or MOVE gave (COPYUID, RFC 4315).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// UIDVALIDITY of the destination.
    pub validity: u32,
    /// UIDs here, of what was there to be copied.
    pub from: Vec<u32>,
    /// UIDs there, in the same order.
    pub to: Vec<u32>,
}

impl View {
    /// Changes flags of the messages in `uids` that are there.
    ///
    /// # Errors
    /// [`MailboxError::NoFolder`] and the disk's; what was in earlier pieces is done then. Keywords that
    /// find no room are left out (RFC 9051 §7.1, PERMANENTFLAGS).
    pub async fn store(
        &self,
        uids: &[u32],
        how: How,
        marks: &Marks,
        unchanged_since: Option<u64>,
    ) -> Result<Stored, MailboxError> {
        let mut stored = Stored::default();
        for piece in sorted(uids).chunks(PIECE) {
            let plan = self.plan_store(piece, how, marks, unchanged_since, &mut stored)?;
            if let Some(plan) = plan {
                plan.commit(&self.mailbox.store.0).await?;
            }
        }
        self.settled(stored.modseq).await?;
        Ok(stored)
    }

    fn plan_store(
        &self,
        uids: &[u32],
        how: How,
        marks: &Marks,
        unchanged_since: Option<u64>,
        stored: &mut Stored,
    ) -> Result<Option<Plan>, MailboxError> {
        let folder = self.live()?;
        let state = &mut *folder.state.borrow_mut();
        let bits = match how {
            How::Remove => marks.known(&state.row.keywords),
            How::Replace | How::Add => marks.learn_some(&mut state.row.keywords),
        };
        let modseq = state.row.counts.modseq + 1;
        let mut changed: SmallVec<[Entry; 1]> = SmallVec::new();
        for uid in uids {
            let Some(entry) = state.current(*uid) else { continue };
            if unchanged_since.is_some_and(|since| entry.modseq > since) {
                stored.modified.push(entry.uid);
                continue;
            }
            let flags = match how {
                How::Replace => bits,
                How::Add => entry.flags.with(bits),
                How::Remove => entry.flags.without(bits),
            };
            let after = if flags == entry.flags { entry } else { Entry { flags, modseq, ..entry } };
            if flags != entry.flags {
                state.row.counts.sub(&entry);
                state.row.counts.add(&after);
                changed.push(after);
            }
            stored.entries.push(after);
        }
        if changed.is_empty() {
            return Ok(None);
        }
        state.row.counts.modseq = modseq;
        stored.modseq = Some(modseq);
        let mut plan = Plan::default();
        for entry in &changed {
            plan.put(ENTRY, record::entry_key(folder.account, folder.number, entry.uid), entry);
        }
        plan.of(&self.mailbox.account);
        plan.put_folder(folder, &state.row);
        let counts = state.row.counts;
        plan.show(folder, Change { by: self.session, what: What::Flags(changed), counts });
        Ok(Some(plan))
    }

    /// Removes messages that have `\Deleted`: all, or those among `uids`.
    ///
    /// # Errors
    /// [`MailboxError::NoFolder`] and the disk's; what was in earlier pieces is done then.
    pub async fn expunge(&self, uids: Option<&[u32]>) -> Result<Expunged, MailboxError> {
        let is_deleted = |entry: &Entry| entry.flags.contains(Flags::DELETED);
        let wanted: Vec<u32> = {
            let state = self.live()?.state.borrow();
            let all = state.currents().filter(is_deleted);
            match uids {
                None => all.map(|entry| entry.uid).collect(),
                Some(uids) => {
                    let mut sorted = uids.to_vec();
                    sorted.sort_unstable();
                    all.map(|e| e.uid).filter(|uid| sorted.binary_search(uid).is_ok()).collect()
                }
            }
        };
        self.remove(&wanted, is_deleted).await
    }

    /// Removes messages, whatever their flags (POP3's DELE at QUIT).
    ///
    /// # Errors
    /// As [`expunge`](Self::expunge).
    pub async fn remove_all(&self, uids: &[u32]) -> Result<Expunged, MailboxError> {
        let mut sorted = uids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        self.remove(&sorted, |_| true).await
    }

    async fn remove(
        &self,
        uids: &[u32],
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Expunged, MailboxError> {
        let store = &self.mailbox.store.0;
        let folder = self.live()?;
        let mut expunged = Expunged::default();
        for piece in uids.chunks(PIECE) {
            let mut pins = store.shares.pin(&store.disk, self.ids(piece)).await?;
            self.live()?;
            let entries = self.currents(piece, &is_wanted);
            if entries.is_empty() {
                continue;
            }
            let account = &self.mailbox.account;
            let mut plan = Plan::default();
            let modseq = store.depart(&mut plan, account, folder, self.session, &entries);
            store.release(&mut plan, &mut pins, &entries);
            plan.pinned(pins);
            plan.commit(store).await?;
            store.metrics.expunged.add(entries.len() as u64);
            expunged.modseq = Some(modseq);
            expunged.uids.extend(entries.iter().map(|entry| entry.uid));
        }
        self.settled(expunged.modseq).await?;
        store.forget_expunges(&self.mailbox.account, folder).await;
        Ok(expunged)
    }

    /// Copies messages into another folder of the account, or this one.
    ///
    /// # Errors
    /// [`MailboxError::NoFolder`], [`MailboxError::OverQuota`], [`MailboxError::TooMany`] and the disk's;
    /// nothing is copied then.
    pub async fn copy(
        &self,
        uids: &[u32],
        to: &str,
        limits: Limits,
    ) -> Result<Copied, MailboxError> {
        let store = &self.mailbox.store.0;
        store.has_room()?;
        if uids.len() > COPY_MAX {
            return Err(MailboxError::TooMany("messages for one copy"));
        }
        let uids = sorted(uids);
        let target = self.target(to)?;
        let mut pins = store.shares.pin(&store.disk, self.ids(&uids)).await?;
        self.live()?;
        let entries = self.currents(&uids, |_| true);
        Account::has_room_for(&target, entries.len(), self.messages_max())?;
        let account = &self.mailbox.account;
        let bytes = entries.iter().map(|entry| u64::from(entry.size)).sum();
        let usage = account.state.borrow().usage;
        quota::check(limits, usage, bytes, &store.domains, &account.domain)?;
        let validity = target.state.borrow().row.validity;
        if entries.is_empty() {
            return Ok(Copied { validity, ..Copied::default() });
        }
        let mut plan = Plan::default();
        for entry in &entries {
            if let Some(count) = pins.change(entry.id, true) {
                plan.put(record::SHARE, record::message_key(entry.id.0), &count);
            }
        }
        let fresh = self.translated(&target, &entries);
        let arrived = store.arrive(&mut plan, account, &target, self.session, fresh);
        plan.pinned(pins);
        plan.commit(store).await?;
        Ok(Copied { validity, from: uids_of(&entries), to: uids_of(&arrived) })
    }

    /// Moves messages into another folder of the account. Each message is in one of the two at any time;
    /// large sets go in pieces. `moved` will say what has moved, be it all or not.
    ///
    /// # Errors
    /// As [`copy`](Self::copy); what was in earlier pieces has moved then.
    pub async fn move_to(
        &self,
        uids: &[u32],
        to: &str,
        moved: &mut Copied,
    ) -> Result<(), MailboxError> {
        let store = &self.mailbox.store.0;
        let folder = self.live()?;
        let target = self.target(to)?;
        moved.validity = target.state.borrow().row.validity;
        let uids = sorted(uids);
        Account::has_room_for(&target, self.currents(&uids, |_| true).len(), self.messages_max())?;
        for piece in uids.chunks(PIECE) {
            self.live()?;
            let entries = self.currents(piece, |_| true);
            Account::has_room_for(&target, entries.len(), self.messages_max())?;
            if entries.is_empty() {
                continue;
            }
            let account = &self.mailbox.account;
            let mut plan = Plan::default();
            // As many entries refer to each message as before.
            let fresh = self.translated(&target, &entries);
            let arrived = store.arrive(&mut plan, account, &target, self.session, fresh);
            store.depart(&mut plan, account, folder, self.session, &entries);
            plan.commit(store).await?;
            store.metrics.expunged.add(entries.len() as u64);
            moved.from.extend(entries.iter().map(|entry| entry.uid));
            moved.to.extend(arrived.iter().map(|entry| entry.uid));
        }
        store.forget_expunges(&self.mailbox.account, folder).await;
        Ok(())
    }

    /// What others did here may be on its way still: who found nothing left to do waits for that, since a
    /// crash could take it back. `own` is the last change of one's own, which comes behind all of theirs.
    async fn settled(&self, own: Option<u64>) -> Result<(), MailboxError> {
        let folder = self.live()?;
        if own.is_some() || folder.state.borrow().feed.is_settled() {
            return Ok(());
        }
        let mut plan = Plan::default();
        plan.put_folder(folder, &folder.state.borrow().row);
        plan.of(&self.mailbox.account);
        Ok(plan.commit(&self.mailbox.store.0).await?)
    }

    /// The folder, if it and the account are still there.
    pub(super) fn live(&self) -> Result<&Rc<Folder>, MailboxError> {
        self.mailbox.account.alive()?;
        if self.reader.folder.state.borrow().row.is_doomed {
            return Err(MailboxError::NoFolder);
        }
        Ok(&self.reader.folder)
    }

    fn target(&self, name: &str) -> Result<Rc<Folder>, MailboxError> {
        let name = folder_name(name).map_err(|_| MailboxError::NoFolder)?;
        self.mailbox.account.folder(&name)
    }

    fn messages_max(&self) -> u32 {
        self.mailbox.store.settings().folder_messages_max
    }

    /// The messages that entries refer to, for their pins.
    fn ids(&self, uids: &[u32]) -> Vec<super::EmailId> {
        let state = self.reader.folder.state.borrow();
        uids.iter().filter_map(|uid| state.current(*uid)).map(|entry| entry.id).collect()
    }

    fn currents(&self, uids: &[u32], is_wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let state = self.reader.folder.state.borrow();
        uids.iter().filter_map(|uid| state.current(*uid)).filter(|e| is_wanted(e)).collect()
    }

    /// Entries as the target will have them.
    fn translated(&self, target: &Rc<Folder>, entries: &[Entry]) -> Vec<Entry> {
        let saved = self.mailbox.store.0.now();
        let here = self.keywords();
        let there = &mut target.state.borrow_mut().row.keywords;
        let mut translation = Translation::new(&here, there);
        let translate = |entry: &Entry| {
            let flags = translation.translate(entry.flags);
            Entry { flags, saved, ..*entry }
        };
        entries.iter().map(translate).collect()
    }
}

fn sorted(uids: &[u32]) -> Vec<u32> {
    let mut uids = uids.to_vec();
    uids.sort_unstable();
    uids.dedup();
    uids
}

fn uids_of(entries: &[Entry]) -> Vec<u32> {
    entries.iter().map(|entry| entry.uid).collect()
}

impl Inner {
    /// Removes the oldest half of what a folder remembers of its expunges when that is too much. What fails
    /// here is done by the next expunge, and is no failure of this one.
    async fn forget_expunges(self: &Rc<Self>, account: &Rc<Account>, folder: &Rc<Folder>) {
        let _ = self.try_to_forget_expunges(account, folder).await;
    }

    async fn try_to_forget_expunges(
        self: &Rc<Self>,
        account: &Rc<Account>,
        folder: &Rc<Folder>,
    ) -> Result<(), MailboxError> {
        let kept = self.settings.borrow().expunges_kept;
        let (rows, floor) = {
            let state = folder.state.borrow();
            (state.row.gone_rows, state.row.gone_floor)
        };
        if rows <= kept {
            return Ok(());
        }
        let from = record::gone_key(folder.account, folder.number, floor + 1);
        let until = record::behind_folder(folder.account, folder.number);
        let count = (rows - kept / 2) as usize;
        let page = self.disk.range(GONE, &from, &until, count).await?;
        account.alive()?;
        let mut plan = Plan::default();
        {
            let row = &mut folder.state.borrow_mut().row;
            if row.is_doomed {
                return Ok(());
            }
            for (key, _) in page {
                // Somebody else may have been quicker: a key is removed once.
                if let Some(modseq) = record::modseq_of(&key).filter(|m| *m > row.gone_floor) {
                    row.gone_floor = modseq;
                    row.gone_rows = row.gone_rows.saturating_sub(1);
                    plan.remove(GONE, key);
                }
            }
            plan.put_folder(folder, row);
        }
        plan.of(account);
        Ok(plan.commit(self).await?)
    }
}
