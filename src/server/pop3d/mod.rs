//! The POP3 door (RFC 1939): listeners, and the driver of `proto::pop3::server` over the INBOX of accounts.
//!
//! A shard has one [`Door`]. Clients log in wherever they were accepted, and go to the shard that owns
//! their account then, socket and TLS and all. What must stay true:
//! * an account has one maildrop, and one client has it at a time; IMAP is never kept waiting for that;
//! * what is announced stays as it was until the session ends, whatever others do to the folder: numbers
//!   and sizes are a snapshot, unique ids are for good;
//! * messages go at `QUIT` only, and `+OK` behind it means that this is on stable storage;
//! * what one client makes us hold is bounded: messages on their way out by the shard's budget.
//!
//! How it fails: the client hears `-ERR` with a code that says whose fault it is; a panic ends its
//! connection alone, and gives its maildrop free.
//!
//! `door` accepts, takes in who comes from other shards, and drains; `session` drives one connection,
//! `decide` answers what its machine asks, `travel` takes it to another shard; `maildrop` is the INBOX
//! of who has logged in, `lock` and `delay` say whether they may have it, `rules` are the settings
//! compiled.

mod decide;
mod delay;
mod door;
mod lock;
mod maildrop;
mod metrics;
mod rules;
mod session;
#[cfg(test)]
mod tests;
mod travel;

pub use door::{Door, Parts};
pub use metrics::Metrics;
pub use rules::{Rules, Told};
pub use travel::Arrival;
