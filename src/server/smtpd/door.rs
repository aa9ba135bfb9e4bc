//! The door of one shard: listens, accepts, and in the end sees its connections out.

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use engine::shard::{Budget, Shard};
use mail::directory::{Accounts, Login};
use mail::mailbox::Stores;
use mail::queue::Queue;
use proto::types::{Enhanced, Reply};

use super::metrics::Metrics;
use super::origin::Origin;
use super::rules::Rules;
use super::session;
use crate::gate::{Gate, Refused};
use crate::seats::Seats;

/// Octets read in one piece inside a message.
pub(super) const BLOCK_BYTES: usize = 32 << 10;
/// Blocks kept for the next message.
const BLOCKS_KEPT_MAX: usize = 256;

/// What a door is made with.
pub struct Parts {
    /// The shard it is on.
    pub shard: Shard,
    /// Where messages go.
    pub queue: Queue,
    /// Where messages go that need not lie in the queue.
    pub stores: Stores,
    /// Whose addresses are ours, and who may log in.
    pub accounts: Arc<Accounts>,
    /// Logins on this shard.
    pub login: Login,
    /// Counts clients for the whole process.
    pub gate: Arc<Gate>,
    /// Its numbers.
    pub metrics: Arc<Metrics>,
    /// What it checks and signs with.
    pub origin: Origin,
    /// Its settings.
    pub rules: Rules,
}

/// The SMTP door of one shard. Clones share it.
#[derive(Clone)]
pub struct Door(Rc<Inner>);

/// What its connections share.
pub(super) struct Inner {
    pub shard: Shard,
    pub queue: Queue,
    pub stores: Stores,
    pub accounts: Arc<Accounts>,
    pub login: Login,
    pub gate: Arc<Gate>,
    pub metrics: Arc<Metrics>,
    pub origin: Origin,
    pub budget: Budget,
    pub seats: Seats,
    rules: RefCell<Rc<Rules>>,
    blocks: RefCell<Vec<Vec<u8>>>,
}

impl Door {
    /// A door that is still shut.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { shard, queue, stores, accounts, login, gate, metrics, origin, rules } = parts;
        // The block that a message is read through comes on top, so that a message of the largest
        // size fits into memory of that size.
        let memory = rules.limits.memory_per_shard.as_usize().saturating_add(BLOCK_BYTES);
        let seats = {
            let metrics = Arc::clone(&metrics);
            Seats::new(move |open| metrics.open.set(open))
        };
        Self(Rc::new(Inner {
            shard,
            queue,
            stores,
            accounts,
            login,
            gate,
            metrics,
            origin,
            budget: Budget::new(memory),
            seats,
            rules: RefCell::new(Rc::new(rules)),
            blocks: RefCell::default(),
        }))
    }

    /// Begins to accept on `address`, the listener with this index in the settings.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn open(&self, listener: usize, address: SocketAddr) -> io::Result<SocketAddr> {
        let door = Rc::clone(&self.0);
        self.0.seats.listen(&self.0.shard, address, move |stream| {
            door.metrics.connections.inc();
            door.shard.spawn(session::serve(Rc::clone(&door), listener, stream));
        })
    }

    /// New rules for connections from now on.
    pub fn reload(&self, rules: Rules) {
        self.0.rules.replace(Rc::new(rules));
    }

    /// Accepts no more, tells idle clients 421, and waits until the others have finished the message
    /// they are at, for `patience` at most. Returns how many connections are left.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.0.seats.drain(patience).await
    }
}

impl Inner {
    pub fn rules(&self) -> Rc<Rules> {
        Rc::clone(&self.rules.borrow())
    }

    pub fn draining(&self) -> bool {
        self.seats.draining()
    }

    /// A buffer for reading inside a message.
    pub fn block(&self) -> Vec<u8> {
        self.blocks.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_BYTES))
    }

    /// Gives a block back.
    pub fn keep_block(&self, mut block: Vec<u8>) {
        let mut blocks = self.blocks.borrow_mut();
        if block.capacity() >= BLOCK_BYTES && blocks.len() < BLOCKS_KEPT_MAX {
            block.clear();
            blocks.push(block);
        }
    }
}

/// What a client that is not let in hears (RFC 5321 §3.1; 421 as it may come back).
pub(super) fn turned_away(refused: Refused) -> Reply {
    match refused {
        Refused::Server => Reply::new(421, Enhanced(4, 3, 2), "Too many connections, come later"),
        Refused::Client => {
            Reply::new(421, Enhanced(4, 7, 0), "Too many connections from your network")
        }
    }
}
