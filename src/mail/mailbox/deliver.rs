//! Mail coming in: deliveries for several accounts in one group, and what clients append.
//!
//! What must stay true: Ok is said when everything is on stable storage, in one group; a body is
//! stored once however many accounts of the store get it. Whether there is room is judged in the step
//! in which the message is counted in, so no two deliveries share the last room of an account.

use std::{rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use engine::shard::beside;
use proto::types::Timestamp;
use smallvec::SmallVec;

use super::account::Account;
use super::digest::{Digest, digest, encode, thread_of};
use super::folder::Folder;
use super::names::{INBOX, folder_name};
use super::plan::{Fresh, Plan};
use super::quota::{self, Limits};
use super::record::{self, BODY, DIGEST, SHARE};
use super::{EmailId, Entry, Flags, Inner, Mailbox, MailboxError, Marks, Store, ThreadId};

/// Octets of a message of which the shard itself makes a parcel.
const OWN_OCTETS_MAX: usize = 256 << 10;

/// A message on its way in, with all that is made of it. May go from thread to thread.
#[derive(Clone, Debug)]
pub struct Parcel {
    message: Bytes,
    digest: Arc<Digest>,
    /// As it will be stored.
    encoded: Bytes,
    internal: Timestamp,
    marks: Marks,
}

impl Parcel {
    /// Makes the digest. `internal` will be the INTERNALDATE.
    #[must_use]
    pub fn new(message: Bytes, internal: Timestamp) -> Self {
        let digest = Arc::new(digest(&message));
        let encoded = encode(&digest);
        Self { message, digest, encoded: encoded.into(), internal, marks: Marks::default() }
    }

    /// Likewise, of the message that `message` gives and that has so many octets. A long one is read on
    /// another thread: it would hold the shard up for a millisecond and more.
    ///
    /// # Errors
    /// [`MailboxError::Failing`]: there is no such thread.
    pub async fn made(
        octets: usize,
        internal: Timestamp,
        message: impl FnOnce() -> Bytes + Send + 'static,
    ) -> Result<Self, MailboxError> {
        if octets <= OWN_OCTETS_MAX {
            return Ok(Self::new(message(), internal));
        }
        let made = beside(move || Self::new(message(), internal)).await;
        made.map_err(|error| MailboxError::Failing(error.to_string().into()))
    }

    /// With flags and keywords.
    #[must_use]
    pub fn with(mut self, marks: Marks) -> Self {
        self.marks = marks;
        self
    }

    fn size(&self) -> Result<u32, MailboxError> {
        u32::try_from(self.message.len()).map_err(|_| MailboxError::TooMany("octets"))
    }
}

/// For whom a message is.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The account's name, folded as the directory does.
    pub account: &'a str,
    /// Into this folder if there is one of that name; otherwise into INBOX.
    pub folder: Option<&'a str>,
    /// What it may keep.
    pub limits: Limits,
}

/// Where a message was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// UIDVALIDITY of the folder.
    pub validity: u32,
    /// Its UID there.
    pub uid: u32,
    /// Which message it is.
    pub id: EmailId,
}

/// What an append gave (UIDPLUS, RFC 4315).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// UIDVALIDITY of the folder.
    pub validity: u32,
    /// One a message, in order.
    pub uids: Vec<u32>,
}

/// A message about to be counted into folders.
struct Incoming<'a> {
    parcel: &'a Parcel,
    size: u32,
    id: EmailId,
    thread: ThreadId,
    now: Timestamp,
}

impl Store {
    /// Delivers a message to accounts of this store, which are made at first use. Each recipient
    /// has its own answer, in order; those that are Ok are on stable storage.
    pub async fn deliver(
        &self,
        to: &[Delivery<'_>],
        parcel: &Parcel,
    ) -> Vec<Result<Placed, MailboxError>> {
        let store = &self.0;
        let since = Instant::now();
        let size = match store.has_room().and_then(|()| parcel.size()) {
            Ok(size) => size,
            Err(error) => return vec![Err(error); to.len()],
        };
        let mut accounts: SmallVec<[Result<Rc<Account>, MailboxError>; 1]> = SmallVec::new();
        for one in to {
            accounts.push(store.account(one.account).await);
        }
        let mut plan = Plan::default();
        let id = store.new_message(&mut plan);
        let thread = thread_of(&parcel.digest, id);
        let incoming = Incoming { parcel, size, id, thread, now: store.now() };
        let mut answers: Vec<_> = to
            .iter()
            .zip(accounts)
            .map(|(one, account)| store.take(&mut plan, one, &account?, &incoming))
            .collect();
        let count = answers.iter().filter(|answer| answer.is_ok()).count();
        store.metrics.over_quota.add(
            answers.iter().filter(|a| matches!(a, Err(MailboxError::OverQuota))).count() as u64,
        );
        if count == 0 {
            // The plan is not written, nor is what it may have reserved.
            store.reserve_messages_again();
            return answers;
        }
        store.put_message(&mut plan, parcel, id, count as u32);
        match plan.commit(store).await {
            Ok(()) => {
                store.metrics.delivered.add(count as u64);
                store.metrics.commit.record_since(since);
            }
            Err(error) => {
                let error = MailboxError::from(error);
                answers.iter_mut().for_each(|one| *one = Err(error.clone()));
            }
        }
        answers
    }

    /// Whether `bytes` more would be taken for an account now; asked at RCPT, before a client sends
    /// them. The account is not made for it.
    ///
    /// # Errors
    /// [`MailboxError::OverQuota`], [`MailboxError::Full`] and the disk's.
    pub async fn room(
        &self,
        account: &str,
        bytes: u64,
        limits: Limits,
    ) -> Result<(), MailboxError> {
        self.0.has_room()?;
        let Some(account) = self.0.find_account(account, false).await? else {
            return match limits.account {
                Some(limit) if bytes > limit => Err(MailboxError::OverQuota),
                _ => Ok(()),
            };
        };
        let usage = account.state.borrow().usage;
        quota::check(limits, usage, bytes, &self.0.domains, &account.domain)
    }
}

impl Mailbox {
    /// Appends messages, all or none.
    ///
    /// # Errors
    /// [`MailboxError::NoFolder`], [`MailboxError::OverQuota`], [`MailboxError::TooMany`] and the disk's.
    pub async fn append(
        &self,
        folder: &str,
        parcels: &[Parcel],
        limits: Limits,
        session: u32,
    ) -> Result<Appended, MailboxError> {
        let store = &self.store.0;
        store.has_room()?;
        let name = folder_name(folder).map_err(|_| MailboxError::NoFolder)?;
        let folder = self.account.folder(&name)?;
        Account::has_room_for(&folder, parcels.len(), self.store.settings().folder_messages_max)?;
        let mut bytes = 0;
        for parcel in parcels {
            bytes += u64::from(parcel.size()?);
        }
        let usage = self.account.state.borrow().usage;
        quota::check(limits, usage, bytes, &store.domains, &self.account.domain)?;
        let flags: Vec<Flags> = {
            let known = &mut folder.state.borrow_mut().row.keywords;
            parcels.iter().map(|parcel| parcel.marks.learn_some(known)).collect()
        };
        let mut plan = Plan::default();
        let now = store.now();
        let mut fresh = Vec::with_capacity(parcels.len());
        for (parcel, flags) in parcels.iter().zip(flags) {
            let id = store.new_message(&mut plan);
            let thread = thread_of(&parcel.digest, id);
            let incoming = Incoming { parcel, size: parcel.size()?, id, thread, now };
            store.put_message(&mut plan, parcel, id, 1);
            fresh.push(incoming.entry(flags));
        }
        let entries = store.arrive(&mut plan, &self.account, &folder, session, fresh);
        for (entry, parcel) in entries.iter().zip(parcels) {
            store.keep(&mut plan, &folder, entry, parcel);
        }
        plan.commit(store).await?;
        store.metrics.appended.add(parcels.len() as u64);
        let validity = folder.state.borrow().row.validity;
        Ok(Appended { validity, uids: entries.iter().map(|entry| entry.uid).collect() })
    }
}

impl Incoming<'_> {
    /// UID and modseq are the folder's to give.
    fn entry(&self, flags: Flags) -> Entry {
        Entry {
            uid: 0,
            size: self.size,
            id: self.id,
            thread: self.thread,
            modseq: 0,
            flags,
            internal: self.parcel.internal,
            saved: self.now,
        }
    }
}

impl Inner {
    /// Counts a message into the folder of one recipient.
    fn take(
        &self,
        plan: &mut Plan,
        to: &Delivery<'_>,
        account: &Rc<Account>,
        incoming: &Incoming<'_>,
    ) -> Result<Placed, MailboxError> {
        let wanted = to.folder.and_then(|name| account.folder(&folder_name(name).ok()?).ok());
        let folder = match wanted {
            Some(folder) => folder,
            None => account.folder(INBOX)?,
        };
        Account::has_room_for(&folder, 1, self.settings.borrow().folder_messages_max)?;
        let usage = account.state.borrow().usage;
        let bytes = u64::from(incoming.size);
        quota::check(to.limits, usage, bytes, &self.domains, &account.domain)?;
        let flags = {
            let row = &mut folder.state.borrow_mut().row;
            // A folder that knows enough keywords shall not refuse mail.
            incoming.parcel.marks.learn_some(&mut row.keywords)
        };
        let entries = self.arrive(plan, account, &folder, 0, [incoming.entry(flags)]);
        self.keep(plan, &folder, &entries[0], incoming.parcel);
        let validity = folder.state.borrow().row.validity;
        Ok(Placed { validity, uid: entries[0].uid, id: incoming.id })
    }

    fn put_message(&self, plan: &mut Plan, parcel: &Parcel, id: EmailId, entries: u32) {
        let key = record::message_key(id.0);
        plan.put_octets(BODY, key.clone(), parcel.message.clone());
        plan.put_octets(DIGEST, key.clone(), parcel.encoded.clone());
        plan.put(SHARE, key, &entries);
    }

    /// The caches will know what has just come.
    fn keep(&self, plan: &mut Plan, folder: &Folder, entry: &Entry, parcel: &Parcel) {
        plan.keep(Fresh {
            place: self.place(folder, entry.uid),
            id: entry.id,
            body: parcel.message.clone(),
            digest: Arc::clone(&parcel.digest),
            encoded: parcel.encoded.len(),
        });
    }
}
