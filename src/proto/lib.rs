//! Floor 0: bytes and decisions of the mail protocols.
//!
//! Nothing here does I/O, reads a clock, starts a thread or is `unsafe`: every machine is fed bytes
//! and moments and answers with bytes and steps, so that the same code runs in the server, in
//! benches, in fuzzing and in tests that split its input at every byte.
#![forbid(unsafe_code)]

pub mod dsn;
pub mod imap;
pub mod mime;
pub mod pop3;
pub mod sasl;
pub mod smtp;
pub mod text;
pub mod types;
