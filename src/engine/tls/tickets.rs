//! Owns: the keys of session tickets (RFC 8446 §4.6.1, RFC 5077). Must stay true: tickets of one
//! shard are good on every other, and after a restart, also while the old process still runs: the
//! keys are in a file that only the server's user can read. A key makes tickets for [`FRESH_S`] and
//! opens them for [`LIFETIME_S`]; then it is gone, and what was recorded with it stays closed.
//! Fails: without the file keys live in this process alone, and the log says so.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
    rand,
};
use rustls::server::ProducesTickets;

use super::TlsError;

/// How long tickets can be used, in seconds.
const LIFETIME_S: u64 = 24 * 60 * 60;
/// How long a key makes new ones.
const FRESH_S: u64 = 8 * 60 * 60;
/// How long a ticket may be used after it was made: as long as the youngest key of a ticket lives on.
const TICKET_S: u32 = (LIFETIME_S - FRESH_S) as u32;
const NAME_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
/// Of a key in the file: since when, name, key.
const RECORD_BYTES: usize = 8 + NAME_BYTES + KEY_BYTES;
/// More than there can be within their lifetime.
const KEYS_MAX: usize = 16;

/// The keys, shared by all listeners.
pub(super) struct Tickets {
    path: PathBuf,
    keys: ArcSwap<Vec<Key>>,
}

struct Key {
    since_s: u64,
    name: [u8; NAME_BYTES],
    bytes: [u8; KEY_BYTES],
    seal: RandomizedNonceKey,
}

impl Tickets {
    /// Takes the keys of `path`, or makes the first.
    pub fn open(path: &Path, now_s: u64) -> Result<Arc<Self>, TlsError> {
        let this = Self { path: path.into(), keys: ArcSwap::from_pointee(Vec::new()) };
        this.turn(now_s)?;
        Ok(Arc::new(this))
    }

    /// Takes over keys that another process made, makes one when the youngest is no longer fresh, and
    /// forgets the old. To be called every few minutes.
    pub fn turn(&self, now_s: u64) -> Result<(), TlsError> {
        let failed = |error| TlsError::File { path: self.path.clone(), error };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)
            .map_err(failed)?;
        // Two processes may overlap: one makes the key, the other finds it.
        file.lock().map_err(failed)?;
        let (mut keys, has_old) = read(&mut file, now_s).map_err(failed)?;
        let is_fresh = |key: &Key| key.since_s <= now_s && now_s - key.since_s < FRESH_S;
        let needs_one = !keys.iter().any(is_fresh);
        if needs_one {
            keys.push(Key::make(now_s).ok_or_else(|| failed(io::Error::other("no randomness")))?);
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.since_s));
        keys.truncate(KEYS_MAX);
        if needs_one || has_old {
            write(&mut file, &keys).map_err(failed)?;
        }
        self.keys.store(Arc::new(keys));
        Ok(())
    }
}

/// The keys of the file that still live, and whether there are others. What is no key is no harm:
/// tickets that nobody can open cost a full handshake.
fn read(file: &mut File, now_s: u64) -> io::Result<(Vec<Key>, bool)> {
    let mut bytes = Vec::new();
    Read::by_ref(file).take((RECORD_BYTES * KEYS_MAX) as u64).read_to_end(&mut bytes)?;
    let lives = |key: &Key| now_s.saturating_sub(key.since_s) < LIFETIME_S;
    let keys: Vec<Key> =
        bytes.chunks_exact(RECORD_BYTES).filter_map(Key::parse).filter(lives).collect();
    let has_old = keys.len() * RECORD_BYTES != bytes.len();
    Ok((keys, has_old))
}

fn write(file: &mut File, keys: &[Key]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(keys.len() * RECORD_BYTES);
    for key in keys {
        bytes.extend_from_slice(&key.since_s.to_le_bytes());
        bytes.extend_from_slice(&key.name);
        bytes.extend_from_slice(&key.bytes);
    }
    file.rewind()?;
    file.write_all(&bytes)?;
    file.set_len(bytes.len() as u64)
}

impl Key {
    fn make(since_s: u64) -> Option<Self> {
        let (mut name, mut bytes) = ([0; NAME_BYTES], [0; KEY_BYTES]);
        rand::fill(&mut name).ok()?;
        rand::fill(&mut bytes).ok()?;
        Self::of(since_s, name, bytes)
    }

    fn parse(record: &[u8]) -> Option<Self> {
        let (since, rest) = record.split_first_chunk()?;
        let (name, rest) = rest.split_first_chunk()?;
        Self::of(u64::from_le_bytes(*since), *name, rest.try_into().ok()?)
    }

    fn of(since_s: u64, name: [u8; NAME_BYTES], bytes: [u8; KEY_BYTES]) -> Option<Self> {
        let seal = RandomizedNonceKey::new(&AES_256_GCM, &bytes).ok()?;
        Some(Self { since_s, name, bytes, seal })
    }
}

/// The tickets of listeners that demand the same of clients. A session that was agreed on where less
/// was demanded must not be taken up again where a certificate is: a resumed one shows none.
#[derive(Debug)]
pub(super) struct Scope {
    tickets: Arc<Tickets>,
    /// Bound to every ticket, and in none.
    label: Box<[u8]>,
}

impl Scope {
    /// `label` says what is demanded.
    pub fn new(tickets: &Arc<Tickets>, label: &[u8]) -> Self {
        Self { tickets: Arc::clone(tickets), label: digest(&SHA256, label).as_ref().into() }
    }

    fn bound_to(&self, key: &Key) -> Aad<Vec<u8>> {
        Aad::from([&key.name[..], &self.label].concat())
    }
}

impl ProducesTickets for Scope {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.tickets.keys.load();
        let key = keys.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key.seal.seal_in_place_append_tag(self.bound_to(key), &mut sealed).ok()?;
        let mut ticket = Vec::with_capacity(NAME_BYTES + NONCE_LEN + sealed.len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(nonce.as_ref());
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.tickets.keys.load();
        let key = keys.iter().find(|key| key.name == *name)?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::from(nonce);
        let length = key.seal.open_in_place(nonce, self.bound_to(key), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

/// Shows no key.
impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tickets({} keys of {})", self.keys.load().len(), self.path.display())
    }
}

/// Makes the folder that keys are in, for the server's user alone.
pub(super) fn private_folder(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| TlsError::File { path: path.into(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_S: u64 = 1_800_000_000;

    fn open(folder: &tempfile::TempDir, now_s: u64) -> Scope {
        let tickets = Tickets::open(&folder.path().join("tickets"), now_s).unwrap();
        Scope::new(&tickets, b"nothing")
    }

    #[test]
    fn a_ticket_is_good_in_another_process_until_its_key_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let old = open(&folder, START_S);
        let ticket = old.encrypt(b"state").unwrap();
        assert_eq!(old.decrypt(&ticket).unwrap(), b"state");
        let new = open(&folder, START_S + FRESH_S + 1);
        assert_eq!(new.decrypt(&ticket).unwrap(), b"state");
        let fresh = new.encrypt(b"more").unwrap();
        assert_ne!(fresh[..NAME_BYTES], ticket[..NAME_BYTES], "another key makes new ones");
        assert_eq!(old.decrypt(&fresh), None, "not known there yet");
        old.tickets.turn(START_S + FRESH_S + 2).unwrap();
        assert_eq!(old.decrypt(&fresh).unwrap(), b"more");
        old.tickets.turn(START_S + LIFETIME_S).unwrap();
        assert_eq!(old.decrypt(&ticket), None);
        assert_eq!(old.decrypt(&fresh).unwrap(), b"more");
    }

    #[test]
    fn what_was_tampered_with_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let tickets = open(&folder, START_S);
        let ticket = tickets.encrypt(b"state").unwrap();
        for index in 0..ticket.len() {
            let mut other = ticket.clone();
            other[index] ^= 1;
            assert_eq!(tickets.decrypt(&other), None, "octet {index}");
            assert_eq!(tickets.decrypt(&ticket[..index]), None);
        }
    }

    #[test]
    fn a_ticket_is_good_only_where_the_same_is_demanded() {
        let folder = tempfile::tempdir().unwrap();
        let easy = open(&folder, START_S);
        let strict = Scope::new(&easy.tickets, b"a certificate");
        assert_eq!(strict.decrypt(&easy.encrypt(b"state").unwrap()), None);
        assert_eq!(strict.decrypt(&strict.encrypt(b"state").unwrap()).unwrap(), b"state");
    }

    #[test]
    fn a_damaged_file_is_mended_and_nobody_else_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tickets");
        let first = open(&folder, START_S);
        let ticket = first.encrypt(b"state").unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(b"rubbish");
        fs::write(&path, &bytes).unwrap();
        assert_eq!(open(&folder, START_S + 1).decrypt(&ticket).unwrap(), b"state");
        assert_eq!(fs::read(&path).unwrap().len(), RECORD_BYTES);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A clock that was ahead leaves keys from the future: a fresh one is made beside them.
        let back = open(&folder, START_S - LIFETIME_S);
        assert!(back.encrypt(b"x").is_some());
    }
}
