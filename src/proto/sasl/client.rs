//! The client's half of PLAIN and SCRAM, for smarthosts that ask who we are.
//!
//! [`ScramClient`] says who it is, answers the challenge and becomes a [`ScramEnd`], which checks
//! that the server knows the password too. What must stay true: no proof is given to a server that
//! changes the nonce or asks for fewer rounds than RFC 7677 or more than we care to pay.

use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    Failure, Password, prepare_password,
    scram::{CLIENT_KEY, SERVER_KEY, escape, hmac, salted_password},
};

/// Rounds that are too few to protect a password (RFC 7677 §4), and more than anybody needs.
const ITERATIONS_MIN: u32 = 4096;
const ITERATIONS_MAX: u32 = 2_000_000;

/// The message of PLAIN (RFC 4616 §2); only over TLS. `authorization` is empty as a rule.
#[must_use]
pub fn plain_response(
    authorization: &str,
    authentication: &str,
    password: &str,
) -> Zeroizing<Vec<u8>> {
    let parts = [authorization.as_bytes(), authentication.as_bytes(), password.as_bytes()];
    Zeroizing::new(parts.join(&0))
}

/// What the client says of channel binding (RFC 5802 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding<'a> {
    /// We cannot bind.
    None,
    /// We could, but the server does not offer it.
    NotOffered,
    /// By this registered name, with this data.
    Bound(&'a str, &'a [u8]),
}

/// A client that has sent its first message.
#[derive(Debug)]
pub struct ScramClient {
    password: Password,
    binding: Vec<u8>,
    bare: String,
    nonce: Box<str>,
}

impl ScramClient {
    /// Makes the first message. `nonce` is printable without commas, and new.
    ///
    /// # Errors
    /// When nobody can have such a password.
    pub fn begin(
        authorization: &str,
        authentication: &str,
        password: &str,
        nonce: &str,
        binding: Binding<'_>,
    ) -> Result<(Self, Vec<u8>), Failure> {
        let password = prepare_password(password).ok_or(Failure::Wrong)?;
        let flag = match binding {
            Binding::None => "n".to_owned(),
            Binding::NotOffered => "y".to_owned(),
            Binding::Bound(name, _) => format!("p={name}"),
        };
        let authorization = match authorization {
            "" => String::new(),
            name => format!("a={}", escape(name)),
        };
        let mut binding_data = format!("{flag},{authorization},").into_bytes();
        let bare = format!("n={},r={nonce}", escape(authentication));
        let message = [&binding_data[..], bare.as_bytes()].concat();
        if let Binding::Bound(_, data) = binding {
            binding_data.extend_from_slice(data);
        }
        Ok((Self { password, binding: binding_data, bare, nonce: nonce.into() }, message))
    }

    /// Answers `server-first-message` with the proof. Takes as long as the server's rounds do.
    ///
    /// # Errors
    /// [`Failure::Malformed`] when the challenge is none, or not one to answer.
    pub fn respond(self, challenge: &[u8]) -> Result<(ScramEnd, Vec<u8>), Failure> {
        let challenge = std::str::from_utf8(challenge).map_err(|_| Failure::Malformed)?;
        let mut attributes = challenge.split(',');
        let mut value = |name: &str| {
            let said = attributes.next().and_then(|said| said.strip_prefix(name));
            said.ok_or(Failure::Malformed)
        };
        let (nonce, salt, rounds) = (value("r=")?, value("s=")?, value("i=")?);
        let salt = BASE64.decode(salt.as_bytes()).map_err(|_| Failure::Malformed)?;
        let rounds: u32 = rounds.parse().map_err(|_| Failure::Malformed)?;
        let fresh = nonce.strip_prefix(&*self.nonce).is_some_and(|theirs| !theirs.is_empty());
        if !fresh || !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&rounds) {
            return Err(Failure::Malformed);
        }
        let salted = salted_password(self.password.as_str(), &salt, rounds);
        let mut proof = Zeroizing::new(hmac(&*salted, &[CLIENT_KEY]));
        let stored: [u8; 32] = Sha256::digest(&proof[..]).into();
        let mut answer = format!("c={},r={nonce}", BASE64.encode(&self.binding));
        let exchanged = format!("{},{challenge},{answer}", self.bare);
        let signature = hmac(&stored, &[exchanged.as_bytes()]);
        proof.iter_mut().zip(signature).for_each(|(octet, mask)| *octet ^= mask);
        answer.push_str(",p=");
        BASE64.encode_append(&*proof, &mut answer);
        let server_key = Zeroizing::new(hmac(&*salted, &[SERVER_KEY]));
        Ok((ScramEnd(hmac(&*server_key, &[exchanged.as_bytes()])), answer.into_bytes()))
    }
}

/// A client that has sent its proof and waits for the server's.
#[derive(Debug)]
pub struct ScramEnd([u8; 32]);

impl ScramEnd {
    /// Checks `server-final-message`.
    ///
    /// # Errors
    /// [`Failure::Wrong`] when the server refuses, or does not know the password.
    pub fn verify(self, message: &[u8]) -> Result<(), Failure> {
        let signature = message.strip_prefix(b"v=").ok_or(Failure::Wrong)?;
        let signature = signature.split(|octet| *octet == b',').next().unwrap_or_default();
        let signature = BASE64.decode(signature).map_err(|_| Failure::Malformed)?;
        if signature.ct_eq(&self.0[..]).into() { Ok(()) } else { Err(Failure::Wrong) }
    }
}
