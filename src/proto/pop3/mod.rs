//! POP3 (RFC 1939): the server's half.

pub mod server;
