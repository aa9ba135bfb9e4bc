//! SMTP (RFC 5321) and LMTP (RFC 2033): the two halves.

pub mod client;
pub mod server;
