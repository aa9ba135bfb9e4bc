//! All keys of the process: what is on the disk, the commands that change it, and what is in force.
//!
//! What must stay true: shards see one picture that is swapped as a whole ([`Keyring`]); it follows
//! the disk, never the other way round. Changes are made one after the other, on a thread that may
//! take its time. How it fails: see [`KeyError`].

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use engine::shard::wall_ms;
use engine::telemetry::{Level, note};
use proto::text::write_date_time;
use proto::types::{Domain, Timestamp};

use super::command::{Answer, Command, State};
use super::folder::{Entry, Folder};
use super::held::{Held, Owned, fit_selector, read, removable};
use super::key::{Algorithm, BITS_DEFAULT, PrivateKey};
use super::keyring::Keyring;
use super::view::View;
use super::{KeyError, Settings, record};

/// How long the record of a retired key is needed: mail signed with it may wait for days with us, and
/// for days more on its way.
pub const RETIRED_MS: u64 = 14 * 24 * 60 * 60 * 1000;

/// Hears of each change that was made: what, and on which key.
pub type Audit<'a> = &'a mut dyn FnMut(&str, &str);

/// The keys of the running server, or of the command line while there is none.
#[derive(Debug)]
pub struct Keys {
    folder: Folder,
    held: Mutex<Held>,
    keyring: Arc<ArcSwap<Keyring>>,
}

impl Keys {
    /// Reads all keys in the data directory. None is no error.
    ///
    /// # Errors
    /// When one cannot be read or used: see [`KeyError`].
    pub fn open(data_dir: &Path, settings: &Settings) -> Result<Arc<Self>, KeyError> {
        let folder = Folder::new(data_dir);
        let held = Held { settings: settings.clone(), domains: read(&folder)? };
        let keyring = Arc::new(ArcSwap::new(held.keyring()));
        Ok(Arc::new(Self { folder, held: Mutex::new(held), keyring }))
    }

    /// The selectors of the keys that sign for a domain, by its register alone: no private key is read.
    ///
    /// # Errors
    /// There is no register, or it cannot be read.
    pub fn active_selectors(data_dir: &Path, domain: &Domain) -> Result<Vec<String>, KeyError> {
        let keys = Folder::new(data_dir).register(domain)?.keys.into_iter();
        let active = keys.filter(|entry| entry.state == State::Active);
        Ok(active.map(|entry| entry.selector).collect())
    }

    /// Takes new settings, and reads the keys again.
    ///
    /// # Errors
    /// As [`open`](Self::open); nothing is changed then.
    pub fn reload(&self, settings: &Settings) -> Result<(), KeyError> {
        let mut held = self.held();
        let domains = read(&self.folder)?;
        *held = Held { settings: settings.clone(), domains };
        self.keyring.store(held.keyring());
        Ok(())
    }

    /// What a shard signs with.
    #[must_use]
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.keyring))
    }

    /// What is signed with now.
    #[must_use]
    pub fn keyring(&self) -> Arc<Keyring> {
        self.keyring.load_full()
    }

    /// Carries out a command. Takes long when keys are made: not on a shard.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn command(&self, command: Command, audit: Audit<'_>) -> Result<Answer, KeyError> {
        match command {
            Command::List { domain } => self.list(domain.as_deref()),
            Command::Generate { domain, selector, algorithm, bits, pending, subdomains } => {
                let algorithms = algorithm.map_or(Algorithm::ALL.to_vec(), |one| vec![one]);
                let bits = bits.unwrap_or(BITS_DEFAULT);
                let wanted = Wanted { algorithms, bits, selector };
                self.generate(&parsed(&domain)?, &wanted, Usage { pending, subdomains }, audit)
            }
            Command::Import { domain, selector, pem, pending, subdomains } => {
                let key = PrivateKey::from_pem(&pem).map_err(KeyError::Refused)?;
                let (domain, usage) = (parsed(&domain)?, Usage { pending, subdomains });
                self.add(&domain, vec![(selector, key)], usage, ("import dkim key", audit))
            }
            Command::Prepare { domain } => self.prepare(&parsed(&domain)?, audit),
            Command::Switch { domain } => self.switch(&parsed(&domain)?, audit),
            Command::Sweep { domain } => {
                let now = wall_ms();
                self.take_away(&parsed(&domain)?, audit, |entry| {
                    removable(entry).is_some_and(|at| at <= now)
                })
            }
            Command::Remove { domain, selector } => {
                let domain = parsed(&domain)?;
                let selector = selector.to_ascii_lowercase();
                let answer = self.take_away(&domain, audit, |entry| entry.selector == selector)?;
                if answer.keys.is_empty() {
                    return Err(KeyError::Refused(format!("{domain} has no key {selector}")));
                }
                Ok(answer)
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // What a panic left is what is on the disk, or was before the command.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self, domain: Option<&str>) -> Result<Answer, KeyError> {
        let held = self.held();
        let only = domain.map(parsed).transpose()?;
        if let Some(only) = only.as_ref().filter(|only| !held.domains.contains_key(*only)) {
            return Err(no_keys(only));
        }
        let meant = held.domains.keys().filter(|name| only.as_ref().is_none_or(|it| it == *name));
        let mut keys = Vec::new();
        for domain in meant {
            keys.extend(held.infos(domain, |_| true)?);
        }
        Ok(Answer { keys })
    }

    fn generate(
        &self,
        domain: &Domain,
        wanted: &Wanted,
        usage: Usage,
        audit: Audit<'_>,
    ) -> Result<Answer, KeyError> {
        let taken = self.held().selectors(domain);
        let mut made = Vec::new();
        for algorithm in &wanted.algorithms {
            // Better to hear of a clash before the key is made.
            self.held().room_for(domain, *algorithm, usage.pending)?;
            let key = PrivateKey::generate(*algorithm, wanted.bits).map_err(KeyError::Refused)?;
            made.push((wanted.selector_for(*algorithm, &taken), key));
        }
        self.add(domain, made, usage, ("generate dkim key", audit))
    }

    /// New keys come in, all or none.
    fn add(
        &self,
        domain: &Domain,
        new: Vec<(String, PrivateKey)>,
        usage: Usage,
        (what, audit): (&str, Audit<'_>),
    ) -> Result<Answer, KeyError> {
        let mut held = self.held();
        let now = wall_ms();
        let mut owned = held.domains.get(domain).cloned().unwrap_or_default();
        let mut added = Vec::new();
        for (selector, key) in new {
            let selector = fit_selector(&selector, domain)?;
            let algorithm = key.algorithm();
            held.room_for(domain, algorithm, usage.pending)?;
            if owned.keys.contains_key(&selector) {
                return Err(KeyError::Refused(format!("{domain} has a key {selector} already")));
            }
            let pem = key.to_pem().map_err(KeyError::Refused)?;
            self.folder.write_key(domain, &selector, &pem)?;
            let (state, activated) = match usage.pending {
                true => (State::Pending, None),
                false => (State::Active, Some(now)),
            };
            let (made, retired) = (now, None);
            let entry =
                Entry { selector: selector.clone(), algorithm, state, made, activated, retired };
            owned.register.keys.push(entry);
            owned.keys.insert(selector.clone(), Arc::new(key));
            added.push(selector);
        }
        owned.register.subdomains = usage.subdomains.or(owned.register.subdomains);
        self.commit(&mut held, domain, owned)?;
        added.iter().for_each(|selector| audit(what, &record::name(selector, domain.as_str())));
        let keys = held.infos(domain, |entry| added.contains(&entry.selector))?;
        Ok(Answer { keys })
    }

    fn prepare(&self, domain: &Domain, audit: Audit<'_>) -> Result<Answer, KeyError> {
        let signing: Vec<(Algorithm, u32)> = {
            let held = self.held();
            let owned = held.domains.get(domain).ok_or_else(|| no_keys(domain))?;
            let active = owned.register.keys.iter().filter(|entry| entry.state == State::Active);
            active.map(|entry| (entry.algorithm, owned.keys[&entry.selector].bits())).collect()
        };
        if signing.is_empty() {
            return Err(KeyError::Refused(format!("{domain} has no key that could be replaced")));
        }
        let (taken, mut made) = (self.held().selectors(domain), Vec::new());
        for (algorithm, bits) in signing {
            let wanted = Wanted { algorithms: vec![algorithm], bits, selector: None };
            let key = PrivateKey::generate(algorithm, bits).map_err(KeyError::Refused)?;
            made.push((wanted.selector_for(algorithm, &taken), key));
        }
        let usage = Usage { pending: true, subdomains: None };
        self.add(domain, made, usage, ("prepare dkim key", audit))
    }

    fn switch(&self, domain: &Domain, audit: Audit<'_>) -> Result<Answer, KeyError> {
        let mut held = self.held();
        let now = wall_ms();
        let mut owned = held.domains.get(domain).cloned().ok_or_else(|| no_keys(domain))?;
        let entries = &mut owned.register.keys;
        let is_pending = |entry: &Entry| entry.state == State::Pending;
        let coming: Vec<Algorithm> =
            entries.iter().filter(|entry| is_pending(entry)).map(|entry| entry.algorithm).collect();
        if coming.is_empty() {
            return Err(KeyError::Refused(format!("{domain} has no pending keys")));
        }
        let mut changed = Vec::new();
        for entry in entries.iter_mut().filter(|entry| coming.contains(&entry.algorithm)) {
            match entry.state {
                State::Active => {
                    (entry.state, entry.retired) = (State::Retired, Some(now));
                    changed.push(("retire dkim key", entry.selector.clone()));
                }
                State::Pending => {
                    (entry.state, entry.activated) = (State::Active, Some(now));
                    changed.push(("activate dkim key", entry.selector.clone()));
                }
                State::Retired => {}
            }
        }
        self.commit(&mut held, domain, owned)?;
        for (what, selector) in &changed {
            audit(what, &record::name(selector, domain.as_str()));
        }
        let is_changed = |entry: &Entry| changed.iter().any(|(_, it)| *it == entry.selector);
        Ok(Answer { keys: held.infos(domain, is_changed)? })
    }

    /// Removes the keys that are meant; the answer has them as they were.
    fn take_away(
        &self,
        domain: &Domain,
        audit: Audit<'_>,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> Result<Answer, KeyError> {
        let mut held = self.held();
        let mut owned = held.domains.get(domain).cloned().ok_or_else(|| no_keys(domain))?;
        let keys = held.infos(domain, &is_meant)?;
        if keys.is_empty() {
            return Ok(Answer { keys });
        }
        owned.register.keys.retain(|entry| !is_meant(entry));
        keys.iter().for_each(|key| drop(owned.keys.remove(&key.selector)));
        self.commit(&mut held, domain, owned)?;
        for key in &keys {
            // It is out of use whether or not its file goes.
            if let Err(error) = self.folder.remove_key(domain, &key.selector) {
                note(Level::Warn, format_args!("dkim: a removed key is still there: {error}"));
            }
            audit("remove dkim key", &key.name);
        }
        Ok(Answer { keys })
    }

    /// Makes the disk say so, then everybody.
    fn commit(&self, held: &mut Held, domain: &Domain, owned: Owned) -> Result<(), KeyError> {
        self.folder.write_register(domain, &owned.register)?;
        if owned.register.keys.is_empty() {
            held.domains.remove(domain);
        } else {
            held.domains.insert(domain.clone(), owned);
        }
        self.keyring.store(held.keyring());
        Ok(())
    }
}

/// How new keys are used.
#[derive(Clone, Copy)]
struct Usage {
    pending: bool,
    subdomains: Option<bool>,
}

/// Which keys are to be made.
struct Wanted {
    algorithms: Vec<Algorithm>,
    bits: u32,
    selector: Option<String>,
}

impl Wanted {
    /// What was asked for, or the month with a letter, `202611r`, and a number when that is taken.
    fn selector_for(&self, algorithm: Algorithm, taken: &[String]) -> String {
        match &self.selector {
            Some(selector) if self.algorithms.len() == 1 => selector.clone(),
            Some(selector) => format!("{selector}-{algorithm}"),
            None => {
                let mut date = Vec::new();
                write_date_time(Timestamp(wall_ms()), &mut date);
                let date = String::from_utf8_lossy(&date).into_owned();
                let letter = &algorithm.name()[..1];
                let month = [&date[..4], &date[5..7], letter].concat();
                let numbered = (2_u32..).map(|number| format!("{month}{number}"));
                let mut names = std::iter::once(month.clone()).chain(numbered);
                names.find(|name| !taken.contains(name)).unwrap_or(month)
            }
        }
    }
}

fn parsed(domain: &str) -> Result<Domain, KeyError> {
    Domain::parse(domain).map_err(|error| KeyError::Refused(format!("{domain}: {error}")))
}

fn no_keys(domain: &Domain) -> KeyError {
    KeyError::refused(format!("{domain} has no keys: ringpost dkim generate {domain} makes them"))
}
