//! Sets of messages as a client names them, as UIDs.

use proto::imap::syntax::SequenceSet;

use super::home::Home;

/// The UIDs of the messages in `set` that have a number, sorted; `by_uid`: it is a set of UIDs.
pub(super) fn resolve(home: &Home, set: &SequenceSet, by_uid: bool) -> Vec<u32> {
    home.view.as_deref().map_or_else(Vec::new, |view| within(view.uids(), set, by_uid))
}

/// Likewise, where `uids` are the UIDs by number.
fn within(uids: &[u32], set: &SequenceSet, by_uid: bool) -> Vec<u32> {
    let last = if by_uid { uids.last().copied().unwrap_or(0) } else { uids.len() as u32 };
    let mut found = Vec::new();
    for range in set.resolve(last).ranges() {
        let (from, to) = if by_uid {
            let from = uids.partition_point(|uid| uid < range.start());
            (from, uids.partition_point(|uid| uid <= range.end()))
        } else {
            (*range.start() as usize - 1, (*range.end() as usize).min(uids.len()))
        };
        found.extend_from_slice(uids.get(from..to).unwrap_or_default());
    }
    found
}
