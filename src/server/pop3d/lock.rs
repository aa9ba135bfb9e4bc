//! Who has which maildrop: one client an account (RFC 1939 §4).
//!
//! Sessions of one account are all on the shard that owns it, so a set of names on that shard is the
//! whole lock. What must stay true: a [`Lock`] is given back when it is dropped, however its session
//! ended; nobody but POP3 asks it, so IMAP and deliveries go on as they like. It is bounded by the
//! number of connections.

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use foldhash::quality::RandomState;

/// The maildrops that are taken. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Locks(Rc<RefCell<HashSet<Rc<str>, RandomState>>>);

/// The right to a maildrop.
pub(super) struct Lock {
    locks: Locks,
    account: Rc<str>,
}

impl Locks {
    /// Takes the maildrop of an account; `None`: somebody has it.
    pub fn take(&self, account: &str) -> Option<Lock> {
        let account: Rc<str> = account.into();
        let is_free = self.0.borrow_mut().insert(Rc::clone(&account));
        is_free.then(|| Lock { locks: self.clone(), account })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.locks.0.borrow_mut().remove(&self.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_maildrop_has_one_client_at_a_time() {
        let locks = Locks::default();
        let ann = locks.take("ann@x.example").unwrap();
        assert!(locks.take("ann@x.example").is_none());
        // Asking in vain takes nothing away from who has it.
        assert!(locks.take("ann@x.example").is_none());
        let bob = locks.take("bob@x.example").unwrap();
        drop(ann);
        let again = locks.clone().take("ann@x.example").unwrap();
        assert!(locks.take("bob@x.example").is_none());
        drop((bob, again));
        assert!(locks.0.borrow().is_empty());
    }
}
