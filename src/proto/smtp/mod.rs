//! SMTP (RFC 5321) and LMTP (RFC 2033): the server's and the client's half.

pub mod client;
pub mod server;
