//! The store is dropped in the middle of everything, many times over: what was acknowledged is there,
//! what was not is there whole or not at all, and all that is counted is right.

use std::{cell::RefCell, collections::BTreeMap};

use super::*;
use crate::random::Random;

const WORKERS: usize = 6;
const ROUNDS: u64 = 20;

/// UID and flags and text, by folder: what one account must have.
type State = BTreeMap<&'static str, BTreeMap<u32, (u64, String)>>;

/// Of one account: what was acknowledged, and what it becomes if the operation that is under way is
/// done.
#[derive(Clone, Debug, Default)]
struct Ledger {
    sure: State,
    maybe: State,
    next: BTreeMap<&'static str, u32>,
}

struct Worker {
    account: String,
    ledger: Rc<RefCell<Ledger>>,
    random: Random,
    acknowledged: Rc<Cell<u32>>,
}

impl Worker {
    async fn run(self, store: Store) {
        let mailbox = store.mailbox(&self.account).await.unwrap();
        loop {
            let text = self.random.next().to_string();
            match self.random.below(6) {
                0..3 => self.deliver(&store, text).await,
                3 => self.append(&mailbox, text).await,
                4 => self.flags(&mailbox).await,
                _ => self.take_away(&mailbox).await,
            }
            self.acknowledged.set(self.acknowledged.get() + 1);
        }
    }

    /// What is about to be done, and the UID that it will have.
    fn intend(&self, change: impl FnOnce(&mut Ledger)) {
        let ledger = &mut *self.ledger.borrow_mut();
        let sure = ledger.sure.clone();
        change(ledger);
        ledger.maybe = std::mem::replace(&mut ledger.sure, sure);
    }

    fn done(&self) {
        let ledger = &mut *self.ledger.borrow_mut();
        ledger.sure = ledger.maybe.clone();
    }

    fn put(ledger: &mut Ledger, folder: &'static str, message: (u64, String)) -> u32 {
        let next = ledger.next.entry(folder).or_insert(1);
        let uid = *next;
        *next += 1;
        ledger.sure.entry(folder).or_default().insert(uid, message);
        uid
    }

    async fn deliver(&self, store: &Store, text: String) {
        self.intend(|ledger| _ = Self::put(ledger, INBOX, (0, text.clone())));
        deliver(store, &[&self.account], &text).await;
        self.done();
    }

    async fn append(&self, mailbox: &Mailbox, text: String) {
        self.intend(|ledger| _ = Self::put(ledger, "Sent", (1, text.clone())));
        let parcel = parcel(&text).with(Flags::SEEN.into());
        mailbox.append("Sent", &[parcel], Limits::default(), 0).await.unwrap();
        self.done();
    }

    fn some(&self, folder: &str) -> Vec<u32> {
        let ledger = self.ledger.borrow();
        let uids = ledger.sure.get(folder).into_iter().flat_map(|all| all.keys().copied());
        uids.filter(|_| self.random.below(3) == 0).collect()
    }

    async fn flags(&self, mailbox: &Mailbox) {
        let view = mailbox.open(INBOX, false).await.unwrap();
        let uids = self.some(INBOX);
        self.intend(|ledger| {
            for (uid, message) in ledger.sure.entry(INBOX).or_default() {
                message.0 |= if uids.contains(uid) { Flags::FLAGGED.0 } else { 0 };
            }
        });
        view.store(&uids, How::Add, &Flags::FLAGGED.into(), None).await.unwrap();
        self.done();
    }

    async fn take_away(&self, mailbox: &Mailbox) {
        let view = mailbox.open(INBOX, false).await.unwrap();
        let uids = self.some(INBOX);
        let taken = |ledger: &mut Ledger| {
            let mut all = ledger.sure.remove(INBOX).unwrap_or_default();
            let taken: Vec<_> = uids.iter().filter_map(|uid| all.remove(uid)).collect();
            ledger.sure.insert(INBOX, all);
            taken
        };
        if self.random.below(2) == 0 {
            self.intend(|ledger| _ = taken(ledger));
            view.remove_all(&uids).await.unwrap();
        } else {
            self.intend(|ledger| {
                for message in taken(ledger) {
                    Self::put(ledger, "Archive", message);
                }
            });
            moved(&view, &uids, "Archive").await.unwrap();
        }
        self.done();
    }
}

async fn found(store: &Store, account: &str) -> State {
    let mailbox = store.mailbox(account).await.unwrap();
    let mut state = State::new();
    for folder in [INBOX, "Sent", "Archive"] {
        let view = mailbox.open(folder, true).await.unwrap();
        for uid in view.uids() {
            let text = whole(&view, *uid).await[..].to_vec();
            let text = String::from_utf8(text).unwrap();
            let text = text.split("\r\n\r\n").nth(1).unwrap().to_owned();
            let flags = view.entry(*uid).unwrap().flags.0;
            state.entry(folder).or_default().insert(*uid, (flags, text));
        }
    }
    state
}

fn without_empty(state: &State) -> State {
    state.iter().filter(|(_, all)| !all.is_empty()).map(|(f, all)| (*f, all.clone())).collect()
}

#[test]
fn a_store_that_is_dropped_anywhere_is_as_it_was_acknowledged() {
    let random = Random::seeded(20_261_128);
    let place = Place::new();
    let mut ledgers: Vec<Ledger> = vec![Ledger::default(); WORKERS];
    for round in 0..ROUNDS {
        let shared: Vec<_> = ledgers.iter().cloned().map(|l| Rc::new(RefCell::new(l))).collect();
        let acknowledged = Rc::new(Cell::new(0));
        let enough = 1 + random.below(200) as u32;
        let stops_after = random.below(7);
        local(async {
            let store = place.open();
            for (number, ledger) in shared.iter().enumerate() {
                let worker = Worker {
                    account: format!("w{number}@x.example"),
                    ledger: Rc::clone(ledger),
                    random: Random::seeded(round * 100 + number as u64),
                    acknowledged: Rc::clone(&acknowledged),
                };
                tokio::task::spawn_local(worker.run(store.clone()));
            }
            while acknowledged.get() < enough {
                tokio::task::yield_now().await;
            }
            for _ in 0..stops_after {
                tokio::task::yield_now().await;
            }
            // Everything is dropped here: tasks, then the store, in the middle of what they do.
        });
        local(async {
            let store = place.open();
            assert_clean(&store).await;
            for (number, (ledger, shared)) in ledgers.iter_mut().zip(&shared).enumerate() {
                let found = found(&store, &format!("w{number}@x.example")).await;
                *ledger = shared.borrow().clone();
                let (sure, maybe) = (without_empty(&ledger.sure), without_empty(&ledger.maybe));
                let found = without_empty(&found);
                assert!(found == sure || found == maybe, "round {round}: {found:?} {ledger:?}");
                ledger.sure.clone_from(&found);
                ledger.maybe = found;
                let mailbox = store.mailbox(&format!("w{number}@x.example")).await.unwrap();
                for folder in [INBOX, "Sent", "Archive"] {
                    let next = mailbox.folder(folder).unwrap().counts.uid_next;
                    ledger.next.insert(folder, next);
                }
            }
            assert_clean(&store).await;
            assert!(store.close().await);
        });
    }
}
