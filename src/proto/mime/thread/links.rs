//! Links (RFC 5256 §3, REFERENCES, step 1): which message is below which, as they say themselves.
//!
//! What must stay true: links never make a loop; of messages that are only referred to there are at most
//! some for each message, and what is referred to beyond is passed over.

use std::collections::{HashMap, hash_map::Entry};

use super::Message;
use crate::mime::MessageId;

/// No message.
pub(super) const NONE: u32 = u32::MAX;
/// Messages that are only referred to, for each that is there, and some more.
const MISSING_MAX_EACH: usize = 4;
const MISSING_MAX_MORE: usize = 1000;
/// Steps that loops are looked for, for each message, and some more; honest mail needs few.
const STEPS_MAX_EACH: usize = 200;
const STEPS_MAX_MORE: usize = 100_000;
/// What a message takes while threads are built, at most: tables that have just grown, and its places in
/// lists.
const MESSAGE_OCTETS: usize = 320;
/// Likewise one that is only referred to.
const MISSING_OCTETS: usize = 160;

/// Octets of memory that threading so many messages takes beside them. `ancestors`: those of all.
#[must_use]
pub fn work_octets(messages: usize, ancestors: usize) -> usize {
    let missing = ancestors.min(missing_max(messages));
    messages.saturating_mul(MESSAGE_OCTETS).saturating_add(missing.saturating_mul(MISSING_OCTETS))
}

const fn missing_max(messages: usize) -> usize {
    messages.saturating_mul(MISSING_MAX_EACH).saturating_add(MISSING_MAX_MORE)
}

/// Who is below whom: step 1.
pub(super) struct Links {
    /// Of the messages, then of those that are missing.
    pub parents: Vec<u32>,
    /// Something was below it once: only then it can be part of a loop.
    had_children: Vec<bool>,
    steps: usize,
}

impl Links {
    pub fn of(messages: &[Message<'_>]) -> Self {
        let count = messages.len();
        let missing_max = missing_max(count);
        let mut links = Self {
            parents: vec![NONE; count],
            had_children: vec![false; count],
            steps: count.saturating_mul(STEPS_MAX_EACH) + STEPS_MAX_MORE,
        };
        let mut known: HashMap<MessageId, u32> = HashMap::with_capacity(count * 2);
        for (at, message) in (0..).zip(messages) {
            if let Some(id) = message.ids.message_id {
                // Of several with one identifier, the first has it.
                known.entry(id).or_insert(at);
            }
        }
        for (at, message) in (0..).zip(messages) {
            let mut before = NONE;
            for id in &message.ids.ancestors {
                let missing = links.parents.len() - count;
                let place = match known.entry(*id) {
                    Entry::Occupied(entry) => *entry.get(),
                    Entry::Vacant(entry) if missing < missing_max => *entry.insert(links.add()),
                    Entry::Vacant(_) => continue,
                };
                if links.parents[place as usize] == NONE {
                    links.link(place, before);
                }
                before = place;
            }
            // What a message says of itself counts more than what others said of it.
            if links.parents[at as usize] != before {
                links.parents[at as usize] = NONE;
                links.link(at, before);
            }
        }
        links
    }

    /// A place for a message that is missing.
    fn add(&mut self) -> u32 {
        let at = u32::try_from(self.parents.len()).unwrap_or(NONE);
        self.parents.push(NONE);
        self.had_children.push(false);
        at
    }

    /// Puts `child`, which has no parent, below `parent`, unless that made a loop.
    fn link(&mut self, child: u32, parent: u32) {
        if parent == NONE || parent == child {
            return;
        }
        if self.had_children[child as usize] {
            let mut above = parent;
            while above != NONE {
                if above == child || self.steps == 0 {
                    return;
                }
                self.steps -= 1;
                above = self.parents[above as usize];
            }
        }
        self.parents[child as usize] = parent;
        self.had_children[parent as usize] = true;
    }
}
