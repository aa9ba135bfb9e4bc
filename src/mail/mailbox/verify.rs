//! Counting everything again: whether a store is as it should be.
//!
//! What must stay true: it only reads, so it can be run on a store that nobody else has open. It goes
//! once through each family in order; in memory it keeps one number of eight octets an entry, and the
//! first faults.
//!
//! It tells of: rows that cannot be read, counts and quota use that are not what there is, entries of
//! no folder, folders of no account, messages that nothing refers to, references to no message, and
//! numbers that were given but are not marked so.

use std::collections::{HashMap, HashSet};

use super::digest::decode;
use super::ranges::Ranges;
use super::record::{
    self, ACCOUNT, AccountRow, BODY, DIGEST, ENTRY, FOLDER, FOLDER_FIRST, FolderRow, GONE, Names,
    SHARE,
};
use super::{Counts, Entry, Inner, MailboxError, Store, Usage};

/// Faults that are kept in words; the others are counted.
const FAULTS_MAX: usize = 1000;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Accounts.
    pub accounts: u64,
    /// Folders, deleted ones that are still being swept included.
    pub folders: u64,
    /// Messages in folders.
    pub entries: u64,
    /// Messages stored.
    pub messages: u64,
    /// Octets of all bodies.
    pub bytes: u64,
    /// What is wrong, all of it.
    pub fault_count: u64,
    /// What is wrong, the first thousand.
    pub faults: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.fault_count == 0
    }

    fn fault(&mut self, text: impl FnOnce() -> String) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(text());
        }
    }
}

impl Store {
    /// Counts everything again. Blocks for as long as that takes, and must have the store for itself.
    ///
    /// # Errors
    /// The disk's; what is wrong with the data is in the report.
    pub fn verify(&self) -> Result<Report, MailboxError> {
        let mut check = Check { store: &self.0, report: Report::default() };
        let accounts = check.accounts()?;
        let removed = self.0.removed()?;
        let mut folders = check.folders(&accounts, &removed)?;
        let references = check.entries(&mut folders)?;
        check.gone(&folders)?;
        check.counts(&accounts, folders);
        check.messages(references)?;
        Ok(check.report)
    }
}

struct Check<'a> {
    store: &'a Inner,
    report: Report,
}

type Accounts = HashMap<u32, Box<str>>;

#[derive(Default)]
struct Folders {
    usages: HashMap<u32, Usage>,
    names: HashSet<u32>,
    rows: HashMap<(u32, u32), Folder>,
}

struct Folder {
    row: FolderRow,
    found: Counts,
}

impl Check<'_> {
    fn scan(
        &mut self,
        family: usize,
        mut each: impl FnMut(&mut Report, &[u8], &[u8]),
    ) -> Result<(), MailboxError> {
        let report = &mut self.report;
        self.store.disk.scan(family, &[], |key, row| {
            each(report, key, row);
            true
        })?;
        Ok(())
    }

    fn accounts(&mut self) -> Result<Accounts, MailboxError> {
        let mut accounts = Accounts::new();
        let next = self.store.next_account.get();
        self.scan(ACCOUNT, |report, key, row| {
            report.accounts += 1;
            let name: Box<str> = String::from_utf8_lossy(key).into();
            let Ok(row) = record::read::<AccountRow>("account", row) else {
                return report.fault(|| format!("account {name}: its row cannot be read"));
            };
            if row.number >= next {
                report.fault(|| format!("account {name}: number {} is not marked", row.number));
            }
            if let Some(other) = accounts.insert(row.number, name.clone()) {
                report.fault(|| format!("accounts {name} and {other} have one number"));
            }
        })?;
        Ok(accounts)
    }

    fn folders(
        &mut self,
        accounts: &Accounts,
        removed: &HashSet<u32>,
    ) -> Result<Folders, MailboxError> {
        const { assert!(FOLDER_FIRST == 2, "0 and 1 are read by number") };
        let mut folders = Folders::default();
        let mut next_folder: HashMap<u32, u32> = HashMap::new();
        let mut taken: HashSet<(u32, Box<str>)> = HashSet::new();
        self.scan(FOLDER, |report, key, row| {
            let Some((account, number, [])) = record::split(key) else {
                return report.fault(|| format!("folder {key:?}: not a key"));
            };
            if !accounts.contains_key(&account) && !removed.contains(&account) {
                report.fault(|| format!("folder {account}/{number}: of no account"));
            }
            let result = match number {
                0 => record::read("usage", row).map(|row| _ = folders.usages.insert(account, row)),
                1 => record::read::<Names>("names", row).map(|row| {
                    folders.names.insert(account);
                    next_folder.insert(account, row.next_folder);
                }),
                _ => record::read::<FolderRow>("folder", row).map(|mut row| {
                    row.is_doomed |= removed.contains(&account);
                    report.folders += 1;
                    if !row.is_doomed && !taken.insert((account, row.name.clone())) {
                        report.fault(|| format!("folder {account}/{}: there are two", row.name));
                    }
                    if next_folder.get(&account).is_none_or(|next| *next <= number) {
                        report.fault(|| format!("folder {account}/{number}: was never given"));
                    }
                    let found = Counts { uid_next: 1, modseq: 1, ..Counts::default() };
                    folders.rows.insert((account, number), Folder { row, found });
                }),
            };
            if let Err(error) = result {
                report.fault(|| format!("folder {account}/{number}: {error}"));
            }
        })?;
        Ok(folders)
    }

    /// Returns the message of every entry.
    fn entries(&mut self, folders: &mut Folders) -> Result<Vec<u64>, MailboxError> {
        let mut references = Vec::new();
        self.scan(ENTRY, |report, key, row| {
            report.entries += 1;
            let (Some((account, number, _)), Some(uid)) = (record::split(key), record::uid_of(key))
            else {
                return report.fault(|| format!("entry {key:?}: not a key"));
            };
            let name = || format!("entry {account}/{number}/{uid}");
            let entry = match record::read::<Entry>("entry", row) {
                Ok(entry) if entry.uid == uid => entry,
                Ok(_) => return report.fault(|| format!("{}: has another UID", name())),
                Err(error) => return report.fault(|| format!("{}: {error}", name())),
            };
            references.push(entry.id.0);
            let Some(folder) = folders.rows.get_mut(&(account, number)) else {
                return report.fault(|| format!("{}: of no folder", name()));
            };
            folder.found.add(&entry);
            let counts = folder.row.counts;
            if uid >= counts.uid_next || entry.modseq > counts.modseq {
                report.fault(|| format!("{}: beyond its folder's UIDNEXT or modseq", name()));
            }
            if entry.flags.keywords().any(|index| index >= folder.row.keywords.len()) {
                report.fault(|| format!("{}: has a keyword without a name", name()));
            }
        })?;
        Ok(references)
    }

    fn gone(&mut self, folders: &Folders) -> Result<(), MailboxError> {
        let mut rows: HashMap<(u32, u32), u32> = HashMap::new();
        self.scan(GONE, |report, key, row| {
            let (Some((account, number, _)), Some(modseq)) =
                (record::split(key), record::modseq_of(key))
            else {
                return report.fault(|| format!("expunge {key:?}: not a key"));
            };
            let name = || format!("expunge {account}/{number}/{modseq}");
            *rows.entry((account, number)).or_default() += 1;
            if let Err(error) = record::read::<Ranges>("gone", row) {
                report.fault(|| format!("{}: {error}", name()));
            }
            match folders.rows.get(&(account, number)) {
                None => report.fault(|| format!("{}: of no folder", name())),
                Some(folder) if modseq > folder.row.counts.modseq => {
                    report.fault(|| format!("{}: beyond its folder's modseq", name()));
                }
                Some(_) => {}
            }
        })?;
        for (key, folder) in folders.rows.iter().filter(|(_, folder)| !folder.row.is_doomed) {
            let found = rows.get(key).copied().unwrap_or(0);
            if found != folder.row.gone_rows {
                let said = folder.row.gone_rows;
                self.report.fault(|| format!("folder {key:?}: {found} expunges kept, not {said}"));
            }
        }
        Ok(())
    }

    fn counts(&mut self, accounts: &Accounts, folders: Folders) {
        let mut used: HashMap<u32, Usage> = HashMap::new();
        for ((account, number), folder) in folders.rows {
            if folder.row.is_doomed {
                continue;
            }
            let (said, found) = (folder.row.counts, folder.found);
            used.entry(account).or_default().add(found.bytes, u64::from(found.messages));
            let found = Counts { uid_next: said.uid_next, modseq: said.modseq, ..found };
            if said != found {
                let name = folder.row.name;
                self.report.fault(|| {
                    format!("folder {account}/{number} ({name}): counts {said:?}, has {found:?}")
                });
            }
        }
        for (account, name) in accounts {
            let found = used.get(account).copied().unwrap_or_default();
            if folders.usages.get(account) != Some(&found) {
                let said = folders.usages.get(account);
                self.report.fault(|| format!("account {name}: counts {said:?}, uses {found:?}"));
            }
            if !folders.names.contains(account) {
                self.report.fault(|| format!("account {name}: has no row of names"));
            }
        }
    }

    /// Bodies, digests and counts against the sorted references.
    fn messages(&mut self, mut references: Vec<u64>) -> Result<(), MailboxError> {
        references.sort_unstable();
        let reserved = self.store.reserved.get();
        for (family, what) in [(SHARE, "count"), (BODY, "body"), (DIGEST, "digest")] {
            let mut at = 0;
            let references = &references;
            self.scan(family, |report, key, row| {
                let Some(id) = record::message_of(key) else {
                    return report.fault(|| format!("{what} {key:?}: not a key"));
                };
                // What is skipped has no row.
                while references.get(at).is_some_and(|wanted| *wanted < id) {
                    let missing = references[at];
                    report.fault(|| format!("message {missing}: has no {what}"));
                    at += references[at..].partition_point(|wanted| *wanted == missing);
                }
                let count = references[at..].partition_point(|wanted| *wanted == id);
                at += count;
                if count == 0 {
                    report.fault(|| format!("message {id}: nothing refers to its {what}"));
                }
                if id >= reserved {
                    report.fault(|| format!("message {id}: its number is not marked"));
                }
                check_row(report, family, id, row, count);
            })?;
            while let Some(missing) = references.get(at) {
                self.report.fault(|| format!("message {missing}: has no {what}"));
                at += references[at..].partition_point(|wanted| wanted == missing);
            }
        }
        Ok(())
    }
}

fn check_row(report: &mut Report, family: usize, id: u64, row: &[u8], references: usize) {
    match family {
        SHARE => match record::read::<u32>("share", row) {
            Ok(count) if count as usize == references => {}
            Ok(count) => {
                report.fault(|| format!("message {id}: counts {count}, has {references}"));
            }
            Err(error) => report.fault(|| format!("message {id}: {error}")),
        },
        BODY => {
            report.messages += 1;
            report.bytes += row.len() as u64;
        }
        _ => {
            if decode(row).is_err() {
                report.fault(|| format!("message {id}: its digest cannot be read"));
            }
        }
    }
}
