//! Floor 3: the doors. `smtpd` is begun: what an administrator says about listeners and limits,
//! and who may have a connection. Doors never import each other.
#![forbid(unsafe_code)]

pub mod admin;
pub mod smtpd;
