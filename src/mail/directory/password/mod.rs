//! Passwords: how they are hashed, and how hashes from elsewhere are recognised and verified.
//!
//! What must stay true: new hashes are argon2id (RFC 9106) in PHC form, with the settings'
//! parameters; what other servers made is verified as they made it, within bounds, so that no
//! imported hash can cost more than about a second; comparisons take the same time whatever
//! differs. Everything here takes a processor for milliseconds: it runs on the threads of `pool`
//! or of the command line, never on a shard.

mod argon;
mod scheme;
#[cfg(test)]
mod tests;

use aws_lc_rs::rand;
use proto::sasl::prepare_password;

pub(super) use argon::PackedHash;
pub use argon::Scratch;
pub use proto::sasl::ScramSecrets;

use argon::ArgonHash;
use scheme::Scheme;

/// Octets of a password at most.
pub const PASSWORD_OCTETS_MAX: usize = 512;
/// Octets of the text of a hash at most.
pub const HASH_OCTETS_MAX: usize = 512;
const SALT_OCTETS: usize = 16;

/// What a new hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Memory of argon2id, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Iterations of the PBKDF2 in SCRAM-SHA-256; 0 keeps no secrets for SCRAM.
    pub scram_iterations: u32,
}

/// The first choice of OWASP's Password Storage Cheat Sheet; of SCRAM as many iterations as programs on cyrus-sasl
/// (mbsync among them) compute, which refuse more than 65,536.
impl Default for Parameters {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1, scram_iterations: 60_000 }
    }
}

/// Hashes a new password.
///
/// # Errors
/// When it is empty or too long.
pub fn make(
    password: &str,
    parameters: &Parameters,
) -> Result<(String, Option<ScramSecrets>), String> {
    if password.is_empty() {
        return Err("a password is not empty".into());
    }
    if password.len() > PASSWORD_OCTETS_MAX {
        return Err(format!("a password has {PASSWORD_OCTETS_MAX} octets at most"));
    }
    if password.chars().any(char::is_control) {
        return Err("a password has no control characters".into());
    }
    // As logins bring it: they may spell one `é` in two ways (RFC 8265).
    let password = prepare_password(password).ok_or("nobody can have this password")?;
    let password = password.as_str().as_bytes();
    let hash = hash(password, parameters, &mut Scratch::default())?;
    Ok((hash, scram_of(password, parameters)?))
}

/// An argon2id hash in PHC form, with a salt of its own.
pub(super) fn hash(
    password: &[u8],
    parameters: &Parameters,
    scratch: &mut Scratch,
) -> Result<String, String> {
    Ok(ArgonHash::make(password, &random::<SALT_OCTETS>()?, parameters, scratch)?.to_string())
}

/// What SCRAM needs, if it is wanted, and if the password is the same to every client: for ASCII
/// that is so without preparation (RFC 4013); others log in with PLAIN.
pub(super) fn scram_of(
    password: &[u8],
    parameters: &Parameters,
) -> Result<Option<ScramSecrets>, String> {
    let is_plain = password.iter().all(|octet| (b' '..=b'~').contains(octet));
    if parameters.scram_iterations == 0 || !is_plain {
        return Ok(None);
    }
    let salt = random::<SALT_OCTETS>()?;
    let password = str::from_utf8(password).unwrap_or_default();
    Ok(ScramSecrets::derive(password, &salt, parameters.scram_iterations))
}

/// Octets that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut octets = [0; N];
    rand::fill(&mut octets).map_err(|_| "the system gives no randomness".to_owned())?;
    Ok(octets)
}

/// Whether `password` is the one that `hash` was made of. A hash that cannot be read fits nothing.
#[must_use]
pub fn verify(hash: &str, password: &[u8], scratch: &mut Scratch) -> bool {
    if password.len() > PASSWORD_OCTETS_MAX {
        return false;
    }
    Scheme::parse(hash).is_ok_and(|scheme| scheme.verify(password, scratch))
}

/// Whether a hash is weaker than new ones are, or of another kind.
pub(super) fn is_outdated(hash: &str, parameters: &Parameters) -> bool {
    !ArgonHash::parse(hash).is_ok_and(|hash| hash.is_as_strong_as(parameters))
}

/// The hash in the form in which it is kept: Dovecot's `{SCHEME}` is taken off where the rest says
/// the same.
///
/// # Errors
/// When it is nothing that can be verified, or would cost too much.
pub fn recognised(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > HASH_OCTETS_MAX {
        return Err(format!("a hash has {HASH_OCTETS_MAX} octets at most"));
    }
    let kept = scheme::unwrapped(text)?;
    Scheme::parse(&kept)?;
    Ok(kept)
}

/// The name of a hash's scheme, for lists.
#[must_use]
pub fn scheme_name(hash: &str) -> &'static str {
    Scheme::parse(hash).map_or("unknown", |scheme| scheme.name())
}
