//! The nouns that every room shares: addresses, envelopes, replies and moments.

mod address;
mod authenticity;
mod domain;
mod envelope;
mod moment;
mod reply;

pub use address::{Address, AddressError, Host};
pub use authenticity::{AuthResult, Authenticity};
pub use domain::{Domain, DomainError};
pub use envelope::{BodyKind, Envelope, Notify, Recipient, Ret};
pub use moment::{Moment, Timestamp};
pub use reply::{Enhanced, Reply, Severity};
