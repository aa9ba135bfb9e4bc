//! The keys on the disk: `dkim/<domain>/keys.json` says what there is and what it is for, and
//! `dkim/<domain>/<selector>.pem` is each private key.
//!
//! What must stay true: a register is replaced as a whole (written beside, synced, renamed), and with it
//! everything about its domain changes at once; a key is on the disk before the register names it, and
//! gone from the register before it is gone from the disk. So a crash leaves at most a key that nobody
//! names, which is passed over. Folders are 0700, files 0600; a key that others may read is refused.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use proto::types::Domain;
use serde::{Deserialize, Serialize};

use super::KeyError;
use super::command::State;
use super::key::{Algorithm, PrivateKey};

const FOLDER: &str = "dkim";
const REGISTER: &str = "keys.json";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

/// What is kept about the keys of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    /// Whether subdomains are signed for; not given: as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdomains: Option<bool>,
    pub keys: Vec<Entry>,
}

/// What is kept about one key. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub selector: String,
    pub algorithm: Algorithm,
    pub state: State,
    pub made: u64,
    /// When it began to sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated: Option<u64>,
    /// When it ceased to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<u64>,
}

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub fn new(data_dir: &Path) -> Self {
        Self(data_dir.join(FOLDER))
    }

    /// The domains that have a register, in order.
    pub fn domains(&self) -> Result<Vec<Domain>, KeyError> {
        let found = match fs::read_dir(&self.0) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(KeyError::at(&self.0)(error)),
        };
        let mut domains = Vec::new();
        for entry in found {
            let path = entry.map_err(KeyError::at(&self.0))?.path();
            // A folder without a register is what a crash left.
            if !path.join(REGISTER).exists() {
                continue;
            }
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let domain = Domain::parse(name).ok().filter(|domain| domain.as_str() == name);
            let no_domain = || KeyError::unfit(&path, "its name is no domain in small letters");
            domains.push(domain.ok_or_else(no_domain)?);
        }
        domains.sort_unstable();
        Ok(domains)
    }

    pub fn register(&self, domain: &Domain) -> Result<Register, KeyError> {
        let path = self.of(domain).join(REGISTER);
        let text = fs::read(&path).map_err(KeyError::at(&path))?;
        serde_json::from_slice(&text).map_err(|error| {
            KeyError::unfit(&path, format!("{error}: mend it, or restore it from a backup"))
        })
    }

    /// Puts a register in the place of the old one; without keys, the domain's folder goes.
    pub fn write_register(&self, domain: &Domain, register: &Register) -> Result<(), KeyError> {
        let folder = self.of(domain);
        let path = folder.join(REGISTER);
        if register.keys.is_empty() {
            fs::remove_file(&path).map_err(KeyError::at(&path))?;
            return sync(&folder);
        }
        let mut text = serde_json::to_vec_pretty(register)
            .map_err(|error| KeyError::at(&path)(error.into()))?;
        text.push(b'\n');
        self.put(domain, &path, &text)
    }

    /// The private key behind an entry.
    pub fn key(&self, domain: &Domain, entry: &Entry) -> Result<PrivateKey, KeyError> {
        let path = self.key_path(domain, &entry.selector);
        let mode = fs::metadata(&path).map_err(KeyError::at(&path))?.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            return Err(KeyError::Exposed { path, mode, domain: domain.as_str().into() });
        }
        let text = fs::read_to_string(&path).map_err(KeyError::at(&path))?;
        let key = PrivateKey::from_pem(&text).map_err(|error| KeyError::unfit(&path, error))?;
        if key.algorithm() != entry.algorithm {
            let expected = entry.algorithm;
            return Err(KeyError::unfit(
                &path,
                format!("it is no {expected} key, as {REGISTER} says"),
            ));
        }
        Ok(key)
    }

    pub fn write_key(&self, domain: &Domain, selector: &str, pem: &str) -> Result<(), KeyError> {
        for folder in [&self.0, &self.of(domain)] {
            let made = fs::DirBuilder::new().mode(FOLDER_MODE).recursive(true).create(folder);
            made.map_err(KeyError::at(folder))?;
            sync(folder.parent().unwrap_or(folder))?;
        }
        self.put(domain, &self.key_path(domain, selector), pem.as_bytes())
    }

    /// Removes a key that no register names, and the folder with the last one.
    pub fn remove_key(&self, domain: &Domain, selector: &str) -> Result<(), KeyError> {
        let (folder, path) = (self.of(domain), self.key_path(domain, selector));
        fs::remove_file(&path).map_err(KeyError::at(&path))?;
        sync(&folder)?;
        // It stays while there is anything else in it.
        let _ = fs::remove_dir(&folder);
        Ok(())
    }

    fn put(&self, domain: &Domain, path: &Path, text: &[u8]) -> Result<(), KeyError> {
        let new = path.with_added_extension("new");
        let write = || {
            // What a crash left may have other permissions.
            let _ = fs::remove_file(&new);
            let mut options = File::options();
            let mut file = options.write(true).create_new(true).mode(FILE_MODE).open(&new)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        write().map_err(KeyError::at(path))?;
        sync(&self.of(domain))
    }

    fn of(&self, domain: &Domain) -> PathBuf {
        // A domain has neither slashes nor empty labels.
        self.0.join(domain.as_str())
    }

    fn key_path(&self, domain: &Domain, selector: &str) -> PathBuf {
        self.of(domain).join(format!("{selector}.pem"))
    }
}

/// Makes names in `folder` durable.
fn sync(folder: &Path) -> Result<(), KeyError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(KeyError::at(folder))
}
