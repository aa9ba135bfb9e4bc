//! Asking all shards at once, and making one answer of many.
//!
//! What must stay true: every shard is asked before any is waited for; one that is silent becomes a
//! warning after [`SHARD_PATIENCE`] and holds nobody else up. A merged list is in the order of ids
//! (arrival) over all queues, and its `next` never skips a message: rows beyond the first queue that
//! was not read to its end are left for the next page.

use std::collections::BTreeMap;

use mail::queue::{Answer, Command, Detail, Filter, MessageId, Row};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::request::{Done, List, Refused};
use super::{Hub, SHARD_PATIENCE};

/// Pages asked of the shards for one page of ours: queues may return short ones.
const ROUNDS_MAX: usize = 64;

/// Asks every shard and gives back `(shard, answer)` and a warning for each that was silent.
pub(super) async fn each_shard<T>(
    hub: &dyn Hub,
    ask: impl Fn(usize) -> oneshot::Receiver<T>,
) -> (Vec<(usize, T)>, Vec<String>) {
    let asked: Vec<_> = (0..hub.shards()).map(&ask).collect();
    let until = Instant::now() + SHARD_PATIENCE;
    let mut answers = Vec::with_capacity(asked.len());
    let mut warnings = Vec::new();
    for (shard, receiver) in asked.into_iter().enumerate() {
        match timeout_at(until, receiver).await {
            Ok(Ok(answer)) => answers.push((shard, answer)),
            Ok(Err(_)) => warnings.push(format!("shard {shard} cannot answer")),
            Err(_) => {
                let seconds = SHARD_PATIENCE.as_secs();
                warnings.push(format!("shard {shard} did not answer within {seconds} s"));
            }
        }
    }
    (answers, warnings)
}

/// Puts one command to all queues.
async fn ask_queues(hub: &dyn Hub, command: &Command) -> (Vec<Answer>, Vec<String>) {
    let (shards, mut warnings) = each_shard(hub, |shard| hub.queue(shard, command.clone())).await;
    let mut answers = Vec::new();
    for (shard, results) in shards {
        for result in results {
            match result {
                Ok(answer) => answers.push(answer),
                Err(error) => warnings.push(format!("a queue of shard {shard}: {error}")),
            }
        }
    }
    (answers, warnings)
}

/// One page over all queues.
pub(super) async fn list(
    hub: &dyn Hub,
    filter: &Filter,
    limit: usize,
    mut after: Option<MessageId>,
) -> Result<List, Refused> {
    let mut page = List::default();
    let until = Instant::now() + SHARD_PATIENCE;
    for _ in 0..ROUNDS_MAX {
        let wanted = limit - page.rows.len();
        let command = Command::List { filter: filter.clone(), limit: wanted, after };
        let (answers, warnings) = ask_queues(hub, &command).await;
        if answers.is_empty() {
            return Err(nobody(&warnings));
        }
        let (rows, next) = merge(answers, wanted);
        page.rows.extend(rows);
        page.next = next;
        page.warnings = warnings;
        after = next;
        let is_enough = page.rows.len() >= limit || next.is_none();
        // A shard that is silent would cost its patience again each round.
        if is_enough || !page.warnings.is_empty() || Instant::now() >= until {
            break;
        }
    }
    Ok(page)
}

/// Rows of all queues in order, up to where every queue has been read, and where to go on.
fn merge(answers: Vec<Answer>, limit: usize) -> (Vec<Row>, Option<MessageId>) {
    let mut rows = BTreeMap::new();
    let mut read_to: Option<MessageId> = None;
    for answer in answers {
        let Answer::List { rows: theirs, next } = answer else { continue };
        rows.extend(theirs.into_iter().map(|row| (row.id, row)));
        read_to = match (read_to, next) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
    }
    if let Some(end) = read_to {
        rows.retain(|id, _| *id <= end);
    }
    if rows.len() > limit {
        let rows: Vec<_> = rows.into_values().take(limit).collect();
        let next = rows.last().map(|row| row.id);
        return (rows, next);
    }
    (rows.into_values().collect(), read_to)
}

/// The one queue that knows the message says everything about it.
pub(super) async fn show(hub: &dyn Hub, id: MessageId) -> Result<Detail, Refused> {
    let (answers, warnings) = ask_queues(hub, &Command::Show { id }).await;
    let found = answers.into_iter().find_map(|answer| match answer {
        Answer::Show { detail } => detail,
        _ => None,
    });
    match found {
        Some(detail) => Ok(*detail),
        None if warnings.is_empty() => Err(Refused(format!("there is no message {id}"))),
        None => Err(Refused(format!("no message {id} was found, but {}", warnings.join("; ")))),
    }
}

/// Flush, hold, release, delete: counts add up.
pub(super) async fn act(hub: &dyn Hub, command: &Command) -> Result<Done, Refused> {
    let (answers, warnings) = ask_queues(hub, command).await;
    if answers.is_empty() {
        return Err(nobody(&warnings));
    }
    let count = answers
        .iter()
        .map(|answer| if let Answer::Done { count } = answer { *count } else { 0 })
        .sum();
    Ok(Done { count, warnings })
}

fn nobody(warnings: &[String]) -> Refused {
    if warnings.is_empty() {
        Refused("there is no queue".into())
    } else {
        Refused(warnings.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use mail::queue::Phase;
    use proptest::prelude::*;
    use proto::types::Timestamp;

    use super::*;

    fn row(id: u64) -> Row {
        Row {
            id: MessageId(id),
            sender: None,
            recipients: Vec::new(),
            recipients_count: 0,
            size: 0,
            arrived: Timestamp(0),
            phase: Phase::Waiting,
            due: None,
        }
    }

    /// A page of a queue that looks at `scan` messages a call, as queues do.
    fn page(queue: &[u64], limit: usize, scan: usize, after: u64) -> Answer {
        let mut ids = queue.iter().copied().filter(|id| *id > after);
        let seen: Vec<u64> = ids.by_ref().take(scan.min(limit)).collect();
        let next = if ids.next().is_some() { seen.last().copied().map(MessageId) } else { None };
        // Odd ids pass the filter.
        Answer::List { rows: seen.into_iter().filter(|id| id % 2 == 1).map(row).collect(), next }
    }

    proptest! {
        #[test]
        fn pages_together_are_everything_in_order(
            queues in prop::collection::vec(prop::collection::btree_set(1_u64..500, 0..60), 1..5),
            limit in 1_usize..20,
            scan in 1_usize..20,
        ) {
            // An id lives in one queue only.
            let mut taken = std::collections::BTreeSet::new();
            let queues: Vec<Vec<u64>> = queues
                .into_iter()
                .map(|queue| queue.into_iter().filter(|id| taken.insert(*id)).collect())
                .collect();
            let mut seen = Vec::new();
            let mut after = 0;
            for _ in 0..2000 {
                let answers = queues.iter().map(|queue| page(queue, limit, scan, after)).collect();
                let (rows, next) = merge(answers, limit);
                prop_assert!(rows.len() <= limit);
                seen.extend(rows.iter().map(|row| row.id.0));
                let Some(next) = next else { break };
                prop_assert!(next.0 > after);
                after = next.0;
            }
            let all: Vec<u64> = taken.into_iter().filter(|id| id % 2 == 1).collect();
            prop_assert_eq!(seen, all);
        }
    }
}
