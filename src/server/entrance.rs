//! A listener as one shard uses it: what a door's machine is told about it, and what comes before the first
//! octet that the machine sees.

use std::{net::IpAddr, rc::Rc};

use engine::tls::Acceptor;
use mail::policy::Networks;

use crate::listener::{ListenerSettings, TlsMode};

/// One listener; `P` is what the door's machine is told about it.
#[derive(Debug)]
pub(crate) struct Entrance<P> {
    pub profile: Rc<P>,
    /// What TLS is taken with.
    pub acceptor: Option<Acceptor>,
    /// TLS comes before the greeting.
    pub is_implicit: bool,
    /// Balancers whose PROXY header is believed, and required.
    balancers: Option<Networks>,
}

impl<P> Entrance<P> {
    /// Of the listener with this index in the settings; `acceptors` are those of all listeners.
    ///
    /// # Errors
    /// What makes no sense, in words, with the path of the setting.
    pub fn new(
        index: usize,
        listener: &ListenerSettings,
        acceptors: &[Option<Acceptor>],
        profile: P,
    ) -> Result<Self, String> {
        let balancers = Networks::parse(&listener.proxy_from)
            .map_err(|error| format!("listener[{index}].proxy_from: {error}"))?;
        Ok(Self {
            profile: Rc::new(profile),
            acceptor: acceptors.get(index).cloned().flatten(),
            is_implicit: listener.tls == TlsMode::Implicit,
            balancers: (!listener.proxy_from.is_empty()).then_some(balancers),
        })
    }

    /// Whether connections begin with a PROXY header, and if so whether `peer` may send one.
    pub fn expects_header(&self, peer: IpAddr) -> Option<bool> {
        self.balancers.as_ref().map(|balancers| balancers.contains(peer))
    }
}
