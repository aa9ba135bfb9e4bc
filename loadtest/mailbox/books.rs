//! What was asked of mailboxes and what was found in them; and when each was last delivered to.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::result::Ledger;

/// Messages, counted by all executors.
#[derive(Debug, Default)]
pub struct Books {
    /// That were asked for, or that the server said to hold.
    pub asked: AtomicU64,
    /// That came, of the right size.
    pub whole: AtomicU64,
    /// That came, of another size.
    pub changed: AtomicU64,
    /// Sent, but the server's word never came.
    pub doubtful: AtomicU64,
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Relaxed);
}

impl Books {
    /// Closes the account of messages that were read.
    pub fn read(&self) -> Ledger {
        let [asked, whole, changed] =
            [&self.asked, &self.whole, &self.changed].map(|counter| counter.load(Relaxed));
        Ledger {
            accepted: asked,
            delivered: (whole + changed).min(asked),
            changed,
            lost: asked.saturating_sub(whole + changed),
            duplicated: (whole + changed).saturating_sub(asked),
            ..Ledger::default()
        }
    }

    /// Closes the account of messages that were written: so many more are there now.
    pub fn written(&self, found: u64) -> Ledger {
        let [asked, doubtful] = [&self.asked, &self.doubtful].map(|counter| counter.load(Relaxed));
        let beyond = found.saturating_sub(asked);
        Ledger {
            accepted: asked,
            delivered: found.min(asked),
            lost: asked.saturating_sub(found),
            unacknowledged: beyond.min(doubtful),
            duplicated: beyond.saturating_sub(doubtful),
            ..Ledger::default()
        }
    }
}

/// One account's last delivery, for those who IDLE on it.
#[derive(Debug, Default)]
pub struct Bell {
    /// When its last octets left, [`crate::message::now_us`].
    pub rung_us: AtomicU64,
    /// Sessions that heard it.
    pub heard: AtomicU64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_or_lost() {
        let books = Books::default();
        add(&books.asked, 10);
        add(&books.doubtful, 2);
        let of = |found| {
            let ledger = books.written(found);
            [ledger.delivered, ledger.lost, ledger.unacknowledged, ledger.duplicated]
        };
        assert_eq!(of(9), [9, 1, 0, 0]);
        assert_eq!(of(12), [10, 0, 2, 0]);
        assert_eq!(of(13), [10, 0, 2, 1]);
    }

    #[test]
    fn what_was_read_is_whole_changed_or_lost() {
        let books = Books::default();
        add(&books.asked, 10);
        add(&books.whole, 7);
        add(&books.changed, 2);
        let ledger = books.read();
        assert_eq!((ledger.delivered, ledger.changed, ledger.lost), (9, 2, 1));
    }
}
