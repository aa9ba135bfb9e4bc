//! Which accounts a store has.
//!
//! What must stay true: asking makes no account, and takes memory for names and use alone.

use super::record::{self, ACCOUNT, AccountRow, FOLDER};
use super::{Mailbox, MailboxError, Store, Usage};

impl Store {
    /// All accounts with what they use, by name. Blocks; a row that cannot be read is told, and left out.
    ///
    /// # Errors
    /// The disk's.
    pub fn accounts(&self) -> Result<Vec<(Box<str>, Usage)>, MailboxError> {
        let store = &self.0;
        let mut found: Vec<(Box<str>, u32)> = Vec::new();
        store.disk.scan(ACCOUNT, &[], |name, row| {
            if let (Ok(name), Ok(row)) =
                (std::str::from_utf8(name), store.seen(record::read::<AccountRow>("account", row)))
            {
                found.push((name.into(), row.number));
            }
            true
        })?;
        let mut accounts = Vec::with_capacity(found.len());
        for (name, number) in found {
            let key = record::usage_key(number);
            let mut usage = Usage::default();
            store.disk.scan(FOLDER, &key, |found, row| {
                if *found == key[..] {
                    usage = store.seen(record::read("usage", row)).unwrap_or_default();
                }
                false
            })?;
            accounts.push((name, usage));
        }
        Ok(accounts)
    }

    /// The mailbox of an account, if it has had any mail or session; it is not made.
    ///
    /// # Errors
    /// The disk's, and [`MailboxError::Unreadable`].
    pub async fn existing(&self, account: &str) -> Result<Option<Mailbox>, MailboxError> {
        let account = self.0.find_account(account, false).await?;
        Ok(account.map(|account| Mailbox { store: self.clone(), account }))
    }
}
