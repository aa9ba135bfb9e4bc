//! The SMTP door: settings of listeners and limits, and the gate that counts connections.
//!
//! The driver that puts a socket and the machine of `proto::smtp::server` together comes with the
//! queue that it hands messages to.

pub mod gate;
pub mod settings;
