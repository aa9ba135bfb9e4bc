//! The maildrop of one client: INBOX as it was at the login, and what was done with it.
//!
//! What must stay true: numbers, sizes and unique ids are those of the login, though others deliver,
//! expunge and move meanwhile; what others have taken away is an error for one message, not for the
//! session. A unique id is made of UIDVALIDITY and UID, so it is for good, and never another message's
//! (RFC 1939 §7; RFC 3501 §2.3.1.1). `\Seen` is written once, at the end.

use std::collections::BTreeSet;

use bytes::Bytes;
use engine::telemetry::{Level, note};
use mail::mailbox::{Flags, How, INBOX, Mailbox, MailboxError, Marks, View};
use proto::pop3::server::{Code, Maildrop, Refusal};

use super::lock::Lock;
use crate::pace::Pace;

/// A message that is not there any more, or of which we can say no more than that.
const GONE: Refusal = Refusal::new(None, "This message is gone");
/// Trying again will not help: somebody has to look at the store.
const UNREADABLE: Refusal =
    Refusal::new(Some(Code::Permanent), "This message cannot be read, tell your administrator");
/// What a client hears behind QUIT when deletions are not all on stable storage (RFC 1939 §6).
pub(super) const NOT_DELETED: Refusal =
    Refusal::new(Some(Code::Temporary), "Some deleted messages were not removed");

/// Digits of half a unique id.
const UID_DIGITS: u32 = 8;

/// INBOX as it was: what the client is told of it.
#[derive(Debug)]
pub(super) struct Snapshot {
    validity: u32,
    /// By number.
    messages: Box<[Message]>,
}

/// One message of a [`Snapshot`].
#[derive(Clone, Copy, Debug)]
struct Message {
    uid: u32,
    octets: u32,
}

impl Snapshot {
    fn of(view: &View) -> Self {
        let mut messages = Vec::with_capacity(view.len());
        view.each(|entry| messages.push(Message { uid: entry.uid, octets: entry.size }));
        Self { validity: view.validity(), messages: messages.into() }
    }

    /// The UID of message `index`, from 0 on.
    pub fn uid(&self, index: u32) -> Option<u32> {
        self.messages.get(index as usize).map(|message| message.uid)
    }
}

impl Maildrop for Snapshot {
    fn len(&self) -> u32 {
        // Folders have fewer than UIDs can number.
        u32::try_from(self.messages.len()).unwrap_or(u32::MAX)
    }

    fn octets(&self, index: u32) -> u64 {
        self.messages.get(index as usize).map_or(0, |message| u64::from(message.octets))
    }

    fn write_uid(&self, index: u32, out: &mut Vec<u8>) {
        write_hex(self.validity, out);
        write_hex(self.uid(index).unwrap_or(0), out);
    }
}

/// Eight digits, whatever the number: `format!` would cost more than the rest of a line of UIDL.
fn write_hex(number: u32, out: &mut Vec<u8>) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |place: u32| DIGITS[(number >> (4 * place) & 0xf) as usize];
    out.extend((0..UID_DIGITS).rev().map(digit));
}

/// INBOX of who has logged in, for as long as the session lasts.
pub(super) struct Inbox {
    view: View,
    /// Given back before the last reply: the client may come again at once.
    lock: Option<Lock>,
    /// How fast it goes.
    pub pace: Pace,
    /// UIDs of what was sent whole.
    read: BTreeSet<u32>,
}

impl Inbox {
    /// Opens INBOX. Messages stay `\Recent` for IMAP, whose sessions have not seen them yet.
    ///
    /// # Errors
    /// What the client is to be told.
    pub async fn open(mailbox: &Mailbox, lock: Lock) -> Result<(Box<Self>, Snapshot), Refusal> {
        let view = mailbox.open(INBOX, true).await.map_err(|error| refusal(&error))?;
        let snapshot = Snapshot::of(&view);
        Ok((
            Box::new(Self { view, lock: Some(lock), pace: Pace::default(), read: BTreeSet::new() }),
            snapshot,
        ))
    }

    /// The octets of a message.
    ///
    /// # Errors
    /// What the client is to be told.
    pub async fn message(&self, uid: u32) -> Result<Bytes, Refusal> {
        self.view.body(uid, 0..u64::MAX).await.map_err(|error| refusal(&error))
    }

    /// The header of a message, if it is not so long that only the message has it.
    ///
    /// # Errors
    /// What the client is to be told.
    pub async fn header(&self, uid: u32) -> Result<Option<Bytes>, Refusal> {
        let digest = self.view.digest(uid).await.map_err(|error| refusal(&error))?;
        Ok(digest.header.text().cloned())
    }

    /// A message has been sent whole.
    pub fn note_read(&mut self, uid: u32) {
        self.read.insert(uid);
    }

    /// Deletes messages; how many were still there.
    ///
    /// # Errors
    /// Not all are deleted, on stable storage.
    pub async fn delete(&mut self, uids: &[u32]) -> Result<u64, Refusal> {
        uids.iter().for_each(|uid| _ = self.read.remove(uid));
        match self.view.remove_all(uids).await {
            Ok(expunged) => Ok(expunged.uids.len() as u64),
            Err(error) => {
                self.tell("delete", &error);
                Err(NOT_DELETED)
            }
        }
    }

    /// Others may have the maildrop.
    pub fn unlock(&mut self) {
        self.lock = None;
    }

    /// Marks what was read as `\Seen`, all in one commit. Nobody was promised that, so that it fails
    /// is for the log.
    pub async fn part(mut self: Box<Self>) {
        self.unlock();
        if self.read.is_empty() {
            return;
        }
        let read: Vec<u32> = std::mem::take(&mut self.read).into_iter().collect();
        let seen = Marks::from(Flags::SEEN);
        if let Err(error) = self.view.store(&read, How::Add, &seen, None).await {
            self.tell("mark", &error);
        }
    }

    fn tell(&self, what: &str, error: &MailboxError) {
        let account = self.view.mailbox().account();
        note(Level::Warn, format_args!("pop3: cannot {what} messages of {account}: {error}"));
    }
}

/// What a client hears of an error of the store.
pub(super) fn refusal(error: &MailboxError) -> Refusal {
    match error {
        MailboxError::Gone => GONE,
        MailboxError::Unreadable(_) => UNREADABLE,
        _ => Refusal::UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(validity: u32, messages: &[(u32, u32)]) -> Snapshot {
        let messages = messages.iter().map(|(uid, octets)| Message { uid: *uid, octets: *octets });
        Snapshot { validity, messages: messages.collect() }
    }

    fn unique_id(snapshot: &Snapshot, index: u32) -> String {
        let mut out = Vec::new();
        snapshot.write_uid(index, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What clients have kept since their last visit must be found again: this is for good.
    #[test]
    fn unique_ids_are_those_that_clients_know() {
        let drop = snapshot(0x65a1_0c3f, &[(1, 10), (0xffff_fffe, 20)]);
        assert_eq!(unique_id(&drop, 0), "65a10c3f00000001");
        assert_eq!(unique_id(&drop, 1), "65a10c3ffffffffe");
        assert_ne!(unique_id(&snapshot(1, &[(1, 10)]), 0), unique_id(&snapshot(2, &[(1, 10)]), 0));
        for number in [0, 1, 0xf, 0x10, 0x0bad_cafe, u32::MAX] {
            let mut out = Vec::new();
            write_hex(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{number:08x}"));
        }
    }

    #[test]
    fn messages_are_numbered_without_gaps() {
        let drop = snapshot(7, &[(3, 100), (9, 50), (10, 4_000_000_000)]);
        assert_eq!((drop.len(), drop.is_empty()), (3, false));
        assert_eq!(
            (0..4).map(|at| drop.uid(at)).collect::<Vec<_>>(),
            [Some(3), Some(9), Some(10), None]
        );
        assert_eq!(
            (0..4).map(|at| drop.octets(at)).collect::<Vec<_>>(),
            [100, 50, 4_000_000_000, 0]
        );
        assert!(snapshot(7, &[]).is_empty());
    }

    #[test]
    fn whose_fault_it_is_is_said() {
        assert_eq!(refusal(&MailboxError::Gone).code(), None);
        assert_eq!(refusal(&MailboxError::Unreadable("body")).code(), Some(Code::Permanent));
        assert_eq!(refusal(&MailboxError::Lost).code(), Some(Code::Temporary));
    }
}
