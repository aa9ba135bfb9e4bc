//! Owns: the certificates of a listener, and which of them a client is shown. Must stay true: a
//! connection sees one set from start to end; a new set is taken over as a whole or not at all.
//! Fails: never; without a fitting certificate the handshake does.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::Certificate;

/// Certificates that can be exchanged while they are in use.
#[derive(Debug)]
pub(super) struct Shelf(ArcSwap<Set>);

/// Certificates by name.
#[derive(Debug)]
pub(super) struct Set {
    /// The cheapest first.
    certificates: Vec<Certificate>,
    /// Of each name, `*.` in front for wildcards, the certificates that have it.
    by_name: HashMap<Box<str>, Vec<usize>>,
    /// For clients that ask for no name of ours.
    fallback: Vec<usize>,
}

impl Set {
    /// At least one certificate; the first is for those who ask for none.
    pub fn new(mut certificates: Vec<Certificate>) -> Self {
        let first_name = certificates.first().and_then(|first| first.names().first().cloned());
        // Stable: what was listed first stays before its equals.
        certificates.sort_by_key(Certificate::cost);
        let mut by_name: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, certificate) in certificates.iter().enumerate() {
            for name in certificate.names() {
                by_name.entry(name.clone()).or_default().push(index);
            }
        }
        let fallback = first_name
            .and_then(|name| by_name.get(&name).cloned())
            .unwrap_or_else(|| (0..certificates.len()).collect());
        Self { certificates, by_name, fallback }
    }

    /// The certificate for a client that asks for `name` and can verify `schemes`.
    pub fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let named = name.and_then(|name| self.of_name(name)).unwrap_or(&self.fallback);
        let usable =
            |index: &&usize| self.certificates[**index].key.key.choose_scheme(schemes).is_some();
        // One for another name is better than none: servers seldom look at it.
        let index = named.iter().find(usable).or_else(|| self.fallback.iter().find(usable))?;
        Some(Arc::clone(&self.certificates[*index].key))
    }

    fn of_name(&self, name: &str) -> Option<&Vec<usize>> {
        self.by_name.get(name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(format!("*.{parent}").as_str())
        })
    }

    /// The certificates, the cheapest first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}

impl Shelf {
    pub fn new(set: Set) -> Self {
        Self(ArcSwap::from_pointee(set))
    }

    /// For handshakes from now on.
    pub fn replace(&self, set: Set) {
        self.0.store(Arc::new(set));
    }
}

impl ResolvesServerCert for Shelf {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls has made the name lower-case and proved it a name.
        self.0.load().choose(hello.server_name(), hello.signature_schemes())
    }
}
