//! Relay permission: the networks that may send anywhere, and the domains that anyone may send to.

use std::{collections::HashSet, net::IpAddr};

use proto::types::{Address, Domain, Enhanced, Reply};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NetworkError, Networks};

/// Whose mail is passed on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Networks that may send mail to anyone, e.g. "192.0.2.0/24", "2001:db8::/32" or one address.
    /// Everything in them is trusted: list your own hosts only, or Ringpost becomes an open relay.
    pub networks: Vec<String>,
    /// Recipient domains that anyone may send mail to: "example.org", "*.example.org" (everything
    /// below it, not itself). "*" would make an open relay and is refused.
    pub domains: Vec<String>,
    /// Received fields in a message before it is taken for one that circles and is refused. RFC 5321
    /// §6.3 asks for at least 100.
    pub hops_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            networks: vec!["127.0.0.0/8".to_owned(), "::1".to_owned()],
            domains: Vec::new(),
            hops_max: 100,
        }
    }
}

/// Why relay settings make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// In `networks`.
    #[error("relay.networks: {0}")]
    Network(#[from] NetworkError),
    /// In `domains`.
    #[error("relay.domains: {0:?} is not a domain or \"*.domain\"")]
    Domain(String),
    /// `*` in `domains`.
    #[error("relay.domains: \"*\" would let anyone send mail to anyone (an open relay)")]
    OpenRelay,
}

/// Relay permission, compiled.
#[derive(Clone, Debug)]
pub struct Relay {
    networks: Networks,
    exact: HashSet<Box<str>>,
    below: HashSet<Box<str>>,
    hops_max: u32,
}

impl Relay {
    /// Compiles the settings.
    ///
    /// # Errors
    /// The first entry that makes no sense.
    pub fn new(settings: &Settings) -> Result<Self, PolicyError> {
        let networks = Networks::parse(&settings.networks)?;
        let (mut exact, mut below) = (HashSet::new(), HashSet::new());
        for text in &settings.domains {
            if text == "*" {
                return Err(PolicyError::OpenRelay);
            }
            let (set, name) = match text.strip_prefix("*.") {
                Some(suffix) => (&mut below, suffix),
                None => (&mut exact, text.as_str()),
            };
            let domain = Domain::parse(name).map_err(|_| PolicyError::Domain(text.clone()))?;
            set.insert(domain.as_str().into());
        }
        Ok(Self { networks, exact, below, hops_max: settings.hops_max })
    }

    /// Whether `peer` may send mail to `recipient`.
    ///
    /// # Errors
    /// The reply that says no: 550 5.7.1.
    pub fn permits(&self, peer: IpAddr, recipient: &Address) -> Result<(), Reply> {
        let is_ours = |domain: &Domain| self.is_domain(domain.as_str());
        if self.is_inside(peer) || recipient.domain().is_some_and(is_ours) {
            return Ok(());
        }
        Err(Reply::new(550, Enhanced(5, 7, 1), "Relaying denied"))
    }

    /// Whether `peer` is in a network of ours: it may send mail to anybody.
    #[must_use]
    pub fn is_inside(&self, peer: IpAddr) -> bool {
        self.networks.contains(peer)
    }

    /// Whether a message with so many Received fields may still travel (RFC 5321 §6.3).
    ///
    /// # Errors
    /// The reply that says no: 554 5.4.6, "routing loop detected" (RFC 3463 §3.5).
    pub fn permits_hops(&self, received_count: u32) -> Result<(), Reply> {
        if received_count <= self.hops_max {
            return Ok(());
        }
        Err(Reply::new(554, Enhanced(5, 4, 6), "Too many hops: this message circles"))
    }

    fn is_domain(&self, domain: &str) -> bool {
        if self.exact.contains(domain) {
            return true;
        }
        let mut rest = domain;
        while let Some((_, suffix)) = rest.split_once('.') {
            if self.below.contains(suffix) {
                return true;
            }
            rest = suffix;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(networks: &[&str], domains: &[&str]) -> Result<Relay, PolicyError> {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Relay::new(&Settings {
            networks: texts(networks),
            domains: texts(domains),
            ..Settings::default()
        })
    }

    fn permits(relay: &Relay, peer: &str, to: &str) -> bool {
        relay.permits(peer.parse().unwrap(), &Address::parse(to).unwrap()).is_ok()
    }

    #[test]
    fn networks_may_send_anywhere_others_to_our_domains() {
        let relay = relay(&["192.0.2.0/24"], &["Example.org", "*.wide.example", "bücher.example"]);
        let relay = relay.unwrap();
        let us = |to| permits(&relay, "192.0.2.9", to);
        let stranger = |to| permits(&relay, "203.0.113.9", to);
        assert!(us("a@elsewhere.example") && us("a@[203.0.113.1]"));
        assert!(stranger("a@example.org") && stranger("a@EXAMPLE.org"));
        assert!(stranger("a@b.wide.example") && stranger("a@c.b.wide.example"));
        assert!(stranger("a@xn--bcher-kva.example"));
        assert!(!stranger("a@wide.example"));
        assert!(!stranger("a@sub.example.org"));
        assert!(!stranger("a@notexample.org"));
        assert!(!stranger("a@[192.0.2.9]"));
    }

    #[test]
    fn the_default_is_no_open_relay() {
        let relay = Relay::new(&Settings::default()).unwrap();
        assert!(permits(&relay, "127.0.0.1", "a@elsewhere.example"));
        assert!(permits(&relay, "::ffff:127.0.0.1", "a@elsewhere.example"));
        assert!(permits(&relay, "::1", "a@elsewhere.example"));
        let stranger = "203.0.113.9".parse().unwrap();
        let reply = relay.permits(stranger, &Address::parse("a@b.example").unwrap()).unwrap_err();
        assert_eq!(reply.to_string(), "550 5.7.1 Relaying denied");
    }

    #[test]
    fn circling_messages_are_refused() {
        let relay = Relay::new(&Settings { hops_max: 3, ..Settings::default() }).unwrap();
        assert!(relay.permits_hops(3).is_ok());
        assert_eq!(relay.permits_hops(4).unwrap_err().enhanced, Some(Enhanced(5, 4, 6)));
    }

    #[test]
    fn mistakes_are_errors() {
        assert_eq!(relay(&[], &["*"]).unwrap_err(), PolicyError::OpenRelay);
        assert!(relay(&["10.0.0.1/8"], &[]).unwrap_err().to_string().contains("10.0.0.0/8"));
        for text in ["", "*.", "a b", "*.*.example", "user@example.org"] {
            assert!(matches!(relay(&[], &[text]), Err(PolicyError::Domain(_))), "{text}");
        }
    }
}
