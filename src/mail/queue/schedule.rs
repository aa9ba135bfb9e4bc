//! What is due when: the authority over every message of a queue. Pure: no clock, no I/O.
//!
//! What must stay true: a message is in exactly one phase; `due` holds the waiting ones and no
//! others; nothing is active twice. A waiting message costs about 80 bytes.

use std::collections::{BTreeSet, HashMap, hash_map};

use foldhash::fast::RandomState;

use super::{MessageId, Phase};

/// All messages of a queue and their phases.
#[derive(Debug, Default)]
pub struct Schedule {
    entries: HashMap<MessageId, Entry, RandomState>,
    due: BTreeSet<(u64, MessageId)>,
    active: usize,
    held: usize,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Milliseconds since 1970; of an active message, when it became due.
    pub due_ms: u64,
    /// Its state record in the store; 0: none, it has never been put off.
    pub version: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Asked for while it was active, or by a flush.
    pub wish: Wish,
}

/// What an admin wishes for a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    #[default]
    None,
    /// All its recipients are to be tried, due or not; once active: again at its end.
    Flush,
    /// To be held at its end.
    Hold,
    /// To be removed at its end.
    Delete,
}

impl Schedule {
    /// Adds a message that waits.
    pub fn insert(&mut self, id: MessageId, due_ms: u64, version: u32) {
        let entry = Entry { due_ms, version, phase: Phase::Waiting, wish: Wish::None };
        if self.entries.insert(id, entry).is_none() {
            self.due.insert((due_ms, id));
        }
    }

    /// Adds a message that is held.
    pub fn insert_held(&mut self, id: MessageId, version: u32) {
        let entry = Entry { due_ms: 0, version, phase: Phase::Held, wish: Wish::None };
        if self.entries.insert(id, entry).is_none() {
            self.held += 1;
        }
    }

    /// The message that has been due longest, if any is at `now_ms`; it is active from then on.
    pub fn take_due(&mut self, now_ms: u64) -> Option<(MessageId, Entry)> {
        let first = self.due.first().copied().filter(|(due_ms, _)| *due_ms <= now_ms)?;
        self.due.pop_first();
        let entry = self.entries.get_mut(&first.1)?;
        let taken = *entry;
        entry.phase = Phase::Active;
        if entry.wish == Wish::Flush {
            entry.wish = Wish::None;
        }
        self.active += 1;
        Some((first.1, taken))
    }

    /// An active message waits again; a flush that came meanwhile leaves it due.
    pub fn put_back(&mut self, id: MessageId, due_ms: u64, version: u32) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.phase != Phase::Active {
            return;
        }
        self.active -= 1;
        entry.phase = Phase::Waiting;
        entry.version = version;
        if entry.wish != Wish::Flush {
            entry.due_ms = due_ms;
        }
        self.due.insert((entry.due_ms, id));
    }

    /// A message is held, whatever it was.
    pub fn hold(&mut self, id: MessageId, version: u32) {
        if self.remove(id).is_some() {
            self.insert_held(id, version);
        }
    }

    /// A held message is due at `due_ms`, all its recipients.
    pub fn release(&mut self, id: MessageId, due_ms: u64, version: u32) {
        let Some(entry) = self.entries.get_mut(&id).filter(|e| e.phase == Phase::Held) else {
            return;
        };
        self.held -= 1;
        *entry = Entry { due_ms, version, phase: Phase::Waiting, wish: Wish::Flush };
        self.due.insert((due_ms, id));
    }

    /// A waiting message is due at `now_ms`, all its recipients; an active one will be at its end.
    pub fn flush(&mut self, id: MessageId, now_ms: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        match entry.phase {
            Phase::Held => return false,
            Phase::Active if entry.wish != Wish::None => return true,
            Phase::Active => {}
            Phase::Waiting if matches!(entry.wish, Wish::Hold | Wish::Delete) => return false,
            Phase::Waiting => {}
        }
        entry.wish = Wish::Flush;
        self.hasten(id, now_ms);
        true
    }

    /// A waiting message is due at `now_ms`, if it is not already; its recipients keep their times.
    pub fn hasten(&mut self, id: MessageId, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if entry.phase == Phase::Waiting && entry.due_ms > now_ms {
            self.due.remove(&(entry.due_ms, id));
            entry.due_ms = now_ms;
            self.due.insert((now_ms, id));
        }
    }

    /// Notes what is to become of an active message. Nothing undoes a deletion.
    pub fn wish(&mut self, id: MessageId, wish: Wish) {
        if let Some(entry) = self.entries.get_mut(&id).filter(|e| e.wish != Wish::Delete) {
            entry.wish = wish;
        }
    }

    /// The message is gone.
    pub fn remove(&mut self, id: MessageId) -> Option<Entry> {
        let hash_map::Entry::Occupied(found) = self.entries.entry(id) else { return None };
        let entry = found.remove();
        match entry.phase {
            Phase::Waiting => _ = self.due.remove(&(entry.due_ms, id)),
            Phase::Active => self.active -= 1,
            Phase::Held => self.held -= 1,
        }
        Some(entry)
    }

    /// A message, if it is there.
    #[must_use]
    pub fn get(&self, id: MessageId) -> Option<Entry> {
        self.entries.get(&id).copied()
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Messages that are due at `now_ms` and wait. Counts them: for admins, not for the hot path.
    #[must_use]
    pub fn ready(&self, now_ms: u64) -> usize {
        self.due.range(..=(now_ms, MessageId(u64::MAX))).count()
    }

    /// All messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Those handed out.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active
    }

    /// Those held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Move {
        Insert(u64, u64),
        Take(u64),
        PutBack(u64, u64),
        Hold(u64),
        Release(u64, u64),
        Flush(u64, u64),
        Hasten(u64, u64),
        Remove(u64),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let (id, at) = (0_u64..8, 0_u64..20);
        let one = prop_oneof![
            (id.clone(), at.clone()).prop_map(|(id, at)| Move::Insert(id, at)),
            at.clone().prop_map(Move::Take),
            (id.clone(), at.clone()).prop_map(|(id, at)| Move::PutBack(id, at)),
            id.clone().prop_map(Move::Hold),
            (id.clone(), at.clone()).prop_map(|(id, at)| Move::Release(id, at)),
            (id.clone(), at.clone()).prop_map(|(id, at)| Move::Flush(id, at)),
            (id.clone(), at).prop_map(|(id, at)| Move::Hasten(id, at)),
            id.prop_map(Move::Remove),
        ];
        prop::collection::vec(one, 0..60)
    }

    proptest! {
        /// Against the most naive model there is: the counts, the order and the phases agree.
        #[test]
        fn it_does_what_a_list_would(moves in moves()) {
            let mut schedule = Schedule::default();
            let mut model: Vec<(MessageId, u64, Phase)> = Vec::new();
            for one in moves {
                match one {
                    Move::Insert(id, at) => {
                        let id = MessageId(id);
                        if schedule.get(id).is_none() {
                            schedule.insert(id, at, 0);
                            model.push((id, at, Phase::Waiting));
                        }
                    }
                    Move::Take(now) => {
                        let due = model
                            .iter_mut()
                            .filter(|(_, at, phase)| *phase == Phase::Waiting && *at <= now)
                            .min_by_key(|(id, at, _)| (*at, *id));
                        let taken = schedule.take_due(now);
                        prop_assert_eq!(taken.map(|t| t.0), due.as_ref().map(|d| d.0));
                        if let Some(due) = due {
                            due.2 = Phase::Active;
                        }
                    }
                    Move::PutBack(id, at) => {
                        schedule.put_back(MessageId(id), at, 1);
                        for entry in model.iter_mut().filter(|e| e.0.0 == id && e.2 == Phase::Active) {
                            let due = schedule.get(MessageId(id)).unwrap().due_ms;
                            prop_assert!(due == at || due == entry.1, "{due}");
                            *entry = (entry.0, due, Phase::Waiting);
                        }
                    }
                    Move::Hold(id) => {
                        schedule.hold(MessageId(id), 2);
                        model.iter_mut().filter(|e| e.0.0 == id).for_each(|e| e.2 = Phase::Held);
                    }
                    Move::Release(id, at) => {
                        schedule.release(MessageId(id), at, 3);
                        for entry in model.iter_mut().filter(|e| e.0.0 == id && e.2 == Phase::Held) {
                            *entry = (entry.0, at, Phase::Waiting);
                        }
                    }
                    Move::Flush(id, now) => {
                        schedule.flush(MessageId(id), now);
                        for entry in
                            model.iter_mut().filter(|e| e.0.0 == id && e.2 == Phase::Waiting)
                        {
                            entry.1 = entry.1.min(now);
                        }
                    }
                    Move::Hasten(id, now) => {
                        schedule.hasten(MessageId(id), now);
                        for entry in
                            model.iter_mut().filter(|e| e.0.0 == id && e.2 == Phase::Waiting)
                        {
                            entry.1 = entry.1.min(now);
                        }
                    }
                    Move::Remove(id) => {
                        schedule.remove(MessageId(id));
                        model.retain(|e| e.0.0 != id);
                    }
                }
                let count = |wanted| model.iter().filter(|(_, _, phase)| *phase == wanted).count();
                prop_assert_eq!(schedule.len(), model.len());
                prop_assert_eq!(schedule.active(), count(Phase::Active));
                prop_assert_eq!(schedule.held(), count(Phase::Held));
                prop_assert_eq!(schedule.ready(u64::MAX), count(Phase::Waiting));
                let next = model.iter().filter(|e| e.2 == Phase::Waiting).map(|e| e.1).min();
                prop_assert_eq!(schedule.next_due(), next);
            }
        }
    }

    #[test]
    fn a_wish_holds_until_the_end_of_the_lease() {
        let mut schedule = Schedule::default();
        schedule.insert(MessageId(1), 5, 0);
        assert_eq!(schedule.take_due(4), None);
        schedule.take_due(5).unwrap();
        assert!(schedule.flush(MessageId(1), 6));
        schedule.put_back(MessageId(1), 1_000, 1);
        let (_, entry) = schedule.take_due(6).expect("due at once");
        assert_eq!((entry.wish, entry.version), (Wish::Flush, 1));
        schedule.wish(MessageId(1), Wish::Delete);
        schedule.wish(MessageId(1), Wish::Hold);
        assert!(schedule.flush(MessageId(1), 6));
        assert_eq!(
            schedule.get(MessageId(1)).unwrap().wish,
            Wish::Delete,
            "a flush undoes nothing"
        );
    }
}
