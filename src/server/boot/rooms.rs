//! The rooms of a shard, opened in the order in which they need each other.
//!
//! What must stay true: the doors open last, when the shard's queue has been recovered and its mailboxes
//! can be reached. How it fails: in words for the administrator, and nothing is open then.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::dns::Resolver;
use engine::shard::Shard;
use engine::telemetry::{Events, Level, note};
use mail::authentication::checks::{self, Authenticator};
use mail::authentication::signing::Keys;
use mail::delivery::{self, Delivery, Local, mx::Own, tls::outcomes::Outcomes};
use mail::directory::Login;
use mail::mailbox::{self, Caches, Stores, Ways};
use mail::queue::{self, Queue, Sign, orphans, queue_dir};
use proto::types::Timestamp;

use super::house::House;
use super::settings::Settings;
use super::shard::AllWays;
use crate::listener::{Kind, ListenerSettings, Protocol};
use crate::{imapd, pop3d, smtpd};

/// The rooms of a shard.
pub(super) struct Rooms {
    pub shard: Shard,
    pub house: Arc<House>,
    pub events: Events,
    pub doors: Doors,
    pub delivery: Delivery,
    pub authenticator: Authenticator,
    pub dmarc: Rc<checks::Outcomes>,
    pub own: Queue,
    pub adopted: RefCell<Vec<(u16, Queue)>>,
    pub stores: Stores,
}

/// Its doors.
pub(super) struct Doors {
    smtp: smtpd::Door,
    imap: imapd::Door,
    pop3: pop3d::Door,
}

impl Rooms {
    /// Opens them all. Blocks, at start only.
    pub fn open(shard: Shard, house: Arc<House>, ways: AllWays) -> Result<Self, String> {
        let settings = house.settings.load_full();
        let events = house.log.shard(shard.index());
        let (own, adopted) = open_queues(&house, &settings, &shard, &events)?;
        let stores = open_stores(&house, &settings, &shard, ways.stores)?;
        let delivery = open_delivery(&house, &settings, &shard, stores.clone())?;
        let authenticator = Authenticator::new(&settings.authentication, &settings.dns)
            .map_err(|error| error.to_string())?;
        let dmarc = checks::Outcomes::open(&settings.server.data_dir, shard.index())
            .map_err(|error| format!("{}: {error}", settings.server.data_dir.display()))?;
        let dmarc = Rc::new(dmarc);
        let origin = smtpd::Origin {
            authenticator: authenticator.clone(),
            outcomes: Rc::clone(&dmarc),
            keys: house.keys.view(),
            events: events.clone(),
        };
        let login = || Login::new(Arc::clone(&house.accounts), events.clone());
        let acceptors = house.acceptors.load();
        let smtp = smtpd::Door::new(smtpd::Parts {
            shard: shard.clone(),
            queue: own.clone(),
            stores: stores.clone(),
            accounts: Arc::clone(&house.accounts),
            login: login(),
            gate: Arc::clone(&house.gate),
            metrics: Arc::clone(&house.figures[shard.index()].smtp),
            origin,
            rules: smtpd::Rules::compile(&settings.told(&house.hostname, &acceptors))?,
        });
        let (passage, arrivals) = ways.imap;
        let imap = imapd::Door::new(imapd::Parts {
            shard: shard.clone(),
            stores: stores.clone(),
            login: login(),
            gate: Arc::clone(&house.gate),
            metrics: Arc::clone(&house.figures[shard.index()].imap),
            passage,
            arrivals,
            rules: imapd::Rules::compile(&settings.told_imap(&house.hostname, &acceptors))?,
        });
        let (passage, arrivals) = ways.pop3;
        let pop3 = pop3d::Door::new(pop3d::Parts {
            shard: shard.clone(),
            stores: stores.clone(),
            login: login(),
            gate: Arc::clone(&house.gate),
            metrics: Arc::clone(&house.figures[shard.index()].pop3),
            passage,
            arrivals,
            rules: pop3d::Rules::compile(&settings.told_pop3(&house.hostname, &acceptors))?,
        });
        let doors = Doors { smtp, imap, pop3 };
        doors.listen(&settings.listener)?;
        let adopted = RefCell::new(adopted);
        Ok(Self {
            shard,
            house,
            events,
            doors,
            delivery,
            authenticator,
            dmarc,
            own,
            adopted,
            stores,
        })
    }
}

impl Doors {
    /// Every listener is a door's.
    fn listen(&self, listeners: &[ListenerSettings]) -> Result<(), String> {
        for (number, listener) in listeners.iter().enumerate() {
            let address = listener.address;
            let opened = match listener.kind {
                Kind::Relay | Kind::Submission => self.smtp.open(number, address),
                Kind::Pop3 => self.pop3.open(number, address),
                Kind::Imap => self.imap.open(number, address),
            };
            opened.map_err(|error| format!("cannot listen on {address}: {error}"))?;
        }
        Ok(())
    }

    /// Takes new settings; they were compiled once when the file was judged.
    pub fn reload(&self, house: &House, settings: &Settings) -> Result<(), String> {
        let (hostname, acceptors) = (&house.hostname, house.acceptors.load());
        self.smtp.reload(smtpd::Rules::compile(&settings.told(hostname, &acceptors))?);
        self.imap.reload(imapd::Rules::compile(&settings.told_imap(hostname, &acceptors))?);
        self.pop3.reload(pop3d::Rules::compile(&settings.told_pop3(hostname, &acceptors))?);
        Ok(())
    }

    /// Sees everybody out; how many were cut off when patience had an end.
    pub async fn drain(&self, patience: Duration) -> usize {
        let (smtp, imap, pop3) = tokio::join!(
            self.smtp.drain(patience),
            self.imap.drain(patience),
            self.pop3.drain(patience)
        );
        smtp + imap + pop3
    }
}

/// The shard's own queue, and those that shards of an earlier run have left to it.
fn open_queues(
    house: &House,
    settings: &Settings,
    shard: &Shard,
    events: &Events,
) -> Result<(Queue, Vec<(u16, Queue)>), String> {
    let (index, data_dir) = (index(shard), &settings.server.data_dir);
    let parts = queue_parts(house, settings, shard, events);
    let open = |number: u16| {
        let folder = queue_dir(data_dir, number);
        Queue::open(&folder, number, parts.clone())
            .map_err(|error| format!("queue {}: {error}", folder.display()))
    };
    let own = open(index)?;
    let left = orphans(data_dir, index, house.shards())
        .map_err(|error| format!("{}: {error}", data_dir.display()))?;
    let adopted = left
        .into_iter()
        .map(|number| Ok((number, open(number)?)))
        .collect::<Result<_, String>>()?;
    Ok((own, adopted))
}

fn open_delivery(
    house: &House,
    settings: &Settings,
    shard: &Shard,
    stores: Stores,
) -> Result<Delivery, String> {
    let outcomes = Outcomes::open(&settings.server.data_dir, shard.index())
        .map_err(|error| format!("{}: {error}", settings.server.data_dir.display()))?;
    Delivery::new(delivery::Parts {
        shard: shard.clone(),
        settings: Arc::new(settings.delivery.clone()),
        routes: settings.route.clone(),
        own: own_names(house, settings),
        hostname: house.hostname.as_str().into(),
        resolver: Resolver::new(&settings.dns).map_err(|error| format!("dns: {error}"))?,
        connector: house.connector.load_full(),
        policies: house.policies.clone(),
        outcomes,
        sites: Arc::clone(&house.sites),
        local: Some(Local { accounts: Arc::clone(&house.accounts), stores }),
        metrics: Arc::clone(&house.figures[shard.index()].delivery),
    })
    .map_err(|error| error.to_string())
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
