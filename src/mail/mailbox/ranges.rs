//! Sets of UIDs as ranges, both ends included, in order and apart.

/// A set of UIDs.
pub type Ranges = Vec<(u32, u32)>;

/// Of sorted UIDs.
pub(super) fn of(uids: &[u32]) -> Ranges {
    let mut ranges = Ranges::new();
    uids.iter().for_each(|uid| push(&mut ranges, (*uid, *uid)));
    ranges
}

/// Of ranges in any order.
pub(super) fn merged(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut merged = Ranges::new();
    ranges.into_iter().for_each(|range| push(&mut merged, range));
    merged
}

/// Adds a range that does not begin before the last.
fn push(ranges: &mut Ranges, (first, last): (u32, u32)) {
    match ranges.last_mut() {
        Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
        _ => ranges.push((first, last)),
    }
}

/// What is in both.
pub(super) fn common(one: &[(u32, u32)], other: &[(u32, u32)]) -> Ranges {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    let mut both = Ranges::new();
    while let (Some(a), Some(b)) = (one.peek(), other.peek()) {
        let (first, last) = (a.0.max(b.0), a.1.min(b.1));
        if first <= last {
            push(&mut both, (first, last));
        }
        if a.1 <= b.1 {
            one.next()
        } else {
            other.next()
        };
    }
    both
}

/// What is from 1 to `last` and not among the sorted `uids`.
pub(super) fn missing(uids: impl IntoIterator<Item = u32>, last: u32) -> Ranges {
    let mut ranges = Ranges::new();
    let mut next = 1;
    for uid in uids.into_iter().take_while(|uid| *uid <= last) {
        if uid > next {
            ranges.push((next, uid - 1));
        }
        next = uid.saturating_add(1);
    }
    if next <= last {
        ranges.push((next, last));
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_uids() {
        assert_eq!(of(&[1, 2, 3, 7, 9, 10]), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!(merged(vec![(9, 9), (1, 4), (2, 3), (5, 5)]), [(1, 5), (9, 9)]);
        assert_eq!(common(&[(1, 5), (9, 20)], &[(3, 10), (15, 15)]), [(3, 5), (9, 10), (15, 15)]);
        assert_eq!(common(&[(1, 5)], &[]), []);
        assert_eq!(missing([2, 3, 6], 8), [(1, 1), (4, 5), (7, 8)]);
        assert_eq!(missing([], 3), [(1, 3)]);
        assert_eq!(missing([1, 2], 2), []);
        assert_eq!(merged(vec![(u32::MAX, u32::MAX), (1, u32::MAX)]), [(1, u32::MAX)]);
    }
}
