//! The sink: next hops on one address or on thousands, kind or not, and the DNS that leads to them.
//!
//! It holds no message longer than the inbox looks at it. It ends when its handle is dropped; connections that are open
//! then are cut.

mod dns;
mod greylist;
mod inbox;
mod rules;
mod session;
mod tally;

use std::{
    cell::{Cell, RefCell},
    io,
    net::{SocketAddr, TcpListener as StdListener, TcpStream},
    rc::Rc,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, net::TcpListener, timer::sleep};
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use rustls::ServerConfig;

use self::{
    greylist::Greylist,
    rules::Manners,
    session::Session,
    tally::{Doors, Tally},
};
use crate::{
    cores::{Cores, placement},
    message::{between, now_us},
    result,
    wire::{Wire, plain},
};

pub use crate::stage::Stage;
pub use dns::Zone;
pub use inbox::{Accounts, Delivery, Envelope, Inbox};
pub use rules::{Delay, Drop, Failure, Rules};

/// What a sink is made of.
#[derive(Clone)]
pub struct Hop {
    /// Addresses to listen on, each with its manners.
    pub sites: Vec<(SocketAddr, Rules)>,
    /// Who looks at the messages.
    pub inbox: Arc<dyn Inbox>,
    /// Offers STARTTLS with this.
    pub tls: Option<Arc<ServerConfig>>,
    /// Answers DNS questions here.
    pub dns: Option<(SocketAddr, Zone)>,
    /// Of everything random.
    pub seed: u64,
}

/// A running sink; dropping it ends it.
pub struct Sink {
    addresses: Vec<SocketAddr>,
    tallies: Vec<Arc<Tally>>,
    doors: Arc<Doors>,
    stop: async_channel::Sender<()>,
    executors: Vec<ExecutorJoinHandle<()>>,
}

/// What the sessions of one executor share.
struct House {
    inbox: Arc<dyn Inbox>,
    tally: Arc<Tally>,
    doors: Arc<Doors>,
    tls: Option<Arc<ServerConfig>>,
    random: RefCell<Pcg64Mcg>,
}

impl House {
    fn with_random<T>(&self, ask: impl FnOnce(&mut Pcg64Mcg) -> T) -> T {
        ask(&mut self.random.borrow_mut())
    }
}

/// One address, as one executor sees it.
struct Site {
    address: SocketAddr,
    manners: Arc<Manners>,
    /// No rule applies: the short way.
    is_kind: bool,
    open: Cell<u64>,
    greylist: RefCell<Greylist>,
}

impl Sink {
    /// One kind or unkind next hop; port 0 takes a free one.
    ///
    /// # Errors
    /// Those of [`Self::start`].
    pub fn single(
        address: SocketAddr,
        rules: Rules,
        inbox: impl Inbox + 'static,
    ) -> io::Result<Self> {
        let sites = vec![(address, rules)];
        Self::start(
            Hop { sites, inbox: Arc::new(inbox), tls: None, dns: None, seed: 1 },
            &Cores::Free(1),
        )
    }

    /// Listens; when this returns, connections are taken.
    ///
    /// # Errors
    /// An address is in use, or an executor cannot start.
    pub fn start(mut hop: Hop, cores: &Cores) -> io::Result<Self> {
        for (address, _) in &mut hop.sites {
            *address = free_address(*address)?;
        }
        let manners: Vec<_> =
            hop.sites.iter().map(|(_, rules)| Arc::new(Manners::new(rules.clone()))).collect();
        let addresses: Vec<SocketAddr> = hop.sites.iter().map(|(address, _)| *address).collect();
        let (stop, stopped) = async_channel::bounded(1);
        let mut this = Self {
            addresses,
            tallies: Vec::new(),
            doors: Arc::default(),
            stop,
            executors: Vec::new(),
        };
        let (ready, readied) = mpsc::channel();
        for index in 0..cores.count() {
            let tally = Arc::new(Tally::default());
            this.tallies.push(Arc::clone(&tally));
            let (hop, manners, doors) = (hop.clone(), manners.clone(), Arc::clone(&this.doors));
            let (ready, stopped) = (ready.clone(), stopped.clone());
            let executor = LocalExecutorBuilder::new(placement(cores, index))
                .name("sink")
                .spawn(move || async move {
                    let random = RefCell::new(Pcg64Mcg::seed_from_u64(hop.seed ^ index as u64));
                    let (inbox, tls) = (Arc::clone(&hop.inbox), hop.tls.clone());
                    let house = Rc::new(House { inbox, tally, doors, tls, random });
                    let open = open_doors(&hop, &manners, &house, index == 0);
                    let _ =
                        ready.send(open.as_ref().map(|_| ()).map_err(|error| error.to_string()));
                    // Ends when the handle is dropped, which closes the channel.
                    let _ = stopped.recv().await;
                    // Dropping a task only asks it to end: its listener must be closed when this returns.
                    for keeper in open.into_iter().flatten() {
                        keeper.cancel().await;
                    }
                })
                .map_err(plain)?;
            this.executors.push(executor);
        }
        drop(ready);
        for _ in 0..cores.count() {
            let answer =
                readied.recv().map_err(|_| io::Error::other("an executor of the sink ended"))?;
            answer.map_err(io::Error::other)?;
        }
        Ok(this)
    }

    /// Where it listens: the first address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.doors.taken.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Messages so far.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.messages()).sum()
    }

    /// Whether no message was taken for so long.
    #[must_use]
    pub fn is_idle_for(&self, time: Duration) -> bool {
        let last_us = self.tallies.iter().map(|tally| tally.last_us()).max().unwrap_or(0);
        between(last_us, now_us()) >= time
    }

    /// Counters start anew; connections stay open.
    pub fn reset(&self) {
        for tally in &self.tallies {
            tally.reset();
        }
        self.doors.reset();
    }

    /// The account so far.
    #[must_use]
    pub fn account(&self) -> result::Sink {
        tally::total(&self.tallies, &self.doors)
    }
}

impl std::ops::Drop for Sink {
    fn drop(&mut self) {
        self.stop.close();
        for executor in self.executors.drain(..) {
            // It has nothing to say any more.
            let _ = executor.join();
        }
    }
}

/// How long a port may still answer: the kernel keeps the listener of a ring that has ended for a moment.
const PORT_FREE_AFTER: Duration = Duration::from_secs(5);

/// The address, with a port when it had none; an error when somebody listens there and stays.
///
/// glommio shares ports (SO_REUSEPORT) and would not tell. Binding to ask would fail for a minute after
/// a sink of ours has ended, since its sockets do not share addresses.
#[allow(clippy::disallowed_methods)] // nothing runs yet
fn free_address(address: SocketAddr) -> io::Result<SocketAddr> {
    if address.port() == 0 {
        return StdListener::bind(address)?.local_addr();
    }
    let asked = Instant::now();
    while TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
        if asked.elapsed() > PORT_FREE_AFTER {
            let text = format!("{address}: somebody listens there");
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(address)
}

type Doorkeepers = Vec<glommio::Task<()>>;

/// Listens everywhere; the tasks end when they are dropped.
fn open_doors(
    hop: &Hop,
    manners: &[Arc<Manners>],
    house: &Rc<House>,
    first: bool,
) -> io::Result<Doorkeepers> {
    let mut keepers = Vec::with_capacity(hop.sites.len() + 2);
    for ((address, rules), manners) in hop.sites.iter().zip(manners) {
        let listener = TcpListener::bind(*address).map_err(plain)?;
        let site = Rc::new(Site {
            address: *address,
            manners: Arc::clone(manners),
            is_kind: *rules == rules.made_kind(),
            open: Cell::new(0),
            greylist: RefCell::default(),
        });
        keepers.push(glommio::spawn_local(keep_door(listener, site, Rc::clone(house))));
    }
    // The first executor alone answers questions about names.
    if let Some((address, zone)) = hop.dns.as_ref().filter(|_| first) {
        let (datagrams, streams) = dns::bind(*address)?;
        keepers.push(glommio::spawn_local(dns::answer(datagrams, zone.clone())));
        keepers.push(glommio::spawn_local(dns::answer_streams(streams, zone.clone())));
    }
    Ok(keepers)
}

async fn keep_door(listener: TcpListener, site: Rc<Site>, house: Rc<House>) {
    loop {
        let Ok(stream) = listener.accept().await else {
            // Out of descriptors, most likely: some will be given back.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let Ok(wire) = Wire::over(stream) else { continue };
        glommio::spawn_local(visit(wire, Rc::clone(&site), Rc::clone(&house))).detach();
    }
}

/// One connection, to its end; that the peer hangs up is its business.
async fn visit(mut wire: Wire, site: Rc<Site>, house: Rc<House>) {
    let number = house.doors.enter();
    site.open.set(site.open.get() + 1);
    if site.manners.rules.connections_max.is_some_and(|max| site.open.get() > max) {
        house.tally.refuse(Stage::Greeting, 421);
        let _ = wire.send(b"421 4.7.0 too many connections\r\n").await;
    } else {
        let _ = Session::new(Rc::clone(&house), Rc::clone(&site), wire, number).serve().await;
    }
    site.open.set(site.open.get() - 1);
    house.doors.leave();
}
