//! A next hop inside the test that keeps every message it was given.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use loadtest::{
    cores::Cores,
    message::Label,
    sink::{self, Hop, Rules, Sink},
};

use super::wait_until;

type Kept = Arc<Mutex<Vec<(Instant, Delivery)>>>;

/// A message as it was given.
#[derive(Clone)]
pub struct Delivery {
    pub mail: String,
    pub recipients: Vec<String>,
    pub message: Vec<u8>,
}

impl From<&sink::Delivery<'_>> for Delivery {
    fn from(delivery: &sink::Delivery<'_>) -> Self {
        Self {
            mail: delivery.envelope.mail().to_owned(),
            recipients: delivery.envelope.recipients().map(str::to_owned).collect(),
            message: delivery.message().into_owned(),
        }
    }
}

/// A sink and what it was given.
pub struct Postbox {
    sink: Sink,
    kept: Kept,
}

impl Postbox {
    pub fn open() -> Self {
        Self::with(Rules::default())
    }

    pub fn with(rules: Rules) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], super::free_port())), rules)
    }

    pub fn at(address: SocketAddr, rules: Rules) -> Self {
        Self::at_all(vec![(address, rules)])
    }

    /// Many next hops that keep what they get together.
    pub fn at_all(sites: Vec<(SocketAddr, Rules)>) -> Self {
        Self::of(sites, None)
    }

    /// A next hop that offers STARTTLS.
    pub fn with_tls(config: Arc<rustls::ServerConfig>) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], super::free_port()));
        Self::of(vec![(address, Rules::default())], Some(config))
    }

    fn of(sites: Vec<(SocketAddr, Rules)>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let kept = Kept::default();
        let keeping = Arc::clone(&kept);
        let keep = move |delivery: &sink::Delivery<'_>| {
            keeping.lock().unwrap().push((Instant::now(), delivery.into()));
        };
        let hop = Hop { sites, inbox: Arc::new(keep), tls, dns: None, seed: 1 };
        let sink = Sink::start(hop, &Cores::Free(1)).expect("a sink");
        Self { sink, kept }
    }

    pub fn address(&self) -> SocketAddr {
        self.sink.address()
    }

    pub fn connections(&self) -> u64 {
        self.sink.connections()
    }

    pub fn count(&self) -> usize {
        self.kept.lock().unwrap().len()
    }

    pub fn deliveries(&self) -> Vec<Delivery> {
        self.kept.lock().unwrap().iter().map(|(_, delivery)| delivery.clone()).collect()
    }

    pub fn wait_count(&self, count: usize, seconds: u64) {
        let what = format!("{count} messages at {}", self.address());
        wait_until(&what, seconds, || self.count() >= count);
    }

    /// The first message whose text (with its recipients) holds `mark`.
    pub fn wait_for(&self, mark: &str, seconds: u64) -> Delivery {
        let find = || self.deliveries().into_iter().find(|delivery| delivery.text().contains(mark));
        wait_until(&format!("a message with {mark:?}"), seconds, || find().is_some());
        find().unwrap()
    }

    /// When each labelled message of `run` arrived; panics when one was changed on its way.
    pub fn arrivals(&self, run: &str) -> HashMap<u64, Vec<Instant>> {
        let mut arrivals: HashMap<u64, Vec<Instant>> = HashMap::new();
        for (at, delivery) in self.kept.lock().unwrap().iter() {
            let Some((label, same)) = Label::check(&delivery.message) else { continue };
            if label.run == run {
                assert!(same, "message {label:?} was changed on its way");
                arrivals.entry(label.number).or_default().push(*at);
            }
        }
        arrivals
    }

    /// Waits until every number of `run` in `wanted` has arrived.
    pub fn wait_all(&self, run: &str, wanted: &[u64], seconds: u64) {
        let what = format!("{} acknowledged messages of {run}", wanted.len());
        let missing = || {
            let arrivals = self.arrivals(run);
            wanted.iter().filter(|number| !arrivals.contains_key(number)).count()
        };
        let mut polls = 0_u32;
        wait_until(&what, seconds, || {
            polls += 1;
            // Comparing bytes of everything is costly: look rarely.
            polls % 25 == 1 && missing() == 0
        });
    }
}

/// Reading a delivery as text.
pub trait Text {
    fn text(&self) -> String;
}

impl Text for Delivery {
    fn text(&self) -> String {
        let message = String::from_utf8_lossy(&self.message);
        format!("MAIL {}\r\nRCPT {}\r\n{message}", self.mail, self.recipients.join(" "))
    }
}
