//! DKIM signing: the private keys of our domains, and the signatures of mail that leaves (RFC 6376,
//! RFC 8301, RFC 8463).
//!
//! It owns the folder `dkim` in the data directory ([`Keys`]), what shards sign with ([`Keyring`],
//! [`Signer`], [`BodyDigest`]), what is published about it ([`Publication`]) and the commands of
//! `ringpost dkim` ([`Command`]).
//!
//! What must stay true: a domain has at most one key of an algorithm that signs, and one that is to
//! follow it; private keys are readable by the server's user only, or they are not used; keys are
//! made on no shard; a signature covers every `From` there is and one that is not. How it fails: a
//! message that cannot be signed goes unsigned ([`SignError`]); a folder that cannot be read whole is
//! not used at all ([`KeyError`]): the server does not start, and a reload leaves what was in force.
//!
//! What it costs: RSA-2048 some hundreds of µs a signature, Ed25519 some tens (`benches/dkim.rs`). Both
//! run where they are called; a shard yields between two.

mod body;
mod command;
mod error;
mod folder;
mod header;
mod held;
mod key;
mod keyring;
mod keys;
mod record;
mod settings;
mod signer;
#[cfg(test)]
mod tests;
mod view;

pub use body::BodyDigest;
pub use command::{Answer, Command, KeyInfo, State};
pub use error::{KeyError, SignError};
pub use header::author_domain;
pub use key::{Algorithm, BITS_DEFAULT};
pub use keyring::Keyring;
pub use keys::{Audit, Keys, RETIRED_MS};
pub use record::{Publication, zone_text};
pub use settings::Settings;
pub use signer::Signer;
pub use view::View;
