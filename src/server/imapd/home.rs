//! What a session has behind its login: the account, its mailbox, and the folder that is selected.
//!
//! What must stay true: an account has so many sessions at most; they all are on the shard that owns it, so
//! that counting them takes no lock.

use std::cell::{Cell, RefCell};
use std::{collections::HashMap, rc::Rc};

use mail::mailbox::{self, Mailbox, View};
use proto::imap::syntax::Messages;
use proto::imap::{Completion, Enabled};

use super::numbers;
use super::turns::Memory;
use crate::pace::Pace;

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
        let view = self.view.as_deref().ok_or(Completion::bad("Select a mailbox first"))?;
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
#[derive(Default)]
struct Presence {
    sessions: u32,
    /// Octets of messages that its sessions have announced.
    announced: Rc<Cell<usize>>,
}

/// One of them; counted until it is dropped.
pub(super) struct Guest {
    guests: Guests,
    account: Box<str>,
    announced: Rc<Cell<usize>>,
}

/// Octets of a message that was announced; counted until it is dropped.
pub(super) struct Announced {
    octets: usize,
    all: Rc<Cell<usize>>,
}

impl Guests {
    /// One session more; `None`: the account has `max` already.
    pub fn enter(&self, account: &str, max: u32) -> Option<Guest> {
        let mut known = self.0.borrow_mut();
        let presence = known.entry(account.into()).or_default();
        if presence.sessions >= max {
            return None;
        }
        presence.sessions += 1;
        let announced = Rc::clone(&presence.announced);
        drop(known);
        Some(Guest { guests: self.clone(), account: account.into(), announced })
    }
}

impl Guest {
    /// A message is announced; `None` when the account has announced `max` octets already.
    pub fn announce(&self, octets: usize, max: usize) -> Option<Announced> {
        let all = &self.announced;
        if all.get() >= max.max(1) {
            return None;
        }
        all.set(all.get().saturating_add(octets));
        Some(Announced { octets, all: Rc::clone(all) })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        self.all.set(self.all.get().saturating_sub(self.octets));
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
        assert_eq!(one.announced.get(), 0);
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
