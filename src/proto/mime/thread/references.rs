//! REFERENCES (RFC 5256 §3): threads by what each message refers to, then by base subject.
//!
//! What must stay true: every message is below a root, once, for links make no loop (see `links`). A
//! message that is only referred to has a place as long as threads are built.

use std::collections::HashMap;

use super::links::{Links, NONE};
use super::{Message, Node, Threads};

/// Threads by References, In-Reply-To and base subject.
#[must_use]
pub fn references(messages: &[Message<'_>]) -> Threads {
    let parents = Links::of(messages).parents;
    let mut forest = Forest::of(messages, parents);
    forest.sort_roots();
    forest.merge_subjects();
    for at in 0..forest.below.len() {
        forest.sort_below(at);
    }
    forest.sort_roots();
    forest.threads()
}

struct Forest<'a> {
    messages: &'a [Message<'a>],
    /// Below each message, and below each one that is missing.
    below: Vec<Vec<u32>>,
    roots: Vec<u32>,
}

impl<'a> Forest<'a> {
    /// Steps 2 and 3: those that are missing are taken out, except at the top of a thread that
    /// would fall apart.
    fn of(messages: &'a [Message<'a>], mut parents: Vec<u32>) -> Self {
        let count = messages.len();
        let is_missing = |at: u32| at != NONE && at as usize >= count;
        let mut path = Vec::new();
        for start in 0..count {
            // The nearest that is there, or the topmost that is missing.
            let mut above = parents[start];
            while is_missing(above) && parents[above as usize] != NONE {
                path.push(above);
                above = parents[above as usize];
            }
            parents[start] = above;
            for passed in path.drain(..) {
                parents[passed as usize] = above;
            }
        }
        let mut below: Vec<Vec<u32>> = vec![Vec::new(); parents.len()];
        let mut roots = Vec::new();
        for (at, above) in (0..).zip(&parents[..count]) {
            match below.get_mut(*above as usize) {
                Some(siblings) => siblings.push(at),
                None => roots.push(at),
            }
        }
        for (top, below) in below.iter_mut().enumerate().skip(count) {
            match below[..] {
                [] => {}
                [only] => {
                    roots.push(only);
                    below.clear();
                }
                _ => roots.extend(u32::try_from(top)),
            }
        }
        Self { messages, below, roots }
    }

    /// The message, unless it is missing.
    fn message(&self, at: u32) -> Option<&'a Message<'a>> {
        self.messages.get(at as usize)
    }

    /// The message, or the first below the one that is missing.
    fn first(&self, at: u32) -> u32 {
        if self.message(at).is_some() {
            return at;
        }
        self.below[at as usize].first().copied().unwrap_or(at)
    }

    fn is_reply(&self, at: u32) -> bool {
        self.message(at).is_some_and(|message| message.is_reply)
    }

    /// The sent date and, where it is the same, the place in the mailbox.
    fn key(&self, at: u32) -> (Option<u64>, u32) {
        (self.message(at).map(|message| message.sent.0), at)
    }

    fn sort_below(&mut self, at: usize) {
        let mut siblings = std::mem::take(&mut self.below[at]);
        siblings.sort_unstable_by_key(|at| self.key(*at));
        self.below[at] = siblings;
    }

    /// Step 4.
    fn sort_roots(&mut self) {
        let mut roots = std::mem::take(&mut self.roots);
        for at in &roots {
            if self.message(*at).is_none() {
                self.sort_below(*at as usize);
            }
        }
        roots.sort_unstable_by_key(|at| self.key(self.first(*at)));
        self.roots = roots;
    }

    /// Step 5: threads of one base subject become one.
    fn merge_subjects(&mut self) {
        let mut table = self.subjects();
        // Messages whose place among the roots another one took, below which they are now. They
        // came before it: a table's message that comes later is no reply, or missing.
        let mut replaced = vec![false; self.messages.len()];
        for at in std::mem::take(&mut self.roots) {
            let subject = self.subject(at);
            let Some(other) = table.get_mut(subject).filter(|other| **other != at) else {
                self.roots.push(at);
                continue;
            };
            match (self.message(at).is_some(), self.message(*other).is_some()) {
                (false, false) => {
                    let moved = std::mem::take(&mut self.below[at as usize]);
                    self.below[*other as usize].extend(moved);
                }
                (true, false) => self.below[*other as usize].push(at),
                _ if self.is_reply(at) && !self.is_reply(*other) => {
                    self.below[*other as usize].push(at);
                }
                _ => {
                    // Both stand below one that was never there.
                    let top = u32::try_from(self.below.len()).unwrap_or(NONE);
                    self.below.push(vec![*other, at]);
                    self.roots.push(top);
                    replaced[*other as usize] = true;
                    *other = top;
                }
            }
        }
        self.roots.retain(|at| replaced.get(*at as usize) != Some(&true));
    }

    fn subject(&self, root: u32) -> &'a str {
        self.message(self.first(root)).map_or("", |message| message.base_subject)
    }

    /// Step 5.B: for each base subject the thread that the others join.
    fn subjects(&self) -> HashMap<&'a str, u32> {
        let mut table: HashMap<&str, u32> = HashMap::with_capacity(self.roots.len());
        for at in &self.roots {
            let subject = self.subject(*at);
            if subject.is_empty() {
                continue;
            }
            let other = table.entry(subject).or_insert(*at);
            let is_missing = self.message(*at).is_none();
            let is_better = is_missing || (self.is_reply(*other) && !self.is_reply(*at));
            if self.message(*other).is_some() && is_better {
                *other = *at;
            }
        }
        table
    }

    fn threads(self) -> Threads {
        let mut nodes: Vec<Node> = Vec::with_capacity(self.messages.len());
        // Siblings that are still to come, and the node that they are below.
        let mut levels = vec![(self.roots.iter(), None)];
        while let Some((siblings, above)) = levels.last_mut() {
            if let Some(at) = siblings.next() {
                let number = self.message(*at).map(|message| message.number);
                levels.push((self.below[*at as usize].iter(), Some(nodes.len())));
                nodes.push(Node { number, descendants: 0 });
            } else {
                if let Some(above) = *above {
                    let below = nodes.len() - above - 1;
                    nodes[above].descendants = u32::try_from(below).unwrap_or(u32::MAX);
                }
                levels.pop();
            }
        }
        Threads { nodes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        mime::{
            Limits, MessageId, References, base_subject, casemap, digest, thread::tests::written,
        },
        types::Timestamp,
    };

    /// Identifier, references, subject; sent in this order unless a minute is told.
    fn thread(messages: &[(&str, &str, &str)]) -> String {
        let minutes: Vec<u64> = (0..).take(messages.len()).collect();
        thread_at(messages, &minutes)
    }

    fn thread_at(messages: &[(&str, &str, &str)], minutes: &[u64]) -> String {
        let digests: Vec<_> = messages
            .iter()
            .map(|(id, references, subject)| {
                let text = format!(
                    "Message-ID: {id}\r\nReferences: {references}\r\nSubject: {subject}\r\n"
                );
                digest(text.as_bytes(), &Limits::default())
            })
            .collect();
        let messages: Vec<_> = (1..)
            .zip(&digests)
            .zip(minutes)
            .map(|((number, digest), minute)| Message {
                number,
                ids: &digest.ids,
                base_subject: &digest.base_subject,
                is_reply: digest.is_reply,
                sent: Timestamp(*minute),
            })
            .collect();
        written(&references(&messages))
    }

    #[test]
    fn references_make_threads() {
        let chain =
            [("<a@x>", "", "s"), ("<b@x>", "<a@x>", "Re: s"), ("<c@x>", "<a@x> <b@x>", "Re: s")];
        assert_eq!(thread(&chain), "(1 2 3)");
        let branches = [
            ("<a@x>", "", ""),
            ("<b@x>", "<a@x>", ""),
            ("<c@x>", "<a@x>", ""),
            ("<d@x>", "<b@x>", ""),
        ];
        assert_eq!(thread(&branches), "(1 (2 4)(3))");
        assert_eq!(thread_at(&branches, &[0, 9, 1, 2]), "(1 (3)(2 4))");
        assert_eq!(thread(&[("<b@x>", "<a@x>", ""), ("<a@x>", "", "")]), "(2 1)");
        assert_eq!(thread(&[]), "");
    }

    #[test]
    fn the_missing_hold_threads_together_at_the_top_only() {
        assert_eq!(thread(&[("<b@x>", "<a@x>", ""), ("<c@x>", "<a@x>", "")]), "((1)(2))");
        assert_eq!(thread(&[("<b@x>", "<a@x>", "")]), "(1)");
        let gap = [("<a@x>", "", ""), ("<c@x>", "<a@x> <b@x>", ""), ("<d@x>", "<a@x> <b@x>", "")];
        assert_eq!(thread(&gap), "(1 (2)(3))");
        let deep = [("<d@x>", "<a@x> <b@x> <c@x>", ""), ("<e@x>", "<a@x> <b@x>", "")];
        assert_eq!(thread(&deep), "((1)(2))");
    }

    #[test]
    fn loops_and_doubles_are_harmless() {
        assert_eq!(thread(&[("<a@x>", "<b@x>", ""), ("<b@x>", "<a@x>", "")]), "(2 1)");
        assert_eq!(thread(&[("<a@x>", "<a@x>", "")]), "(1)");
        assert_eq!(thread(&[("<a@x>", "<b@x> <c@x> <b@x>", "")]), "(1)");
        assert_eq!(
            thread(&[("<a@x>", "", "s"), ("<a@x>", "", "t"), ("<b@x>", "<a@x>", "u")]),
            "(1 3)(2)"
        );
        assert_eq!(thread(&[("", "", "s"), ("", "", "t")]), "(1)(2)");
    }

    #[test]
    fn subjects_join_threads() {
        assert_eq!(thread(&[("<a@x>", "", "s"), ("<b@x>", "", "Re: S")]), "(1 2)");
        assert_eq!(thread(&[("<b@x>", "", "Re: s"), ("<a@x>", "", "s")]), "(2 1)");
        assert_eq!(thread(&[("<a@x>", "", "s"), ("<b@x>", "", "s")]), "((1)(2))");
        assert_eq!(
            thread(&[("<a@x>", "", "Re: s"), ("<b@x>", "", "Re: s"), ("<c@x>", "", "s")]),
            "(3 (1)(2))"
        );
        assert_eq!(
            thread(&[("<a@x>", "", "s"), ("<b@x>", "", "s"), ("<c@x>", "", "s")]),
            "((1)(2)(3))"
        );
        assert_eq!(thread(&[("<a@x>", "", ""), ("<b@x>", "", "Re:")]), "(1)(2)");
        let halves = [
            ("<b@x>", "<a@x>", "s"),
            ("<c@x>", "<a@x>", "s"),
            ("<d@x>", "", "Re: s"),
            ("<f@x>", "<e@x>", "s"),
            ("<g@x>", "<e@x>", "s"),
        ];
        assert_eq!(thread(&halves), "((1)(2)(3)(4)(5))");
    }

    #[test]
    fn hostile_references_are_bounded() {
        // A long chain, told backwards, and each message referring to everything.
        let id = |at: usize| format!("<{at}@x>");
        let ids: Vec<String> = (0..3000).map(id).collect();
        let all: Vec<String> = (0..3000usize)
            .map(|at| (at..at + 50).map(|at| id((at * 7) % 3000)).collect())
            .collect();
        let messages: Vec<_> =
            ids.iter().zip(&all).map(|(id, all)| (&id[..], &all[..], "s")).collect();
        assert_eq!(thread(&messages).matches(|c: char| c.is_ascii_digit()).count(), 10_893);
    }

    /// As many as IMAP threads.
    #[test]
    fn many_messages_are_threaded() {
        let count = 100_000u32;
        let id = |at: u32| MessageId::parse(format!("<{at}@x>").as_bytes()).unwrap();
        let known: Vec<(References, String)> = (0..count)
            .map(|at| {
                let message_id = Some(id(at));
                let ancestors = (1..4).map(|back| id(at.wrapping_mul(7).wrapping_sub(back)));
                let ids = References { message_id, ancestors: ancestors.collect() };
                (ids, format!("A subject that many have, number {}", at / 3))
            })
            .collect();
        let messages: Vec<_> = (1..)
            .zip(&known)
            .map(|(number, (ids, base_subject))| Message {
                number,
                ids,
                base_subject,
                is_reply: number % 3 == 0,
                sent: Timestamp(number.into()),
            })
            .collect();
        let threads = references(&messages);
        let there = threads.nodes.iter().filter(|node| node.number.is_some());
        assert_eq!(there.count(), messages.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_message_is_there_once(
            messages in prop::collection::vec(
                (0..12u8, prop::collection::vec(0..12u8, 0..5), "(Re: )?[ab]?", 0..5u64), 0..15)
        ) {
            let texts: Vec<_> = messages
                .iter()
                .map(|(id, references, subject, _)| {
                    let references: String =
                        references.iter().map(|id| format!("<{id}@x>")).collect();
                    (format!("<{id}@x>"), references, subject.clone())
                })
                .collect();
            let minutes: Vec<_> = messages.iter().map(|message| message.3).collect();
            let messages: Vec<_> =
                texts.iter().map(|(a, b, c)| (&a[..], &b[..], &c[..])).collect();
            let text = thread_at(&messages, &minutes);
            let mut found: Vec<usize> = text
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|number| number.parse().ok())
                .collect();
            found.sort_unstable();
            prop_assert_eq!(found, (1..=messages.len()).collect::<Vec<_>>(), "{}", text);
            let mut depth = 0i32;
            for c in text.chars() {
                depth += i32::from(c == '(') - i32::from(c == ')');
                prop_assert!(depth >= 0);
            }
            prop_assert_eq!(depth, 0);
            prop_assert!(!text.contains("()") && !text.contains(" )"), "{}", text);
        }
    }

    /// The base subject that threads compare is made by these two.
    #[test]
    fn subjects_compare_by_their_base() {
        assert_eq!(casemap(&base_subject("re: [x] É").text), casemap("e\u{301}"));
    }
}
