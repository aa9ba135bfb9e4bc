//! What a mailbox store writes, and how.
//!
//! | family | key | value |
//! |---|---|---|
//! | account | name | number of the account |
//! | folder | account, 0 | what the account uses: octets, messages |
//! | folder | account, 1 | what is next, and who is subscribed to |
//! | folder | account, folder | name, UIDVALIDITY, keywords, counts |
//! | entry | account, folder, uid | one message in one folder |
//! | gone | account, folder, modseq | UIDs that one expunge removed |
//! | share | message | entries of the whole store that refer to it |
//! | body | message | its octets, in blobs |
//! | digest | message | what was made of it at delivery |
//! | marks | a word | numbers that must never be given again |
//!
//! What must stay true: numbers in keys are big-endian, so that keys sort as they count. The first
//! octet of a row is the form it is in; a row that cannot be read is an error for whoever asked and
//! is never dropped. `body`, `digest` and `gone` are put once and removed once, the others are
//! overwritten. Numbers of accounts, folders and messages are never used again.

use engine::storage::{Family, Key};
use proto::types::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Entry, Flags, MailboxError, SpecialUse};

/// `marks` comes first: the storage tries a failing disk with a row of its own in the first family that
/// is overwritten, and that must not be one where every row is somebody's.
pub(super) static FAMILIES: [Family; 8] = [
    Family { name: "marks", blobs: false, overwrites: true },
    Family { name: "account", blobs: false, overwrites: true },
    Family { name: "folder", blobs: false, overwrites: true },
    Family { name: "entry", blobs: false, overwrites: true },
    Family { name: "gone", blobs: false, overwrites: false },
    Family { name: "share", blobs: false, overwrites: true },
    Family { name: "body", blobs: true, overwrites: false },
    Family { name: "digest", blobs: false, overwrites: false },
];
pub(super) const ACCOUNT: usize = 1;
pub(super) const FOLDER: usize = 2;
pub(super) const ENTRY: usize = 3;
pub(super) const GONE: usize = 4;
pub(super) const SHARE: usize = 5;
pub(super) const BODY: usize = 6;
pub(super) const DIGEST: usize = 7;
pub(super) const MARKS: usize = 0;

/// Message numbers below this have been given, or may have been.
pub(super) const MARK_MESSAGES: &[u8] = b"messages";
/// Account numbers below this have been given.
pub(super) const MARK_ACCOUNTS: &[u8] = b"accounts";

const MARK_REMOVED: &[u8] = b"removed ";

/// Below it are the rows of the account itself.
pub(super) const FOLDER_FIRST: u32 = 2;
const USAGE: u32 = 0;
const NAMES: u32 = 1;
const FORM: u8 = 1;

/// Who an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccountRow {
    pub number: u32,
    pub made: Timestamp,
}

/// What an account uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Octets of all its messages; one that is in two folders counts twice.
    pub bytes: u64,
    /// Its messages, counted in the same way.
    pub messages: u64,
}

/// The rest of what an account is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Names {
    pub next_folder: u32,
    /// UIDVALIDITY of the youngest folder.
    pub last_validity: u32,
    /// Sorted; a name stays when its folder goes (RFC 9051 §6.3.7).
    pub subscriptions: Vec<Box<str>>,
}

/// What is in a folder, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// The next message's UID.
    pub uid_next: u32,
    /// HIGHESTMODSEQ (RFC 7162).
    pub modseq: u64,
    /// Messages.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Octets of all messages.
    pub bytes: u64,
}

/// A folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FolderRow {
    pub name: Box<str>,
    /// For MAILBOXID: goes with the name INBOX, otherwise with the folder (RFC 8474 §4).
    pub object: u32,
    pub validity: u32,
    pub special_use: Option<SpecialUse>,
    /// By bit.
    pub keywords: Vec<Box<str>>,
    pub counts: Counts,
    /// No session has been told of messages from this UID on: they are `\Recent`.
    pub recent_from: u32,
    /// Rows in `gone`, and up to which modseq there are none any more.
    pub gone_rows: u32,
    pub gone_floor: u64,
    /// Deleted: what is left of it is being removed.
    pub is_doomed: bool,
}

impl Default for Counts {
    fn default() -> Self {
        Self { uid_next: 1, modseq: 1, messages: 0, unseen: 0, deleted: 0, bytes: 0 }
    }
}

impl Counts {
    /// Counts a message in.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.messages += 1;
        self.bytes += u64::from(entry.size);
        self.unseen += u32::from(!entry.flags.contains(Flags::SEEN));
        self.deleted += u32::from(entry.flags.contains(Flags::DELETED));
    }

    /// Counts a message out.
    pub(super) fn sub(&mut self, entry: &Entry) {
        // Rows that do not add up are for `verify` to tell; they shall not end a session.
        self.messages = self.messages.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(u64::from(entry.size));
        let unseen = u32::from(!entry.flags.contains(Flags::SEEN));
        self.unseen = self.unseen.saturating_sub(unseen);
        let deleted = u32::from(entry.flags.contains(Flags::DELETED));
        self.deleted = self.deleted.saturating_sub(deleted);
    }
}

impl Usage {
    pub(super) fn add(&mut self, bytes: u64, messages: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.messages = self.messages.saturating_add(messages);
    }

    pub(super) fn sub(&mut self, bytes: u64, messages: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.messages = self.messages.saturating_sub(messages);
    }
}

/// Appends a row to `out`.
pub(super) fn write(row: &impl Serialize, out: &mut Vec<u8>) {
    out.push(FORM);
    // Plain data always serialises into memory.
    if let Ok(written) = postcard::to_extend(row, std::mem::take(out)) {
        *out = written;
    }
}

/// Reads a row of the kind that `what` names.
pub(super) fn read<T: DeserializeOwned>(what: &'static str, row: &[u8]) -> Result<T, MailboxError> {
    match row.split_first() {
        Some((&FORM, rest)) => {
            postcard::from_bytes(rest).map_err(|_| MailboxError::Unreadable(what))
        }
        _ => Err(MailboxError::Unreadable(what)),
    }
}

pub(super) fn usage_key(account: u32) -> Key {
    pair(account, USAGE)
}

pub(super) fn names_key(account: u32) -> Key {
    pair(account, NAMES)
}

pub(super) fn folder_key(account: u32, folder: u32) -> Key {
    pair(account, folder)
}

pub(super) fn entry_key(account: u32, folder: u32, uid: u32) -> Key {
    let mut key = pair(account, folder);
    key.extend_from_slice(&uid.to_be_bytes());
    key
}

pub(super) fn gone_key(account: u32, folder: u32, modseq: u64) -> Key {
    let mut key = pair(account, folder);
    key.extend_from_slice(&modseq.to_be_bytes());
    key
}

pub(super) fn message_key(message: u64) -> Key {
    Key::from_slice(&message.to_be_bytes())
}

/// The mark of an account that was removed and of which something is left.
pub(super) fn removed_key(account: u32) -> Key {
    let mut key = Key::from_slice(MARK_REMOVED);
    key.extend_from_slice(&account.to_be_bytes());
    key
}

/// The account that a mark says is removed.
pub(super) fn removed_of(mark: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(mark.strip_prefix(MARK_REMOVED)?.try_into().ok()?))
}

/// The first key behind all of a folder.
pub(super) fn behind_folder(account: u32, folder: u32) -> Key {
    match folder.checked_add(1) {
        Some(next) => pair(account, next),
        None => behind_account(account),
    }
}

/// The first key behind all of an account; empty for the very last one.
pub(super) fn behind_account(account: u32) -> Key {
    account.checked_add(1).map_or_else(Key::new, |next| Key::from_slice(&next.to_be_bytes()))
}

/// The first key that can follow a key.
pub(super) fn behind(key: &Key) -> Key {
    let mut next = key.clone();
    next.push(0);
    next
}

/// Account and folder that a key begins with, and what follows.
pub(super) fn split(key: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (account, rest) = key.split_first_chunk()?;
    let (folder, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*account), u32::from_be_bytes(*folder), rest))
}

/// The UID that an entry's key ends with.
pub(super) fn uid_of(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(split(key)?.2.try_into().ok()?))
}

/// The modseq that a key of `gone` ends with.
pub(super) fn modseq_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(split(key)?.2.try_into().ok()?))
}

/// The number that a key of a message is.
pub(super) fn message_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

fn pair(account: u32, folder: u32) -> Key {
    let mut key = Key::from_slice(&account.to_be_bytes());
    key.extend_from_slice(&folder.to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_they_count_and_come_apart() {
        let keys = [
            usage_key(1),
            names_key(1),
            folder_key(1, FOLDER_FIRST),
            entry_key(1, FOLDER_FIRST, 255),
            entry_key(1, FOLDER_FIRST, 256),
            behind_folder(1, FOLDER_FIRST),
            entry_key(1, u32::MAX, 1),
            behind_account(1),
        ];
        assert!(keys.is_sorted());
        assert_eq!(uid_of(&keys[4]), Some(256));
        assert_eq!(modseq_of(&gone_key(1, 2, 1 << 40)), Some(1 << 40));
        assert_eq!(uid_of(&gone_key(1, 2, 3)), None);
        assert_eq!(behind_folder(1, u32::MAX), behind_account(1));
        assert!(behind_account(u32::MAX).is_empty());
        assert_eq!(message_of(&message_key(7)), Some(7));
        assert_eq!(removed_of(&removed_key(9)), Some(9));
        assert_eq!(removed_of(MARK_ACCOUNTS), None);
    }

    #[test]
    fn a_foreign_row_is_an_error() {
        let mut row = Vec::new();
        write(&Usage { bytes: 5, messages: 1 }, &mut row);
        assert_eq!(read::<Usage>("usage", &row), Ok(Usage { bytes: 5, messages: 1 }));
        row[0] = 9;
        assert_eq!(read::<Usage>("usage", &row), Err(MailboxError::Unreadable("usage")));
        assert!(read::<Usage>("usage", &[FORM]).is_err() && read::<Usage>("usage", &[]).is_err());
    }
}
