//! The SMTP door: listeners, the driver of `proto::smtp::server`, and what strangers may use up.
//!
//! A shard has one [`Door`]. It owns the connections that the shard accepted and the memory of the
//! messages on their way in. What must stay true: a message is acknowledged only after the queue has
//! said that it is on stable storage; whatever a client does is bounded by [`crate::listener::LimitSettings`] before
//! it is done. How it fails: the client hears 4yz or 5yz; a panic ends its connection alone.
//!
//! `door` accepts and drains, `session` drives one connection, `decide` answers what its machine asks
//! (`submit` what users may, `room` whether a mailbox has any, `ways` where it goes), `intake` takes in
//! one message, which has `arrived` then and whose `origin` is looked into; `settle` puts it into mailboxes
//! here, if it is for them alone; `rules` are the settings compiled.

mod arrived;
mod decide;
mod door;
mod intake;
mod metrics;
mod origin;
mod room;
mod rules;
mod session;
mod settle;
mod submit;
mod ways;

pub use door::{Door, Parts};
pub use metrics::Metrics;
pub use origin::Origin;
pub use rules::{Rules, Told};
