//! The secret of the data directory: 32 octets that nobody else knows and that outlive restarts.
//!
//! Rewritten senders (`srs`) and what unknown logins are told (`login`) hang on it. Lost, it is made
//! anew, and bounces of mail forwarded before are refused.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::hmac;

use super::changelog::FILE_MODE;
use super::{password, snapshot};

const NAME: &str = "secret";
const NEW_NAME: &str = "secret.new";

/// Where keys come from.
#[derive(Clone)]
pub(super) struct Secret(hmac::Key);

impl Secret {
    /// Reads the secret in `folder`, or makes one.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut octets = [0; 32];
        match File::open(folder.join(NAME)) {
            Ok(mut file) => file.read_exact(&mut octets)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                octets = password::random().map_err(io::Error::other)?;
                write(folder, &octets)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self::of(&octets))
    }

    pub fn of(octets: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, octets))
    }

    /// A key for one purpose: 32 octets that say nothing about those for others.
    pub fn derived(&self, purpose: &str, about: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(about);
        // SHA-256 has 32 octets.
        context.sign().as_ref().try_into().unwrap_or_default()
    }
}

fn write(folder: &Path, octets: &[u8]) -> io::Result<()> {
    let new = folder.join(NEW_NAME);
    let mut options = File::options();
    let mut file = options.write(true).create(true).truncate(true).mode(FILE_MODE).open(&new)?;
    file.write_all(octets)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(NAME))?;
    snapshot::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let one = Secret::open(dir.path()).unwrap().derived("a", b"");
        let again = Secret::open(dir.path()).unwrap();
        assert_eq!(again.derived("a", b""), one);
        assert_ne!(again.derived("b", b""), one);
        assert_ne!(again.derived("a", b"x"), one);
        fs::write(dir.path().join(NAME), b"short").unwrap();
        assert!(Secret::open(dir.path()).is_err());
    }
}
