//! The end of the way: a message is put into mailboxes here (RFC 5321 §4.4).
//!
//! What must stay true: an answer of Ok is given when the copy is on stable storage; the message is the one
//! that was accepted, with a Return-Path field before it that says who sent it; a mailbox gets one copy in
//! one folder, however many recipients lead there. How it fails: [`MailboxError`], a copy at a time.
//!
//! Used by the door for mail that need not lie in the queue, and by this room for what does.

use std::collections::HashMap;

use bytes::Bytes;
use engine::shard::wall_ms;
use foldhash::fast::RandomState;
use proto::types::{Address, Enhanced, Reply, Timestamp};

use crate::directory::Target;
use crate::mailbox::{Delivery, Limits, MailboxError, Parcel, Placed, Stores};

/// Where quarantined mail is put; into INBOX where there is no such folder.
const JUNK: &str = "Junk";

/// Where one copy of a message goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The account's name, folded.
    pub account: Box<str>,
    /// The folder, if there is one of that name; otherwise INBOX.
    pub folder: Option<Box<str>>,
    /// What the account may keep, as the directory says.
    pub quota_bytes: Option<u64>,
}

/// All copies of a message, each once.
#[derive(Debug, Default)]
pub struct Slots {
    list: Vec<Slot>,
    known: HashMap<Slot, usize, RandomState>,
}

impl Slot {
    /// Of an account, and of the detail that its address was written with (RFC 5233): the folder of that
    /// name. Quarantined mail goes to the junk.
    #[must_use]
    pub fn new(
        account: &Address,
        detail: Option<&str>,
        quota_bytes: Option<u64>,
        is_quarantined: bool,
    ) -> Self {
        let folder = if is_quarantined { Some(JUNK) } else { detail };
        Self { account: account.to_string().into(), folder: folder.map(Into::into), quota_bytes }
    }

    /// Of a target that is a mailbox.
    #[must_use]
    pub fn of(target: &Target, is_quarantined: bool) -> Option<Self> {
        let Target::Mailbox { account, detail, quota_bytes } = target else { return None };
        let detail = detail.as_ref().map(|detail| &*detail.text);
        Some(Self::new(account, detail, *quota_bytes, is_quarantined))
    }
}

impl Slots {
    /// Adds one; returns its index.
    pub fn add(&mut self, slot: Slot) -> usize {
        if let Some(index) = self.known.get(&slot) {
            return *index;
        }
        let index = self.list.len();
        self.known.insert(slot.clone(), index);
        self.list.push(slot);
        index
    }

    /// Delivers a message from `sender`. Each slot has its own answer, in the order of their indexes: what
    /// is to be said of the copy, or why there is none.
    pub async fn deliver(
        &self,
        stores: &Stores,
        sender: Option<&Address>,
        message: &Bytes,
    ) -> Vec<Result<Reply, MailboxError>> {
        let parcel = match parcel(sender, message).await {
            Ok(parcel) => parcel,
            Err(error) => return vec![Err(error); self.list.len()],
        };
        let settings = stores.settings();
        let to: Vec<Delivery<'_>> = self
            .list
            .iter()
            .map(|slot| Delivery {
                account: &slot.account,
                folder: slot.folder.as_deref(),
                limits: Limits::of(&settings, slot.quota_bytes),
            })
            .collect();
        let answers = stores.deliver(&to, &parcel).await;
        let told = self.list.iter().zip(answers);
        told.map(|(slot, answer)| answer.map(|placed| said(&slot.account, placed))).collect()
    }
}

/// What is said of a copy.
fn said(account: &str, placed: Placed) -> Reply {
    let Placed { validity, uid, id } = placed;
    let text = format!("Delivered to {account} as {id}, UID {uid} of {validity}");
    Reply::made(250, Enhanced(2, 0, 0), text)
}

/// The message with all that is made of it. It is copied for its Return-Path, into just the room that it
/// needs: caches will keep it, and what it arrived in may have room for much more.
async fn parcel(sender: Option<&Address>, message: &Bytes) -> Result<Parcel, MailboxError> {
    let (now, path, message) = (Timestamp(wall_ms()), return_path(sender), message.clone());
    Parcel::made(message.len(), now, move || joined(&path, &message)).await
}

/// Who sent it, as the envelope says.
fn return_path(sender: Option<&Address>) -> String {
    match sender {
        Some(sender) => format!("Return-Path: <{sender}>\r\n"),
        None => "Return-Path: <>\r\n".to_owned(),
    }
}

fn joined(path: &str, message: &[u8]) -> Bytes {
    [path.as_bytes(), message].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_gets_one_copy_in_a_folder() {
        let (joe, ann) =
            (Address::parse("joe@x.test").unwrap(), Address::parse("ann@x.test").unwrap());
        let mut slots = Slots::default();
        let all = [(&joe, None), (&ann, None), (&joe, Some("lists")), (&joe, None)];
        let indexes = all.map(|(who, detail)| slots.add(Slot::new(who, detail, None, false)));
        assert_eq!(indexes, [0, 1, 2, 0]);
        let junk = all.map(|(who, detail)| Slot::new(who, detail, None, true).folder);
        assert!(junk.into_iter().all(|folder| folder.as_deref() == Some(JUNK)));
    }

    #[test]
    fn the_sender_stands_on_top() {
        let quoted = Address::parse("\"a b\"@x.test").unwrap();
        let text = joined(&return_path(Some(&quoted)), b"A: b\r\n");
        assert_eq!(text, "Return-Path: <\"a b\"@x.test>\r\nA: b\r\n");
        assert_eq!(return_path(None), "Return-Path: <>\r\n");
    }
}
