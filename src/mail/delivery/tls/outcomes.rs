//! What became of TLS, by policy domain and day, for reports (RFC 8460).
//!
//! What must stay true: it costs nothing a message, only something a connection; what is kept is
//! bounded; a file holds whole counts of its day and shard, the ones before it or the ones after a
//! write, and goes on after a restart. How it fails: what cannot be written is in memory and tried
//! again; a crash loses what came since the last write.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    path::Path,
    rc::Rc,
};

use serde::{Deserialize, Serialize};

use crate::day_files::{DayFiles, today};
use crate::queue::Remote;

/// Where the files lie in the data directory.
const FOLDER: &str = "tls-outcomes";
/// Domains of a day, a shard.
const DOMAINS_MAX: usize = 10_000;
/// Kinds of failure of a domain by one policy.
const FAILURES_MAX: usize = 64;
/// Lines of a policy that are kept.
const STRINGS_MAX: usize = 64;
/// Octets of a text.
const TEXT_BYTES_MAX: usize = 512;

/// What went wrong (RFC 8460 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultType {
    /// The host offers no TLS.
    StarttlsNotSupported,
    /// The certificate is for another name.
    CertificateHostMismatch,
    /// The certificate is out of date.
    CertificateExpired,
    /// Nobody that is trusted vouches for it.
    CertificateNotTrusted,
    /// Something else about TLS.
    ValidationFailure,
    /// No TLSA record can be used.
    TlsaInvalid,
    /// DNSSEC contradicts the answer.
    DnssecInvalid,
    /// DANE is demanded, and there is none.
    DaneRequired,
    /// The policy cannot be fetched.
    StsPolicyFetchError,
    /// What was fetched is no policy.
    StsPolicyInvalid,
    /// The policy server's certificate is wrong.
    StsWebpkiInvalid,
}

/// By whose word a connection had to be secure (RFC 8460 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyType {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// Nobody's but ours.
    NoPolicyFound,
}

/// A failure, in the words of a report and in ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which kind.
    pub result: ResultType,
    /// What was wrong.
    pub text: String,
}

impl Failure {
    /// Of this kind.
    #[must_use]
    pub fn new(result: ResultType, text: String) -> Self {
        Self { result, text }
    }

    pub(super) fn policy(text: String) -> Self {
        Self::new(ResultType::StsPolicyInvalid, text)
    }

    pub(super) fn fetch(text: String) -> Self {
        Self::new(ResultType::StsPolicyFetchError, text)
    }

    pub(super) fn web(text: String) -> Self {
        Self::new(ResultType::StsWebpkiInvalid, text)
    }
}

/// A policy that a connection was opened under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Whose.
    pub kind: PolicyType,
    /// Its records or lines.
    pub strings: Rc<[String]>,
}

impl Basis {
    /// Nobody asked for anything.
    #[must_use]
    pub fn none() -> Self {
        Self { kind: PolicyType::NoPolicyFound, strings: Rc::new([]) }
    }
}

/// The counts of a day, as they are written (JSON).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Days since 1970-01-01, UTC.
    pub day: u64,
    /// By policy domain.
    pub domains: BTreeMap<Box<str>, Vec<Tally>>,
}

/// The counts of a domain under one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Which kind of policy.
    pub policy: PolicyType,
    /// Its records or lines.
    pub strings: Vec<String>,
    /// Connections that were what they had to be.
    pub successes: u64,
    /// Those that were not.
    pub failures: Vec<FailureTally>,
}

/// How often something went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureTally {
    /// What.
    pub result: ResultType,
    /// The host's name; none when it did not come to a host.
    pub mx: Option<String>,
    /// Its address.
    pub address: Option<std::net::IpAddr>,
    /// What we said about it the first time.
    pub text: String,
    /// How often.
    pub count: u64,
}

/// The counts of one shard.
pub struct Outcomes {
    day: RefCell<Day>,
    changed: Cell<bool>,
    /// None: nothing is written.
    files: Option<DayFiles>,
}

impl Default for Outcomes {
    /// Counts that are never written.
    fn default() -> Self {
        Self { day: RefCell::new(Day::of_today()), changed: Cell::default(), files: None }
    }
}

impl Day {
    fn of_today() -> Self {
        Self { day: today(), domains: BTreeMap::new() }
    }
}

impl Outcomes {
    /// Goes on with today's file of this shard in the data directory.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(data_dir: &Path, shard: usize) -> io::Result<Self> {
        let files = DayFiles::open(data_dir.join(FOLDER), shard)?;
        let today = Day::of_today();
        let day = files.read::<Day>(today.day).filter(|day| day.day == today.day).unwrap_or(today);
        let day = RefCell::new(day);
        Ok(Self { day, changed: Cell::default(), files: Some(files) })
    }

    /// A connection that carries mail of `domain` is what it had to be.
    pub fn succeeded(&self, domain: &str, basis: &Basis) {
        self.tally(domain, basis, |tally| tally.successes += 1);
    }

    /// A connection for mail of `domain` is not what it had to be, or there is none for that reason.
    pub fn failed(&self, domain: &str, basis: &Basis, failure: &Failure, remote: Option<&Remote>) {
        let mx = remote.map(|remote| remote.name.to_string());
        let address = remote.and_then(|remote| remote.addr).map(|addr| addr.ip());
        self.tally(domain, basis, |tally| {
            let is_same = |known: &&mut FailureTally| {
                known.result == failure.result && known.mx == mx && known.address == address
            };
            if let Some(known) = tally.failures.iter_mut().find(is_same) {
                known.count += 1;
            } else if tally.failures.len() < FAILURES_MAX {
                let (result, text) = (failure.result, shortened(&failure.text));
                tally.failures.push(FailureTally { result, mx, address, text, count: 1 });
            }
        });
    }

    fn tally(&self, domain: &str, basis: &Basis, change: impl FnOnce(&mut Tally)) {
        self.turn_page();
        let mut day = self.day.borrow_mut();
        if !day.domains.contains_key(domain) && day.domains.len() >= DOMAINS_MAX {
            return;
        }
        let tallies = day.domains.entry(domain.into()).or_default();
        let index = tallies.iter().position(|tally| tally.policy == basis.kind);
        let index = index.unwrap_or_else(|| {
            tallies.push(Tally::new(basis));
            tallies.len() - 1
        });
        change(&mut tallies[index]);
        self.changed.set(true);
    }

    /// What has been counted today.
    #[must_use]
    pub fn today(&self) -> Day {
        self.day.borrow().clone()
    }

    /// A new day begins with nothing; the old one is written.
    fn turn_page(&self) {
        let today = Day::of_today();
        if self.day.borrow().day == today.day {
            return;
        }
        let old = self.day.replace(today);
        if let (true, Some(files)) = (self.changed.replace(false), self.files.clone()) {
            tokio::task::spawn_blocking(move || files.save(old.day, &old));
        }
    }

    /// Writes what has changed since the last time. To be called every few minutes, and at the end.
    pub async fn flush(&self) {
        let (true, Some(files)) = (self.changed.replace(false), self.files.clone()) else { return };
        let day = self.today();
        let saved = tokio::task::spawn_blocking(move || files.save(day.day, &day)).await;
        if !matches!(saved, Ok(true)) {
            self.changed.set(true);
        }
    }
}

impl Tally {
    fn new(basis: &Basis) -> Self {
        let strings = basis.strings.iter().take(STRINGS_MAX).map(|text| shortened(text)).collect();
        Self { policy: basis.kind, strings, successes: 0, failures: Vec::new() }
    }
}

fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sts() -> Basis {
        Basis { kind: PolicyType::Sts, strings: Rc::new(["mode: enforce".into()]) }
    }

    fn remote(name: &str) -> Remote {
        Remote { name: name.into(), addr: Some(([192, 0, 2, 1], 25).into()) }
    }

    fn failure() -> Failure {
        Failure::new(ResultType::CertificateExpired, "é".repeat(TEXT_BYTES_MAX))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn what_is_flushed_goes_on_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let outcomes = Outcomes::open(dir.path(), 3).unwrap();
        outcomes.succeeded("a.test", &sts());
        for _ in 0..2 {
            outcomes.failed("a.test", &sts(), &failure(), Some(&remote("mx.test")));
        }
        outcomes.failed("a.test", &sts(), &failure(), Some(&remote("other.test")));
        outcomes.failed("b.test", &Basis::none(), &failure(), None);
        runtime().block_on(outcomes.flush());
        let before = outcomes.today();
        let outcomes = Outcomes::open(dir.path(), 3).unwrap();
        assert_eq!(outcomes.today(), before);
        let tally = &before.domains["a.test"][0];
        assert_eq!((tally.policy, tally.successes), (PolicyType::Sts, 1));
        let counts: Vec<u64> = tally.failures.iter().map(|it| it.count).collect();
        assert_eq!(counts, [2, 1]);
        assert_eq!(tally.failures[0].text.len(), TEXT_BYTES_MAX);
        assert!(Outcomes::open(dir.path(), 4).unwrap().today().domains.is_empty());
    }

    #[test]
    fn words_are_those_of_the_rfc() {
        let word = |result| serde_json::to_string(&result).unwrap();
        assert_eq!(word(ResultType::StarttlsNotSupported), "\"starttls-not-supported\"");
        assert_eq!(word(ResultType::StsWebpkiInvalid), "\"sts-webpki-invalid\"");
        let policy = serde_json::to_string(&PolicyType::NoPolicyFound).unwrap();
        assert_eq!(policy, "\"no-policy-found\"");
    }

    #[test]
    fn strangers_cannot_make_it_grow() {
        let outcomes = Outcomes::default();
        for n in 0..FAILURES_MAX + 10 {
            outcomes.failed("a.test", &sts(), &failure(), Some(&remote(&format!("{n}.test"))));
        }
        for n in 0..DOMAINS_MAX + 10 {
            outcomes.succeeded(&format!("{n}.test"), &Basis::none());
        }
        let day = outcomes.today();
        assert_eq!(day.domains["a.test"][0].failures.len(), FAILURES_MAX);
        assert_eq!(day.domains.len(), DOMAINS_MAX);
    }

    #[test]
    fn old_files_go() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("100-0.json"), "{}").unwrap();
        fs::write(folder.join(format!("{}-0.json", today() - 1)), "{}").unwrap();
        Outcomes::open(dir.path(), 0).unwrap();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
