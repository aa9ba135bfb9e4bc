//! Owns: what an administrator can set about the DNS. Must stay true: the doc comments are the
//! text of the reference. Fails: bad values are refused when the resolver is made.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Span;

/// Name servers, patience and cache of the resolver. Each shard has a resolver of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Name servers to ask, with port: `["127.0.0.1:53", "[::1]:53"]`. Empty: those of
    /// /etc/resolv.conf. A resolver on this machine is best, for mail asks a lot.
    pub nameservers: Vec<SocketAddr>,
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
            timeout: Span::secs(5),
            attempts: 2,
            cache_entries_max: 16_384,
            ttl_max: Span::hours(24),
            negative_ttl_max: Span::mins(15),
            queries_max: 512,
        }
    }
}
