//! What a session has behind its login: the account, its mailbox, and the folder that is selected.
//!
//! What must stay true: an account has so many sessions at most; they all are on the shard that owns it, so
//! that counting them takes no lock.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use engine::shard::{Budget, Permit};
use mail::mailbox::{self, Mailbox, View};
use proto::imap::syntax::Messages;
use proto::imap::{Completion, Enabled};

use super::numbers;
use super::turns::Memory;
use crate::pace::Pace;

/// A command is about a mailbox, and none is selected.
pub(super) const NOTHING_SELECTED: Completion = Completion::bad("Select a mailbox first");

/// What a logged-in session has.
pub(super) struct Home {
    pub mailbox: Mailbox,
    /// What it may keep.
    pub limits: mailbox::Limits,
    /// The selected folder, as this client knows it.
    pub view: Option<Box<View>>,
    /// What the last `SEARCH RETURN (SAVE)` found (RFC 5182): UIDs, sorted.
    pub saved: Vec<u32>,
    /// How fast it goes.
    pub pace: Pace,
    /// Counts it.
    pub guest: Guest,
}

/// How this client wants to be spoken to: as it was when the command under way was put.
pub(super) struct Manner {
    pub enabled: Enabled,
    /// Of the command, for `ESEARCH`.
    pub tag: Box<[u8]>,
    /// The largest message that can be appended, in octets (RFC 7889).
    pub append_bytes_max: u64,
    /// What it may hold.
    pub memory: Memory,
}

impl Manner {
    /// It follows IMAP4rev2, which has no `\Recent` and no `UNSEEN` (RFC 9051 Appendix E).
    pub const fn is_rev2(&self) -> bool {
        self.enabled.contains(Enabled::IMAP4REV2)
    }

    /// It is told mod-sequences (RFC 7162 §3.1).
    pub const fn knows_modseq(&self) -> bool {
        self.enabled.contains(Enabled::CONDSTORE)
    }

    /// It is told what is gone by UID (RFC 7162 §3.2).
    pub const fn knows_vanished(&self) -> bool {
        self.enabled.contains(Enabled::QRESYNC)
    }
}

impl Home {
    /// The UIDs of the messages that a command names, sorted. `by_uid`: it names them by UID.
    ///
    /// # Errors
    /// What to say: a number that no message has (RFC 9051 §9, `seq-number`), or nothing is selected.
    pub fn targets(&self, messages: &Messages, by_uid: bool) -> Result<Vec<u32>, Completion> {
        let view = self.view.as_deref().ok_or(NOTHING_SELECTED)?;
        match messages {
            Messages::Saved => {
                let known = |uid: &u32| view.number(*uid).is_some();
                Ok(self.saved.iter().copied().filter(known).collect())
            }
            Messages::Set(set) if !by_uid && set.greatest_named() as usize > view.len() => {
                Err(Completion::bad("No message has this number"))
            }
            Messages::Set(set) => Ok(numbers::resolve(self, set, by_uid)),
        }
    }
}

/// Sessions of each account on this shard.
#[derive(Clone, Default)]
pub(super) struct Guests(Rc<RefCell<HashMap<Box<str>, Presence>>>);

/// What an account has here.
struct Presence {
    sessions: u32,
    announced: Budget,
}

/// One of them; counted until it is dropped.
pub(super) struct Guest {
    guests: Guests,
    account: Box<str>,
    /// Octets of messages that the account's sessions have announced. Only counts: what one more may be is
    /// decided by who asks.
    announced: Budget,
}

impl Guests {
    /// One session more; `None`: the account has `max` already.
    pub fn enter(&self, account: &str, max: u32) -> Option<Guest> {
        let mut known = self.0.borrow_mut();
        let presence = known
            .entry(account.into())
            .or_insert_with(|| Presence { sessions: 0, announced: Budget::new(usize::MAX) });
        if presence.sessions >= max {
            return None;
        }
        presence.sessions += 1;
        let announced = presence.announced.clone();
        drop(known);
        Some(Guest { guests: self.clone(), account: account.into(), announced })
    }
}

impl Guest {
    /// A message is announced; `None` when the account has announced `max` octets already.
    pub fn announce(&self, octets: usize, max: usize) -> Option<Permit> {
        if self.announced.used() >= max.max(1) { None } else { self.announced.try_take(octets) }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut known = self.guests.0.borrow_mut();
        if let Some(presence) = known.get_mut(&self.account) {
            presence.sessions -= 1;
            if presence.sessions == 0 {
                known.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_announces_so_much() {
        let guests = Guests::default();
        let [one, two] = [(); 2].map(|()| guests.enter("tim@x.org", 3).unwrap());
        let first = one.announce(70, 100).unwrap();
        let second = two.announce(900, 100);
        assert!(second.is_some(), "one more, however large");
        assert!(one.announce(1, 100).is_none() && two.announce(0, 100).is_none());
        assert!(guests.enter("tom@x.org", 3).unwrap().announce(70, 100).is_some());
        drop(second);
        assert!(two.announce(1, 100).is_some());
        drop(first);
        assert_eq!(one.announced.used(), 0);
    }

    #[test]
    fn an_account_has_so_many_sessions_and_they_are_counted_back() {
        let guests = Guests::default();
        let some: Vec<Guest> = (0..3).map(|_| guests.enter("tim@x.org", 3).unwrap()).collect();
        assert!(guests.enter("tim@x.org", 3).is_none());
        let other = guests.enter("tom@x.org", 3).unwrap();
        drop(some);
        assert!(guests.enter("tim@x.org", 3).is_some());
        drop(other);
        assert!(guests.0.borrow().is_empty());
    }
}
