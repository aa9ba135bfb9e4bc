//! ORDEREDSUBJECT (RFC 5256 §3): messages of one base subject are one thread, two levels deep.

use super::{Message, Node, Threads};

/// Threads by base subject alone.
#[must_use]
pub fn ordered_subject(messages: &[Message<'_>]) -> Threads {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    // Of one moment, the first in the mailbox comes first.
    order.sort_by_key(|at| (messages[*at].base_subject, messages[*at].sent, *at));
    let is_same = |a: &usize, b: &usize| messages[*a].base_subject == messages[*b].base_subject;
    let mut threads: Vec<&[usize]> = order.chunk_by(is_same).collect();
    threads.sort_by_key(|thread| thread.first().map(|first| (messages[*first].sent, *first)));
    let mut nodes = Vec::with_capacity(messages.len());
    for thread in threads {
        for (nth, at) in thread.iter().enumerate() {
            let below = if nth == 0 { thread.len() - 1 } else { 0 };
            nodes.push(Node {
                number: Some(messages[*at].number),
                descendants: u32::try_from(below).unwrap_or(u32::MAX),
            });
        }
    }
    Threads { nodes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mime::{References, thread::tests::written},
        types::Timestamp,
    };

    #[test]
    fn one_subject_is_one_thread() {
        let ids = References::default();
        let message = |(number, base_subject, sent): (u32, &'static str, u64)| Message {
            number,
            ids: &ids,
            base_subject,
            is_reply: false,
            sent: Timestamp(sent),
        };
        let messages =
            [(1, "B", 50), (2, "A", 40), (3, "B", 10), (4, "B", 50), (5, "C", 40), (6, "A", 90)];
        let threads = ordered_subject(&messages.map(message));
        assert_eq!(written(&threads), "(3 (1)(4))(2 6)(5)");
        assert!(ordered_subject(&[]).is_empty());
    }
}
