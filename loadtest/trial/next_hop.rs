//! A sink that outlives runs: kept connections of the server under test stay, the account changes.

use std::{io, sync::Arc};

use arc_swap::ArcSwapOption;

use crate::{
    cores::Cores,
    sink::{Accounts, Delivery, Hop, Inbox, Sink},
};

/// See the module.
pub struct NextHop {
    sink: Sink,
    switch: Arc<Switch>,
}

/// Hands messages to whoever keeps the account now; without one they are only counted.
#[derive(Default)]
struct Switch(ArcSwapOption<Accounts>);

impl Inbox for Switch {
    fn deliver(&self, delivery: &Delivery<'_>) {
        if let Some(accounts) = &*self.0.load() {
            accounts.deliver(delivery);
        }
    }
}

impl NextHop {
    /// Listens. `make` gets the inbox that the sites shall use.
    ///
    /// # Errors
    /// An address is in use, or `make` fails.
    pub fn open(
        cores: &Cores,
        make: impl FnOnce(Arc<dyn Inbox>) -> Result<Hop, String>,
    ) -> io::Result<Self> {
        let switch = Arc::new(Switch::default());
        let hop = make(Arc::clone(&switch) as Arc<dyn Inbox>).map_err(io::Error::other)?;
        Ok(Self { sink: Sink::start(hop, cores)?, switch })
    }

    /// From now on messages go into these accounts, and the counters start anew.
    pub fn switch_to(&self, accounts: Arc<Accounts>) {
        self.switch.0.store(Some(accounts));
        self.sink.reset();
    }

    /// The sink itself.
    #[must_use]
    pub fn sink(&self) -> &Sink {
        &self.sink
    }
}
