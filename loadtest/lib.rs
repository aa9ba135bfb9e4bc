//! Strangers on a socket: a source of mail and a sink for it.
//!
//! They see the server only through SMTP, and floor 0 of it for plain byte work. One blocking
//! thread a connection: simple enough that a doubt about a lost message falls on the server. The
//! open-loop load generator for measurements is another program to come.
#![allow(clippy::disallowed_methods)] // threads of a test tool may sleep

pub mod message;
pub mod sink;
pub mod source;
