//! Floor 3: the doors, boot and the command line.
//!
//! `smtpd` takes mail, `imapd` and `pop3d` hand it out; `listener` is what an administrator says about
//! where they listen, `entrance` is that of one of them, compiled, `seats` the connections that came by it, `gate` counts clients for all of them, `proxy` reads PROXY headers, `login` judges who
//! users are, `pace` how fast they go, `passage` takes connections to the shard that owns the account; `admin` answers administrators on a Unix socket, `cli` is its other end and
//! everything that people type, `boot` puts the house together. Doors never import each other.
#![forbid(unsafe_code)]

pub mod admin;
pub mod boot;
pub mod cli;
mod entrance;
pub mod gate;
pub mod imapd;
pub mod listener;
mod login;
mod pace;
pub mod passage;
pub mod pop3d;
mod proxy;
mod seats;
pub mod smtpd;
