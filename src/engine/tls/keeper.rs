//! Owns: everything that TLS needs for taking connections: certificates, their files, ticket keys.
//! Must stay true: handshakes under way and connections that are up never notice a change of
//! certificates; what cannot be read leaves what is in use. Fails: [`TlsError`] at start and at a
//! reload; a line in the log when it happens on its own.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use rustls::{ServerConfig, crypto::CryptoProvider, server::NoServerSessionStorage};

use super::{
    Acceptor, Certificate, CertificateSettings, ClientCertificates, TlsError,
    clients::{self, Clients},
    development,
    provider::provider,
    shelf::{Set, Shelf},
    tickets::{Scope, Tickets, private_folder},
};
use crate::telemetry::{Level, note};

/// Warned about when less is left: ACME clients renew at 30 days, so something went wrong.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// See the module. One a process.
pub struct Keeper {
    folder: PathBuf,
    hostname: Box<str>,
    tickets: Arc<Tickets>,
    shelves: Mutex<HashMap<Vec<CertificateSettings>, Kept>>,
}

/// A shelf as long as a listener uses it, and what its files looked like.
struct Kept {
    shelf: Weak<Shelf>,
    stamps: Vec<Stamp>,
}

/// What changes when a file does: inode, size, time.
type Stamp = Option<(u64, u64, SystemTime)>;

impl Keeper {
    /// Opens the folder for keys, `tls` in the data directory.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub fn open(data_dir: &Path, hostname: &str) -> Result<Self, TlsError> {
        let folder = data_dir.join("tls");
        private_folder(&folder)?;
        let tickets = Tickets::open(&folder.join("tickets"), now_s())?;
        Ok(Self { folder, hostname: hostname.into(), tickets, shelves: Mutex::default() })
    }

    /// What a listener with these certificates takes connections with; without any, with a self-signed
    /// one. Reads the files, also when they are in use already.
    ///
    /// # Errors
    /// A file cannot be read or does not hold what it should.
    pub fn acceptor(
        &self,
        certificates: &[CertificateSettings],
        wanted: ClientCertificates,
        client_ca: &Path,
    ) -> Result<Acceptor, TlsError> {
        let shelf = self.shelf(certificates)?;
        let provider = Arc::new(provider());
        let clients = clients::of(wanted, client_ca, &provider)?;
        let config = self.config(shelf, clients.as_ref(), provider)?;
        Ok(Acceptor::new(Arc::new(config), clients))
    }

    fn shelf(&self, certificates: &[CertificateSettings]) -> Result<Arc<Shelf>, TlsError> {
        let settings =
            if certificates.is_empty() { self.self_signed()? } else { certificates.to_vec() };
        let stamps = stamps(&settings);
        let set = load(&settings)?;
        let mut shelves = self.shelves();
        shelves.retain(|_, kept| kept.shelf.strong_count() > 0);
        let present = shelves.get(&settings).and_then(|kept| kept.shelf.upgrade());
        let shelf = match present {
            Some(shelf) => {
                shelf.replace(set);
                shelf
            }
            None => Arc::new(Shelf::new(set)),
        };
        shelves.insert(settings, Kept { shelf: Arc::downgrade(&shelf), stamps });
        Ok(shelf)
    }

    fn self_signed(&self) -> Result<Vec<CertificateSettings>, TlsError> {
        let place = development::place(&self.folder);
        let now_s = i64::try_from(now_s()).unwrap_or(i64::MAX);
        if development::ensure(&self.folder, &self.hostname, now_s)? {
            note(
                Level::Warn,
                format_args!(
                    "no certificate is configured: made a self-signed one for {}, {}; mail programs will not \
                     accept it: set [[tls.certificate]]",
                    self.hostname,
                    place.chain.display()
                ),
            );
        }
        Ok(vec![place])
    }

    fn config(
        &self,
        shelf: Arc<Shelf>,
        clients: Option<&Clients>,
        provider: Arc<CryptoProvider>,
    ) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
        let builder = match clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier()),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(shelf);
        // Ours costs less: see `provider`.
        config.ignore_client_order = true;
        let demand = clients.map_or(&b""[..], Clients::demand);
        config.ticketer = Arc::new(Scope::new(&self.tickets, demand));
        // All state is in the tickets: nothing a client costs stays here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(config)
    }

    /// Takes over certificate files that have changed and turns ticket keys. To be called now and then.
    pub fn check(&self) {
        if let Err(error) = self.tickets.turn(now_s()) {
            note(Level::Error, format_args!("keys of TLS tickets: {error}"));
        }
        let changed: Vec<_> = self
            .shelves()
            .iter_mut()
            .filter_map(|(settings, kept)| {
                let now = stamps(settings);
                let has_changed = kept.stamps != now;
                kept.stamps = now;
                has_changed.then(|| kept.shelf.upgrade().map(|shelf| (settings.clone(), shelf)))?
            })
            .collect();
        for (settings, shelf) in changed {
            match load(&settings) {
                Ok(set) => {
                    shelf.replace(set);
                    let path = settings[0].chain.display();
                    note(
                        Level::Info,
                        format_args!("certificate {path} has changed: it is used from now on"),
                    );
                }
                // Certificate and key are written one after the other: the next look finds both.
                Err(error) => {
                    note(Level::Warn, format_args!("changed certificate not used: {error}"));
                }
            }
        }
    }

    fn shelves(&self) -> MutexGuard<'_, HashMap<Vec<CertificateSettings>, Kept>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads certificates; says when one will not live long.
fn load(settings: &[CertificateSettings]) -> Result<Set, TlsError> {
    let certificates = settings.iter().map(Certificate::load).collect::<Result<Vec<_>, _>>()?;
    let soon = i64::try_from(now_s() + EXPIRES_SOON.as_secs()).unwrap_or(i64::MAX);
    let set = Set::new(certificates);
    for certificate in set.certificates().iter().filter(|one| one.expires_s() < soon) {
        let name = certificate.names().first().map_or("of no name", |name| name);
        let until = jiff::Timestamp::from_second(certificate.expires_s()).unwrap_or_default();
        note(Level::Warn, format_args!("the certificate for {name} is valid only until {until}"));
    }
    Ok(set)
}

fn stamps(settings: &[CertificateSettings]) -> Vec<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let stamp = |path: &PathBuf| {
        let data = fs::metadata(path).ok()?;
        Some((data.ino(), data.len(), data.modified().ok()?))
    };
    settings.iter().flat_map(|one| [stamp(&one.chain), stamp(&one.key)]).collect()
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
