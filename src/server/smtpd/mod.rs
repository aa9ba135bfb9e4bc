//! The SMTP door: listeners, the driver of `proto::smtp::server`, and what strangers may use up.
//!
//! A shard has one [`Door`]. It owns the connections that the shard accepted and the memory of the
//! messages on their way in. What must stay true: a message is acknowledged only after the queue has
//! said that it is on stable storage; whatever a client does is bounded by [`LimitSettings`] before
//! it is done. How it fails: the client hears 4yz or 5yz; a panic ends its connection alone.
//!
//! `door` accepts and drains, `session` drives one connection, `decide` answers what its machine asks
//! (`login` who it is, `submit` what they may, `ways` where it goes), `intake` takes in one message, which
//! has `arrived` then and whose `origin` is looked into, `proxy` reads PROXY headers, `gate` counts clients over all shards, `rules` are the settings compiled.

mod arrived;
mod decide;
mod door;
mod gate;
mod intake;
mod login;
mod metrics;
mod origin;
mod proxy;
mod rules;
mod session;
mod settings;
mod submit;
mod ways;

pub use door::{Door, Parts};
pub use gate::Gate;
pub use metrics::Metrics;
pub use origin::Origin;
pub use rules::{Rules, Told};
pub use settings::{
    Kind, LimitSettings, LineEndings, ListenerSettings, MechanismName, Protocol, TlsMode,
};
