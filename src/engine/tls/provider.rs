//! Owns: the crypto that all of TLS uses, aws-lc-rs, and the order of its cipher suites. Must stay
//! true: suites with AES-128-GCM come first, on both sides. Fails: never.
//!
//! TLS hashes its whole key schedule with the hash of the suite. Processors have instructions for
//! SHA-256 and none for SHA-384, which took a third of a handshake; and nobody breaks AES-128
//! (RFC 9325 §4.2 recommends it first). A peer that wants AES-256 or ChaCha20 alone gets it.

use rustls::CipherSuite;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// With our order of suites.
pub(super) fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    // Stable: otherwise as the library has them.
    provider.cipher_suites.sort_by_key(|suite| !is_first(suite.suite()));
    provider
}

fn is_first(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}
