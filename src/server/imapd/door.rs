//! The door of one shard: listens, accepts, takes in who comes from other shards, and in the end sees its
//! connections out.

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
use mail::directory::Login;
use mail::mailbox::Stores;
use proto::imap::{Code, Completion};
use proto::types::Moment;
use slab::Slab;
use tokio::sync::{Notify, mpsc};

use super::home::Guests;
use super::metrics::Metrics;
use super::rules::Rules;
use super::session;
use super::travel::{self, Arrival};
use crate::gate::{Gate, Refused};
use crate::passage::Passage;

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: i32 = 4096;
/// After an accept that failed: no file descriptors or no memory, which time may mend.
const ACCEPT_PAUSE_MS: u64 = 100;
/// What part of the memory for messages there is beside it for compression.
const DEFLATE_PART: usize = 4;
/// How often a draining door looks whether everybody has left.
const DRAIN_POLL_MS: u64 = 20;

/// What a door is made with.
pub struct Parts {
    /// The shard it is on.
    pub shard: Shard,
    /// Where the mail is.
    pub stores: Stores,
    /// Logins on this shard.
    pub login: Login,
    /// Counts clients for the whole process.
    pub gate: Arc<Gate>,
    /// Its numbers.
    pub metrics: Arc<Metrics>,
    /// The ways to the doors of other shards.
    pub passage: Passage<Arrival>,
    /// Who comes from there.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// Its settings.
    pub rules: Rules,
}

/// The IMAP door of one shard. Clones share it.
#[derive(Clone)]
pub struct Door(Rc<Inner>);

/// What its connections share.
pub(super) struct Inner {
    pub shard: Shard,
    pub stores: Stores,
    pub login: Login,
    pub gate: Arc<Gate>,
    pub metrics: Arc<Metrics>,
    pub passage: Passage<Arrival>,
    /// Memory for messages that are on their way in or out.
    pub budget: Budget,
    /// Memory for what compresses: connections keep it for as long as they last, and shall not take it
    /// from messages.
    pub deflate_budget: Budget,
    /// Sessions of each account.
    pub guests: Guests,
    rules: RefCell<Rc<Rules>>,
    seats: RefCell<Slab<Seat>>,
    draining: Cell<bool>,
    closing: Notify,
    /// Nobody comes from other shards any more.
    is_cut_off: Cell<bool>,
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
    /// A door that is still shut, but for who comes from other shards. Call it inside the shard's local
    /// runtime.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { shard, stores, login, gate, metrics, passage, arrivals, rules } = parts;
        let memory = rules.limits.memory_per_shard.as_usize();
        let inner = Rc::new(Inner {
            shard,
            stores,
            login,
            gate,
            metrics,
            passage,
            budget: Budget::new(memory),
            deflate_budget: Budget::new(memory / DEFLATE_PART),
            guests: Guests::default(),
            rules: RefCell::new(Rc::new(rules)),
            seats: RefCell::default(),
            draining: Cell::new(false),
            closing: Notify::new(),
            is_cut_off: Cell::new(false),
        });
        inner.shard.spawn(take_in(Rc::clone(&inner), arrivals));
        Self(inner)
    }

    /// Begins to accept on `address`, the listener with this number in the settings. Returns the
    /// address, with the port that the kernel chose if it was asked to.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn open(&self, listener: usize, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = self.0.shard.listen(address, BACKLOG)?;
        let address = socket.local_addr();
        self.0.shard.spawn(accept(Rc::clone(&self.0), listener, socket));
        Ok(address)
    }

    /// New rules for connections from now on.
    pub fn reload(&self, rules: Rules) {
        self.0.rules.replace(Rc::new(rules));
    }

    /// Accepts no more, tells clients that idle or wait to leave, and waits until the others have what they asked
    /// for, for `patience` at most. Returns how many connections are left.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.0.draining.set(true);
        self.0.closing.notify_waiters();
        for (_, seat) in self.0.seats.borrow().iter().filter(|(_, seat)| seat.idle) {
            seat.brake.pull();
        }
        let end = Moment(now_ms()).after(patience);
        while !self.0.is_empty() && Moment(now_ms()) < end {
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

    pub fn enter(self: &Rc<Self>, stream: &Stream) -> Place {
        let key = self.seats.borrow_mut().insert(Seat { brake: stream.brake(), idle: false });
        self.metrics.open.set(self.connections() as u64);
        Place { door: Rc::clone(self), key }
    }

    fn connections(&self) -> usize {
        self.seats.borrow().len()
    }

    /// Nobody is here, and nobody is on the way.
    fn is_empty(&self) -> bool {
        self.is_cut_off.get() && self.connections() == 0
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

/// Takes in who comes from other shards. When the door closes nobody sets out any more, and those who
/// are on the way are let in, to be told.
async fn take_in(door: Rc<Inner>, mut arrivals: mpsc::Receiver<Arrival>) {
    loop {
        let arrival = if door.draining() {
            arrivals.close();
            arrivals.recv().await
        } else {
            tokio::select! {
                biased;
                () = door.closing.notified() => continue,
                arrival = arrivals.recv() => arrival,
            }
        };
        let Some(arrival) = arrival else { break };
        // It has a place before anybody can think that nobody is there.
        if let Some(session) = travel::arrive(&door, arrival) {
            door.shard.spawn(session::live(session));
        }
    }
    door.is_cut_off.set(true);
}

/// What a client that is not let in hears.
pub(super) fn turned_away(refused: Refused) -> Completion {
    let text = match refused {
        Refused::Server => "Too many connections, come later",
        Refused::Client => "Too many connections from your network",
    };
    Completion::no(text).with(Code::Unavailable)
}
