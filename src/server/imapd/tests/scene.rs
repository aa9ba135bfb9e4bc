//! Two shards with a door each, and clients on the first of them, where all connections come in.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use engine::settings::Bytes as Size;
use engine::shard::{Backend, IoKind, Shard, Stream, probe, sleep, start};
use engine::storage;
use engine::telemetry::Events;
use engine::tls::{Acceptor, ClientCertificates, Connector, Keeper, Trust};
use mail::directory::{self, Accounts, Command, Login, Writer};
use mail::mailbox::{
    self, Caches, Delivery, DomainUse, Errand, Layout, Limits, Parcel, Stores, Ways,
};
use proto::types::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::super::{Arrival, Door, Metrics, Parts, Rules, Told};
use crate::gate::Gate;
use crate::listener::{Kind, LimitSettings, ListenerSettings, TlsMode};
use crate::passage::Passage;

/// Bounds a test that hangs; nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(120);
const SHARDS: usize = 2;
/// doveadm's, of `correct horse`.
const SSHA: &str = "{SSHA}TPoAr158xCr+Vf2Nvm7gP79gbEAUvWZx";
const ACCOUNTS: usize = 16;

/// What the shards share.
struct House {
    _data: tempfile::TempDir,
    limits: LimitSettings,
    accounts: Arc<Accounts>,
    writer: Writer,
    layout: Layout,
    ways: Ways,
    passage: Passage<Arrival>,
    gate: Arc<Gate>,
    acceptor: Acceptor,
    domains: Arc<DomainUse>,
    metrics: [Arc<Metrics>; SHARDS],
    seats: Mutex<Vec<Option<Seat>>>,
    /// Stops the second shard, and hears that it has.
    second: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

/// What one shard is given.
struct Seat {
    errands: mpsc::Receiver<Errand>,
    arrivals: mpsc::Receiver<Arrival>,
    stop: Option<(oneshot::Receiver<()>, oneshot::Sender<()>)>,
}

/// The house as a test on the first shard sees it.
pub(super) struct Scene {
    shard: Shard,
    house: Arc<House>,
    stores: Stores,
    door: Door,
    /// Of the listener with STARTTLS, and of that which begins with TLS.
    addresses: [SocketAddr; 2],
    connector: Connector,
}

/// A client.
pub(super) struct Client {
    stream: Stream,
    input: Vec<u8>,
}

/// Runs `body` on the first of two shards, on each backend that there is.
pub(super) fn on_both_backends<F, Fut>(limits: LimitSettings, body: F)
where
    F: Fn(Rc<Scene>) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let mut backends = vec![Backend::Epoll];
    if matches!(probe(IoKind::Auto), Ok(Backend::Uring)) {
        backends.push(Backend::Uring);
    }
    for backend in backends {
        let house = Arc::new(House::new(limits.clone()));
        let (theirs, body) = (Arc::clone(&house), body.clone());
        let main = move |shard: Shard| {
            let (house, body) = (Arc::clone(&theirs), body.clone());
            async move {
                let bounded = tokio::time::timeout(PATIENCE, live(shard, house, body));
                bounded.await.expect("the test hangs");
            }
        };
        start(SHARDS, backend, main)
            .unwrap()
            .join()
            .unwrap_or_else(|error| panic!("{backend}: {error}"));
        house.writer.stop();
    }
}

async fn live<F, Fut>(shard: Shard, house: Arc<House>, body: F)
where
    F: Fn(Rc<Scene>) -> Fut,
    Fut: Future<Output = ()>,
{
    let seat = house.seats.lock().unwrap()[shard.index()].take().unwrap();
    let stores = house.stores(shard.index());
    shard.spawn(stores.clone().run(shard.clone(), seat.errands));
    let door = Door::new(Parts {
        shard: shard.clone(),
        stores: stores.clone(),
        login: Login::new(Arc::clone(&house.accounts), Events::nowhere()),
        gate: Arc::clone(&house.gate),
        metrics: Arc::clone(&house.metrics[shard.index()]),
        passage: house.passage.clone(),
        arrivals: seat.arrivals,
        rules: house.rules(),
    });
    if let Some((stop, stopped)) = seat.stop {
        let _ = stop.await;
        door.drain(PATIENCE).await;
        stores.close().await;
        let _ = stopped.send(());
        return;
    }
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let addresses = [0, 1].map(|listener| door.open(listener, loopback).unwrap());
    let connector = Connector::new(Path::new("")).unwrap();
    let (house, stores) = (Arc::clone(&house), stores.clone());
    let scene = Rc::new(Scene { shard, house, stores, door, addresses, connector });
    body(Rc::clone(&scene)).await;
    scene.stop_second().await;
    scene.drain().await;
    scene.stores.close().await;
}

impl House {
    fn new(limits: LimitSettings) -> Self {
        let data = tempfile::tempdir().unwrap();
        let (accounts, writer) = Accounts::open(data.path(), directory_parts()).unwrap();
        add(&writer, r#"{"kind":"domain","domain":"x.example"}"#);
        for number in 0..ACCOUNTS {
            let name = name(number);
            add(&writer, &format!(r#"{{"kind":"account","address":"{name}","hash":"{SSHA}"}}"#));
        }
        let keeper = Keeper::open(data.path(), "mx.test").unwrap();
        let acceptor = keeper.acceptor(&[], ClientCertificates::Ignore, Path::new("")).unwrap();
        let (ways, errands) = Ways::new(SHARDS);
        let (passage, arrivals) = Passage::new(SHARDS);
        let ((stop, to_stop), (has_stopped, stopped)) = (oneshot::channel(), oneshot::channel());
        let stops = [None, Some((to_stop, has_stopped))];
        let seat = |((errands, arrivals), stop)| Some(Seat { errands, arrivals, stop });
        let seats = errands.into_iter().zip(arrivals).zip(stops).map(seat).collect();
        Self {
            layout: Layout::open(data.path(), SHARDS).unwrap(),
            _data: data,
            limits,
            accounts,
            writer,
            ways,
            passage,
            gate: Gate::new(),
            acceptor,
            domains: Arc::default(),
            metrics: Default::default(),
            seats: Mutex::new(seats),
            second: Mutex::new(Some((stop, stopped))),
        }
    }

    fn stores(&self, shard: usize) -> Stores {
        let settings = mailbox::Settings::default();
        let metrics = Arc::<mailbox::Metrics>::default();
        let storage = storage::Settings {
            memory: Size::mib(4),
            free_min: Size(0),
            ballast: Size(0),
            batch_bytes_max: Size::mib(1),
        };
        let parts = mailbox::Parts {
            caches: Rc::new(Caches::new(&settings, Arc::clone(&metrics))),
            settings: Arc::new(settings),
            storage,
            domains: Arc::clone(&self.domains),
            metrics,
            storage_metrics: Arc::default(),
            own: 1,
        };
        let shard = u16::try_from(shard).unwrap();
        Stores::open(self.layout.clone(), shard, self.ways.clone(), parts).unwrap()
    }

    fn rules(&self) -> Rules {
        let listener =
            |tls| ListenerSettings { kind: Kind::Imap, tls, ..ListenerSettings::default() };
        Rules::compile(&Told {
            hostname: "mx.test",
            listeners: &[listener(TlsMode::Starttls), listener(TlsMode::Implicit)],
            acceptors: &[Some(self.acceptor.clone()), Some(self.acceptor.clone())],
            limits: &self.limits,
            mailbox: &mailbox::Settings::default(),
        })
        .unwrap()
    }
}

fn name(number: usize) -> String {
    format!("user{number}@x.example")
}

fn directory_parts() -> directory::Parts {
    directory::Parts {
        settings: directory::Settings::default(),
        passwords: directory::PasswordSettings::default(),
        guessing: directory::GuessSettings::default(),
    }
}

fn add(writer: &Writer, record: &str) {
    let command = Command::Add { record: serde_json::from_str(record).unwrap() };
    let answer = writer.command("me".into(), command);
    answer.blocking_recv().unwrap().unwrap();
}

impl Scene {
    /// An account whose mail is on this shard.
    pub fn account_of(&self, shard: usize) -> String {
        (0..ACCOUNTS).map(name).find(|name| self.stores.home(name) == shard).unwrap()
    }

    /// Whether an account's mail is on this shard.
    pub fn is_here(&self, account: &str) -> bool {
        self.stores.home(account) == 0
    }

    pub fn metrics(&self, shard: usize) -> &Metrics {
        &self.house.metrics[shard]
    }

    /// Delivers to the INBOX of an account, wherever it is at home.
    pub async fn deliver(&self, account: &str, message: &str) {
        let to = Delivery { account, folder: None, limits: Limits::default() };
        let message = Bytes::from(message.to_owned());
        let parcel = Parcel::new(message, Timestamp(1_700_000_000_000));
        for answer in self.stores.deliver(&[to], &parcel).await {
            answer.unwrap();
        }
    }

    /// A client that has been greeted in the clear.
    pub async fn connect(&self) -> Client {
        let mut client = self.call(0).await;
        assert!(client.line().await.starts_with("* OK [CAPABILITY IMAP4rev1 "));
        client
    }

    /// A client that has been greeted under TLS.
    pub async fn connect_secured(&self) -> Client {
        let mut client = self.call(1).await;
        self.secure(&mut client).await;
        assert!(client.line().await.starts_with("* OK [CAPABILITY IMAP4rev1 "));
        client
    }

    pub async fn logged_in(&self, account: &str) -> Client {
        let mut client = self.connect_secured().await;
        client.ask(&format!("LOGIN {account} \"correct horse\""), "OK [CAPABILITY ").await;
        client
    }

    pub async fn secure(&self, client: &mut Client) {
        let channel = self.connector.channel("mx.test", &Trust::Anyone).unwrap();
        client.stream.secure(channel, Vec::new()).await.unwrap();
    }

    async fn call(&self, listener: usize) -> Client {
        let stream = self.shard.connect(self.addresses[listener], None, PATIENCE).await.unwrap();
        Client { stream, input: Vec::new() }
    }

    /// Waits until the first shard has no connection.
    pub async fn until_nobody_is_there(&self) {
        while self.metrics(0).open.get() > 0 {
            sleep(1).await;
        }
    }

    /// Closes the door of the first shard.
    pub async fn drain(&self) -> usize {
        self.door.drain(PATIENCE).await
    }

    /// Stops the second shard.
    pub async fn stop_second(&self) {
        let second = self.house.second.lock().unwrap().take();
        if let Some((stop, stopped)) = second {
            let _ = stop.send(());
            stopped.await.unwrap();
        }
    }
}

impl Client {
    pub async fn say(&mut self, text: &str) {
        self.stream.send(text.as_bytes().to_vec()).await.0.unwrap();
    }

    /// Says a command; what is told before its completion, which begins so behind the tag.
    pub async fn ask(&mut self, command: &str, completion: &str) -> String {
        self.say(&format!("t {command}\r\n")).await;
        self.answer("t", completion).await
    }

    /// What is told before the completion of the command with this tag.
    pub async fn answer(&mut self, tag: &str, completion: &str) -> String {
        let (mut told, tag) = (String::new(), format!("{tag} "));
        loop {
            let line = self.line().await;
            if let Some(done) = line.strip_prefix(&tag) {
                assert!(done.starts_with(completion), "{line} behind {told}");
                return told;
            }
            told.push_str(&line);
            told.push_str("\r\n");
        }
    }

    pub async fn line(&mut self) -> String {
        self.until("\r\n", 0).await
    }

    pub async fn send(&mut self, octets: Vec<u8>) {
        self.stream.send(octets).await.0.unwrap();
    }

    /// What comes next.
    pub async fn receive(&mut self) -> Vec<u8> {
        assert!(self.input.is_empty());
        let (read, octets) = self.stream.recv(Vec::with_capacity(64 << 10)).await;
        assert!(read.unwrap() > 0, "it has ended");
        octets
    }

    pub async fn has_ended(&mut self) {
        assert!(self.input.is_empty(), "{}", String::from_utf8_lossy(&self.input));
        assert_eq!(self.stream.recv(Vec::with_capacity(64)).await.0.unwrap(), 0);
    }

    /// What comes before `end`, and so many octets of that.
    async fn until(&mut self, end: &str, kept: usize) -> String {
        let mut looked_at = 0;
        loop {
            let from = looked_at.min(self.input.len());
            if let Some(at) = memchr::memmem::find(&self.input[from..], end.as_bytes()) {
                let line: Vec<u8> = self.input.drain(..from + at + end.len()).collect();
                return String::from_utf8(line[..from + at + kept].to_vec()).unwrap();
            }
            looked_at = self.input.len().saturating_sub(end.len());
            self.input.reserve(64 << 10);
            let (read, input) = self.stream.recv(std::mem::take(&mut self.input)).await;
            self.input = input;
            assert!(read.unwrap() > 0, "the end behind {:?}", String::from_utf8_lossy(&self.input));
        }
    }
}
