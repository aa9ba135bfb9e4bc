//! Owns: why TLS is not to be had, and what a failed handshake was about (RFC 8460 §4.3).

use std::{io, path::PathBuf};

use rustls::{CertificateError, Error};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A PEM file holds not what it should.
    #[error("{}: {what}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No authority is known.
    #[error("no certificate authority is known: install ca-certificates, or set tls.ca_file")]
    NoAuthority,
    /// The library refuses.
    #[error(transparent)]
    Library(#[from] Error),
}

/// What a handshake failed for, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer's certificate is too old, or not valid yet.
    Expired,
    /// It is for another name.
    Name,
    /// Nobody that we believe vouches for it.
    Untrusted,
    /// Protocol versions, ciphers, alerts, broken records.
    Protocol,
    /// The connection ended or time was up.
    Connection,
}

impl Fault {
    /// The fault behind an error of [`crate::shard::Stream::secure`].
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match inner {
            None => Self::Connection,
            Some(Error::InvalidCertificate(why)) => match why {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::Expired,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::Name,
                _ => Self::Untrusted,
            },
            Some(Error::NoCertificatesPresented) => Self::Untrusted,
            Some(_) => Self::Protocol,
        }
    }
}

/// A failure of the library on its way through an operation of a stream.
pub(super) fn broken(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
