//! The life of one shard: has its rooms opened, obeys orders, and in the end empties and closes them.
//!
//! What must stay true: the doors close before deliveries do, and queues and mailboxes last, so that
//! nothing acknowledged is left unwritten.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::shard::{Shard, now_ms, sleep};
use engine::telemetry::{Level, note};
use mail::mailbox::{Errand, Ways};
use mail::queue::{Answer, Command, Queue, QueueError, Snapshot};
use tokio::sync::{mpsc, oneshot};

use super::house::House;
use super::rooms::Rooms;
use crate::passage::Passage;
use crate::{imapd, pop3d};

/// How often adopted queues are looked at.
const ADOPTED_LOOK_MS: u64 = 5_000;
/// How often the small figures are taken.
const FIGURES_MS: u64 = 1_000;
/// How often it is written what became of TLS and DMARC.
const OUTCOMES_MS: u64 = 5 * 60 * 1_000;
/// How often MTA-STS policies are looked through for old ones.
const POLICIES_MS: u64 = 60 * 60 * 1_000;
/// Of the time to drain, what the doors leave to deliveries at least.
const DELIVERY_DRAIN_MIN: Duration = Duration::from_secs(2);

/// Asked of a shard by another thread.
pub(super) enum Order {
    /// To every queue that it keeps.
    Queue(Command, oneshot::Sender<Vec<Result<Answer, QueueError>>>),
    /// Of every queue that it keeps.
    Snapshots(oneshot::Sender<Vec<Snapshot>>),
    /// The settings in force have changed.
    Reload,
    /// See everybody out, and end.
    Drain,
}

/// Hears whether a shard could start.
type Ready = std::sync::mpsc::Sender<Result<(), String>>;

/// What a shard is given, and only that one.
pub(super) struct Seat {
    orders: mpsc::Receiver<Order>,
    /// What other shards ask of its stores.
    errands: mpsc::Receiver<Errand>,
    ways: AllWays,
    ready: Ready,
}

/// The ways of one shard to all others, and what comes from there.
pub(super) struct AllWays {
    pub stores: Ways,
    pub imap: (Passage<imapd::Arrival>, mpsc::Receiver<imapd::Arrival>),
    pub pop3: (Passage<pop3d::Arrival>, mpsc::Receiver<pop3d::Arrival>),
}

impl Seat {
    /// One for each shard, in order.
    pub fn for_all(orders: Vec<mpsc::Receiver<Order>>, ready: &Ready) -> Vec<Self> {
        let (stores, errands) = Ways::new(orders.len());
        let (imap, imap_arrivals) = Passage::new(orders.len());
        let (pop3, pop3_arrivals) = Passage::new(orders.len());
        let seat = |((orders, errands), (imap_arrivals, pop3_arrivals))| {
            let ways = AllWays {
                stores: stores.clone(),
                imap: (imap.clone(), imap_arrivals),
                pop3: (pop3.clone(), pop3_arrivals),
            };
            Self { orders, errands, ways, ready: ready.clone() }
        };
        let arrivals = imap_arrivals.into_iter().zip(pop3_arrivals);
        orders.into_iter().zip(errands).zip(arrivals).map(seat).collect()
    }
}

/// Runs a shard until it is told to drain.
pub(super) async fn live(shard: Shard, house: Arc<House>, seat: Seat) {
    let Seat { mut orders, errands, ways, ready } = seat;
    let rooms = match Rooms::open(shard, house, ways) {
        Ok(rooms) => Rc::new(rooms),
        Err(error) => return drop(ready.send(Err(error))),
    };
    let _ = ready.send(Ok(()));
    drop(ready);
    rooms.start();
    rooms.shard.spawn(rooms.stores.clone().run(rooms.shard.clone(), errands));
    while let Some(order) = orders.recv().await {
        match order {
            Order::Queue(command, to) => {
                let asked = Rc::clone(&rooms);
                rooms.shard.spawn(async move { drop(to.send(asked.command(command).await)) });
            }
            Order::Snapshots(to) => drop(to.send(rooms.snapshots())),
            Order::Reload => rooms.reload(),
            Order::Drain => break,
        }
    }
    rooms.drain().await;
}

impl Rooms {
    /// Sets going what runs beside the orders.
    fn start(self: &Rc<Self>) {
        for queue in self.queues() {
            let delivery = self.delivery.clone();
            self.shard.spawn(async move { delivery.run(queue).await });
        }
        let (rooms, period) = (Rc::clone(self), self.house.log.flush_period());
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
        self.shard.spawn(async move {
            loop {
                sleep(period_ms).await;
                rooms.events.flush();
            }
        });
        let rooms = Rc::clone(self);
        self.shard.spawn(async move { rooms.look_after().await });
        let (delivery, dmarc) = (self.delivery.clone(), Rc::clone(&self.dmarc));
        self.shard.spawn(async move {
            loop {
                sleep(OUTCOMES_MS).await;
                delivery.write_tls_outcomes().await;
                dmarc.write().await;
            }
        });
        if self.shard.index() == 0 {
            let delivery = self.delivery.clone();
            self.shard.spawn(async move {
                loop {
                    sleep(POLICIES_MS).await;
                    delivery.refresh_policies().await;
                }
            });
        }
    }

    /// Takes the small figures, and removes adopted queues once they are empty.
    async fn look_after(&self) {
        let panics = &self.house.figures[self.shard.index()].panics;
        let mut looked_ms = 0;
        loop {
            sleep(FIGURES_MS).await;
            panics.add(self.shard.panics().saturating_sub(panics.get()));
            if now_ms().saturating_sub(looked_ms) >= ADOPTED_LOOK_MS {
                looked_ms = now_ms();
                self.remove_emptied().await;
            }
        }
    }

    async fn remove_emptied(&self) {
        let emptied: Vec<(u16, Queue)> =
            self.adopted.borrow().iter().filter(|(_, queue)| queue.is_empty()).cloned().collect();
        for (number, queue) in emptied {
            if queue.remove_if_empty().await {
                self.adopted.borrow_mut().retain(|(kept, _)| *kept != number);
                note(Level::Info, format_args!("queue {number} of an earlier run is emptied"));
            }
        }
    }

    /// Its own queue first.
    fn queues(&self) -> Vec<Queue> {
        let adopted = self.adopted.borrow();
        std::iter::once(&self.own).chain(adopted.iter().map(|(_, queue)| queue)).cloned().collect()
    }

    async fn command(&self, command: Command) -> Vec<Result<Answer, QueueError>> {
        if matches!(command, Command::Flush { .. }) {
            self.delivery.lift_rests();
        }
        let mut answers = Vec::new();
        for queue in self.queues() {
            answers.push(queue.command(command.clone()).await);
        }
        answers
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        self.queues().iter().map(Queue::snapshot).collect()
    }

    fn reload(&self) {
        let settings = self.house.settings.load_full();
        let queue_settings = Arc::new(settings.queue.clone());
        for queue in self.queues() {
            queue.reload(Arc::clone(&queue_settings));
        }
        self.stores.reload(&settings.mailbox);
        // Both were compiled once when the file was judged.
        self.doors.reload(&self.house, &settings).unwrap_or_else(|error| note(Level::Error, error));
        if let Err(error) = self.authenticator.reload(&settings.authentication, &settings.dns) {
            note(Level::Error, error);
        }
        let delivery_settings = Arc::new(settings.delivery.clone());
        let connector = self.house.connector.load_full();
        if let Err(error) = self.delivery.reload(delivery_settings, &settings.route, connector) {
            note(Level::Error, error);
        }
    }

    async fn drain(&self) {
        let patience = self.house.settings.load().server.drain.get();
        let started_ms = now_ms();
        let left = self.doors.drain(patience).await;
        if left > 0 {
            note(
                Level::Warn,
                format_args!("{left} clients were cut off in the middle of something"),
            );
        }
        let spent = Duration::from_millis(now_ms().saturating_sub(started_ms));
        self.dmarc.write().await;
        self.delivery.drain(patience.saturating_sub(spent).max(DELIVERY_DRAIN_MIN)).await;
        for queue in self.queues() {
            if !queue.close().await {
                note(Level::Error, "a queue could not write what was left: some mail may go twice");
            }
        }
        if !self.stores.close().await {
            note(Level::Error, "a store of mailboxes could not write what was left");
        }
        self.events.flush();
    }
}
