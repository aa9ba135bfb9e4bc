//! Reading messages: bodies, digests, and what has vanished.
//!
//! What must stay true: a message is found by its UID in the folder that the session has open, and only
//! then looked for in caches or on disk: nothing is read by a name that a client could make up. A
//! body that is in memory is handed out without a copy.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::digest::{Digest, decode, digest, encode};
use super::ranges::{self, Ranges};
use super::record::{self, BODY, DIGEST, GONE};
use super::{Entry, MailboxError, View};

/// Digests that are read at a time.
const DIGESTS_MAX: usize = 256;
const PAGE_ROWS: usize = 256;

impl View {
    /// Octets of a message; a range beyond its end is cut.
    ///
    /// # Errors
    /// [`MailboxError::Gone`], and the disk's.
    pub async fn body(&self, uid: u32, range: Range<u64>) -> Result<Bytes, MailboxError> {
        let entry = self.readable(uid)?;
        let store = &self.mailbox.store.0;
        let place = store.place(&self.reader.folder, uid);
        let body = match store.caches.body(place, entry.id) {
            Some(body) => body,
            None => {
                let key = record::message_key(entry.id.0);
                let body = Bytes::from(self.existing(uid, store.disk.get(BODY, &key).await?)?);
                store.caches.keep_body(place, entry.id, body.clone());
                body
            }
        };
        let end = range.end.min(body.len() as u64) as usize;
        let start = (range.start.min(end as u64)) as usize;
        Ok(body.slice(start..end))
    }

    /// The digest of a message.
    ///
    /// # Errors
    /// [`MailboxError::Gone`], and the disk's.
    pub async fn digest(&self, uid: u32) -> Result<Arc<Digest>, MailboxError> {
        self.digests(&[uid]).await?.pop().flatten().ok_or(MailboxError::Gone)
    }

    /// The digests of many messages, in the order of `uids`; `None` for those that are gone or cannot be read. What is
    /// not in memory is read together; ask for some hundreds at a time.
    ///
    /// # Errors
    /// The disk's.
    pub async fn digests(&self, uids: &[u32]) -> Result<Vec<Option<Arc<Digest>>>, MailboxError> {
        self.mailbox.account.alive()?;
        let store = &self.mailbox.store.0;
        let mut digests = vec![None; uids.len()];
        let mut missing = Vec::new();
        for (at, entry) in uids.iter().map(|uid| self.entry(*uid)).enumerate() {
            let Some(entry) = entry else { continue };
            let place = store.place(&self.reader.folder, entry.uid);
            match store.caches.digest(place, entry.id) {
                Some(digest) => digests[at] = Some(digest),
                None => missing.push((at, entry)),
            }
        }
        for some in missing.chunks(DIGESTS_MAX) {
            let keys = some.iter().map(|(_, entry)| record::message_key(entry.id.0)).collect();
            let rows = store.disk.get_many(DIGEST, keys).await?;
            for ((at, entry), row) in some.iter().zip(rows) {
                let stored = row.as_deref().map(decode);
                let Some(Ok(digest)) = stored else {
                    digests[*at] = self.made_again(entry).await?;
                    continue;
                };
                let digest = Arc::new(digest);
                let place = store.place(&self.reader.folder, entry.uid);
                let octets = row.map_or(0, |row| row.len());
                store.caches.keep_digest(place, entry.id, Arc::clone(&digest), octets);
                digests[*at] = Some(digest);
            }
        }
        Ok(digests)
    }

    /// The digest of a message that has none that can be read, such as one that was written in an earlier
    /// form: made of the message. `None` when that cannot be read either, which is counted and told.
    async fn made_again(&self, entry: &Entry) -> Result<Option<Arc<Digest>>, MailboxError> {
        if self.entry(entry.uid).is_none() {
            return Ok(None);
        }
        self.mailbox.store.0.metrics.digests_made_again.inc();
        match self.body(entry.uid, 0..u64::MAX).await {
            Ok(message) => {
                let digest = Arc::new(digest(&message));
                let store = &self.mailbox.store.0;
                let place = store.place(&self.reader.folder, entry.uid);
                let octets = encode(&digest).len();
                store.caches.keep_digest(place, entry.id, Arc::clone(&digest), octets);
                Ok(Some(digest))
            }
            Err(MailboxError::Gone | MailboxError::Unreadable(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// UIDs that were expunged after `since` and are among `within` (RFC 7162 §3.2.5.2). When that is
    /// longer ago than is remembered: all UIDs that are not there.
    ///
    /// # Errors
    /// The disk's.
    pub async fn vanished(
        &self,
        since: u64,
        within: Option<&[(u32, u32)]>,
    ) -> Result<Ranges, MailboxError> {
        let folder = self.live()?;
        let (last, floor) = {
            let state = folder.state.borrow();
            (state.shown.modseq, state.row.gone_floor)
        };
        let mut gone = Ranges::new();
        if since >= floor {
            gone = self.gone_rows(since, last).await?;
        }
        // Some of it may have been forgotten while it was read.
        if since < folder.state.borrow().row.gone_floor {
            // What the session has not been told of yet is not missing.
            gone = ranges::missing(self.uids().iter().copied(), self.uid_next - 1);
        }
        Ok(match within {
            Some(within) => ranges::common(&gone, within),
            None => gone,
        })
    }

    async fn gone_rows(&self, since: u64, last: u64) -> Result<Ranges, MailboxError> {
        let folder = &self.reader.folder;
        let disk = &self.mailbox.store.0.disk;
        let until = record::gone_key(folder.account, folder.number, last.saturating_add(1));
        let mut from = record::gone_key(folder.account, folder.number, since.saturating_add(1));
        let mut gone = Ranges::new();
        loop {
            let page = disk.range(GONE, &from, &until, PAGE_ROWS).await?;
            let Some((key, _)) = page.last() else { break };
            from = record::behind(key);
            for (_, row) in &page {
                let some: Ranges = self.mailbox.store.0.seen(record::read("gone", row))?;
                gone.extend(some);
            }
        }
        Ok(ranges::merged(gone))
    }

    fn readable(&self, uid: u32) -> Result<Entry, MailboxError> {
        self.mailbox.account.alive()?;
        self.entry(uid).ok_or(MailboxError::Gone)
    }

    fn existing(&self, uid: u32, octets: Option<Vec<u8>>) -> Result<Vec<u8>, MailboxError> {
        if let Some(octets) = octets {
            return Ok(octets);
        }
        self.is_gone(uid, "body")?;
        Err(MailboxError::Gone)
    }

    /// There is no row of a message: it went while it was read, or else that is an error.
    fn is_gone(&self, uid: u32, what: &'static str) -> Result<(), MailboxError> {
        let is_doomed = self.reader.folder.state.borrow().row.is_doomed;
        if is_doomed || self.entry(uid).is_none() {
            return Ok(());
        }
        self.mailbox.store.0.seen(Err(MailboxError::Unreadable(what)))
    }
}
