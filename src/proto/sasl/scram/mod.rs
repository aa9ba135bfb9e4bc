//! SCRAM-SHA-256 (RFC 5802, RFC 7677): the server's states, one type each.
//!
//! [`First`] is what the client says first, [`Challenged`] waits for its proof, [`Signature`] is
//! ours. What must stay true: the proof covers every octet of both first messages, so a change of
//! any of them on the way makes it wrong; the channel binding and the flag before it are compared
//! with what was said and with what TLS knows.

mod message;
mod secrets;
mod text;

use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub(super) use message::escape;
pub use secrets::{Nonce, ScramSecrets};
pub(super) use secrets::{hmac, salted_password};

use super::{Failure, Identity, Mechanism, Proof, Setup};
use message::{ClientFinal, ClientFirst};

/// What is hashed to make the client's and the server's key.
pub(super) const CLIENT_KEY: &[u8] = b"Client Key";
pub(super) const SERVER_KEY: &[u8] = b"Server Key";

/// The client has said who it is.
#[derive(Debug)]
pub(in crate::sasl) struct First {
    identity: Identity,
    /// What `c=` must decode to: the GS2 header as it was said, and the binding of this channel.
    binding: Box<[u8]>,
    nonce: Box<str>,
    /// The message without its GS2 header.
    bare: Box<str>,
}

impl First {
    /// Reads `client-first-message`.
    pub fn parse(message: &[u8], setup: &Setup) -> Result<Self, Failure> {
        let message = ClientFirst::parse(message, &setup.limits)?;
        let mut binding = message.gs2_header.as_bytes().to_vec();
        binding.extend_from_slice(bind(message.flag, setup)?);
        let identity = Identity::new(setup.mechanism, message.name, message.authorization);
        Ok(Self {
            identity,
            binding: binding.into(),
            nonce: message.nonce.into(),
            bare: message.bare.into(),
        })
    }

    /// Who they say they are.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Makes `server-first-message`.
    pub fn challenge(self, secrets: ScramSecrets, nonce: &Nonce) -> (Challenged, Vec<u8>) {
        let nonce = format!("{}{}", self.nonce, nonce.as_str());
        let salt = BASE64.encode(&secrets.salt);
        let challenge = format!("r={nonce},s={salt},i={}", secrets.iterations);
        let exchanged = format!("{},{challenge},", self.bare);
        let Self { identity, binding, .. } = self;
        let challenged = Challenged { identity, binding, nonce: nonce.into(), exchanged, secrets };
        (challenged, challenge.into_bytes())
    }
}

/// The data that the flag asks to be bound to (RFC 5802 §6).
fn bind<'a>(flag: &str, setup: &'a Setup) -> Result<&'a [u8], Failure> {
    let plus = setup.mechanism == Mechanism::ScramSha256Plus;
    match flag {
        // The client can bind and thinks that we cannot: somebody has shortened our offer.
        "y" if setup.plus_offered => Err(Failure::Binding),
        "n" | "y" if !plus => Ok(&[]),
        "n" | "y" => Err(Failure::Binding),
        _ => match flag.strip_prefix("p=") {
            Some(name) if plus => setup.channel.binding(name).ok_or(Failure::Binding),
            Some(_) => Err(Failure::Binding),
            None => Err(Failure::Malformed),
        },
    }
}

/// The client has salt, iterations and nonce, and owes its proof.
#[derive(Debug)]
pub(in crate::sasl) struct Challenged {
    identity: Identity,
    binding: Box<[u8]>,
    nonce: Box<str>,
    /// Both first messages, each with the comma behind it.
    exchanged: String,
    secrets: ScramSecrets,
}

impl Challenged {
    /// Reads `client-final-message`, and says whether its proof is right.
    pub fn judge(self, message: &[u8]) -> Result<(Proof, Signature), Failure> {
        let message = ClientFinal::parse(message)?;
        if message.nonce != &*self.nonce {
            return Err(Failure::Malformed);
        }
        if *message.binding != *self.binding {
            return Err(Failure::Binding);
        }
        let exchanged = self.exchanged + message.without_proof;
        let mut key = Zeroizing::new(hmac(&self.secrets.stored_key, &[exchanged.as_bytes()]));
        for (octet, proof) in key.iter_mut().zip(message.proof) {
            *octet ^= proof;
        }
        let stored: [u8; 32] = Sha256::digest(&key[..]).into();
        let right = stored.ct_eq(&self.secrets.stored_key).into();
        let signature = hmac(&self.secrets.server_key, &[exchanged.as_bytes()]);
        Ok((Proof::Scram { identity: self.identity, right }, Signature(signature)))
    }
}

/// Our proof that we know the secrets too.
#[derive(Debug)]
pub(in crate::sasl) struct Signature([u8; 32]);

impl Signature {
    /// `server-final-message`.
    pub fn message(&self) -> Vec<u8> {
        format!("v={}", BASE64.encode(&self.0)).into_bytes()
    }
}
