//! Owns: what an administrator can set about TLS. Must stay true: the doc comments are the text of
//! the reference. Fails: files that cannot be used are told with their path at start; at a reload
//! the certificates in use stay.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Span;

/// Certificates, and whom we believe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Certificates with their keys, for every listener that names none of its own. A client is
    /// shown one that covers the name it asks for (SNI), or else one for the name of the first
    /// listed; of several, an ECDSA one when it can verify that, for it costs a fourth of RSA. Empty:
    /// a self-signed one is made in the data directory, good enough for opportunistic TLS between
    /// servers, not for mail programs.
    pub certificate: Vec<CertificateSettings>,
    /// How often the certificate files are looked at; changed ones are taken over without
    /// dropping a connection, as they are at a reload.
    pub check_every: Span,
    /// A PEM file of the authorities that other servers' certificates are verified with, where
    /// something asks for it (`tls = "verify"`, MTA-STS). Empty: those of the system.
    pub ca_file: PathBuf,
}

/// One certificate. PEM files, as ACME clients write them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateSettings {
    /// The certificate and behind it those that lead to an authority (`fullchain.pem`).
    pub chain: PathBuf,
    /// Its private key (`privkey.pem`: PKCS#8, SEC1 or PKCS#1), readable by the server's user alone.
    pub key: PathBuf,
}

/// What is asked of the client on a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Nothing.
    #[default]
    Ignore,
    /// A certificate, but it may have none.
    Ask,
    /// A certificate, or there is no TLS.
    Require,
}

impl Default for Settings {
    fn default() -> Self {
        Self { certificate: Vec::new(), check_every: Span::secs(10), ca_file: PathBuf::new() }
    }
}
