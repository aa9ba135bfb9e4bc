//! The embedded directory: a folder with a snapshot, a log of changes and the audit log.
//!
//! What must stay true:
//! * What was answered with success is on stable storage, and in every view that is taken later.
//! * A command is one frame of the log: it takes effect as a whole or not at all.
//! * A name is one thing: a domain, an account, an alias or a group; an address has its domain.
//! * Reading ([`Store::shared`]) needs no lock: views are swapped, never changed.
//!
//! How it fails: see [`StoreError`]; nothing is changed then. The store has one writer, who holds
//! the lock on the data directory: the running server, or the command line while there is none.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use proto::types::{Address, Domain};

use super::audit::Audit;
use super::changelog::{self, Changelog, Entry, Frame};
use super::command::{Answer, Command, LIST_RECORDS_MAX};
use super::draft::Draft;
use super::error::StoreError;
use super::name;
use super::packed;
use super::password::{self, Parameters, ScramSecrets};
use super::record::{Kind, Record};
use super::snapshot::{self, Head};
use super::view::{Changes, View};

/// The folder in the data directory.
const FOLDER: &str = "directory";
/// The log may grow to this, or to the size of the snapshot, before both are made one.
const LOG_MIN: u64 = 16 << 20;
/// Records that one call for a page looks at.
const LOOK_MAX: usize = 50_000;

/// The embedded directory, open for changes.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    view: Arc<ArcSwap<View>>,
    changelog: Changelog,
    audit: Audit,
    /// Of the snapshot in force.
    generation: u64,
    snapshot_len: u64,
    /// The number of the next entry.
    number: u64,
    parameters: Parameters,
}

/// What readers hold.
#[derive(Clone, Debug)]
pub struct Shared(Arc<ArcSwap<View>>);

/// A better hash of the same password.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// Whose.
    pub account: Address,
    /// The hash that it replaces; if another is there meanwhile, nothing happens.
    pub from: Box<str>,
    /// The new one.
    pub to: Box<str>,
    /// What SCRAM needs, when there was none.
    pub scram: Option<ScramSecrets>,
}

impl Shared {
    pub(super) fn view(&self) -> arc_swap::Guard<Arc<View>> {
        self.0.load()
    }
}

impl Store {
    /// Opens the directory in the data directory `data_dir`, and makes it when it is not there.
    ///
    /// # Errors
    /// When the disk fails or a file is damaged.
    pub fn open(data_dir: &Path, parameters: Parameters) -> Result<Self, StoreError> {
        let folder = data_dir.join(FOLDER);
        let made = fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder);
        made.map_err(|error| named(&folder, &error))?;
        let (head, data) = snapshot::read(&folder)?.unwrap_or_default();
        let snapshot_len = data.len() as u64;
        let mut view = View::from_data(data)?;
        let mut audit = Audit::open(&folder)?;
        let mut number = head.number.max(1);
        let mut changes = Changes::new();
        let path = changelog::path_of(&folder, head.generation);
        let changelog = if path.exists() {
            Changelog::open(&path, head.generation, |frame| {
                audit.append(&frame)?;
                number = frame.number + frame.entries.len() as u64;
                let theirs = frame.changes.into_iter();
                changes
                    .extend(theirs.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))));
                Ok(())
            })?
        } else {
            let changelog = Changelog::create(&path, head.generation)?;
            snapshot::sync_folder(&folder)?;
            changelog
        };
        // A line is written after its change is safe: a line without one means that some are lost.
        if audit.next() > number {
            return Err(StoreError::Damaged { path, at: changelog.len() });
        }
        view = view.with(&changes)?;
        remove_others(&folder, head.generation)?;
        let view = Arc::new(ArcSwap::from_pointee(view));
        let generation = head.generation;
        Ok(Self { folder, view, changelog, audit, generation, snapshot_len, number, parameters })
    }

    /// What readers hold; it follows every change.
    #[must_use]
    pub fn shared(&self) -> Shared {
        Shared(Arc::clone(&self.view))
    }

    /// Where its files are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Octets of memory that the records take.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.view.load().memory()
    }

    /// Carries out a command for `who`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn command(&mut self, who: &str, command: Command) -> Result<Answer, StoreError> {
        let view = self.view.load_full();
        let mut draft = Draft::new(&view);
        let answer = match command {
            Command::Show { kind, name } => return show(&view, kind, &name),
            Command::List { kind, domain, limit, after } => {
                return list(&view, kind, domain.as_deref(), limit, after.as_deref());
            }
            Command::Export { limit, after } => return export(&view, limit, after.as_deref()),
            Command::Audit { since_ms, limit, after } => {
                let (lines, next) = self.audit.page(since_ms, after, limit)?;
                return Ok(Answer::Audit { lines, next });
            }
            Command::Add { record } => {
                draft.add(record)?;
                Answer::Done { count: 1 }
            }
            Command::Set { kind, name, change } => {
                draft.set(kind, &name, &change)?;
                Answer::Done { count: 1 }
            }
            Command::Password { name, password, hash, scram } => {
                let (hash, scram) = self.secrets(password, hash, scram)?;
                draft.set_password(&name, hash, scram)?;
                Answer::Done { count: 1 }
            }
            Command::Remove { kind, name, all } => {
                Answer::Done { count: draft.remove(kind, &name, all)? }
            }
            Command::Import { records, replace, create_domains } => {
                draft.import(records, replace, create_domains)?
            }
        };
        let (changes, entries) = draft.finish();
        self.commit(who, &changes, &entries)?;
        Ok(answer)
    }

    /// Puts a change that was made elsewhere (keys of DKIM) into the audit log.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn record(&mut self, who: &str, what: &str, on: &str) -> Result<(), StoreError> {
        self.commit(who, &Changes::new(), &[(what.to_owned(), on.to_owned())])
    }

    /// Replaces hashes by better ones; those that have changed meanwhile stay.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn upgrade(&mut self, upgrades: &[Upgrade]) -> Result<(), StoreError> {
        let view = self.view.load_full();
        let mut draft = Draft::new(&view);
        for upgrade in upgrades {
            draft.upgrade(upgrade)?;
        }
        let (changes, entries) = draft.finish();
        self.commit("ringpost", &changes, &entries)
    }

    /// Hash and SCRAM secrets of a new password, however it was given.
    fn secrets(
        &self,
        password: Option<String>,
        hash: Option<String>,
        scram: Option<ScramSecrets>,
    ) -> Result<(Option<String>, Option<ScramSecrets>), StoreError> {
        match (password, hash) {
            (Some(_), Some(_)) => Err(StoreError::refused("give a password or a hash, not both")),
            (Some(password), None) => {
                let made = password::make(&password, &self.parameters);
                let (hash, scram) = made.map_err(StoreError::Refused)?;
                Ok((Some(hash), scram))
            }
            (None, hash) => Ok((hash, scram)),
        }
    }

    fn commit(
        &mut self,
        who: &str,
        changes: &Changes,
        entries: &[(String, String)],
    ) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let next = self.view.load().with(changes)?;
        let frame = Frame {
            number: self.number,
            at: engine::shard::wall_ms(),
            who,
            entries: entries.iter().map(|(what, on)| Entry { what, on }).collect(),
            changes: changes.iter().map(|(key, value)| (&key[..], value.as_deref())).collect(),
        };
        self.changelog.append(&frame)?;
        self.number += entries.len() as u64;
        self.view.store(Arc::new(next));
        // The change holds; its line is written at the next start if it cannot be now.
        if let Err(error) = self.audit.append(&frame) {
            let text = format_args!("audit.log: {error}");
            engine::telemetry::note(engine::telemetry::Level::Error, text);
        }
        Ok(())
    }

    /// Whether the log has grown so long that [`compact`](Self::compact) is worth it.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.changelog.len() > self.snapshot_len.max(LOG_MIN)
    }

    /// Makes one new snapshot of snapshot and log.
    ///
    /// # Errors
    /// See [`StoreError`]; everything is as it was then.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        if self.audit.next() < self.number {
            return Err(StoreError::refused("audit.log lacks lines that only the log knows"));
        }
        self.audit.sync()?;
        let next = self.view.load().compacted()?;
        let head = Head { generation: self.generation + 1, number: self.number };
        let path = changelog::path_of(&self.folder, head.generation);
        let changelog = Changelog::create(&path, head.generation)?;
        snapshot::sync_folder(&self.folder)?;
        let data = next.data().unwrap_or_default();
        snapshot::write(&self.folder, head, data)?;
        self.snapshot_len = data.len() as u64;
        self.changelog = changelog;
        self.generation = head.generation;
        self.view.store(Arc::new(next));
        Ok(remove_others(&self.folder, head.generation)?)
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Logs of other generations are parts of the snapshot, or were never used.
fn remove_others(folder: &Path, generation: u64) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let theirs = entry.file_name().to_str().and_then(changelog::generation_of);
        if theirs.is_some_and(|theirs| theirs != generation) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn show(view: &View, kind: Option<Kind>, text: &str) -> Result<Answer, StoreError> {
    let key = name_key(text)?;
    let value = view.get(&key).ok_or_else(|| missing(kind, text))?;
    let record = packed::unpack(&key, value)?;
    if kind.is_some_and(|kind| kind != record.kind()) {
        let is = record.kind().with_article();
        return Err(StoreError::Refused(format!("{} is {is}", record.name())));
    }
    Ok(Answer::Record { record: Box::new(record.without_secrets()) })
}

pub(super) fn missing(kind: Option<Kind>, name: &str) -> StoreError {
    let kind = kind.map_or("domain or address", Kind::as_str);
    StoreError::Refused(format!("there is no {kind} {name}"))
}

/// The key of a domain or address.
pub(super) fn name_key(text: &str) -> Result<Vec<u8>, StoreError> {
    let key = if text.contains('@') {
        name::parse_own(text).map(|(address, domain)| name::address_key(&domain, address.local()))
    } else {
        super::record::parse_domain(text).map(|domain| name::domain_key(&domain))
    };
    key.map(|key| key.to_vec()).map_err(StoreError::Refused)
}

/// Where a page begins: behind `after`, or at `start`.
fn behind(after: Option<&str>, start: &[u8]) -> Result<Vec<u8>, StoreError> {
    let Some(after) = after else { return Ok(start.to_vec()) };
    let mut key = name_key(after)?;
    // The least key that is greater; a separator never ends a key.
    key.push(0);
    if !after.contains('@') {
        return Ok(key);
    }
    Ok(key.max(start.to_vec()))
}

fn list(
    view: &View,
    kind: Option<Kind>,
    domain: Option<&str>,
    limit: usize,
    after: Option<&str>,
) -> Result<Answer, StoreError> {
    let limit = limit.clamp(1, LIST_RECORDS_MAX);
    let (start, end) = match domain {
        None => (Vec::new(), None),
        Some(text) => {
            let domain: Domain = super::record::parse_domain(text).map_err(StoreError::Refused)?;
            if view.get(domain.as_str().as_bytes()).is_none() {
                return Err(missing(Some(Kind::Domain), text));
            }
            (name::addresses_of(&domain).to_vec(), Some(name::behind(domain.as_str())))
        }
    };
    let from = behind(after, &start)?;
    if kind == Some(Kind::Domain) {
        return list_domains(view, from, limit);
    }
    let (mut records, mut looked) = (Vec::new(), 0);
    let mut last = None;
    for (key, value) in view.scan(&from) {
        if end.as_ref().is_some_and(|end| key >= end.as_slice()) {
            return Ok(Answer::Records { records, next: None });
        }
        if records.len() >= limit || looked >= LOOK_MAX {
            return Ok(Answer::Records { records, next: last });
        }
        looked += 1;
        let is_meant = kind.is_none_or(|kind| {
            packed::Packed::new(value).and_then(packed::Packed::kind) == Ok(kind)
        });
        if is_meant || looked == LOOK_MAX {
            let record = packed::unpack(key, value)?;
            last = Some(record.name().to_owned());
            if is_meant {
                records.push(record.without_secrets());
            }
        }
    }
    Ok(Answer::Records { records, next: None })
}

/// Domains without walking through their addresses.
fn list_domains(view: &View, mut from: Vec<u8>, limit: usize) -> Result<Answer, StoreError> {
    let mut records: Vec<Record> = Vec::new();
    while let Some((key, value)) = view.scan(&from).next() {
        let Some((domain, local)) = name::split(key) else { return Err(packed::Damaged.into()) };
        if local.is_none() {
            if records.len() >= limit {
                let next = records.last().map(|record| record.name().to_owned());
                return Ok(Answer::Records { records, next });
            }
            records.push(packed::unpack(key, value)?);
        }
        from = name::behind(domain).to_vec();
    }
    Ok(Answer::Records { records, next: None })
}

fn export(view: &View, limit: usize, after: Option<&str>) -> Result<Answer, StoreError> {
    let limit = limit.clamp(1, LIST_RECORDS_MAX);
    let mut records: Vec<Record> = Vec::new();
    for (key, value) in view.scan(&behind(after, &[])?) {
        if records.len() >= limit {
            let next = records.last().map(|record| record.name().to_owned());
            return Ok(Answer::Records { records, next });
        }
        records.push(packed::unpack(key, value)?);
    }
    Ok(Answer::Records { records, next: None })
}
