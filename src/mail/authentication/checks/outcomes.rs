//! What became of DMARC, by policy domain and day, from which aggregate reports can be made
//! (RFC 9990).
//!
//! What must stay true: only domains that want reports are counted, and what is kept is bounded; a
//! file holds whole counts of its day and shard, the ones before a write or the ones after it, and
//! goes on after a restart. How it fails: what cannot be written stays in memory and is tried again;
//! a crash loses what came since the last write.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::IpAddr,
    path::Path,
};

use foldhash::fast::RandomState;
use proto::types::AuthResult;
use serde::{Deserialize, Serialize};

use super::{Published, Report};
use crate::day_files::{DayFiles, today};

/// Where the files lie in the data directory.
const FOLDER: &str = "dmarc-outcomes";
/// Domains of a day, a shard.
const DOMAINS_MAX: usize = 10_000;
/// Rows of all domains of a day, a shard.
const ROWS_MAX: usize = 50_000;
/// Signatures of a message that a row names (RFC 9990 §3.1.1.10 asks for no more than matter).
const SIGNATURES_MAX: usize = 4;

/// What was done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// It was let in: it passed, or nothing was wanted of us.
    None,
    /// It was held.
    Quarantine,
    /// It was refused.
    Reject,
}

/// Messages that are one row of a report.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// The client.
    pub source: IpAddr,
    /// What was done.
    pub disposition: Disposition,
    /// A signature of an aligned domain passed.
    pub dkim_aligned: bool,
    /// SPF passed for an aligned domain.
    pub spf_aligned: bool,
    /// An ARC chain had the failure pass.
    pub overridden_by_arc: bool,
    /// The domain of From.
    pub header_from: Box<str>,
    /// The domain that SPF was checked for.
    pub spf_domain: Box<str>,
    /// It is that of the envelope's sender, not of the HELO name.
    pub is_mail_from: bool,
    /// What SPF said.
    pub spf: AuthResult,
    /// Domain, selector and result of signatures.
    pub dkim: Vec<(Box<str>, Box<str>, AuthResult)>,
}

/// A row and how often it occurred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The row.
    pub row: Row,
    /// How often.
    pub count: u64,
}

/// The counts under one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies {
    /// The record, as it was found last.
    pub published: Published,
    /// What came under it.
    pub rows: Vec<Tally>,
    /// Messages for which there was no room.
    pub unlisted: u64,
}

/// The counts of a day, as they are written (JSON).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Days since 1970-01-01, UTC.
    pub day: u64,
    /// By record.
    pub policies: Vec<Policies>,
}

/// The counts of one shard.
pub struct Outcomes {
    counts: RefCell<Counts>,
    changed: Cell<bool>,
    /// None: nothing is written.
    files: Option<DayFiles>,
}

#[derive(Default)]
struct Counts {
    day: u64,
    domains: HashMap<Box<str>, Count, RandomState>,
    rows: usize,
}

struct Count {
    published: Published,
    rows: HashMap<Row, u64, RandomState>,
    unlisted: u64,
}

impl Default for Outcomes {
    /// Counts that are never written.
    fn default() -> Self {
        let counts = RefCell::new(Counts::of(today()));
        Self { counts, changed: Cell::default(), files: None }
    }
}

impl Outcomes {
    /// Goes on with today's file of this shard in the data directory.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(data_dir: &Path, shard: usize) -> io::Result<Self> {
        let files = DayFiles::open(data_dir.join(FOLDER), shard)?;
        let today = today();
        let counts = match files.read::<Day>(today) {
            Some(found) if found.day == today => Counts::from(found),
            _ => Counts::of(today),
        };
        let counts = RefCell::new(counts);
        Ok(Self { counts, changed: Cell::default(), files: Some(files) })
    }

    /// Counts a message that was checked.
    pub fn note(&self, report: &Report, disposition: Disposition) {
        let Some(published) = &report.dmarc.published else { return };
        if !published.wants_reports || report.dmarc.result == AuthResult::TempError {
            return;
        }
        self.turn_page();
        self.counts.borrow_mut().add(published, Row::of(report, disposition));
        self.changed.set(true);
    }

    /// What has been counted today.
    #[must_use]
    pub fn today(&self) -> Day {
        self.counts.borrow().day()
    }

    /// A new day begins with nothing; the old one is written.
    fn turn_page(&self) {
        let today = today();
        if self.counts.borrow().day == today {
            return;
        }
        let old = self.counts.replace(Counts::of(today));
        if let (true, Some(files)) = (self.changed.replace(false), self.files.clone()) {
            tokio::task::spawn_blocking(move || files.save(old.day, &old.day()));
        }
    }

    /// Writes what has changed since the last time. To be called every few minutes, and at the end.
    pub async fn write(&self) {
        let (true, Some(files)) = (self.changed.replace(false), self.files.clone()) else { return };
        let day = self.today();
        let saved = tokio::task::spawn_blocking(move || files.save(day.day, &day)).await;
        if !matches!(saved, Ok(true)) {
            self.changed.set(true);
        }
    }
}

impl Counts {
    fn of(day: u64) -> Self {
        Self { day, ..Self::default() }
    }

    fn add(&mut self, published: &Published, row: Row) {
        if !self.domains.contains_key(&published.domain) {
            if self.domains.len() >= DOMAINS_MAX {
                return;
            }
            self.domains.insert(published.domain.clone(), Count::of(published.clone()));
        }
        let Some(count) = self.domains.get_mut(&published.domain) else { return };
        if count.published != *published {
            count.published = published.clone();
        }
        if let Some(known) = count.rows.get_mut(&row) {
            *known += 1;
        } else if self.rows < ROWS_MAX {
            count.rows.insert(row, 1);
            self.rows += 1;
        } else {
            count.unlisted += 1;
        }
    }

    fn day(&self) -> Day {
        let policies = self.domains.values().map(|count| Policies {
            published: count.published.clone(),
            rows: count
                .rows
                .iter()
                .map(|(row, count)| Tally { row: row.clone(), count: *count })
                .collect(),
            unlisted: count.unlisted,
        });
        Day { day: self.day, policies: policies.collect() }
    }
}

impl From<Day> for Counts {
    fn from(day: Day) -> Self {
        let mut counts = Self::of(day.day);
        for policies in day.policies {
            let mut count = Count::of(policies.published);
            count.unlisted = policies.unlisted;
            count.rows.extend(policies.rows.into_iter().map(|tally| (tally.row, tally.count)));
            counts.rows += count.rows.len();
            counts.domains.insert(count.published.domain.clone(), count);
        }
        counts
    }
}

impl Count {
    fn of(published: Published) -> Self {
        Self { published, rows: HashMap::default(), unlisted: 0 }
    }
}

impl Row {
    fn of(report: &Report, disposition: Disposition) -> Self {
        let spf = report.spf.decisive();
        let signed = report.dkim.iter().filter(|dkim| !dkim.domain.is_empty());
        let named = |dkim: &super::Dkim| (dkim.domain.clone(), dkim.selector.clone(), dkim.result);
        Self {
            source: report.iprev.client,
            disposition,
            dkim_aligned: report.dmarc.dkim_aligned,
            spf_aligned: report.dmarc.spf_aligned,
            overridden_by_arc: report.dmarc.overridden_by_arc,
            header_from: report.dmarc.author_domain.clone(),
            spf_domain: spf.domain.clone(),
            is_mail_from: report.spf.mail_from.is_some(),
            spf: spf.result,
            dkim: signed.take(SIGNATURES_MAX).map(named).collect(),
        }
    }
}
