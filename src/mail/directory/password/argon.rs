//! Argon2 (RFC 9106) in PHC form: `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`.

use std::fmt;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64_NOPAD;
use serde::{Deserialize, Serialize};

use super::Parameters;

const HASH_OCTETS: usize = 32;
/// What an imported hash may ask for.
const MEMORY_KIB_MAX: u32 = 256 << 10;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;
/// Passes times memory: about a second.
const WORK_MAX: u64 = 2 << 20;
const OCTETS_MAX: usize = 64;
/// Memory that is kept from one hash to the next; larger ones are rare, and give theirs back.
const KEPT_KIB_MAX: usize = 64 << 10;

/// Memory that hashes are computed in, kept from one to the next.
#[derive(Default)]
pub struct Scratch(Vec<Block>);

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("kib", &self.0.len()).finish()
    }
}

/// The parts of a PHC string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArgonHash {
    algorithm: Algorithm,
    version: Version,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// A hash as it is kept: the usual kind in octets.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::directory) enum PackedHash<'a> {
    /// Any, as a text.
    Text(&'a str),
    /// `$argon2id$v=19$m=…,t=…,p=…` with salt and hash of the usual size.
    Argon2id { memory_kib: u32, passes: u32, lanes: u32, salt: [u8; 16], hash: [u8; HASH_OCTETS] },
}

impl<'a> PackedHash<'a> {
    pub fn of(text: &'a str) -> Self {
        Self::octets(text).unwrap_or(Self::Text(text))
    }

    /// When nothing is lost by it.
    fn octets(text: &str) -> Option<Self> {
        let parsed = ArgonHash::parse(text).ok()?;
        let is_usual = parsed.algorithm == Algorithm::Argon2id
            && parsed.version == Version::V0x13
            && parsed.to_string() == text;
        let (salt, hash) = (parsed.salt.try_into().ok()?, parsed.hash.try_into().ok()?);
        is_usual.then_some(Self::Argon2id {
            memory_kib: parsed.memory_kib,
            passes: parsed.passes,
            lanes: parsed.lanes,
            salt,
            hash,
        })
    }

    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Argon2id { memory_kib, passes, lanes, salt, hash } => ArgonHash {
                algorithm: Algorithm::Argon2id,
                version: Version::V0x13,
                memory_kib: *memory_kib,
                passes: *passes,
                lanes: *lanes,
                salt: salt.to_vec(),
                hash: hash.to_vec(),
            }
            .to_string(),
        }
    }
}

impl ArgonHash {
    pub fn make(
        password: &[u8],
        salt: &[u8],
        parameters: &Parameters,
        scratch: &mut Scratch,
    ) -> Result<Self, String> {
        let mut made = Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            memory_kib: parameters.memory_kib,
            passes: parameters.passes,
            lanes: parameters.lanes,
            salt: salt.to_vec(),
            hash: vec![0; HASH_OCTETS],
        };
        made.hash = made.compute(password, scratch)?;
        Ok(made)
    }

    fn compute(&self, password: &[u8], scratch: &mut Scratch) -> Result<Vec<u8>, String> {
        let wrong = |error: argon2::Error| format!("argon2: {error}");
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(self.hash.len()));
        let params = params.map_err(wrong)?;
        let blocks = params.block_count();
        if scratch.0.len() < blocks {
            scratch.0.resize(blocks, Block::new());
        }
        let mut out = vec![0; self.hash.len()];
        let memory = &mut scratch.0[..blocks];
        let result = Argon2::new(self.algorithm, self.version, params)
            .hash_password_into_with_memory(password, &self.salt, &mut out, memory);
        if blocks > KEPT_KIB_MAX {
            scratch.0 = Vec::new();
        }
        result.map_err(wrong)?;
        Ok(out)
    }

    pub fn verify(&self, password: &[u8], scratch: &mut Scratch) -> bool {
        let computed = self.compute(password, scratch);
        computed.is_ok_and(|hash| verify_slices_are_equal(&hash, &self.hash).is_ok())
    }

    pub fn is_as_strong_as(&self, parameters: &Parameters) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.version == Version::V0x13
            && self.memory_kib >= parameters.memory_kib
            && self.passes >= parameters.passes
    }

    pub fn name(&self) -> &'static str {
        self.algorithm.as_str()
    }

    /// Reads a PHC string.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || "a malformed argon2 hash".to_owned();
        let mut parts = text.strip_prefix('$').ok_or_else(malformed)?.split('$').peekable();
        let algorithm = match parts.next() {
            Some("argon2id") => Algorithm::Argon2id,
            Some("argon2i") => Algorithm::Argon2i,
            Some("argon2d") => Algorithm::Argon2d,
            _ => return Err(malformed()),
        };
        let version = match parts.next_if(|part| part.starts_with("v=")) {
            Some("v=19") => Version::V0x13,
            Some("v=16") | None => Version::V0x10,
            Some(_) => return Err(malformed()),
        };
        let (mut memory_kib, mut passes, mut lanes) = (0, 0, 0);
        for pair in parts.next().ok_or_else(malformed)?.split(',') {
            let (name, value) = pair.split_once('=').ok_or_else(malformed)?;
            let value: u32 = value.parse().map_err(|_| malformed())?;
            match name {
                "m" => memory_kib = value,
                "t" => passes = value,
                "p" => lanes = value,
                _ => return Err(malformed()),
            }
        }
        let octets = |part: Option<&str>| {
            let octets = BASE64_NOPAD.decode(part?.as_bytes()).ok()?;
            (8..=OCTETS_MAX).contains(&octets.len()).then_some(octets)
        };
        let salt = octets(parts.next()).ok_or_else(malformed)?;
        let hash = octets(parts.next()).ok_or_else(malformed)?;
        if parts.next().is_some() {
            return Err(malformed());
        }
        let parsed = Self { algorithm, version, memory_kib, passes, lanes, salt, hash };
        parsed.check_cost()?;
        Ok(parsed)
    }

    fn check_cost(&self) -> Result<(), String> {
        let work = u64::from(self.memory_kib) * u64::from(self.passes);
        let is_sound = self.lanes >= 1 && self.passes >= 1 && self.memory_kib / 8 >= self.lanes;
        if !is_sound
            || self.memory_kib > MEMORY_KIB_MAX
            || self.passes > PASSES_MAX
            || self.lanes > LANES_MAX
            || work > WORK_MAX
        {
            return Err(format!(
                "an argon2 hash with m={},t={},p={}: m is {MEMORY_KIB_MAX} at most, t {PASSES_MAX}, \
                 p {LANES_MAX}, and m times t {WORK_MAX}",
                self.memory_kib, self.passes, self.lanes
            ));
        }
        Ok(())
    }
}

impl fmt::Display for ArgonHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, version) = (self.algorithm.as_str(), self.version as u32);
        let (m, t, p) = (self.memory_kib, self.passes, self.lanes);
        let (salt, hash) = (BASE64_NOPAD.encode(&self.salt), BASE64_NOPAD.encode(&self.hash));
        write!(f, "${name}$v={version}$m={m},t={t},p={p}${salt}${hash}")
    }
}
