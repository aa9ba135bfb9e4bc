//! A change being put together: what commands mean, before anything is written.
//!
//! What must stay true: a draft sees its own changes, so that an import may add a domain and its
//! accounts at once; whatever it refuses leaves nothing behind.

use std::collections::BTreeMap;

use super::command::{Answer, Change, FAULTS_MAX, Fault, IMPORT_RECORDS_MAX};
use super::error::StoreError;
use super::name;
use super::packed::{self, Packed};
use super::password::ScramSecrets;
use super::record::{Account, Kind, LocalDomain, Record};
use super::store::{Upgrade, missing, name_key};
use super::view::{Changes, View};

pub(super) struct Draft<'a> {
    view: &'a View,
    changes: Changes,
    /// What the audit log shall say: what, and to whom.
    entries: Vec<(String, String)>,
}

impl<'a> Draft<'a> {
    pub fn new(view: &'a View) -> Self {
        Self { view, changes: BTreeMap::new(), entries: Vec::new() }
    }

    pub fn finish(self) -> (Changes, Vec<(String, String)>) {
        (self.changes, self.entries)
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.changes.get(key) {
            Some(value) => value.as_deref(),
            None => self.view.get(key),
        }
    }

    fn note(&mut self, what: String, on: &str) {
        self.entries.push((what, on.to_owned()));
    }

    fn put(&mut self, key: Vec<u8>, record: &Record) -> Result<(), StoreError> {
        self.changes.insert(key, Some(packed::pack(record)?));
        Ok(())
    }

    /// Adds a record whose name is free.
    pub fn add(&mut self, record: Record) -> Result<(), StoreError> {
        let record = record.checked().map_err(StoreError::Refused)?;
        let key = name_key(record.name())?;
        if let Some(there) = self.get(&key) {
            let is = Packed::new(there)?.kind()?.with_article();
            return Err(StoreError::Refused(format!(
                "{} exists already: it is {is}",
                record.name()
            )));
        }
        self.demand_domain(&key)?;
        self.put(key, &record)?;
        self.note(format!("add {}", record.kind()), record.name());
        Ok(())
    }

    /// An address needs its domain.
    fn demand_domain(&self, key: &[u8]) -> Result<(), StoreError> {
        match name::split(key) {
            Some((domain, Some(_))) if self.get(domain.as_bytes()).is_none() => {
                Err(StoreError::Refused(format!(
                    "{domain} is no domain of ours: add it first (ringpost domain add {domain})"
                )))
            }
            _ => Ok(()),
        }
    }

    /// The record called `text`, which must be a `kind`.
    fn find(&self, kind: Kind, text: &str) -> Result<(Vec<u8>, Record), StoreError> {
        let key = name_key(text)?;
        let value = self.get(&key).ok_or_else(|| missing(Some(kind), text))?;
        let record = packed::unpack(&key, value)?;
        if record.kind() != kind {
            let (is, name) = (record.kind().with_article(), record.name());
            return Err(StoreError::Refused(format!(
                "{name} is {is}, not {}",
                kind.with_article()
            )));
        }
        Ok((key, record))
    }

    pub fn set(&mut self, kind: Kind, text: &str, change: &Change) -> Result<(), StoreError> {
        let fields = change.fields();
        if fields.is_empty() {
            return Err(StoreError::refused("nothing to change was given"));
        }
        let (key, record) = self.find(kind, text)?;
        let changed = change.applied(record).and_then(Record::checked);
        let changed = changed.map_err(StoreError::Refused)?;
        self.put(key, &changed)?;
        self.note(format!("set {kind}{fields}"), changed.name());
        Ok(())
    }

    pub fn set_password(
        &mut self,
        text: &str,
        hash: Option<String>,
        scram: Option<ScramSecrets>,
    ) -> Result<(), StoreError> {
        let (key, record) = self.find(Kind::Account, text)?;
        let Record::Account(account) = record else { return Err(packed::Damaged.into()) };
        let what = if hash.is_some() { "set password" } else { "remove password" };
        let changed = Record::Account(Account { hash, scram, ..account }).checked();
        let changed = changed.map_err(StoreError::Refused)?;
        self.put(key, &changed)?;
        self.note(what.into(), changed.name());
        Ok(())
    }

    /// Better secrets for the same password, unless it was changed meanwhile.
    pub fn upgrade(&mut self, upgrade: &Upgrade) -> Result<(), StoreError> {
        // An account that is gone meanwhile is no trouble.
        let Ok((key, Record::Account(mut account))) =
            self.find(Kind::Account, &upgrade.account.to_string())
        else {
            return Ok(());
        };
        if account.hash.as_deref() != Some(&*upgrade.from) {
            return Ok(());
        }
        account.hash = Some(upgrade.to.to_string());
        account.scram = account.scram.or_else(|| upgrade.scram.clone());
        let record = Record::Account(account);
        self.put(key, &record)?;
        self.note("upgrade hash".into(), record.name());
        Ok(())
    }

    /// Removes one record, or a domain with all its addresses. How many are gone.
    pub fn remove(&mut self, kind: Kind, text: &str, all: bool) -> Result<u64, StoreError> {
        let (key, record) = self.find(kind, text)?;
        let mut gone = vec![key.clone()];
        if kind == Kind::Domain {
            let end = name::behind(record.name());
            let inside = self.view.scan(&key).skip(1).map(|(key, _)| key);
            let inside = inside.take_while(|key| *key < end.as_slice());
            gone.extend(inside.map(<[u8]>::to_vec));
            if gone.len() > 1 && !all {
                let count = gone.len() - 1;
                return Err(StoreError::Refused(format!(
                    "{} still has {count} addresses: remove them first, or say --all",
                    record.name()
                )));
            }
        }
        let count = gone.len() as u64;
        for key in gone {
            let value = self.get(&key).ok_or(packed::Damaged)?;
            let record = packed::unpack(&key, value)?;
            self.note(format!("remove {}", record.kind()), record.name());
            self.changes.insert(key, None);
        }
        Ok(count)
    }

    /// Adds what makes sense of `records`, and tells of the rest.
    pub fn import(
        &mut self,
        records: Vec<Record>,
        replace: bool,
        create_domains: bool,
    ) -> Result<Answer, StoreError> {
        if records.len() > IMPORT_RECORDS_MAX {
            let text = format!("{IMPORT_RECORDS_MAX} records at a time at most");
            return Err(StoreError::Refused(text));
        }
        let (mut added, mut replaced, mut refused) = (0, 0, 0);
        let mut faults = Vec::new();
        for (index, record) in records.into_iter().enumerate() {
            match self.import_one(record, replace, create_domains) {
                Ok(true) => replaced += 1,
                Ok(false) => added += 1,
                Err(StoreError::Refused(error)) => {
                    refused += 1;
                    if faults.len() < FAULTS_MAX {
                        faults.push(Fault { index, error });
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Answer::Imported { added, replaced, refused, faults })
    }

    /// Whether it took the place of another.
    fn import_one(
        &mut self,
        record: Record,
        replace: bool,
        create_domains: bool,
    ) -> Result<bool, StoreError> {
        let record = record.checked().map_err(StoreError::Refused)?;
        let key = name_key(record.name())?;
        let there = match self.get(&key) {
            Some(there) => Some(Packed::new(there)?.kind()?),
            None => None,
        };
        match there {
            None => {
                if create_domains
                    && self.demand_domain(&key).is_err()
                    && let Some((domain, _)) = name::split(&key)
                {
                    self.add(Record::Domain(LocalDomain::new(domain)))?;
                }
                self.demand_domain(&key)?;
            }
            Some(kind) if kind != record.kind() || !replace => {
                let is = kind.with_article();
                let advice =
                    if kind == record.kind() { "; --replace would replace it" } else { "" };
                let text = format!("{} exists already: it is {is}{advice}", record.name());
                return Err(StoreError::Refused(text));
            }
            Some(_) => (),
        }
        self.put(key, &record)?;
        let verb = if there.is_some() { "replace" } else { "add" };
        self.note(format!("import: {verb} {}", record.kind()), record.name());
        Ok(there.is_some())
    }
}
