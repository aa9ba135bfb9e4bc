//! Owns: how many bytes a shard may hold for messages in flight. Must stay true: `used <= max`, and
//! every permit gives back exactly what it took. Fails by refusing; the door answers 452
//! (RFC 5321 §4.5.3.1.10 lets a server run out of room).

use std::{cell::Cell, rc::Rc};

/// Bytes that one shard may use; clones share one account.
#[derive(Clone, Debug)]
pub struct Budget {
    account: Rc<Account>,
}

/// Bytes taken from a [`Budget`]; dropping it gives them back.
#[derive(Debug)]
pub struct Permit {
    account: Rc<Account>,
    bytes: usize,
}

#[derive(Debug)]
struct Account {
    max: usize,
    used: Cell<usize>,
}

impl Account {
    fn take(&self, bytes: usize) -> bool {
        let Some(used) = self.used.get().checked_add(bytes).filter(|used| *used <= self.max) else {
            return false;
        };
        self.used.set(used);
        true
    }
}

impl Budget {
    /// An account of `bytes_max` bytes, all of them free.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { account: Rc::new(Account { max: bytes_max, used: Cell::new(0) }) }
    }

    /// Takes `bytes` (zero is fine: the permit may grow), or nothing when so many are not free.
    #[must_use]
    pub fn try_take(&self, bytes: usize) -> Option<Permit> {
        self.account.take(bytes).then(|| Permit { account: Rc::clone(&self.account), bytes })
    }

    /// Bytes that are out.
    #[must_use]
    pub fn used(&self) -> usize {
        self.account.used.get()
    }

    /// Bytes that may be out at most.
    #[must_use]
    pub fn max(&self) -> usize {
        self.account.max
    }
}

impl Permit {
    /// Takes `bytes` more; false, and nothing is taken, when so many are not free.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let grown = self.account.take(bytes);
        if grown {
            self.bytes += bytes;
        }
        grown
    }

    /// Gives back what exceeds `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let back = self.bytes.saturating_sub(bytes);
        self.bytes -= back;
        self.account.used.set(self.account.used.get() - back);
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_refuses_what_is_not_free_and_gets_everything_back() {
        let budget = Budget::new(100);
        let mut first = budget.try_take(60).unwrap();
        assert!(budget.try_take(41).is_none());
        assert!(first.grow(40));
        assert!(!first.grow(1));
        assert_eq!((budget.used(), first.bytes(), budget.max()), (100, 100, 100));
        first.shrink_to(30);
        let second = budget.clone().try_take(70).unwrap();
        assert!(budget.try_take(1).is_none());
        drop(first);
        assert_eq!(budget.used(), 70);
        drop(second);
        assert_eq!(budget.used(), 0);
        assert!(budget.try_take(usize::MAX).is_none());
    }
}
