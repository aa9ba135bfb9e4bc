//! Sets of message numbers and UIDs (RFC 9051 §9, `sequence-set`; RFC 5182 §2, `$`).
//!
//! A [`SequenceSet`] is what a client says, `*` and all; [`Ranges`] are the numbers it comes to: in
//! order, apart, and as few as can be, so that a set over a whole mailbox takes eight octets.

use smallvec::SmallVec;

use super::{Cursor, Fault, Parsed};
use crate::imap::respond::push_number;

/// `*` while it is not known what it is: no message has this number.
const STAR: u32 = 0;

/// Which messages a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Messages {
    /// These.
    Set(SequenceSet),
    /// Those that the last `SEARCH RETURN (SAVE)` found (`$`).
    Saved,
}

/// Numbers as a client gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceSet(SmallVec<[(u32, u32); 2]>);

impl SequenceSet {
    /// What the set comes to when `last` is the greatest number in use, and so what `*` means. With
    /// none in use (0), `*` and every range to it mean nothing. Numbers beyond `last` stay.
    #[must_use]
    pub fn resolve(&self, last: u32) -> Ranges {
        let known = |number| if number == STAR { last } else { number };
        let mut spans: SmallVec<[(u32, u32); 2]> = (self.0.iter())
            .map(|(from, to)| (known(*from), known(*to)))
            .filter(|(from, to)| *from != 0 && *to != 0)
            .map(|(from, to)| (from.min(to), from.max(to)))
            .collect();
        spans.sort_unstable();
        let mut ranges = Ranges::default();
        for (from, to) in spans {
            ranges.push_range(from, to);
        }
        ranges
    }

    /// The greatest number that is named; 0 when it is only `*`. A sequence number above that of the
    /// last message is an error (RFC 9051 §6.4, §9); a UID is not.
    #[must_use]
    pub fn greatest_named(&self) -> u32 {
        self.0.iter().map(|(from, to)| *from.max(to)).max().unwrap_or(0)
    }

    pub(in crate::imap) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let mut spans = SmallVec::new();
        loop {
            cursor.count()?;
            let from = Self::number(cursor)?;
            let to = if cursor.eat(b':') { Self::number(cursor)? } else { from };
            spans.push((from, to));
            if !cursor.eat(b',') {
                return Ok(Self(spans));
            }
        }
    }

    /// A set without `*`, as `known-uids` are (RFC 7162 §7).
    pub(in crate::imap) fn read_known(cursor: &mut Cursor<'_>) -> Parsed<Ranges> {
        let set = Self::read(cursor)?;
        if set.0.iter().any(|(from, to)| *from == STAR || *to == STAR) {
            return Err(Fault::Syntax("This set has no *"));
        }
        Ok(set.resolve(0))
    }

    fn number(cursor: &mut Cursor<'_>) -> Parsed<u32> {
        if cursor.eat(b'*') { Ok(STAR) } else { cursor.nz_number() }
    }
}

impl Messages {
    pub(in crate::imap) fn read(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        if cursor.eat(b'$') { Ok(Self::Saved) } else { SequenceSet::read(cursor).map(Self::Set) }
    }
}

/// Numbers in order, as ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(SmallVec<[(u32, u32); 2]>);

impl Ranges {
    /// Adds `number`, which is not below any that was added.
    pub fn push(&mut self, number: u32) {
        self.push_range(number, number);
    }

    /// Adds `from..=to`, where `from` is not below the start of any range that was added.
    pub fn push_range(&mut self, from: u32, to: u32) {
        match self.0.last_mut() {
            Some((first, last)) if from <= last.saturating_add(1) => {
                debug_assert!(from >= *first, "out of order");
                *last = to.max(*last);
            }
            _ => self.0.push((from, to)),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many numbers.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| u64::from(to - from) + 1).sum()
    }

    /// Whether `number` is one of them.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let after = self.0.partition_point(|(from, _)| *from <= number);
        after > 0 && number <= self.0[after - 1].1
    }

    /// The ranges, first and last included.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = std::ops::RangeInclusive<u32>> + '_ {
        self.0.iter().map(|(from, to)| *from..=*to)
    }

    /// Each number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.ranges().flatten()
    }

    /// The smallest.
    #[must_use]
    pub fn first(&self) -> Option<u32> {
        self.0.first().map(|(from, _)| *from)
    }

    /// The greatest.
    #[must_use]
    pub fn last(&self) -> Option<u32> {
        self.0.last().map(|(_, to)| *to)
    }

    /// Appends the set as `1:3,5`; nothing when it is empty.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (at, (from, to)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            push_number(u64::from(*from), out);
            if from != to {
                out.push(b':');
                push_number(u64::from(*to), out);
            }
        }
    }
}

/// Numbers in any order.
impl FromIterator<u32> for Ranges {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut numbers: Vec<u32> = numbers.into_iter().collect();
        numbers.sort_unstable();
        let mut ranges = Self::default();
        for number in numbers {
            ranges.push(number);
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::imap::syntax::Bounds;

    const BOUNDS: Bounds = Bounds { items_max: 100, depth_max: 1 };

    fn read(text: &str) -> Parsed<SequenceSet> {
        let mut cursor = Cursor::new(text.as_bytes(), false, BOUNDS);
        let set = SequenceSet::read(&mut cursor)?;
        cursor.end().map(|()| set)
    }

    fn resolved(text: &str, last: u32) -> String {
        written(&read(text).unwrap().resolve(last))
    }

    fn written(ranges: &Ranges) -> String {
        let mut out = Vec::new();
        ranges.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc_9051_examples() {
        // §9: 2,4:7,9,12:* with 15 messages; *:4,5:7 with 10.
        assert_eq!(resolved("2,4:7,9,12:*", 15), "2,4:7,9,12:15");
        assert_eq!(resolved("*:4,5:7", 10), "4:10");
        assert_eq!(resolved("3:1,2,4", 9), "1:4");
        assert_eq!(resolved("4294967295:*", 7), "7:4294967295");
        assert_eq!(resolved("*,1:*", 0), "");
        assert_eq!(read("2:*,7").unwrap().greatest_named(), 7);
        assert_eq!(read("*").unwrap().greatest_named(), 0);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "0", "1,", ",1", "1:", ":1", "1-2", "1:2:3", "a", "1,0:2", "4294967296"] {
            assert!(matches!(read(text), Err(Fault::Syntax(_))), "{text}");
        }
        let many = vec!["1"; 101].join(",");
        assert_eq!(read(&many), Err(Fault::Limit("Too many items")));
    }

    proptest! {
        #[test]
        fn ranges_hold_what_was_put_in(numbers in proptest::collection::vec(1u32..60, 0..40)) {
            let ranges: Ranges = numbers.iter().copied().collect();
            for number in 0..70 {
                prop_assert_eq!(ranges.contains(number), numbers.contains(&number));
            }
            prop_assert_eq!(ranges.count(), ranges.iter().count() as u64);
            prop_assert_eq!(ranges.first(), numbers.iter().min().copied());
            prop_assert_eq!(ranges.last(), numbers.iter().max().copied());
            let text = written(&ranges);
            if !ranges.is_empty() {
                prop_assert_eq!(read(&text).unwrap().resolve(60), ranges);
            }
        }
    }
}
