//! The whole room between a real queue in a directory of its own and scripted servers on loopback,
//! with a name server that knows what a test says. What became of each recipient is read from the
//! events that the queue writes.

mod ends;
mod limits;
mod mailboxes;
mod names;
mod outcomes;
mod places;
mod server;
mod sites;
mod stages;
mod terms;

use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use engine::{
    dns::{self, Resolver},
    settings::{Bytes as Size, Span},
    shard::{Backend, IoKind, Shard, probe, sleep, start},
    storage,
    telemetry::{Events, Format},
    tls::Connector,
};
use proto::types::{Address, BodyKind, Envelope, Recipient, Timestamp};
use serde_json::Value;

use self::names::{Names, Records};
use super::{
    Delivery, Metrics, Parts, SiteTable,
    mx::Own,
    settings::{HopProtocol, RouteSettings, Settings, TimeoutSettings},
    tls::outcomes::{Outcomes, ResultType},
};
use crate::queue::{self, Queue};

const BODY: &str = "Subject: hello\r\n\r\n.dot\r\nend\r\n";
/// What most mail comes to.
const DELIVERED: &str = "delivered 250 2.0.0";

/// Waits for something that is sure to come; a test that hangs says for what. The bound is shorter
/// than the wait of parked and of deferred mail.
async fn until(mut holds: impl FnMut() -> bool, what: &str) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        sleep(2).await;
    }
    panic!("never: {what}");
}

/// A message in the queue.
struct Letter {
    id: String,
    to: Vec<String>,
}

/// A delivery, its queue, and what has been heard of its mail.
struct World {
    delivery: Delivery,
    shard: Shard,
    metrics: Arc<Metrics>,
    queue: Queue,
    queue_metrics: Arc<queue::Metrics>,
    events: Events,
    /// By message and recipient.
    fates: RefCell<HashMap<(String, String), Value>>,
    /// Removed after the queue is.
    dir: tempfile::TempDir,
}

impl World {
    /// Takes what the queue hands out, until the delivery is drained.
    fn run(&self) {
        let (delivery, queue) = (self.delivery.clone(), self.queue.clone());
        self.shard.spawn(async move { delivery.run(queue).await });
    }

    async fn send(&self, to: &[&str]) -> Letter {
        self.send_text(None, to, BODY).await
    }

    /// The null sender hears of no failure, so that nothing else is in the queue than what was sent.
    async fn send_text(&self, from: Option<&str>, to: &[&str], text: &str) -> Letter {
        let id = accept(&self.queue, from, to, text).await;
        Letter { id: id.to_string(), to: to.iter().map(|to| (*to).to_owned()).collect() }
    }

    /// With REQUIRETLS.
    async fn send_required(&self, from: &str, to: &[&str]) -> Letter {
        let id = accept_all(&self.queue, Some(from), to, BODY, true).await;
        Letter { id: id.to_string(), to: to.iter().map(|to| (*to).to_owned()).collect() }
    }

    async fn send_all(&self, count: usize, to: &str) -> Vec<Letter> {
        let mut letters = Vec::new();
        for _ in 0..count {
            letters.push(self.send(&[to]).await);
        }
        letters
    }

    /// What each recipient came to, in their order: `delivered 250 2.0.0`,
    /// `deferred 451 4.4.1 connect`, `bounced 550 5.1.1`.
    async fn fate(&self, letter: &Letter) -> Vec<String> {
        until(|| self.is_settled(letter), "every recipient is settled").await;
        letter.to.iter().map(|to| tell(&self.event(letter, to).unwrap())).collect()
    }

    async fn deliver(&self, to: &[&str]) -> Vec<String> {
        let letter = self.send(to).await;
        self.fate(&letter).await
    }

    async fn all_delivered(&self, letters: &[Letter]) {
        for letter in letters {
            assert_eq!(self.fate(letter).await, [DELIVERED]);
        }
    }

    fn is_settled(&self, letter: &Letter) -> bool {
        letter.to.iter().all(|to| self.event(letter, to).is_some())
    }

    /// The event that told what a recipient came to.
    fn event(&self, letter: &Letter, to: &str) -> Option<Value> {
        self.hear();
        self.fates.borrow().get(&(letter.id.clone(), to.to_owned())).cloned()
    }

    fn hear(&self) {
        for line in self.events.take().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let Some(to) = event["recipient"].as_str() else { continue };
            let key = (event["id"].as_str().unwrap().to_owned(), to.to_owned());
            let before = self.fates.borrow_mut().insert(key, event);
            assert!(before.is_none(), "settled twice: {before:?}, {line}");
        }
    }

    /// Everything is over: nothing is leased, no connection stands.
    async fn is_quiet(&self) {
        let counts = || (self.metrics.active.get(), self.metrics.connections.get());
        until(|| counts() == (0, 0), "nothing is on its way").await;
        assert_eq!(self.queue.snapshot().active, 0);
    }
}

async fn accept(queue: &Queue, from: Option<&str>, to: &[&str], text: &str) -> queue::MessageId {
    accept_all(queue, from, to, text, false).await
}

async fn accept_all(
    queue: &Queue,
    from: Option<&str>,
    to: &[&str],
    text: &str,
    require_tls: bool,
) -> queue::MessageId {
    let envelope = envelope(from, to, text, require_tls);
    let id = queue.next_id();
    queue.accept(id, envelope, Bytes::copy_from_slice(text.as_bytes())).await.unwrap();
    id
}

fn envelope(from: Option<&str>, to: &[&str], text: &str, require_tls: bool) -> Envelope {
    let recipient = |text: &&str| {
        let address = Address::parse(text).unwrap();
        Recipient { address, notify: None, orcpt: None }
    };
    Envelope {
        sender: from.map(|from| Address::parse(from).unwrap()),
        recipients: to.iter().map(recipient).collect(),
        body: BodyKind::SevenBit,
        smtputf8: false,
        ret: None,
        envid: None,
        arrived: Timestamp(engine::shard::wall_ms()),
        size: text.len() as u64,
        origin: "test".into(),
        require_tls,
        hold_until: None,
        authenticity: None,
    }
}

/// The event in a few words.
fn tell(event: &Value) -> String {
    let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let reply = word("reply");
    let mut words = reply.split(' ');
    let code = words.next().unwrap_or_default();
    let is_status = |word: &&str| word.split('.').count() == 3 && !word.ends_with('.');
    let status = words.next().filter(is_status).unwrap_or("-");
    format!("{} {code} {status} {}", word("event"), word("stage")).trim_end().to_owned()
}

/// What a world is made of; may be sent to a shard.
#[derive(Clone)]
struct Setting {
    settings: Settings,
    routes: Vec<RouteSettings>,
    zone: HashMap<String, Records>,
    own: Own,
    shards: usize,
    /// There are accounts of ours.
    is_home: bool,
}

impl Setting {
    /// Next hops without a port of their own are at `port`.
    fn new(port: u16) -> Self {
        let timeouts = TimeoutSettings { connect: Span::secs(10), ..TimeoutSettings::default() };
        let settings = Settings { port, timeouts, ..Settings::default() };
        let (zone, own) = (HashMap::new(), Own::default());
        Self { settings, routes: Vec::new(), zone, own, shards: 1, is_home: false }
    }

    fn mx(mut self, domain: &str, hosts: &[(u16, &'static str)]) -> Self {
        self.zone.entry(domain.into()).or_default().mx.extend(hosts);
        self
    }

    fn a(mut self, host: &str, addresses: &[Ipv4Addr]) -> Self {
        self.zone.entry(host.into()).or_default().a.extend(addresses);
        self
    }

    /// A domain with one host at `addr`, whose port is the setting's.
    fn domain(self, domain: &'static str, addr: SocketAddr) -> Self {
        let SocketAddr::V4(addr) = addr else { panic!("IPv4 only") };
        self.mx(domain, &[(10, domain)]).a(domain, &[*addr.ip()])
    }

    fn route(mut self, pattern: &str, via: &[&str], protocol: HopProtocol) -> Self {
        self.routes.push(RouteSettings {
            r#match: pattern.into(),
            via: via.iter().map(|text| (*text).to_owned()).collect(),
            mx: false,
            protocol,
            tls: None,
            connections_max: 0,
            messages_per_connection_max: 0,
        });
        self
    }

    /// With accounts of ours and their mailboxes.
    fn at_home(mut self) -> Self {
        self.is_home = true;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Runs `body` in a world of its own on every shard, on the backend of this machine.
    fn run<F, Fut>(self, body: F)
    where
        F: Fn(World, Arc<Names>) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.run_on(probe(IoKind::Auto).unwrap(), body);
    }

    fn run_on<F, Fut>(self, backend: Backend, body: F)
    where
        F: Fn(World, Arc<Names>) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let shards = self.shards;
        let names = Arc::new(Names::start(self.zone.clone()));
        let sites = Arc::new(SiteTable::new(self.shards));
        let main = move |shard: Shard| {
            let (body, names) = (body.clone(), Arc::clone(&names));
            let world = self.world(&shard, &names, &sites);
            async move {
                world.run();
                body(world, names).await;
            }
        };
        start(shards, backend, main).unwrap().join().unwrap();
    }

    fn world(&self, shard: &Shard, names: &Names, sites: &Arc<SiteTable>) -> World {
        let nameservers = vec![names.addr];
        let settings = dns::Settings { nameservers, ..dns::Settings::default() };
        let metrics = Arc::new(Metrics::default());
        let dir = tempfile::tempdir().unwrap();
        let local = self.is_home.then(|| mailboxes::local(dir.path(), &storage()));
        let parts = Parts {
            shard: shard.clone(),
            settings: Arc::new(self.settings.clone()),
            routes: self.routes.clone(),
            own: self.own.clone(),
            hostname: "us.test".into(),
            resolver: Resolver::new(&settings).unwrap(),
            connector: connector(),
            policies: None,
            outcomes: Outcomes::default(),
            local,
            sites: Arc::clone(sites),
            metrics: Arc::clone(&metrics),
        };
        let events = Events::to_memory(shard.index(), Format::Json);
        let queue_metrics = Arc::default();
        let queue = open_queue(&dir, &events, &queue_metrics);
        let delivery = Delivery::new(parts).unwrap();
        let (shard, fates) = (shard.clone(), RefCell::default());
        World { delivery, shard, metrics, queue, queue_metrics, events, fates, dir }
    }
}

fn connector() -> Arc<Connector> {
    Arc::new(Connector::new("".as_ref()).unwrap())
}

fn storage() -> storage::Settings {
    storage::Settings {
        memory: Size::mib(4),
        free_min: Size(0),
        ballast: Size(0),
        batch_bytes_max: Size::mib(1),
    }
}

fn open_queue(dir: &tempfile::TempDir, events: &Events, metrics: &Arc<queue::Metrics>) -> Queue {
    let parts = queue::Parts {
        settings: Arc::default(),
        storage: storage(),
        hostname: "us.test".into(),
        signer: None,
        events: events.clone(),
        metrics: Arc::clone(metrics),
        storage_metrics: Arc::default(),
        shards: 1,
    };
    Queue::open(&queue::queue_dir(dir.path(), 0), 0, parts).unwrap()
}
