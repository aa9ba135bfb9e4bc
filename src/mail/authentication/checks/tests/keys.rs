//! Keys of the tests, and what is signed with them.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::AsDer as _,
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use data_encoding::BASE64;
use mail_auth::{
    crypto::{Ed25519Key, RsaKey, Sha256, SigningKey},
    dkim::{Canonicalization, DkimSigner},
    headers::HeaderWriter as _,
};

pub const NAMES: [&str; 3] = ["From", "To", "Subject"];

fn rsa_pair() -> &'static (Vec<u8>, String) {
    static PAIR: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let public = pair.public_key().as_der().unwrap();
        let private = pair.as_der().unwrap().as_ref().to_vec();
        (private, BASE64.encode(public.as_ref()))
    })
}

pub fn rsa() -> RsaKey<Sha256> {
    RsaKey::from_key_der(rsa_pair().0.as_slice().try_into().unwrap()).unwrap()
}

pub fn rsa_record() -> String {
    format!("v=DKIM1; k=rsa; p={}", rsa_pair().1)
}

fn ed25519_pair() -> &'static Vec<u8> {
    static PAIR: OnceLock<Vec<u8>> = OnceLock::new();
    PAIR.get_or_init(|| Ed25519Key::generate_pkcs8().unwrap())
}

pub fn ed25519() -> Ed25519Key {
    Ed25519Key::from_pkcs8_der(ed25519_pair()).unwrap()
}

pub fn ed25519_record() -> String {
    format!("v=DKIM1; k=ed25519; p={}", BASE64.encode(&ed25519().public_key()))
}

/// The signature field over a message.
pub fn field(key: impl SigningKey, domain: &str, names: &[&str], message: &[u8]) -> String {
    let signer = DkimSigner::from_key(key).domain(domain).selector("s").headers(names.to_vec());
    signer.sign(message).unwrap().to_header()
}

/// The message, signed.
pub fn signed(key: impl SigningKey, domain: &str, message: &[u8]) -> Vec<u8> {
    [field(key, domain, &NAMES, message).as_bytes(), message].concat()
}

pub fn simple(key: impl SigningKey, domain: &str, message: &[u8]) -> Vec<u8> {
    let signer = DkimSigner::from_key(key).domain(domain).selector("s").headers(NAMES);
    let signer = signer
        .header_canonicalization(Canonicalization::Simple)
        .body_canonicalization(Canonicalization::Simple);
    [signer.sign(message).unwrap().to_header().as_bytes(), message].concat()
}

pub fn message(author: &str) -> Vec<u8> {
    format!(
        "From: Me <{author}>\r\nTo: you@our.test\r\nSubject: hello\r\n\tfolded\r\n\r\nA body.\r\n\r\n"
    )
    .into_bytes()
}
