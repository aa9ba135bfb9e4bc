//! `SORT` (RFC 5256): what was found, in the order of keys that digests have ready.

use std::cmp::Ordering;

use mail::mailbox::{Entry, View};
use proto::imap::command::{Sort, SortKey};
use proto::imap::respond::write_sort;
use proto::imap::{Code, Completion};
use proto::mime::Digest;

use super::home::{Home, Manner};
use super::search::find;
use super::turns::{Halt, Turns};

/// Messages that are sorted or threaded at most: all their keys are in memory.
pub(super) const MESSAGES_MAX: usize = 200_000;
/// More than that.
pub(super) const TOO_MANY: Completion = Completion::no("Too many messages, search for fewer");
/// Digests that are read together.
pub(super) const TOGETHER: usize = 256;

/// What two messages are compared by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(u64),
    Text(Box<str>),
}

/// A message and its values, one a key.
struct Sorted {
    uid: u32,
    values: Vec<Value>,
}

/// `SORT`
pub(super) async fn sort(home: &mut Home, sort: Sort, _: &Manner, out: &mut Vec<u8>) -> Completion {
    let mut turns = Turns::begin();
    let found = match find(home, &sort.search, &mut turns).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if found.uids.len() > MESSAGES_MAX {
        return TOO_MANY.with(Code::Limit);
    }
    let Some(view) = home.view.as_deref() else { return Completion::ok("Sorted") };
    let mut all = Vec::with_capacity(found.uids.len());
    for some in found.uids.chunks(TOGETHER) {
        match values(view, some, &sort.by, &mut turns).await {
            Ok(sorted) => all.extend(sorted),
            Err(halt) => return halt.into(),
        }
    }
    all.sort_unstable_by(|one, other| order(one, other, &sort.by));
    let modseq = found.modseq.filter(|_| !all.is_empty());
    let numbers = all.iter().filter_map(|message| {
        if sort.search.uid { Some(message.uid) } else { view.number(message.uid) }
    });
    write_sort(numbers, modseq, out);
    Completion::ok("Sorted")
}

async fn values(
    view: &View,
    uids: &[u32],
    by: &[(SortKey, bool)],
    turns: &mut Turns,
) -> Result<Vec<Sorted>, Halt> {
    turns.give().await?;
    let digests = view.digests(uids).await?;
    let entries = uids.iter().map(|uid| view.entry(*uid));
    let there = entries.zip(digests).filter_map(|(entry, digest)| Some((entry?, digest?)));
    let sorted = there.map(|(entry, digest)| Sorted {
        uid: entry.uid,
        values: by.iter().map(|(key, _)| value(*key, &entry, &digest)).collect(),
    });
    Ok(sorted.collect())
}

fn value(key: SortKey, entry: &Entry, digest: &Digest) -> Value {
    match key {
        SortKey::Arrival => Value::Number(entry.internal.0),
        // Without a date of its own the internal one counts (RFC 5256 §2.2).
        SortKey::Date => Value::Number(digest.sent.unwrap_or(entry.internal).0),
        SortKey::Size => Value::Number(entry.size.into()),
        SortKey::Cc => Value::Text(digest.sort.cc.clone()),
        SortKey::From => Value::Text(digest.sort.from.clone()),
        SortKey::To => Value::Text(digest.sort.to.clone()),
        SortKey::Subject => Value::Text(digest.base_subject.clone()),
    }
}

/// The first key that differs decides; behind them the message's place (§3).
fn order(one: &Sorted, other: &Sorted, by: &[(SortKey, bool)]) -> Ordering {
    for ((a, b), (_, is_reverse)) in one.values.iter().zip(&other.values).zip(by) {
        match a.cmp(b) {
            Ordering::Equal => {}
            decided if *is_reverse => return decided.reverse(),
            decided => return decided,
        }
    }
    one.uid.cmp(&other.uid)
}
