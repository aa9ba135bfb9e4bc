//! Ringpost from outside: the built binary, real sockets, real peers, a real disk.
//!
//! Every test starts its own server on loopback with its own data directory, bounds itself, and says
//! what it was waiting for when it gives up. `make test` installs the programs that are needed.
#![allow(missing_docs, clippy::disallowed_methods)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod harness;

mod authentication;
mod check;
mod config;
mod crash;
mod directory_cli;
mod diskfull;
mod dkim;
mod dns;
mod drain;
mod dsn;
mod layers;
mod limits;
mod lmtp;
mod mail_clients;
mod mailbox_cli;
mod mailbox_delivery;
mod peers;
mod proxy;
mod queue_cli;
mod reload;
mod smuggling;
mod submission;
mod tls;
mod tls_policy;
