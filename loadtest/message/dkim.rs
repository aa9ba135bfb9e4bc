//! Signatures of the sender's domain (RFC 6376, RFC 8463), and what the DNS says of their keys.
//!
//! A template is signed once and sent often, so that signing costs the source nothing: the signature stands below the
//! label, covers body, From, To, Subject, Date and Message-ID, and none of what is different from message to message. The keys
//! are in the sources, for source, sink and recipes of any process must know the same ones; they protect nothing.

use clap::ValueEnum;
use data_encoding::BASE64;
use mail_auth::{
    crypto::{Ed25519Key, RsaKey, Sha256, SigningKey},
    dkim::DkimSigner,
    headers::HeaderWriter,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SENDER_DOMAIN;

/// The RSA-2048 key of [`SENDER_DOMAIN`], PKCS #8: also of relays that sign in its name, with the selector `relay`.
pub const RSA_KEY: &str = include_str!("keys/rsa.pem");
const RSA_PUBLIC_KEY: &str = include_str!("keys/rsa.public.pem");
const ED25519_KEY: &str = include_str!("keys/ed25519.pem");

/// What a signature covers beside the body.
const FIELDS: [&str; 5] = ["From", "To", "Subject", "Date", "Message-ID"];

/// With which keys messages are signed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Dkim {
    /// Not at all.
    #[default]
    Off,
    /// rsa-sha256 with 2048 bits, selector `rsa`.
    Rsa,
    /// ed25519-sha256, selector `ed25519`.
    Ed25519,
    /// Both, as RFC 8463 advises.
    Both,
}

impl Dkim {
    /// The message with its signatures above it.
    ///
    /// # Errors
    /// It has none of the fields that are signed.
    pub fn sign(self, mut message: Vec<u8>) -> Result<Vec<u8>, String> {
        if matches!(self, Self::Ed25519 | Self::Both) {
            message = signed(message, ed25519_key()?, "ed25519")?;
        }
        if matches!(self, Self::Rsa | Self::Both) {
            message = signed(message, rsa_key()?, "rsa")?;
        }
        Ok(message)
    }
}

/// The TXT record of a selector of [`SENDER_DOMAIN`] (RFC 6376 §3.6.1); `None` when it has no key.
#[must_use]
pub fn key_record(selector: &str) -> Option<String> {
    match selector {
        "rsa" | "relay" => {
            let key: String =
                RSA_PUBLIC_KEY.lines().filter(|line| !line.starts_with('-')).collect();
            Some(format!("v=DKIM1; k=rsa; p={key}"))
        }
        "ed25519" => {
            let key = BASE64.encode(&ed25519_key().ok()?.public_key());
            Some(format!("v=DKIM1; k=ed25519; p={key}"))
        }
        _ => None,
    }
}

fn signed(message: Vec<u8>, key: impl SigningKey, selector: &str) -> Result<Vec<u8>, String> {
    let signer = DkimSigner::from_key(key).domain(SENDER_DOMAIN).selector(selector).headers(FIELDS);
    let signature = signer.sign(&message).map_err(|error| format!("DKIM: {error}"))?;
    let mut whole = signature.to_header().into_bytes();
    whole.extend_from_slice(&message);
    Ok(whole)
}

fn rsa_key() -> Result<RsaKey<Sha256>, String> {
    RsaKey::from_key_der(PrivateKeyDer::Pkcs8(decoded(RSA_KEY)?)).map_err(|error| error.to_string())
}

fn ed25519_key() -> Result<Ed25519Key, String> {
    let key = decoded(ED25519_KEY)?;
    Ed25519Key::from_pkcs8_maybe_unchecked_der(key.secret_pkcs8_der())
        .map_err(|error| error.to_string())
}

fn decoded(pem: &str) -> Result<PrivatePkcs8KeyDer<'static>, String> {
    PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())
}
