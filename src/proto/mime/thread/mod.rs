//! THREAD (RFC 5256): which messages belong together, from what their digests say.
//!
//! Both algorithms take the messages that were searched, in the order of their sequence numbers.
//! What must stay true: each message stands in the result once, nothing is recursive, and memory
//! and time are bounded by the messages and their references (whose number the digest bounds).

mod links;
mod references;
mod subject;

use std::io::Write as _;

pub use links::work_octets;
pub use references::references;
pub use subject::ordered_subject;

use super::References;
use crate::types::Timestamp;

/// What threading knows of a message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What the answer calls it: its sequence number or its UID.
    pub number: u32,
    /// Its identifier and ancestors.
    pub ids: &'a References,
    /// Its base subject, as the digest has it: ready to be compared.
    pub base_subject: &'a str,
    /// Its subject is that of a reply or forward.
    pub is_reply: bool,
    /// When it was sent, or else its internal date.
    pub sent: Timestamp,
}

/// Threads: trees of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    /// Each message is followed by those below it.
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    /// `None` at the top of a thread whose first message is not there.
    number: Option<u32>,
    descendants: u32,
}

/// What is still to be written.
enum Todo {
    /// `(`, the message, and `)`.
    List(usize),
    /// The message and what follows it in its list.
    Message(usize),
    Close,
}

impl Threads {
    /// Whether there is no message.
    pub const fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Appends the `thread-list`s of an untagged THREAD response: `(2)(3 6 (4 23)(44 7 96))`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut todo = Vec::new();
        for root in self.siblings(0, self.nodes.len()) {
            todo.push(Todo::List(root));
            while let Some(next) = todo.pop() {
                self.write_next(&next, &mut todo, out);
            }
        }
    }

    fn write_next(&self, next: &Todo, todo: &mut Vec<Todo>, out: &mut Vec<u8>) {
        match *next {
            Todo::List(at) => {
                out.push(b'(');
                todo.extend([Todo::Close, Todo::Message(at)]);
            }
            Todo::Close => out.push(b')'),
            Todo::Message(at) => {
                let Node { number, descendants } = self.nodes[at];
                if let Some(number) = number {
                    // Writing to a Vec cannot fail.
                    let _ = write!(out, "{number}");
                    out.extend_from_slice(if descendants > 0 { b" " } else { b"" });
                }
                let mut below = self.siblings(at + 1, at + 1 + descendants as usize);
                match (below.next(), below.next()) {
                    (None, _) => {}
                    (Some(only), None) => todo.push(Todo::Message(only)),
                    (Some(_), Some(_)) => {
                        let first = todo.len();
                        let below = self.siblings(at + 1, at + 1 + descendants as usize);
                        todo.extend(below.map(Todo::List));
                        todo[first..].reverse();
                    }
                }
            }
        }
    }

    /// The uppermost nodes of a range.
    fn siblings(&self, start: usize, end: usize) -> impl Iterator<Item = usize> {
        let mut next = start;
        std::iter::from_fn(move || {
            let at = (next < end).then_some(next)?;
            next = at + 1 + self.nodes[at].descendants as usize;
            Some(at)
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::mime) fn written(threads: &Threads) -> String {
        let mut out = Vec::new();
        threads.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn threads(nodes: &[(u32, u32)]) -> String {
        let node = |(number, descendants): &(u32, u32)| Node {
            number: (*number > 0).then_some(*number),
            descendants: *descendants,
        };
        written(&Threads { nodes: nodes.iter().map(node).collect() })
    }

    /// The examples of RFC 5256 §4.
    #[test]
    fn threads_are_written_as_the_grammar_has_them() {
        let nodes = [(2, 0), (3, 6), (6, 5), (4, 1), (23, 0), (44, 2), (7, 1), (96, 0)];
        assert_eq!(threads(&nodes), "(2)(3 6 (4 23)(44 7 96))");
        assert_eq!(threads(&[(0, 2), (3, 0), (5, 0)]), "((3)(5))");
        assert_eq!(threads(&[(0, 1), (3, 0)]), "(3)");
        assert_eq!(threads(&[]), "");
    }

    #[test]
    fn deep_threads_are_written() {
        let depth = 100_000;
        let nodes: Vec<_> = (0..depth).map(|at| (at + 1, depth - at - 1)).collect();
        assert!(threads(&nodes).starts_with("(1 2 3 "));
    }
}
