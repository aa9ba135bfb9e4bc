//! The hashes of other servers: what they look like, and how they are verified.
//!
//! | form | made by |
//! |---|---|
//! | `$2a$`, `$2b$`, `$2y$` | bcrypt: htpasswd, PHP, Dovecot's BLF-CRYPT |
//! | `$6$`, `$5$` | sha512-crypt, sha256-crypt: crypt(3), Dovecot |
//! | `$pbkdf2-sha256$i=…` (PHC), `$pbkdf2-sha256$29000$…` (passlib) | PBKDF2 (RFC 8018) |
//! | `pbkdf2_sha256$…` | Django |
//! | `{PBKDF2}$1$salt$rounds$hex` | Dovecot |
//! | `{SSHA}`, `{SSHA256}`, `{SSHA512}` | LDAP (RFC 3112's cousins), Dovecot |
//! | `$argon2id$`, `$argon2i$`, `$argon2d$` | see `argon` |

use std::borrow::Cow;
use std::num::NonZeroU32;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, pbkdf2};
use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER_PERMISSIVE};
use sha_crypt::{PasswordVerifier, ShaCrypt};

use super::argon::{ArgonHash, Scratch};

const BCRYPT_COST_MAX: u32 = 14;
const CRYPT_ROUNDS_MAX: u32 = 2_000_000;
const PBKDF2_ROUNDS_MAX: u32 = 5_000_000;
const SALT_OCTETS_MAX: usize = 128;

const KNOWN: &str = "argon2, bcrypt, sha512-crypt, sha256-crypt, PBKDF2 and SSHA are known";

/// A hash of some kind, taken apart.
#[derive(Debug)]
pub(super) enum Scheme<'a> {
    Argon2(ArgonHash),
    Bcrypt(&'a str),
    ShaCrypt(&'a str),
    Pbkdf2 {
        digest: Digest,
        rounds: NonZeroU32,
        salt: Vec<u8>,
        hash: Vec<u8>,
    },
    /// A digest of password and salt.
    Salted {
        digest: Digest,
        hash: Vec<u8>,
        salt: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }

    fn pbkdf2(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => pbkdf2::PBKDF2_HMAC_SHA1,
            Self::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Self::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        }
    }
}

/// Takes Dovecot's `{SCHEME}` off, or brings it into the form that [`Scheme::parse`] reads.
pub(super) fn unwrapped(text: &str) -> Result<String, String> {
    let Some((scheme, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else {
        // Django puts a name before what others write alone.
        return Ok(text
            .strip_prefix("argon2$")
            .map_or_else(|| text.into(), |rest| format!("${rest}")));
    };
    let scheme = scheme.to_ascii_uppercase();
    let (scheme, encoding) = scheme.split_once('.').unwrap_or((&scheme, ""));
    match scheme {
        "ARGON2ID" | "ARGON2I" | "ARGON2" | "BLF-CRYPT" | "SHA512-CRYPT" | "SHA256-CRYPT"
        | "CRYPT" => Ok(rest.into()),
        "PBKDF2" => Ok(format!("{{PBKDF2}}{rest}")),
        "SSHA" | "SSHA256" | "SSHA512" if encoding == "HEX" => {
            let octets = HEXLOWER_PERMISSIVE.decode(rest.as_bytes());
            let octets = octets.map_err(|_| format!("a malformed {scheme} hash"))?;
            Ok(format!("{{{scheme}}}{}", BASE64.encode(&octets)))
        }
        "SSHA" | "SSHA256" | "SSHA512" => Ok(format!("{{{scheme}}}{rest}")),
        "PLAIN" | "CLEAR" | "CLEARTEXT" => {
            Err("a password in the clear is no hash: import it as `password`, or set it with \
             `ringpost account passwd`"
                .into())
        }
        _ => Err(format!("hashes of the scheme {{{scheme}}} cannot be verified: {KNOWN}")),
    }
}

impl<'a> Scheme<'a> {
    /// Takes a hash apart, and judges what it would cost.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        if text.starts_with("$argon2") {
            return ArgonHash::parse(text).map(Self::Argon2);
        }
        if ["$2a$", "$2b$", "$2y$"].iter().any(|start| text.starts_with(start)) {
            return bcrypt(text);
        }
        if text.starts_with("$6$") || text.starts_with("$5$") {
            return sha_crypt(text);
        }
        if let Some(rest) = text.strip_prefix("{PBKDF2}$1$") {
            return dovecot_pbkdf2(rest).ok_or_else(|| malformed("PBKDF2"))?;
        }
        if let Some(rest) = text.strip_prefix("$pbkdf2") {
            return pbkdf2(rest).ok_or_else(|| malformed("PBKDF2"))?;
        }
        if let Some(rest) = text.strip_prefix("pbkdf2_") {
            return django(rest).ok_or_else(|| malformed("PBKDF2"))?;
        }
        for (start, digest) in
            [("{SSHA}", Digest::Sha1), ("{SSHA256}", Digest::Sha256), ("{SSHA512}", Digest::Sha512)]
        {
            if let Some(rest) = text.strip_prefix(start) {
                return salted(digest, rest).ok_or_else(|| malformed(start));
            }
        }
        // The text itself may be a password in the wrong place: it is not repeated.
        Err(format!("this is no hash of a password: {KNOWN}"))
    }

    /// Whether `password` is the one.
    pub fn verify(&self, password: &[u8], scratch: &mut Scratch) -> bool {
        match self {
            Self::Argon2(hash) => hash.verify(password, scratch),
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::ShaCrypt(text) => ShaCrypt::default().verify_password(password, *text).is_ok(),
            Self::Pbkdf2 { digest, rounds, salt, hash } => {
                pbkdf2::verify(digest.pbkdf2(), *rounds, salt, password, hash).is_ok()
            }
            Self::Salted { digest, hash, salt } => {
                let mut context = digest::Context::new(digest.algorithm());
                context.update(password);
                context.update(salt);
                verify_slices_are_equal(context.finish().as_ref(), hash).is_ok()
            }
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Argon2(hash) => hash.name(),
            Self::Bcrypt(_) => "bcrypt",
            Self::ShaCrypt(text) if text.starts_with("$6$") => "sha512-crypt",
            Self::ShaCrypt(_) => "sha256-crypt",
            Self::Pbkdf2 { digest: Digest::Sha1, .. } => "pbkdf2-sha1",
            Self::Pbkdf2 { digest: Digest::Sha256, .. } => "pbkdf2-sha256",
            Self::Pbkdf2 { digest: Digest::Sha512, .. } => "pbkdf2-sha512",
            Self::Salted { digest: Digest::Sha1, .. } => "ssha",
            Self::Salted { digest: Digest::Sha256, .. } => "ssha256",
            Self::Salted { digest: Digest::Sha512, .. } => "ssha512",
        }
    }
}

fn malformed(what: &str) -> String {
    format!("a malformed {what} hash")
}

fn bcrypt(text: &str) -> Result<Scheme<'_>, String> {
    let cost: u32 = text.get(4..6).and_then(|cost| cost.parse().ok()).unwrap_or(0);
    if text.len() != 60 || text.parse::<bcrypt::HashParts>().is_err() {
        return Err(malformed("bcrypt"));
    }
    if !(4..=BCRYPT_COST_MAX).contains(&cost) {
        return Err(format!("a bcrypt hash of cost {cost}: 4 to {BCRYPT_COST_MAX} are taken"));
    }
    Ok(Scheme::Bcrypt(text))
}

/// `$6$rounds=5000$salt$hash`; the rounds may be missing.
fn sha_crypt(text: &str) -> Result<Scheme<'_>, String> {
    let mut parts = text[3..].split('$');
    let mut salt = parts.next().unwrap_or("");
    if let Some(rounds) = salt.strip_prefix("rounds=") {
        let rounds: u32 = rounds.parse().map_err(|_| malformed("sha-crypt"))?;
        if !(1000..=CRYPT_ROUNDS_MAX).contains(&rounds) {
            let text = format!("a sha-crypt hash of {rounds} rounds: 1000 to {CRYPT_ROUNDS_MAX}");
            return Err(text + " are taken");
        }
        salt = parts.next().unwrap_or("");
    }
    let hash = parts.next().unwrap_or("");
    let hash_len = if text.starts_with("$6$") { 86 } else { 43 };
    let is_crypt = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    let is_sound = salt.len() <= 16 && hash.len() == hash_len && hash.bytes().all(is_crypt);
    if !is_sound || parts.next().is_some() {
        return Err(malformed("sha-crypt"));
    }
    Ok(Scheme::ShaCrypt(text))
}

fn made<'a>(
    digest: Digest,
    rounds: &str,
    salt: Vec<u8>,
    hash: Vec<u8>,
) -> Option<Result<Scheme<'a>, String>> {
    let rounds: NonZeroU32 = rounds.parse().ok()?;
    if rounds.get() > PBKDF2_ROUNDS_MAX {
        let text = format!("a PBKDF2 hash of {rounds} rounds: {PBKDF2_ROUNDS_MAX} at most");
        return Some(Err(text));
    }
    let is_sound = (16..=64).contains(&hash.len()) && salt.len() <= SALT_OCTETS_MAX;
    is_sound.then_some(Ok(Scheme::Pbkdf2 { digest, rounds, salt, hash }))
}

/// `salt$rounds$hex`: SHA-1, and the salt is its own text.
fn dovecot_pbkdf2<'a>(rest: &str) -> Option<Result<Scheme<'a>, String>> {
    let (salt, rest) = rest.split_once('$')?;
    let (rounds, hash) = rest.split_once('$')?;
    let hash = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()?;
    made(Digest::Sha1, rounds, salt.as_bytes().to_vec(), hash)
}

/// `-sha256$i=600000,l=32$salt$hash` (PHC), or `-sha256$29000$salt$hash` (passlib, with `.` for `+`).
fn pbkdf2<'a>(rest: &str) -> Option<Result<Scheme<'a>, String>> {
    let (name, rest) = rest.split_once('$')?;
    let digest = match name {
        "" | "-sha1" => Digest::Sha1,
        "-sha256" => Digest::Sha256,
        "-sha512" => Digest::Sha512,
        _ => return None,
    };
    let (rounds, rest) = rest.split_once('$')?;
    let (salt, hash) = rest.split_once('$')?;
    let is_phc = rounds.contains('=');
    let rounds =
        if is_phc { rounds.split(',').find_map(|pair| pair.strip_prefix("i="))? } else { rounds };
    let octets = |text: &str| {
        let text: Cow<'_, str> = if is_phc { text.into() } else { text.replace('.', "+").into() };
        BASE64_NOPAD.decode(text.as_bytes()).ok()
    };
    made(digest, rounds, octets(salt)?, octets(hash)?)
}

/// `sha256$rounds$salt$hash`: the salt is its own text.
fn django<'a>(rest: &str) -> Option<Result<Scheme<'a>, String>> {
    let (name, rest) = rest.split_once('$')?;
    let digest = match name {
        "sha256" => Digest::Sha256,
        "sha1" => Digest::Sha1,
        _ => return None,
    };
    let (rounds, rest) = rest.split_once('$')?;
    let (salt, hash) = rest.split_once('$')?;
    let hash = BASE64.decode(hash.as_bytes()).ok()?;
    made(digest, rounds, salt.as_bytes().to_vec(), hash)
}

/// Base64 of digest and salt.
fn salted<'a>(digest: Digest, text: &str) -> Option<Scheme<'a>> {
    let mut hash = BASE64.decode(text.as_bytes()).ok()?;
    let len = digest.algorithm().output_len();
    if hash.len() <= len || hash.len() > len + SALT_OCTETS_MAX {
        return None;
    }
    let salt = hash.split_off(len);
    Some(Scheme::Salted { digest, hash, salt })
}
