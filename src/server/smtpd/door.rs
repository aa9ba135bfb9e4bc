//! The door of one shard: listens, accepts, and in the end sees its connections out.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use engine::shard::{Brake, Budget, Listener, Shard, Stream, now_ms, sleep};
use engine::telemetry::{Level, note};
use mail::directory::{Accounts, Login};
use mail::mailbox::Stores;
use mail::queue::Queue;
use proto::types::{Enhanced, Moment, Reply};
use slab::Slab;
use tokio::sync::Notify;

use super::metrics::Metrics;
use super::origin::Origin;
use super::rules::Rules;
use super::session;
use crate::gate::{Gate, Refused};

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: i32 = 4096;
/// After an accept that failed: no file descriptors or no memory, which time may mend.
const ACCEPT_PAUSE_MS: u64 = 100;
/// How often a draining door looks whether everybody has left.
const DRAIN_POLL_MS: u64 = 20;
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
    rules: RefCell<Rc<Rules>>,
    seats: RefCell<Slab<Seat>>,
    blocks: RefCell<Vec<Vec<u8>>>,
    draining: Cell<bool>,
    closing: Notify,
}

/// A connection as the door knows it.
struct Seat {
    brake: Brake,
    /// It waits for a command, and may be told to leave.
    idle: bool,
}

/// A connection's place; given back when dropped.
pub(super) struct Place {
    door: Rc<Inner>,
    key: usize,
}

impl Door {
    /// A door that is still shut.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { shard, queue, stores, accounts, login, gate, metrics, origin, rules } = parts;
        // The block that a message is read through comes on top, so that a message of the largest
        // size fits into memory of that size.
        let memory = rules.limits.memory_per_shard.as_usize().saturating_add(BLOCK_BYTES);
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
            rules: RefCell::new(Rc::new(rules)),
            seats: RefCell::default(),
            blocks: RefCell::default(),
            draining: Cell::new(false),
            closing: Notify::new(),
        }))
    }

    /// Begins to accept on `address`, the listener with this index in the settings.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn open(&self, listener: usize, address: SocketAddr) -> io::Result<()> {
        let socket = self.0.shard.listen(address, BACKLOG)?;
        self.0.shard.spawn(accept(Rc::clone(&self.0), listener, socket));
        Ok(())
    }

    /// New rules for connections from now on.
    pub fn reload(&self, rules: Rules) {
        self.0.rules.replace(Rc::new(rules));
    }

    /// Accepts no more, tells idle clients 421, and waits until the others have finished the message
    /// they are at, for `patience` at most. Returns how many connections are left.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.0.draining.set(true);
        self.0.closing.notify_waiters();
        for (_, seat) in self.0.seats.borrow().iter().filter(|(_, seat)| seat.idle) {
            seat.brake.pull();
        }
        let end = Moment(now_ms()).after(patience);
        while self.0.connections() > 0 && Moment(now_ms()) < end {
            sleep(DRAIN_POLL_MS).await;
        }
        self.0.connections()
    }
}

impl Inner {
    pub fn rules(&self) -> Rc<Rules> {
        Rc::clone(&self.rules.borrow())
    }

    pub fn draining(&self) -> bool {
        self.draining.get()
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

    pub fn enter(self: &Rc<Self>, stream: &Stream) -> Place {
        let key = self.seats.borrow_mut().insert(Seat { brake: stream.brake(), idle: false });
        self.metrics.open.set(self.connections() as u64);
        Place { door: Rc::clone(self), key }
    }

    fn connections(&self) -> usize {
        self.seats.borrow().len()
    }
}

impl Place {
    /// Whether the connection may be ended at once when the door closes.
    pub fn set_idle(&self, idle: bool) {
        if let Some(seat) = self.door.seats.borrow_mut().get_mut(self.key) {
            seat.idle = idle;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.seats.borrow_mut().try_remove(self.key);
        self.door.metrics.open.set(self.door.connections() as u64);
    }
}

/// Takes connections until the door closes.
async fn accept(door: Rc<Inner>, listener: usize, socket: Listener) {
    let mut is_troubled = false;
    while !door.draining() {
        let accepted = tokio::select! {
            biased;
            () = door.closing.notified() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok(_) if door.draining() => return,
            Ok((stream, _)) => {
                is_troubled = false;
                door.metrics.connections.inc();
                door.shard.spawn(session::serve(Rc::clone(&door), listener, stream));
            }
            Err(error) => {
                if !std::mem::replace(&mut is_troubled, true) {
                    let address = socket.local_addr();
                    note(Level::Error, format_args!("cannot accept on {address}: {error}"));
                }
                sleep(ACCEPT_PAUSE_MS).await;
            }
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
