//! Delivery: takes leases from a queue, hands messages to the next hop, settles (RFC 5321 §5).
//!
//! What must stay true:
//! * one message to several recipients of a site goes there in one transaction, whatever their domains;
//! * a site (all domains with the same MX hosts, or a route's hosts) never has more connections than
//!   its limit, over all shards; a shard that waits for one gets its share;
//! * a dead or slow site costs only itself: its mail rests with it, its connections are few until it
//!   has answered, and it cannot take the room of others;
//! * what became of a recipient is decided in [`verdict`] and nowhere else.
//!
//! How it fails: a connection that breaks settles its recipients as deferred, a task that panics gives
//! its leases back. `route`, `mx` and `backoff` are pure; `lookup` finds sites, `table` shares out
//! connections, `site` queues, `work` is a connection's life, `connect` and `speak` talk, `encrypt` says
//! how safely, `run` takes leases; `locate` knows whose mail stays here, `local` puts it into mailboxes.

mod backoff;
mod connect;
mod encrypt;
mod job;
pub mod local;
mod locate;
mod lookup;
mod metrics;
pub mod mx;
pub mod route;
mod run;
pub mod settings;
mod site;
mod speak;
mod table;
#[cfg(test)]
mod tests;
pub mod tls;
mod verdict;
mod work;

pub use locate::{Local, is_here};
pub use metrics::Metrics;
pub use run::{Delivery, Parts};
pub use table::SiteTable;
