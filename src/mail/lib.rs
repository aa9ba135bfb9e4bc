//! Floor 2: the mail itself.
//!
//! `authentication` checks where mail comes from and signs ours; `directory` knows whose addresses are ours and who may log in; `mailbox` keeps their mail, `exchange` brings it from and to other programs; `policy` says who may have mail
//! passed on; `queue` and `delivery` hold, so far, the parts of
//! themselves that decide without doing: names, settings, routes and orders. The queue never
//! imports the delivery.
#![forbid(unsafe_code)]

pub mod authentication;
mod day_files;
pub mod delivery;
pub mod directory;
pub mod exchange;
pub mod mailbox;
pub mod policy;
pub mod queue;
pub mod random;
