//! What an admin can set about mailboxes.

use engine::settings::Bytes;
use engine::storage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the mail of accounts is kept, and how much memory that takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Memory for the write buffers of one store; there are as many stores as cores, rounded up to a
    /// power of two, and at least 4, when the data directory is made. More means fewer, larger
    /// writes in the background; the log on disk may grow to four times this for each store.
    pub memory: Bytes,
    /// Bodies kept in memory, per shard, so that what has just come or was just read is not read
    /// from disk again. A body over an eighth of this is never kept.
    pub body_cache: Bytes,
    /// Structures, envelopes and headers kept in memory, per shard. About 4 KiB a message: lists of
    /// headers, and searches in them, are answered from here.
    pub digest_cache: Bytes,
    /// Folders and what is in them, per shard: about 56 bytes a message of a folder that was opened,
    /// 2 KiB an account. What open sessions look at is kept beyond it.
    pub account_cache: Bytes,
    /// Octets that the mail of an account may take when the account says nothing; "0 B": no limit.
    pub quota: Bytes,
    /// Octets that the mail of all accounts of a domain may take together; "0 B": no limit.
    pub domain_quota: Bytes,
    /// Messages of one folder at most; a session keeps 60 bytes of each in memory while it looks at
    /// the folder.
    pub folder_messages_max: u32,
    /// Folders of one account at most: all their names are in memory while the account is used.
    pub folders_max: u32,
    /// The largest message that a client may append; it lies in memory once while it is stored.
    pub append_bytes_max: Bytes,
    /// Expunges that each folder remembers, so that clients that were away (QRESYNC) hear of just those;
    /// clients that were away for longer are told all UIDs that are no more.
    pub expunges_kept: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: Bytes::mib(32),
            body_cache: Bytes::mib(64),
            digest_cache: Bytes::mib(64),
            account_cache: Bytes::mib(64),
            quota: Bytes(0),
            domain_quota: Bytes(0),
            folder_messages_max: 1_000_000,
            folders_max: 2000,
            append_bytes_max: Bytes::mib(64),
            expunges_kept: 1000,
        }
    }
}

impl Settings {
    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, text: &str| {
            if !holds {
                faults.push(text.to_owned());
            }
        };
        demand(self.folder_messages_max > 0, "mailbox.folder_messages_max must be at least 1");
        demand(
            self.folders_max >= 8,
            "mailbox.folders_max must be at least 8: six are made for all",
        );
        demand(
            (1..=u64::from(u32::MAX)).contains(&self.append_bytes_max.get()),
            "mailbox.append_bytes_max must be 1 B to 4 GiB",
        );
        demand(self.expunges_kept > 0, "mailbox.expunges_kept must be at least 1");
        faults
    }

    /// The settings of each store's database, from those of the queues' stores.
    #[must_use]
    pub fn storage(&self, base: &storage::Settings) -> storage::Settings {
        // The queue's ballast is given up for all: a full disk is one disk.
        storage::Settings { memory: self.memory, ballast: Bytes(0), ..base.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_work_and_faults_are_told() {
        assert!(Settings::default().faults().is_empty());
        let wrong = Settings {
            folders_max: 7,
            folder_messages_max: 0,
            append_bytes_max: Bytes(0),
            expunges_kept: 0,
            ..Settings::default()
        };
        assert_eq!(wrong.faults().len(), 4);
        let database = Settings::default().storage(&storage::Settings::default());
        assert_eq!((database.memory, database.ballast), (Bytes::mib(32), Bytes(0)));
    }
}
