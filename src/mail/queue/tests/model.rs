//! Any sequence of moves, against a list that cannot forget.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Move {
    Accept(usize),
    Lease,
    /// Settle some recipients of a lease: which lease, a verdict (or none) for each.
    Settle(usize, [Option<u8>; 4]),
    DropLease(usize),
    Flush,
    Hold(usize),
    Release,
    Delete(usize),
    /// Leases are dropped, the queue is closed and opened.
    Reopen,
    /// As a crash once the disk has all that rides: leases are as if they had never been.
    Crash,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let verdicts = || prop::array::uniform4(prop::option::weighted(0.8, 0_u8..3));
    let one = prop_oneof![
        4 => (1_usize..5).prop_map(Move::Accept),
        5 => Just(Move::Lease),
        5 => (0_usize..8, verdicts()).prop_map(|(which, all)| Move::Settle(which, all)),
        1 => (0_usize..8).prop_map(Move::DropLease),
        2 => Just(Move::Flush),
        1 => (0_usize..8).prop_map(Move::Hold),
        1 => Just(Move::Release),
        1 => (0_usize..8).prop_map(Move::Delete),
        1 => Just(Move::Reopen),
        1 => Just(Move::Crash),
    ];
    prop::collection::vec(one, 1..50)
}

/// What a recipient must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fate {
    pending: bool,
    attempts: u32,
}

type Fates = Vec<Fate>;

/// The queue and what must be in it.
struct World {
    place: Place,
    queue: Queue,
    leases: Vec<Lease>,
    /// As the disk would have it, and as it is with the leases that are out.
    stored: BTreeMap<MessageId, Fates>,
    now: BTreeMap<MessageId, Fates>,
    deleted: Vec<MessageId>,
}

impl World {
    fn new() -> Self {
        let place = Place::new();
        let queue = place.open();
        let (leases, stored, now) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { place, queue, leases, stored, now, deleted: Vec::new() }
    }

    fn nth(&self, which: usize) -> Option<MessageId> {
        self.now.keys().nth(which).copied()
    }

    async fn make(&mut self, one: Move) {
        match one {
            Move::Accept(count) => {
                let names = ["b@sink.test", "c@sink.test", "d@sink.test", "e@sink.test"];
                let mut envelope = envelope(&names[..count]);
                for recipient in &mut envelope.recipients {
                    recipient.notify = Some(proto::types::Notify::NEVER);
                }
                let id = put(&self.queue, envelope).await;
                let fates = vec![Fate { pending: true, attempts: 0 }; count];
                self.stored.insert(id, fates.clone());
                self.now.insert(id, fates);
            }
            Move::Lease => {
                if self.queue.snapshot().ready > 0 {
                    let lease = lease(&self.queue).await;
                    self.check(&lease);
                    self.leases.push(lease);
                }
            }
            Move::Settle(which, verdicts) => self.settle(which, verdicts),
            Move::DropLease(which) => {
                if which < self.leases.len() {
                    let lease = self.leases.swap_remove(which);
                    self.end(lease.id);
                }
            }
            Move::Flush => _ = flush(&self.queue).await,
            Move::Hold(which) => {
                if let Some(id) = self.nth(which) {
                    count(&self.queue, Command::Hold { filter: only(id) }).await;
                }
            }
            Move::Release => {
                count(&self.queue, Command::Release { filter: Filter::default() }).await;
            }
            Move::Delete(which) => {
                if let Some(id) = self.nth(which) {
                    let done = count(&self.queue, Command::Delete { filter: only(id) }).await;
                    assert_eq!(done == 0, self.deleted.contains(&id));
                    self.deleted.push(id);
                    if !self.leases.iter().any(|lease| lease.id == id) {
                        self.end(id);
                    }
                }
            }
            Move::Reopen => {
                for lease in std::mem::take(&mut self.leases) {
                    self.end(lease.id);
                }
                assert!(self.queue.close().await);
                self.queue = self.place.open();
            }
            Move::Crash => {
                quiet(&self.queue).await;
                self.leases.clear();
                let elsewhere = Place::new();
                // Only then is the store's last handle gone.
                drop(std::mem::replace(&mut self.queue, elsewhere.open()));
                self.queue = self.place.open();
                self.now = self.stored.clone();
                self.deleted.retain(|id| !self.stored.contains_key(id));
            }
        }
        assert_eq!(self.queue.snapshot().messages, self.now.len() as u64);
        assert_eq!(self.queue.snapshot().active, self.leases.len() as u64);
    }

    /// A lease is of a message that is there, and of recipients that are still to be tried.
    fn check(&self, lease: &Lease) {
        let fates = &self.now[&lease.id];
        assert!(!lease.recipients.is_empty());
        assert!(self.leases.iter().all(|other| other.id != lease.id), "leased twice");
        for at in &lease.recipients {
            assert!(fates[*at as usize].pending, "{} is settled", lease.id);
        }
        let attempts = lease.recipients.iter().map(|at| fates[*at as usize].attempts);
        assert_eq!(Some(lease.attempts), attempts.max());
    }

    fn settle(&mut self, which: usize, verdicts: [Option<u8>; 4]) {
        let Some(lease) = self.leases.get(which) else { return };
        let fates = self.now.get_mut(&lease.id).unwrap();
        let mut part = Vec::new();
        for (at, verdict) in lease.recipients.iter().zip(verdicts) {
            let is_open = lease.progress.borrow().stands[*at as usize] == settle::Stand::Open;
            let Some(verdict) = verdict.filter(|_| is_open) else { continue };
            part.push((*at, [delivered(), deferred(), failed()][verdict as usize].clone()));
            let fate = &mut fates[*at as usize];
            *fate = Fate { pending: verdict == 1, attempts: fate.attempts + 1 };
        }
        lease.settle(&part);
        if lease.over.get() {
            let lease = self.leases.swap_remove(which);
            self.end(lease.id);
        }
    }

    /// A lease has ended: what became of it is what will be stored.
    fn end(&mut self, id: MessageId) {
        let is_gone = self.deleted.contains(&id) || !self.now[&id].iter().any(|fate| fate.pending);
        if is_gone {
            self.stored.remove(&id);
            self.now.remove(&id);
        } else {
            self.stored.insert(id, self.now[&id].clone());
        }
    }

    /// Everything that is left comes out, once, as it should be.
    async fn drain(mut self) {
        self.make(Move::Reopen).await;
        self.make(Move::Release).await;
        self.make(Move::Flush).await;
        while self.queue.snapshot().ready > 0 {
            let lease = lease(&self.queue).await;
            self.check(&lease);
            let pending = self.now[&lease.id].iter().filter(|fate| fate.pending).count();
            assert_eq!(lease.recipients.len(), pending, "all that is left");
            assert_eq!(lease.message().await.unwrap(), BODY);
            settle_all(&lease, &delivered());
            self.now.remove(&lease.id);
        }
        assert!(self.now.is_empty(), "lost: {:?}", self.now);
        assert!(self.queue.is_empty() && self.queue.close().await);
        assert!(self.place.open().is_empty(), "came back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_goes_twice(moves in moves()) {
        local(async {
            let mut world = World::new();
            for one in moves {
                world.make(one).await;
            }
            world.drain().await;
        });
    }
}
