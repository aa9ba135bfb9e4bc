//! Policy: who may have mail passed on, and when a message has travelled too far.
//!
//! What must stay true: whoever is not listed gets 550 5.7.1 (no open relay by accident: the default
//! lists loopback only), and a message with too many Received fields is refused for good (RFC 5321
//! §6.3). A setting that makes no sense is an error at start and reload, never a wider permission.

mod network;
mod relay;

pub use network::{Network, NetworkError, Networks};
pub use relay::{PolicyError, Relay, Settings};
