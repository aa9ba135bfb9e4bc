//! Proofs on real programs: servers relay, stop without a trace, and cost what they cost.
//!
//! A test whose program is missing says so and passes: Postfix comes from Debian, the others by
//! `scripts/peers`. Ports from 15525, folders below /var/tmp/bench-servers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // Tests may fail, and wait: there is no shard.

mod authentication;
mod cost;
mod ends;
mod mail;
mod mailboxes;
mod recipes;
mod relay;
