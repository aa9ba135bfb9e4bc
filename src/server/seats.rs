//! The connections of one door: who is there, who may be told to leave, and how others are taken in until
//! the door closes.
//!
//! What must stay true: a connection has a seat from before anybody can think that nobody is there until
//! everything is said; a door that drains takes nobody more, but lets in who is on the way from another
//! shard, to be told. How it fails: what cannot be accepted is told once, and tried again.

use std::{
    cell::{Cell, RefCell},
    io,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use engine::shard::{Brake, Listener, Shard, Stream, now_ms, sleep};
use engine::telemetry::{Level, note};
use proto::types::Moment;
use slab::Slab;
use tokio::sync::{Notify, mpsc};

/// Connections that the kernel holds for us while we are busy.
const BACKLOG: i32 = 4096;
/// After an accept that failed: no file descriptors or no memory, which time may mend.
const ACCEPT_PAUSE_MS: u64 = 100;
/// How often a draining door looks whether everybody has left.
const DRAIN_POLL_MS: u64 = 20;

/// The seats of one door. Clones share them.
#[derive(Clone)]
pub(crate) struct Seats(Rc<Inner>);

struct Inner {
    seats: RefCell<Slab<Seat>>,
    /// Is told how many are taken.
    open: Box<dyn Fn(u64)>,
    draining: Cell<bool>,
    closing: Notify,
    /// Somebody may come from another shard.
    awaits: Cell<bool>,
}

/// A connection as the door knows it.
struct Seat {
    brake: Brake,
    /// It waits for a command, and may be told to leave.
    idle: bool,
}

/// A connection's place; given back when dropped.
pub(crate) struct Place {
    seats: Seats,
    key: usize,
}

impl Seats {
    /// All free. `open` is told how many are taken.
    pub fn new(open: impl Fn(u64) + 'static) -> Self {
        Self(Rc::new(Inner {
            seats: RefCell::default(),
            open: Box::new(open),
            draining: Cell::new(false),
            closing: Notify::new(),
            awaits: Cell::new(false),
        }))
    }

    /// A seat for a connection.
    pub fn enter(&self, stream: &Stream) -> Place {
        let key = self.0.seats.borrow_mut().insert(Seat { brake: stream.brake(), idle: false });
        self.show();
        Place { seats: self.clone(), key }
    }

    /// Whether the door closes.
    pub fn draining(&self) -> bool {
        self.0.draining.get()
    }

    fn count(&self) -> usize {
        self.0.seats.borrow().len()
    }

    fn show(&self) {
        (self.0.open)(self.count() as u64);
    }

    /// Begins to listen; `take` gets every connection until the door closes. Returns the address, with the
    /// port that the kernel chose if it was asked to.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn listen(
        &self,
        shard: &Shard,
        address: SocketAddr,
        take: impl Fn(Stream) + 'static,
    ) -> io::Result<SocketAddr> {
        let socket = shard.listen(address, BACKLOG)?;
        let address = socket.local_addr();
        shard.spawn(self.clone().accept(socket, take));
        Ok(address)
    }

    async fn accept(self, socket: Listener, take: impl Fn(Stream)) {
        let mut is_troubled = false;
        while !self.draining() {
            let accepted = tokio::select! {
                biased;
                () = self.0.closing.notified() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok(_) if self.draining() => return,
                Ok((stream, _)) => {
                    is_troubled = false;
                    take(stream);
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

    /// Begins to take in who comes from other shards; `take` gives each a seat. When the door closes nobody
    /// sets out any more, and those who are on the way are let in.
    pub fn take_in<T: 'static>(
        &self,
        shard: &Shard,
        mut arrivals: mpsc::Receiver<T>,
        take: impl Fn(T) + 'static,
    ) {
        let seats = self.clone();
        seats.0.awaits.set(true);
        shard.spawn(async move {
            loop {
                let arrival = if seats.draining() {
                    arrivals.close();
                    arrivals.recv().await
                } else {
                    tokio::select! {
                        biased;
                        () = seats.0.closing.notified() => continue,
                        arrival = arrivals.recv() => arrival,
                    }
                };
                let Some(arrival) = arrival else { break };
                take(arrival);
            }
            seats.0.awaits.set(false);
        });
    }

    /// Takes nobody more, pulls the brake of those who are idle, and waits until the others have left, for
    /// `patience` at most. Returns how many connections are left.
    pub async fn drain(&self, patience: Duration) -> usize {
        self.0.draining.set(true);
        self.0.closing.notify_waiters();
        for (_, seat) in self.0.seats.borrow().iter().filter(|(_, seat)| seat.idle) {
            seat.brake.pull();
        }
        let end = Moment(now_ms()).after(patience);
        while (self.0.awaits.get() || self.count() > 0) && Moment(now_ms()) < end {
            sleep(DRAIN_POLL_MS).await;
        }
        self.count()
    }
}

impl Place {
    /// Whether the connection may be ended at once when the door closes.
    pub fn set_idle(&self, idle: bool) {
        if let Some(seat) = self.seats.0.seats.borrow_mut().get_mut(self.key) {
            seat.idle = idle;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.seats.0.seats.borrow_mut().try_remove(self.key);
        self.seats.show();
    }
}
