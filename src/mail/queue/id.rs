//! The name of a message: unique over all shards and restarts, ordered by arrival within a queue.
//!
//! Milliseconds since 1970 (42 bits), the queue that made it (10 bits), a sequence (12 bits). People
//! see 13 characters of Crockford's base 32: no I, L, O, U; case does not matter when reading.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names one queued message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// A text that names no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message id: 13 letters and digits are expected, such as 01KB7Z3M9V8A2")]
pub struct IdError;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of an id as people see it.
const ID_CHARS: usize = 13;
const SHARD_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
/// Queues that ids can tell apart.
pub const QUEUES_MAX: u16 = 1 << SHARD_BITS;

impl MessageId {
    /// The first id of `queue` in the millisecond `at_ms` (since 1970).
    pub fn first(at_ms: u64, queue: u16) -> Self {
        let queue = u64::from(queue % QUEUES_MAX);
        Self((at_ms << (SHARD_BITS + SEQUENCE_BITS)) | (queue << SEQUENCE_BITS))
    }

    /// The id that follows in the same queue: the next in sequence, or the first of the next
    /// millisecond when this one's 4096 are used up.
    pub fn next(self) -> Self {
        let sequence_mask = (1 << SEQUENCE_BITS) - 1;
        if self.0 & sequence_mask == sequence_mask {
            Self::first(self.at_ms() + 1, self.queue())
        } else {
            Self(self.0 + 1)
        }
    }

    /// When it was made, milliseconds since 1970.
    #[must_use]
    pub const fn at_ms(self) -> u64 {
        self.0 >> (SHARD_BITS + SEQUENCE_BITS)
    }

    /// The queue that made it.
    #[must_use]
    pub const fn queue(self) -> u16 {
        ((self.0 >> SEQUENCE_BITS) & (QUEUES_MAX as u64 - 1)) as u16
    }

    /// Its key in the store: big-endian, so that keys sort by arrival.
    pub const fn key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// The id of a key.
    pub fn of_key(key: &[u8]) -> Option<Self> {
        Some(Self(u64::from_be_bytes(key.try_into().ok()?)))
    }

    fn text(self) -> [u8; ID_CHARS] {
        let mut text = [b'0'; ID_CHARS];
        let mut rest = self.0;
        for digit in text.iter_mut().rev() {
            *digit = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        text
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.len() != ID_CHARS {
            return Err(IdError);
        }
        text.bytes()
            .try_fold(0u64, |id, byte| Some(id.checked_mul(32)? | u64::from(digit(byte)?)))
            .map(Self)
            .ok_or(IdError)
    }
}

/// What a character stands for; letters that people confuse are taken for the digit.
fn digit(byte: u8) -> Option<u8> {
    let byte = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        byte => byte,
    };
    ALPHABET.iter().position(|known| *known == byte).map(|at| at as u8)
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back() {
        let id = MessageId::first(1_795_000_000_123, 1023);
        assert_eq!((id.at_ms(), id.queue()), (1_795_000_000_123, 1023));
        assert_eq!(MessageId::of_key(&id.key()), Some(id));
        assert_eq!(MessageId::of_key(b"short"), None);
    }

    #[test]
    fn a_used_up_millisecond_borrows_from_the_next() {
        let mut id = MessageId::first(5, 3);
        for _ in 0..4096 {
            let next = id.next();
            assert!(next > id);
            id = next;
        }
        assert_eq!(id, MessageId::first(6, 3));
    }

    #[test]
    fn text_round_trips_and_forgives() {
        for id in [0, 1, 31, 32, u64::MAX, 0x0123_4567_89ab_cdef] {
            let text = MessageId(id).to_string();
            assert_eq!(text.len(), ID_CHARS);
            assert_eq!(text.parse(), Ok(MessageId(id)));
            assert_eq!(text.to_lowercase().parse(), Ok(MessageId(id)));
        }
        assert_eq!("OOOOOOOOOOOIL".parse(), Ok(MessageId(33)));
        for text in ["", "0", "000000000000U", "00000000000000", "ZZZZZZZZZZZZZ", "00000000000é"] {
            assert_eq!(text.parse::<MessageId>(), Err(IdError), "{text}");
        }
    }

    #[test]
    fn text_sorts_like_arrival() {
        let (early, late) = (MessageId::first(1_000, 9), MessageId::first(1_001, 0));
        assert!(early < late && early.to_string() < late.to_string());
    }
}
