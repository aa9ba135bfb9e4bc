//! The maildrop: its messages as they were when it was opened, and which are marked as deleted.
//!
//! What must stay true: the number of a message does not change while the session lasts, whatever
//! others do to the mailbox (RFC 1939 §4); a mark is all that `DELE` leaves, and `RSET` takes it away.

use super::{Refusal, command, replies};

/// The messages of a maildrop, from 0 on; clients count from 1. A driver keeps here what it needs to
/// find a message again.
pub trait Maildrop {
    /// How many there are.
    fn len(&self) -> u32;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of message `index` as they are sent, line ends as CRLF, without stuffed dots.
    fn octets(&self, index: u32) -> u64;

    /// Appends the unique id of message `index`: 1 to 70 octets from `!` to `~`, that stay the same for
    /// good and are never given to another (RFC 1939 §7, UIDL).
    fn write_uid(&self, index: u32, out: &mut Vec<u8>);
}

/// Bits in one word of marks.
const WORD_BITS: u32 = u64::BITS;

/// A maildrop and its marks.
#[derive(Debug)]
pub(super) struct Opened<M> {
    messages: M,
    /// A bit a message; empty until one is marked.
    marks: Vec<u64>,
    /// Those that are not marked, and their octets.
    left: u32,
    left_octets: u64,
}

impl<M: Maildrop> Opened<M> {
    pub(super) fn new(messages: M) -> Self {
        let mut opened = Self { messages, marks: Vec::new(), left: 0, left_octets: 0 };
        opened.unmark_all();
        opened
    }

    /// Finds a message that is there and not marked, by the number that the client gives.
    pub(super) fn find(&self, number: &str) -> Result<u32, Refusal> {
        let number = command::number(number)?;
        let count = self.messages.len();
        match number.checked_sub(1).filter(|index| *index < count) {
            Some(index) if self.is_marked(index) => Err(replies::DELETED),
            Some(index) => Ok(index),
            None => {
                let text = format!("No such message, there are {count}");
                Err(Refusal::made(None, text))
            }
        }
    }

    pub(super) fn is_marked(&self, index: u32) -> bool {
        let word = self.marks.get((index / WORD_BITS) as usize);
        word.is_some_and(|word| *word & 1_u64 << (index % WORD_BITS) != 0)
    }

    /// Marks a message that is not marked.
    pub(super) fn mark(&mut self, index: u32) {
        if self.marks.is_empty() {
            self.marks = vec![0; self.messages.len().div_ceil(WORD_BITS) as usize];
        }
        if let Some(word) = self.marks.get_mut((index / WORD_BITS) as usize) {
            *word |= 1_u64 << (index % WORD_BITS);
            self.left = self.left.saturating_sub(1);
            self.left_octets = self.left_octets.saturating_sub(self.messages.octets(index));
        }
    }

    pub(super) fn unmark_all(&mut self) {
        self.marks = Vec::new();
        self.left = self.messages.len();
        let octets = (0..self.left).map(|index| self.messages.octets(index));
        self.left_octets = octets.fold(0, u64::saturating_add);
    }

    pub(super) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// The marked ones in order.
    pub(super) fn marked(&self) -> impl Iterator<Item = u32> {
        let count = if self.has_marks() { self.messages.len() } else { 0 };
        (0..count).filter(move |index| self.is_marked(*index))
    }

    pub(super) fn messages(&self) -> &M {
        &self.messages
    }

    /// How many are not marked.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// Octets of those that are not marked.
    pub(super) fn left_octets(&self) -> u64 {
        self.left_octets
    }

    /// `2 messages (320 octets)`, without the marked ones.
    pub(super) fn write_contents(&self, out: &mut Vec<u8>) {
        replies::contents(self.left, self.left_octets, out);
    }
}
