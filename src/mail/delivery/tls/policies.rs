//! The MTA-STS policies of the domains that we send to: found, fetched, kept (RFC 8461 §3, §5.1).
//!
//! What must stay true: a policy holds until it expires, whatever happens to its announcement or its
//! server meanwhile, so that whoever can disturb both weakens nothing; it survives a restart; it is
//! fetched again when its id changes, and well before it expires. Policies, fetches under way, and
//! patience with one are bounded. One store serves all shards; it is asked when a domain is looked
//! up (once a minute), never for a message.
//!
//! How it fails: a fetch that fails leaves what is there and is not repeated for a while; a disk that
//! takes no file costs a line in the log, and the policy lives until the end of the process.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use engine::{
    dns::{DnsError, Resolver},
    shard::wall_ms,
    telemetry::{Level, note},
    tls::{
        Fault,
        https::{Bounds, Https, HttpsError, Page},
    },
};
use foldhash::fast::RandomState;
use proto::types::Domain;
use tokio::sync::Semaphore;

use super::outcomes::Failure;
use super::sts::{self, Mode, POLICY_BYTES_MAX, Policy};
use crate::delivery::settings::StsSettings;

/// Where policies lie in the data directory.
const FOLDER: &str = "mta-sts";
/// The first line of a file.
const FORMAT: &str = "ringpost-mta-sts 1";
/// Policies kept; beyond that new ones are fetched again and again.
const POLICIES_MAX: usize = 100_000;
/// Failures remembered.
const TROUBLES_MAX: usize = 10_000;
/// Fetches under way, all shards together.
const FETCHES_MAX: usize = 32;
/// A fetch that failed is not repeated for this long (RFC 8461 §3.3).
const TROUBLE_S: u64 = 300;
/// A policy older than this is fetched again, or one whose life is half over, whichever is sooner.
const REFRESH_S: u64 = 86_400;

/// See the module.
pub struct Policies {
    folder: PathBuf,
    https: ArcSwap<Https>,
    port: u16,
    timeout: Duration,
    kept: Mutex<Kept>,
    fetches: Semaphore,
}

#[derive(Default)]
struct Kept {
    policies: HashMap<Box<str>, Held, RandomState>,
    troubles: HashMap<Box<str>, Trouble, RandomState>,
}

/// A policy that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it says.
    pub policy: Arc<Policy>,
    /// By what it was announced.
    pub id: Box<str>,
    /// When it was last fetched, in seconds since 1970.
    pub fetched_s: u64,
}

/// A fetch that failed.
#[derive(Clone, Debug)]
struct Trouble {
    id: Box<str>,
    until_s: u64,
    failure: Failure,
}

/// What is known of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The policy that holds.
    pub held: Option<Held>,
    /// A policy is announced that cannot be had.
    pub failure: Option<Failure>,
}

impl Held {
    /// When it holds no longer, in seconds since 1970.
    #[must_use]
    pub fn expires_s(&self) -> u64 {
        self.fetched_s.saturating_add(self.policy.max_age_s)
    }

    fn is_old(&self, now_s: u64) -> bool {
        let age_s = now_s.saturating_sub(self.fetched_s);
        age_s >= REFRESH_S.min(self.policy.max_age_s / 2)
    }
}

impl Policies {
    /// Opens the store in the data directory, and reads what is there.
    ///
    /// # Errors
    /// The folder cannot be made or read. A file in it that makes no sense is passed over.
    pub fn open(data_dir: &Path, https: Https, settings: &StsSettings) -> io::Result<Self> {
        let folder = data_dir.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let mut kept = Kept::default();
        let now_s = now_s();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let Some((domain, held)) = read(&path) else { continue };
            if held.expires_s() <= now_s {
                // It holds no longer; that it cannot be removed does no harm.
                let _ = fs::remove_file(&path);
            } else if kept.policies.len() < POLICIES_MAX {
                kept.policies.insert(domain, held);
            }
        }
        Ok(Self {
            folder,
            https: ArcSwap::from_pointee(https),
            port: settings.port,
            timeout: settings.timeout.get(),
            kept: Mutex::new(kept),
            fetches: Semaphore::new(FETCHES_MAX),
        })
    }

    /// Asks with other authorities from now on.
    pub fn renew(&self, https: Https) {
        self.https.store(Arc::new(https));
    }

    /// What holds for mail to `domain` (A-labels, lower case) now. Asks the DNS, and fetches the policy
    /// when it is new, changed or old.
    pub async fn of(&self, domain: &str, resolver: &Resolver) -> Known {
        let announced = match resolver.txt(&format!("_mta-sts.{domain}")).await {
            Ok(records) => sts::announced(&records),
            Err(_) => None,
        };
        let now_s = now_s();
        let held = self.held(domain, now_s);
        // An announcement that is gone takes no policy with it (RFC 8461 §5.1).
        let Some(id) = announced else { return Known { held, failure: None } };
        if held.as_ref().is_some_and(|held| held.id == id && !held.is_old(now_s)) {
            return Known { held, failure: None };
        }
        if let Some(failure) = self.trouble(domain, &id, now_s) {
            return Known { held, failure: Some(failure) };
        }
        match self.fetch(domain, &id, resolver).await {
            Ok(held) => Known { held: Some(held), failure: None },
            Err(failure) => Known { held, failure: Some(failure) },
        }
    }

    /// Fetches every policy again that is old: for a task that looks now and then, so that policies do
    /// not expire between two messages.
    pub async fn refresh(&self, resolver: &Resolver) {
        let now_s = now_s();
        let old: Vec<(Box<str>, Box<str>)> = {
            let mut kept = self.kept();
            kept.policies.retain(|_, held| held.expires_s() > now_s);
            kept.troubles.retain(|_, trouble| trouble.until_s > now_s);
            let old = kept.policies.iter().filter(|(_, held)| held.is_old(now_s));
            old.map(|(domain, held)| (domain.clone(), held.id.clone())).collect()
        };
        for (domain, id) in old {
            let announced = resolver.txt(&format!("_mta-sts.{domain}")).await;
            let id = announced.ok().and_then(|records| sts::announced(&records)).unwrap_or(id);
            if self.trouble(&domain, &id, now_s).is_none() {
                // What is there stays when it fails.
                let _ = self.fetch(&domain, &id, resolver).await;
            }
        }
    }

    /// The policy that is kept of `domain`, asking nobody.
    #[must_use]
    pub fn holds(&self, domain: &str) -> Option<Held> {
        self.held(domain, now_s())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, domain: &str, now_s: u64) -> Option<Held> {
        let kept = self.kept();
        kept.policies.get(domain).filter(|held| held.expires_s() > now_s).cloned()
    }

    fn trouble(&self, domain: &str, id: &str, now_s: u64) -> Option<Failure> {
        let kept = self.kept();
        let trouble = kept.troubles.get(domain)?;
        (*trouble.id == *id && trouble.until_s > now_s).then(|| trouble.failure.clone())
    }

    async fn fetch(&self, domain: &str, id: &str, resolver: &Resolver) -> Result<Held, Failure> {
        let text = self.text(domain, resolver).await;
        let read = text.and_then(|text| {
            let policy = Policy::parse(&text)
                .map_err(|error| Failure::policy(format!("the MTA-STS policy: {error}")))?;
            Ok(Held { policy: Arc::new(policy), id: id.into(), fetched_s: now_s() })
        });
        let held = match read {
            Ok(held) => held,
            Err(failure) => {
                self.note_trouble(domain, id, &failure);
                return Err(failure);
            }
        };
        {
            let mut kept = self.kept();
            kept.troubles.remove(domain);
            if kept.policies.len() < POLICIES_MAX || kept.policies.contains_key(domain) {
                kept.policies.insert(domain.into(), held.clone());
            }
        }
        self.write(domain, &held).await;
        Ok(held)
    }

    fn note_trouble(&self, domain: &str, id: &str, failure: &Failure) {
        let mut kept = self.kept();
        if kept.troubles.len() >= TROUBLES_MAX {
            kept.troubles.clear();
        }
        let until_s = now_s().saturating_add(TROUBLE_S);
        let trouble = Trouble { id: id.into(), until_s, failure: failure.clone() };
        kept.troubles.insert(domain.into(), trouble);
    }

    async fn text(&self, domain: &str, resolver: &Resolver) -> Result<String, Failure> {
        let Ok(_permit) = self.fetches.acquire().await else {
            return Err(Failure::fetch("the store is closed".to_owned()));
        };
        let host = format!("mta-sts.{domain}");
        let found = resolver.addresses(&host, true, true).await;
        let addresses: Vec<SocketAddr> = match found {
            Ok(found) => found.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect(),
            Err(error) => return Err(of_dns(&host, &error)),
        };
        let bounds = Bounds { timeout: self.timeout, body_bytes_max: POLICY_BYTES_MAX };
        let https = self.https.load_full();
        let page = https.get(&host, &addresses, "/.well-known/mta-sts.txt", bounds).await;
        let page = page.map_err(|error| of_https(&host, &error))?;
        text_of(page).map_err(|what| Failure::fetch(format!("https://{host}: {what}")))
    }

    /// On a thread for such things, so that no shard waits for the disk.
    async fn write(&self, domain: &str, held: &Held) {
        let (folder, name, text) = (self.folder.clone(), domain.to_owned(), file_text(held));
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &text)).await;
        let error = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let folder = self.folder.display();
        note(Level::Warn, format_args!("the policy of {domain} is not kept in {folder}: {error}"));
    }
}

/// Only plain text is a policy (RFC 8461 §3.3).
fn text_of(page: Page) -> Result<String, String> {
    let media_type = page.content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("text/plain") {
        return Err(format!("the policy is {media_type:?} and not text/plain"));
    }
    String::from_utf8(page.body).map_err(|_| "the policy is no UTF-8".to_owned())
}

fn of_dns(host: &str, error: &DnsError) -> Failure {
    Failure::fetch(format!("{host}: {error}"))
}

fn of_https(host: &str, error: &HttpsError) -> Failure {
    let text = format!("https://{host}: {error}");
    match error {
        HttpsError::Tls { fault: Fault::Expired | Fault::Name | Fault::Untrusted, .. } => {
            Failure::web(text)
        }
        _ => Failure::fetch(text),
    }
}

fn now_s() -> u64 {
    wall_ms() / 1000
}

fn file_text(held: &Held) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ =
        write!(text, "{FORMAT}\nid: {}\nfetched: {}\n\n{}", held.id, held.fetched_s, held.policy);
    text
}

/// The old file, or the new one whole.
fn write(folder: &Path, domain: &str, text: &str) -> io::Result<()> {
    // No domain begins with a dot.
    let fresh = folder.join(format!(".{domain}"));
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, folder.join(domain))?;
    File::open(folder)?.sync_all()
}

fn read(path: &Path) -> Option<(Box<str>, Held)> {
    let domain = Domain::parse(path.file_name()?.to_str()?).ok()?;
    let text = fs::read_to_string(path).ok()?;
    let rest = text.strip_prefix(FORMAT)?.strip_prefix("\nid: ")?;
    let (id, rest) = rest.split_once("\nfetched: ")?;
    let (fetched, policy) = rest.split_once("\n\n")?;
    let policy = Arc::new(Policy::parse(policy).ok()?);
    // A clock that was wrong when it was fetched does not make it live longer.
    let fetched_s = fetched.parse::<u64>().ok()?.min(now_s());
    Some((domain.as_str().into(), Held { policy, id: id.into(), fetched_s }))
}

/// What of a policy matters to a domain's mail now.
impl Known {
    /// The policy to go by; none when its mode says so.
    #[must_use]
    pub fn policy(&self) -> Option<&Arc<Policy>> {
        self.held.as_ref().map(|held| &held.policy).filter(|policy| policy.mode != Mode::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(fetched_s: u64, max_age_s: u64) -> Held {
        let mx = vec!["mx.a.test".into(), "*.b.test".into()];
        let policy = Arc::new(Policy { mode: Mode::Enforce, max_age_s, mx });
        Held { policy, id: "20260101".into(), fetched_s }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let held = held(now_s() - 10, 1000);
        write(dir.path(), "a.test", &file_text(&held)).unwrap();
        assert_eq!(read(&dir.path().join("a.test")), Some(("a.test".into(), held.clone())));
        // Cut off anywhere it is nothing, or still itself.
        let text = file_text(&held);
        for end in 0..text.len() {
            fs::write(dir.path().join("a.test"), &text[..end]).unwrap();
            let found = read(&dir.path().join("a.test"));
            assert!(found.is_none_or(|(_, it)| it.policy.max_age_s <= 1000), "{end}");
        }
    }

    #[test]
    fn a_date_in_the_future_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "a.test", &file_text(&held(now_s() + 1_000_000, 1000))).unwrap();
        let (_, found) = read(&dir.path().join("a.test")).unwrap();
        assert!(found.expires_s() <= now_s() + 1000);
    }

    #[test]
    fn a_policy_is_old_after_a_day_or_half_its_life() {
        for (max_age_s, old_s) in [(604_800, 86_400), (100, 50), (0, 0)] {
            let held = held(1_000_000, max_age_s);
            assert!(held.is_old(1_000_000 + old_s), "{max_age_s}");
            assert!(old_s == 0 || !held.is_old(1_000_000 + old_s - 1), "{max_age_s}");
        }
    }

    #[test]
    fn only_plain_text_is_a_policy() {
        let page = |content_type: &str, body: &[u8]| {
            text_of(Page { content_type: content_type.into(), body: body.into() }).is_ok()
        };
        assert!(page("text/plain", b"x") && page("Text/Plain; charset=utf-8", b"x"));
        assert!(!page("text/html", b"x") && !page("", b"x") && !page("text/plain", b"\xff"));
    }
}
