//! Owns: TLS (RFC 8446, RFC 5246 with what RFC 9325 leaves of it), and nothing of sockets: the house's
//! only door to rustls and its crypto, aws-lc-rs. Versions 1.2 and 1.3; keys are exchanged with
//! X25519MLKEM768 where the peer has it.
//!
//! Must stay true: one crypto stack is linked; handshakes are the shard's own work, for they cost it a
//! tenth of a millisecond, and everything else of a connection is memory between two buffers. Fails:
//! [`TlsError`] when something is set up, `io::Error` on a connection, which [`Fault`] explains.
//!
//! `keeper` has the certificates, ticket keys and their files, `accept` and `connect` make the two sides
//! of a `channel`, which [`crate::shard::Stream::secure`] puts over a connection.

mod accept;
mod certificate;
mod channel;
mod clients;
mod connect;
pub mod dane;
mod development;
mod error;
pub mod https;
mod keeper;
pub mod probe;
mod provider;
mod settings;
mod shelf;
#[cfg(test)]
mod tests;
mod tickets;

pub use accept::Acceptor;
pub use certificate::Certificate;
pub use channel::Channel;
pub use connect::{Connector, Trust};
pub use error::{Fault, TlsError};
pub use keeper::Keeper;
pub use settings::{CertificateSettings, ClientCertificates, Settings};
