//! Floor 1: machinery that knows bytes, files, sockets and time, and no mail

pub mod dns;
pub mod settings;
pub mod shard;
pub mod storage;
pub mod telemetry;
pub mod tls;
