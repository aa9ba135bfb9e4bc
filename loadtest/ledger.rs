//! The ledger: what became of every recipient of every message, exactly.
//!
//! One octet a recipient, shared by source and sink: whether the server took it, refused it, bounced
//! it, and how often it arrived. Every entry is changed by one atomic step that returns what was
//! before, so the count of what is still owed is exact while the run goes on. An entry never goes back. Memory
//! grows with the numbers that are used, in pieces; numbers past [`ENTRIES_MAX`] are not taken.

use std::sync::{
    OnceLock,
    atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
};

use crate::result;

/// Entries of a piece.
const PIECE: u64 = 1 << 16;
/// Recipients that one run can account for.
pub const ENTRIES_MAX: u64 = 1 << 32;
/// Lost recipients that are named.
const SAMPLES: usize = 20;

const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;
const BOUNCED: u8 = 4;
/// Arrivals are counted above this bit, 31 at most.
const ARRIVAL: u8 = 8;
const ARRIVALS_MAX: u8 = 31;

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    stride: u64,
    pieces: Vec<OnceLock<Box<[AtomicU8]>>>,
    counts: Counts,
}

/// Running totals; each is exact, but they are read one after the other.
#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    /// Accepted, and arrived or bounced.
    settled: AtomicU64,
    arrivals: AtomicU64,
    duplicated: AtomicU64,
    changed: AtomicU64,
    last_us: AtomicU64,
}

impl Ledger {
    /// A ledger for messages of up to `recipients_max` recipients.
    #[must_use]
    pub fn new(recipients_max: u64) -> Self {
        let pieces = (0..ENTRIES_MAX / PIECE).map(|_| OnceLock::new()).collect();
        Self { stride: recipients_max.max(1), pieces, counts: Counts::default() }
    }

    /// How many messages it can account for.
    #[must_use]
    pub fn messages_max(&self) -> u64 {
        ENTRIES_MAX / self.stride
    }

    fn entry(&self, number: u64, recipient: u64) -> Option<&AtomicU8> {
        if recipient >= self.stride || number >= self.messages_max() {
            return None;
        }
        let at = number * self.stride + recipient;
        let piece = self.pieces.get((at / PIECE) as usize)?;
        let piece = piece.get_or_init(|| (0..PIECE).map(|_| AtomicU8::new(0)).collect());
        piece.get((at % PIECE) as usize)
    }

    /// The server said 250 for it.
    pub fn accept(&self, number: u64, recipient: u64) {
        let Some(entry) = self.entry(number, recipient) else { return };
        let before = entry.fetch_or(ACCEPTED, Relaxed);
        if before & ACCEPTED == 0 {
            self.counts.accepted.fetch_add(1, Relaxed);
            self.settle(before & BOUNCED != 0 || before >= ARRIVAL);
        }
    }

    /// The server refused it.
    pub fn refuse(&self, number: u64, recipient: u64) {
        if let Some(entry) = self.entry(number, recipient) {
            entry.fetch_or(REFUSED, Relaxed);
        }
    }

    /// It arrived, `at_us` of the monotonic clock; `same` when its octets were those that were sent.
    pub fn arrive(&self, number: u64, recipient: u64, same: bool, at_us: u64) {
        let Some(entry) = self.entry(number, recipient) else { return };
        let counted = entry.fetch_update(Relaxed, Relaxed, |now| {
            (now / ARRIVAL < ARRIVALS_MAX).then_some(now.wrapping_add(ARRIVAL))
        });
        let (Ok(before) | Err(before)) = counted;
        self.counts.arrivals.fetch_add(1, Relaxed);
        self.counts.changed.fetch_add(u64::from(!same), Relaxed);
        self.counts.last_us.fetch_max(at_us, Relaxed);
        if before >= ARRIVAL {
            self.counts.duplicated.fetch_add(1, Relaxed);
        } else {
            self.settle(before & ACCEPTED != 0 && before & BOUNCED == 0);
        }
    }

    /// A bounce came for it; for `None` the bounce does not say for whom, and means all of the message.
    pub fn bounce(&self, number: u64, recipient: Option<u64>, at_us: u64) {
        let recipients = recipient.map_or(0..self.stride, |one| one..one + 1);
        for recipient in recipients {
            let Some(entry) = self.entry(number, recipient) else { return };
            let before = entry.fetch_or(BOUNCED, Relaxed);
            self.settle(before & (ACCEPTED | BOUNCED) == ACCEPTED && before < ARRIVAL);
        }
        self.counts.last_us.fetch_max(at_us, Relaxed);
    }

    fn settle(&self, one: bool) {
        if one {
            self.counts.settled.fetch_add(1, Relaxed);
        }
    }

    /// Recipients that were accepted and neither arrived nor bounced yet.
    #[must_use]
    pub fn owed(&self) -> u64 {
        let settled = self.counts.settled.load(Relaxed);
        self.counts.accepted.load(Relaxed).saturating_sub(settled)
    }

    /// Arrivals so far, duplicates among them.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.counts.arrivals.load(Relaxed)
    }

    /// When the last message or bounce came, of the monotonic clock; zero before the first.
    #[must_use]
    pub fn last_us(&self) -> u64 {
        self.counts.last_us.load(Relaxed)
    }

    /// Messages of which the server took at least one recipient, ascending.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<u64> {
        let mut numbers = Vec::new();
        self.each(|number, _, entry| {
            if entry & ACCEPTED != 0 && numbers.last() != Some(&number) {
                numbers.push(number);
            }
        });
        numbers
    }

    /// The account of everything.
    #[must_use]
    pub fn close(&self) -> result::Ledger {
        let mut account = result::Ledger {
            duplicated: self.counts.duplicated.load(Relaxed),
            changed: self.counts.changed.load(Relaxed),
            ..result::Ledger::default()
        };
        self.each(|number, recipient, entry| {
            let arrived = entry >= ARRIVAL;
            if entry & ACCEPTED != 0 {
                account.accepted += 1;
                if arrived {
                    account.delivered += 1;
                } else if entry & BOUNCED != 0 {
                    account.bounced += 1;
                } else {
                    account.lost += 1;
                    if account.lost_samples.len() < SAMPLES {
                        account.lost_samples.push(format!("{number}:{recipient}"));
                    }
                }
            } else if arrived && entry & REFUSED != 0 {
                account.refused_yet_delivered += 1;
            } else if arrived {
                account.unacknowledged += 1;
            }
        });
        account
    }

    fn each(&self, mut visit: impl FnMut(u64, u64, u8)) {
        for (piece, entries) in (0..).zip(&self.pieces) {
            let Some(entries) = entries.get() else { continue };
            for (at, entry) in (piece * PIECE..).zip(entries) {
                match entry.load(Relaxed) {
                    0 => {}
                    entry => visit(at / self.stride, at % self.stride, entry),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_fate_is_told_apart() {
        let ledger = Ledger::new(2);
        for number in 0..5 {
            ledger.accept(number, 0);
        }
        ledger.arrive(0, 0, true, 1); // delivered
        ledger.arrive(1, 0, true, 2); // delivered twice, the second one changed
        ledger.arrive(1, 0, false, 3);
        ledger.bounce(2, None, 4); // bounced
        ledger.bounce(3, Some(0), 5); // bounced and delivered: it arrived
        ledger.arrive(3, 0, true, 6);
        ledger.arrive(8, 1, true, 7); // never acknowledged
        ledger.refuse(9, 0); // refused, and yet it came
        ledger.arrive(9, 0, true, 8);
        assert_eq!((ledger.owed(), ledger.last_us()), (1, 8));
        let account = ledger.close();
        let seen = [
            account.accepted,
            account.delivered,
            account.bounced,
            account.lost,
            account.duplicated,
            account.changed,
            account.unacknowledged,
            account.refused_yet_delivered,
        ];
        assert_eq!(seen, [5, 3, 1, 1, 1, 1, 1, 1]);
        assert_eq!(account.lost_samples, ["4:0"]);
        assert_eq!(ledger.acknowledged(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn numbers_it_cannot_account_for_are_left_out() {
        let ledger = Ledger::new(1);
        ledger.accept(u64::MAX, 0);
        ledger.accept(0, 1);
        ledger.arrive(ledger.messages_max(), 0, true, 1);
        assert_eq!((ledger.owed(), ledger.arrivals()), (0, 0));
    }

    proptest! {
        /// In whatever order things happen, what is owed is what the account calls lost.
        #[test]
        fn what_is_owed_is_what_is_lost(steps in proptest::collection::vec((0..4_u8, 0..6_u64, 0..3_u64), 0..200)) {
            let ledger = Ledger::new(3);
            for (what, number, recipient) in steps {
                match what {
                    0 => ledger.accept(number, recipient),
                    1 => ledger.arrive(number, recipient, true, 0),
                    2 => ledger.bounce(number, Some(recipient), 0),
                    _ => ledger.bounce(number, None, 0),
                }
            }
            let account = ledger.close();
            prop_assert_eq!(ledger.owed(), account.lost);
            prop_assert_eq!(account.accepted, account.delivered + account.bounced + account.lost);
        }
    }
}
