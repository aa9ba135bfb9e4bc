//! Owns: what an administrator can set about the DNS. Must stay true: the doc comments are the
//! text of the reference. Fails: bad values are refused when the resolver is made.

use std::{net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Span;

/// Who vouches for what the DNS says (RFC 4035).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Dnssec {
    /// Nobody: no answer counts as secure.
    #[default]
    Off,
    /// The resolver that `nameservers` names, by the AD bit of its answers.
    TrustAd,
    /// Signatures, checked here.
    Validate,
}

/// Name servers, patience and cache of the resolver. Each shard has a resolver of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name servers to ask, with port: `["127.0.0.1:53", "[::1]:53"]`. Empty: those of
    /// /etc/resolv.conf. A resolver on this machine is best, for mail asks a lot.
    pub nameservers: Vec<SocketAddr>,
    /// Who checks signatures (DNSSEC), which DANE needs: "off": nobody, and DANE is not used;
    /// "trust-ad": the validating resolvers named in `nameservers`, whose word (the AD bit) is
    /// taken, so they belong on this machine or behind a wire that nobody else can write to;
    /// "validate": Ringpost itself, whatever the resolver says, at the price of more questions.
    pub dnssec: Dnssec,
    /// A file with the DNSKEY records that "validate" trusts, as in a zone file. Empty: the keys of
    /// the root, which are built in.
    pub trust_anchor: PathBuf,
    /// How long to wait for an answer before asking again.
    pub timeout: Span,
    /// How often to ask again when no answer comes.
    pub attempts: u32,
    /// Answers that a shard keeps, each as long as its TTL says.
    pub cache_entries_max: u32,
    /// The longest that an answer is kept, whatever its TTL says.
    pub ttl_max: Span,
    /// The longest that "no such name" and "no such records" are kept.
    pub negative_ttl_max: Span,
    /// Questions that a shard may have under way at once; further ones wait. Each takes a socket.
    pub queries_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            dnssec: Dnssec::Off,
            trust_anchor: PathBuf::new(),
            timeout: Span::secs(5),
            attempts: 2,
            cache_entries_max: 16_384,
            ttl_max: Span::hours(24),
            negative_ttl_max: Span::mins(15),
            queries_max: 512,
        }
    }
}

impl Settings {
    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.dnssec == Dnssec::TrustAd && self.nameservers.is_empty() {
            let why =
                "dns.dnssec = \"trust-ad\" trusts the resolvers of dns.nameservers: name them";
            faults.push(why.to_owned());
        }
        if self.dnssec != Dnssec::Validate && !self.trust_anchor.as_os_str().is_empty() {
            faults.push("dns.trust_anchor is only used with dns.dnssec = \"validate\"".to_owned());
        }
        faults
    }

    /// What works but should not be left so.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let is_far = |server: &&SocketAddr| !server.ip().is_loopback();
        let far = self.nameservers.iter().filter(is_far);
        let warn = |server: &SocketAddr| {
            format!(
                "dns.dnssec = \"trust-ad\" believes {server}, which is not on this machine: \
                 whoever can write to the wire between can switch DANE off"
            )
        };
        match self.dnssec {
            Dnssec::TrustAd => far.map(warn).collect(),
            Dnssec::Off | Dnssec::Validate => Vec::new(),
        }
    }
}
