//! Removing what was in a deleted folder, in pieces that hold nobody up.
//!
//! What must stay true: a deleted folder's row stays, marked, until all that was in it is removed, so a
//! crash leaves nothing behind: the rest goes when the account is opened next. One sweep a folder.
//!
//! How it fails: a failing disk ends the sweep; it begins again when the account is read again.

use std::{future::Future, rc::Rc};

use super::plan::Plan;
use super::record::{self, ENTRY, FOLDER, GONE, behind};
use super::{Entry, Inner, MailboxError};

/// Entries that go in one group.
const PIECE: usize = 500;

impl Inner {
    /// Begins to sweep a folder whose row is marked.
    pub(super) fn sweep(self: &Rc<Self>, account: u32, folder: u32) {
        self.spawn_sweep(account, folder, move |store| async move {
            store.sweep_all(account, folder).await
        });
    }

    /// Does the work in the background, unless it is being done.
    pub(super) fn spawn_sweep<F>(
        self: &Rc<Self>,
        account: u32,
        folder: u32,
        work: impl FnOnce(Rc<Self>) -> F + 'static,
    ) where
        F: Future<Output = Result<(), MailboxError>> + 'static,
    {
        if !self.sweeping.borrow_mut().insert((account, folder)) {
            return;
        }
        let store = Rc::clone(self);
        tokio::task::spawn_local(async move {
            // What is left is swept later; the storage has told of its trouble.
            let _ = work(Rc::clone(&store)).await;
            store.sweeping.borrow_mut().remove(&(account, folder));
            store.swept.notify_waiters();
        });
    }

    pub(super) async fn sweep_all(
        self: &Rc<Self>,
        account: u32,
        folder: u32,
    ) -> Result<(), MailboxError> {
        let until = record::behind_folder(account, folder);
        let row = record::folder_key(account, folder);
        // On from where the last piece ended: what was removed is slow to pass.
        let mut from = row.clone();
        loop {
            let page = self.disk.range(ENTRY, &from, &until, PIECE).await?;
            let Some((last, _)) = page.last() else { break };
            from = behind(last);
            let mut entries = Vec::with_capacity(page.len());
            for (_, row) in &page {
                // One that cannot be read keeps the folder's row, and `verify` tells of it.
                entries.push(self.seen(record::read::<Entry>("entry", row))?);
            }
            let ids = entries.iter().map(|entry| entry.id).collect();
            let mut pins = self.shares.pin(&self.disk, ids).await?;
            let mut plan = Plan::default();
            for (key, _) in page {
                plan.remove(ENTRY, key);
            }
            self.release(&mut plan, &mut pins, &entries);
            plan.pinned(pins);
            plan.commit(self).await?;
        }
        from.clone_from(&row);
        loop {
            let page = self.disk.range(GONE, &from, &until, PIECE).await?;
            let Some((last, _)) = page.last() else { break };
            from = behind(last);
            let mut plan = Plan::default();
            page.into_iter().for_each(|(key, _)| plan.remove(GONE, key));
            plan.commit(self).await?;
        }
        let mut plan = Plan::default();
        plan.remove(FOLDER, row);
        Ok(plan.commit(self).await?)
    }
}
