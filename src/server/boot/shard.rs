//! The life of one shard: opens its rooms, obeys orders, and in the end empties and closes them.
//!
//! What must stay true: the doors open only when the shard's queue has been recovered; they close
//! before deliveries do, and the queues last, so that nothing acknowledged is left unwritten.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::dns::Resolver;
use engine::shard::{Shard, now_ms, sleep};
use engine::telemetry::{Events, Level, note};
use mail::authentication::checks::{self, Authenticator};
use mail::authentication::signing::Keys;
use mail::delivery::{self, Delivery, mx::Own, tls::outcomes::Outcomes};
use mail::directory::Login;
use mail::mailbox::{self, Caches, Errand, Stores, Ways};
use mail::queue::{self, Answer, Command, Queue, QueueError, Sign, Snapshot, orphans, queue_dir};
use proto::types::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::house::House;
use super::settings::Settings;
use crate::listener::{ListenerSettings, Protocol};
use crate::smtpd::{self, Door, Rules};

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

/// What a shard is given, and only that one.
pub(super) struct Seat {
    pub orders: mpsc::Receiver<Order>,
    /// What other shards ask of its stores, and the ways to theirs.
    pub errands: mpsc::Receiver<Errand>,
    pub ways: Ways,
    /// Hears whether it could start.
    pub ready: std::sync::mpsc::Sender<Result<(), String>>,
}

/// The rooms of a shard.
struct Rooms {
    shard: Shard,
    house: Arc<House>,
    events: Events,
    door: Door,
    delivery: Delivery,
    authenticator: Authenticator,
    dmarc: Rc<checks::Outcomes>,
    own: Queue,
    adopted: RefCell<Vec<(u16, Queue)>>,
    stores: Stores,
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
    fn open(shard: Shard, house: Arc<House>, ways: Ways) -> Result<Self, String> {
        let settings = house.settings.load_full();
        let index = index(&shard);
        let figures = &house.figures[shard.index()];
        let events = house.log.shard(shard.index());
        let parts = queue_parts(&house, &settings, &shard, &events);
        let open = |number: u16| {
            let folder = queue_dir(&settings.server.data_dir, number);
            Queue::open(&folder, number, parts.clone())
                .map_err(|error| format!("queue {}: {error}", folder.display()))
        };
        let own = open(index)?;
        let left = orphans(&settings.server.data_dir, index, house.shards())
            .map_err(|error| format!("{}: {error}", settings.server.data_dir.display()))?;
        let adopted = left
            .into_iter()
            .map(|number| Ok((number, open(number)?)))
            .collect::<Result<_, String>>()?;
        let stores = open_stores(&house, &settings, &shard, ways)?;
        let delivery = Delivery::new(delivery::Parts {
            shard: shard.clone(),
            settings: Arc::new(settings.delivery.clone()),
            routes: settings.route.clone(),
            own: own_names(&house, &settings),
            hostname: house.hostname.as_str().into(),
            resolver: Resolver::new(&settings.dns).map_err(|error| format!("dns: {error}"))?,
            connector: house.connector.load_full(),
            policies: house.policies.clone(),
            outcomes: Outcomes::open(&settings.server.data_dir, shard.index())
                .map_err(|error| format!("{}: {error}", settings.server.data_dir.display()))?,
            sites: Arc::clone(&house.sites),
            metrics: Arc::clone(&figures.delivery),
        })
        .map_err(|error| error.to_string())?;
        let authenticator = Authenticator::new(&settings.authentication, &settings.dns)
            .map_err(|error| error.to_string())?;
        let dmarc = checks::Outcomes::open(&settings.server.data_dir, shard.index())
            .map_err(|error| format!("{}: {error}", settings.server.data_dir.display()))?;
        let dmarc = Rc::new(dmarc);
        let door = Door::new(smtpd::Parts {
            shard: shard.clone(),
            queue: own.clone(),
            accounts: Arc::clone(&house.accounts),
            login: Login::new(Arc::clone(&house.accounts), events.clone()),
            gate: Arc::clone(&house.gate),
            metrics: Arc::clone(&figures.smtp),
            origin: smtpd::Origin {
                authenticator: authenticator.clone(),
                outcomes: Rc::clone(&dmarc),
                keys: house.keys.view(),
                events: events.clone(),
            },
            rules: Rules::compile(&settings.told(&house.hostname, &house.acceptors.load()))?,
        });
        for (number, listener) in settings.listener.iter().enumerate() {
            let address = listener.address;
            if !listener.kind.is_smtp() {
                continue;
            }
            door.open(number, address)
                .map_err(|error| format!("cannot listen on {address}: {error}"))?;
        }
        let adopted = RefCell::new(adopted);
        Ok(Self {
            shard,
            house,
            events,
            door,
            delivery,
            authenticator,
            dmarc,
            own,
            adopted,
            stores,
        })
    }

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
        match Rules::compile(&settings.told(&self.house.hostname, &self.house.acceptors.load())) {
            Ok(rules) => self.door.reload(rules),
            Err(error) => note(Level::Error, error),
        }
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
        let left = self.door.drain(patience).await;
        if left > 0 {
            note(Level::Warn, format_args!("{left} clients were cut off inside a message"));
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

/// The mailboxes whose stores the shard owns.
fn open_stores(
    house: &House,
    settings: &Settings,
    shard: &Shard,
    ways: Ways,
) -> Result<Stores, String> {
    let figures = &house.figures[shard.index()];
    let parts = mailbox::Parts {
        settings: Arc::new(settings.mailbox.clone()),
        storage: settings.mailbox.storage(&settings.storage),
        caches: Rc::new(Caches::new(&settings.mailbox, Arc::clone(&figures.mailbox))),
        domains: Arc::clone(&house.domains),
        metrics: Arc::clone(&figures.mailbox),
        storage_metrics: Arc::clone(&figures.mailbox_storage),
        own: 1,
    };
    Stores::open(house.layout.clone(), index(shard), ways, parts)
        .map_err(|error| format!("mailboxes: {error}"))
}

fn index(shard: &Shard) -> u16 {
    // There are at most `QUEUES_MAX` shards.
    u16::try_from(shard.index()).unwrap_or(u16::MAX)
}

fn queue_parts(house: &House, settings: &Settings, shard: &Shard, events: &Events) -> queue::Parts {
    let figures = &house.figures[shard.index()];
    queue::Parts {
        settings: Arc::new(settings.queue.clone()),
        storage: settings.storage.clone(),
        hostname: house.hostname.as_str().into(),
        signer: Some(Rc::new(Reports(Arc::clone(&house.keys)))),
        events: events.clone(),
        metrics: Arc::clone(&figures.queue),
        storage_metrics: Arc::clone(&figures.storage),
        shards: house.shards(),
    }
}

/// Signs what queues write, with the keys of the domain that it is from: a few hundred µs on the shard,
/// once a report.
struct Reports(Arc<Keys>);

impl Sign for Reports {
    fn sign(&self, message: &[u8], at: Timestamp, out: &mut Vec<u8>) {
        if let Err(error) = self.0.keyring().sign(message, at, out) {
            note(Level::Warn, format_args!("a report goes unsigned: {error}"));
        }
    }
}

/// By what mail for ourselves is recognised: it would circle.
fn own_names(house: &House, settings: &Settings) -> Own {
    let speaks_smtp = |listener: &&ListenerSettings| {
        listener.kind.is_smtp() && listener.protocol == Protocol::Smtp
    };
    Own {
        names: vec![house.hostname.to_ascii_lowercase().into()],
        listeners: settings.listener.iter().filter(speaks_smtp).map(|l| l.address).collect(),
    }
}
