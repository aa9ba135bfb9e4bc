//! `SORT` (RFC 5256): what was found, in the order of keys that digests have ready.
//!
//! What must stay true: of a digest only the keys are kept, each once, in memory that the shard has for
//! them; many messages are put in order aside. How it fails: `NO [LIMIT]`.

use std::cmp::Ordering;

use mail::mailbox::{Entry, View};
use proto::imap::command::{Sort, SortKey};
use proto::imap::respond::write_sort;
use proto::imap::{Code, Completion};
use proto::mime::Digest;

use super::home::{Home, Manner};
use super::search::find;
use super::turns::{Halt, Turns, aside};

/// Messages that are sorted or threaded at most: the keys of all are in memory.
pub(super) const MESSAGES_MAX: usize = 100_000;
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
    /// What the answer calls it.
    number: u32,
    values: Box<[Value]>,
}

/// `SORT`
pub(super) async fn sort(
    home: &mut Home,
    sort: Sort,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    match sorted(home, sort, manner).await {
        Ok((numbers, modseq)) => {
            let modseq = modseq.filter(|_| !numbers.is_empty());
            write_sort(numbers, modseq, out);
            Completion::ok("Sorted")
        }
        Err(refusal) => refusal,
    }
}

/// The numbers or UIDs in order, and the greatest mod-sequence when one was searched for.
async fn sorted(
    home: &Home,
    sort: Sort,
    manner: &Manner,
) -> Result<(Vec<u32>, Option<u64>), Completion> {
    let mut turns = Turns::begin(&manner.memory);
    let found = find(home, &sort.search, &mut turns).await?;
    if found.uids.len() > MESSAGES_MAX {
        return Err(TOO_MANY.with(Code::Limit));
    }
    let Some(view) = home.view.as_deref() else { return Ok((Vec::new(), None)) };
    let mut permit = turns.memory.begin()?;
    let mut all = Vec::with_capacity(found.uids.len());
    for some in found.uids.chunks(TOGETHER) {
        let some = values(view, some, &sort, &mut turns).await?;
        turns.memory.grow(&mut permit, some.iter().map(Sorted::octets).sum())?;
        all.extend(some);
    }
    let by = sort.by;
    let numbers = aside(all.len(), move || {
        all.sort_unstable_by(|one, other| order(one, other, &by));
        all.iter().map(|message| message.number).collect()
    });
    Ok((numbers.await?, found.modseq))
}

async fn values(
    view: &View,
    uids: &[u32],
    sort: &Sort,
    turns: &mut Turns,
) -> Result<Vec<Sorted>, Halt> {
    turns.give().await?;
    let digests = view.digests(uids).await?;
    let entries = uids.iter().map(|uid| view.entry(*uid));
    let there = entries.zip(digests).filter_map(|(entry, digest)| Some((entry?, digest?)));
    let sorted = there.filter_map(|(entry, digest)| {
        let number = if sort.search.uid { Some(entry.uid) } else { view.number(entry.uid) };
        let values = sort.by.iter().map(|(key, _)| value(*key, &entry, &digest)).collect();
        Some(Sorted { number: number?, values })
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

impl Sorted {
    /// What it takes in memory.
    fn octets(&self) -> usize {
        let texts = self.values.iter().map(|value| match value {
            Value::Number(_) => 0,
            Value::Text(text) => text.len(),
        });
        size_of::<Self>() + size_of_val(&*self.values) + texts.sum::<usize>()
    }
}

/// The first key that differs decides; behind them the message's place (§3), in which UIDs are too.
fn order(one: &Sorted, other: &Sorted, by: &[(SortKey, bool)]) -> Ordering {
    for ((a, b), (_, is_reverse)) in one.values.iter().zip(&other.values).zip(by) {
        match a.cmp(b) {
            Ordering::Equal => {}
            decided if *is_reverse => return decided.reverse(),
            decided => return decided,
        }
    }
    one.number.cmp(&other.number)
}
