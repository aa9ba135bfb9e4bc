//! Removing an account with all its mail.
//!
//! What must stay true: the name is free when the removal is on stable storage, and whoever has it next has
//! another number, so nothing of the old account can be seen. A mark on the disk stays until all its rows
//! are gone; a crash in between is finished at the next start. No session and no delivery works on
//! an account from the step on in which it is removed.

use std::{collections::HashSet, rc::Rc};

use super::account::Account;
use super::plan::Plan;
use super::record::{self, ACCOUNT, FOLDER, MARKS};
use super::{Inner, MailboxError, Store};

/// Folder rows that are read at a time.
const PAGE_ROWS: usize = 256;

impl Store {
    /// Removes an account; its sessions end. False if there is none. Its mail is removed in the
    /// background. Goes on if it is dropped.
    ///
    /// # Errors
    /// The disk's; the account is as it was then.
    pub async fn remove(&self, account: &str) -> Result<bool, MailboxError> {
        let Some(account) = self.0.find_account(account, false).await? else { return Ok(false) };
        let store = Rc::clone(&self.0);
        let removal = tokio::task::spawn_local(async move { store.remove_account(&account).await });
        removal.await.map_err(|_| MailboxError::Closed)?.map(|()| true)
    }
}

impl Inner {
    async fn remove_account(self: &Rc<Self>, account: &Rc<Account>) -> Result<(), MailboxError> {
        // Nobody reads the account from disk before its row is gone.
        let _turn = self.accounts.turn(&account.name).lock().await;
        account.alive()?;
        let mut plan = Plan::default();
        plan.put(MARKS, record::removed_key(account.number), &());
        plan.remove(ACCOUNT, account.name.as_bytes().into());
        plan.of(account);
        self.part_with(account);
        account.domain.gauge.sub(account.shown.get().bytes);
        let done = plan.commit(self).await;
        if done.is_err() {
            account.domain.gauge.add(account.shown.get().bytes);
        }
        done?;
        self.sweep_account(account.number);
        Ok(())
    }

    /// Begins to remove what accounts left that were removed before the last start.
    pub(super) fn sweep_removed(self: &Rc<Self>) -> Result<(), MailboxError> {
        for account in self.removed()? {
            self.sweep_account(account);
        }
        Ok(())
    }

    /// Accounts that are removed and not swept yet. Blocks.
    pub(super) fn removed(&self) -> Result<HashSet<u32>, MailboxError> {
        let mut accounts = HashSet::new();
        self.disk.scan(MARKS, &[], |key, _| {
            accounts.extend(record::removed_of(key));
            true
        })?;
        Ok(accounts)
    }

    fn sweep_account(self: &Rc<Self>, account: u32) {
        // Folder 0 stands for the account: there is no such folder.
        self.spawn_sweep(account, 0, move |store| async move { store.sweep_rows(account).await });
    }

    async fn sweep_rows(self: &Rc<Self>, account: u32) -> Result<(), MailboxError> {
        let until = record::behind_account(account);
        let from = record::folder_key(account, record::FOLDER_FIRST);
        loop {
            let page = self.disk.range(FOLDER, &from, &until, PAGE_ROWS).await?;
            if page.is_empty() {
                break;
            }
            for (_, folder, _) in page.iter().filter_map(|(key, _)| record::split(key)) {
                // A folder that was deleted before may be being swept already.
                while self.is_sweeping(account, folder) {
                    self.swept.notified().await;
                }
                self.sweep_all(account, folder).await?;
            }
        }
        let mut plan = Plan::default();
        plan.remove(FOLDER, record::usage_key(account));
        plan.remove(FOLDER, record::names_key(account));
        plan.remove(MARKS, record::removed_key(account));
        Ok(plan.commit(self).await?)
    }

    fn is_sweeping(&self, account: u32, folder: u32) -> bool {
        self.sweeping.borrow().contains(&(account, folder))
    }
}
