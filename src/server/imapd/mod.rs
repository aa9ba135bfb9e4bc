//! The IMAP door (RFC 9051, RFC 3501): listeners, and the driver of `proto::imap` over the mailboxes of
//! accounts.
//!
//! A shard has one [`Door`]. Clients log in wherever they were accepted, and go to the shard that owns
//! their account before their login is answered, socket and TLS and all. What must stay true:
//! * a command is answered OK when what it did is on stable storage;
//! * a number is a message until the client has been told otherwise, and `news` alone tells it;
//! * commands of one client are executed one after the other, in the order in which they came;
//! * what one client makes us hold is bounded; one that waits, idling or not, holds a few KiB.
//!
//! How it fails: the client hears `NO` with a code that says whose fault it is; one whose mailbox can no
//! longer be trusted, or is gone, hears `BYE`; a panic ends its connection alone.
//!
//! `door` accepts, takes in who comes from other shards, and drains; `session` drives one connection:
//! `login` lets it in and `travel` takes it to another shard, `execute` does its commands, `idle` waits for
//! news with it. `home` is what it has behind its login, `news` what it is told of what others did;
//! `select`, `fetch` (with `section`), `store`, `expunge`, `append` and the others are commands, or
//! families of them. `traffic` is what is read and sent, `wire` compresses it, `flags` translates flags, `rules` are the settings compiled.

mod append;
mod copy;
mod criteria;
mod door;
mod execute;
mod expunge;
mod fetch;
mod flags;
mod folders;
mod home;
mod idle;
mod list;
mod login;
mod metrics;
mod news;
mod numbers;
mod quota;
mod rules;
mod scan;
mod search;
mod section;
mod select;
mod session;
mod sort;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod thread;
mod traffic;
mod travel;
mod trouble;
mod turns;
mod wire;

pub use door::{Door, Parts};
pub use metrics::Metrics;
pub use rules::{Rules, Told};
pub use travel::Arrival;
