//! Floor 3: the doors, boot and the command line.
//!
//! `smtpd` takes mail, `admin` answers administrators on a Unix socket, `cli` is its other end and
//! everything that people type, `boot` puts the house together. Doors never import each other.
#![forbid(unsafe_code)]

pub mod admin;
pub mod boot;
pub mod cli;
pub mod smtpd;
