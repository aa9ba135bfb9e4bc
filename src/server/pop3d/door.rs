//! The door of one shard: listens, accepts, takes in who comes from other shards, and in the end sees its
//! connections out.

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use engine::shard::{Budget, Shard};
use mail::directory::Login;
use mail::mailbox::Stores;
use proto::pop3::server::{Code, Refusal};
use tokio::sync::mpsc;

use super::delay::Delays;
use super::lock::Locks;
use super::metrics::Metrics;
use super::rules::Rules;
use super::session;
use super::travel::{self, Arrival};
use crate::gate::{Gate, Refused};
use crate::passage::Passage;
use crate::seats::Seats;

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

/// The POP3 door of one shard. Clones share it.
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
    /// Memory for messages that are on their way out.
    pub budget: Budget,
    pub locks: Locks,
    pub delays: RefCell<Delays>,
    pub seats: Seats,
    rules: RefCell<Rc<Rules>>,
}

impl Door {
    /// A door that is still shut, but for who comes from other shards. Call it inside the shard's local
    /// runtime.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { shard, stores, login, gate, metrics, passage, arrivals, rules } = parts;
        let seats = {
            let metrics = Arc::clone(&metrics);
            Seats::new(move |open| metrics.open.set(open))
        };
        let inner = Rc::new(Inner {
            shard,
            stores,
            login,
            gate,
            metrics,
            passage,
            budget: Budget::new(rules.limits.memory_per_shard.as_usize()),
            locks: Locks::default(),
            delays: RefCell::default(),
            seats,
            rules: RefCell::new(Rc::new(rules)),
        });
        let door = Rc::clone(&inner);
        inner.seats.take_in(&inner.shard, arrivals, move |arrival| {
            if let Some(session) = travel::arrive(&door, arrival) {
                door.shard.spawn(session::live(session));
            }
        });
        Self(inner)
    }

    /// Begins to accept on `address`, the listener with this number in the settings. Returns the
    /// address, with the port that the kernel chose if it was asked to.
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

    /// Accepts no more, tells idle clients to leave, and waits until the others have what they asked
    /// for, for `patience` at most. Returns how many connections are left.
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
}

/// What a client that is not let in hears.
pub(super) const fn turned_away(refused: Refused) -> Refusal {
    let text = match refused {
        Refused::Server => "Too many connections, come later",
        Refused::Client => "Too many connections from your network",
    };
    Refusal::new(Some(Code::Temporary), text)
}
