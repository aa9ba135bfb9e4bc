//! Delivery: where mail goes next, and in which order hosts are tried (RFC 5321 §5).
//!
//! Only the deciding parts stand so far: routes ([`route`]), the hosts of a domain with the loop
//! and null-MX rules ([`mx`]), and how long a failing site rests ([`backoff`]). None of them does
//! I/O or reads a clock; randomness comes from [`random`], which can be seeded. Connections,
//! sites and verdicts follow with the queue.

pub mod backoff;
pub mod mx;
pub mod random;
pub mod route;
pub mod settings;
