//! The settings file as a whole: every room's part under one roof, and what only the whole can judge.
//!
//! The doc comments are the text of `config/reference.toml`. A file that loads without an error is
//! one that the server can start with, as far as the file alone can tell.

use std::fmt;
use std::path::{Path, PathBuf};

use engine::settings::{self, SettingsError, Span};
use engine::shard::IoKind;
use engine::telemetry::LogSettings;
use engine::tls::{self, Acceptor, CertificateSettings, ClientCertificates};
use engine::{dns, storage};
use mail::authentication::{checks, signing};
use mail::delivery::route::Routes;
use mail::delivery::settings::RouteSettings;
use mail::queue::QUEUES_MAX;
use mail::{delivery, directory, mailbox, policy, queue};
use proto::types::Domain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::imapd;
use crate::listener::{LimitSettings, ListenerSettings, Protocol};
use crate::pop3d;
use crate::smtpd::{Rules, Told};

const INTRO: &str = "Every setting of Ringpost with its explanation and default, as \
                     `ringpost config reference` prints it.\nStart from config/ringpost.toml and \
                     copy from here what you need.";
/// The admin socket, when the settings do not place it.
const SOCKET_NAME: &str = "admin.sock";

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The process itself.
    pub server: ServerSettings,
    /// Where mail comes in; one table a listener.
    pub listener: Vec<ListenerSettings>,
    /// Certificates, and whom we believe.
    pub tls: tls::Settings,
    /// Whose mail is passed on.
    pub relay: policy::Settings,
    /// What strangers may use up. Every limit is for each connection or message that it names.
    pub limits: LimitSettings,
    /// How long mail is kept and when it is tried again.
    pub queue: queue::Settings,
    /// Domains, accounts and aliases of our own: `ringpost domain`, `account`, `alias`, `group`.
    pub directory: directory::Settings,
    /// How passwords are hashed, and by how many threads.
    pub passwords: directory::PasswordSettings,
    /// What happens to those who guess passwords. A client is an IPv4 address or an IPv6 /64. Nobody
    /// can lock others out: an account that is attacked becomes slow for clients it does not know,
    /// but only the guessing client is blocked, and one that logged in lately is neither.
    pub guessing: directory::GuessSettings,
    /// Where mail comes from: SPF, DKIM, DMARC and ARC of what strangers bring to listeners for relay.
    /// Nothing is checked of users who have logged in.
    pub authentication: checks::Settings,
    /// How mail of our domains is signed. Keys are made by `ringpost dkim generate`.
    pub dkim: signing::Settings,
    /// Where the mail of accounts is kept, and how much memory that takes.
    pub mailbox: mailbox::Settings,
    /// How mail leaves.
    pub delivery: delivery::settings::Settings,
    /// Ways that some mail takes instead of the MX of its domain; one table a route.
    pub route: Vec<RouteSettings>,
    /// The resolver.
    pub dns: dns::Settings,
    /// Where queues lie on the disk, and how much memory they use.
    pub storage: storage::Settings,
    /// What is logged, and where.
    pub log: LogSettings,
    /// The door for `ringpost queue` and `ringpost status`.
    pub admin: AdminSettings,
}

/// The process itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// The name that Ringpost greets with and puts into trace fields: the fully qualified name of
    /// this host, which its addresses should resolve back to. Empty: the system's host name.
    pub hostname: String,
    /// The folder of the queues. Only one server at a time may use it.
    pub data_dir: PathBuf,
    /// Shards: threads that each own their connections and their queue. 0: one a core. May differ
    /// from run to run; queues of shards that are no more are adopted and emptied by the others.
    pub shards: u16,
    /// How sockets are driven: "uring", "epoll", or "auto" for io_uring where the kernel allows it.
    pub io: IoKind,
    /// After SIGTERM, how long messages that are coming in or going out may take to end. What is cut
    /// off is still in the queue.
    pub drain: Span,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            hostname: String::new(),
            data_dir: "/var/lib/ringpost".into(),
            shards: 0,
            io: IoKind::default(),
            drain: Span::secs(20),
        }
    }
}

/// The door for `ringpost queue` and `ringpost status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminSettings {
    /// The Unix socket; whoever may open it (owner and group) may do everything. Empty: `admin.sock`
    /// in the data directory.
    pub socket: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerSettings::default(),
            listener: vec![ListenerSettings::default()],
            tls: tls::Settings::default(),
            relay: policy::Settings::default(),
            limits: LimitSettings::default(),
            queue: queue::Settings::default(),
            directory: directory::Settings::default(),
            passwords: directory::PasswordSettings::default(),
            guessing: directory::GuessSettings::default(),
            authentication: checks::Settings::default(),
            dkim: signing::Settings::default(),
            mailbox: mailbox::Settings::default(),
            delivery: delivery::settings::Settings::default(),
            route: Vec::new(),
            dns: dns::Settings::default(),
            storage: storage::Settings::default(),
            log: LogSettings::default(),
            admin: AdminSettings::default(),
        }
    }
}

/// Why a settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read, or a key or value in it is wrong; every place is shown.
    Text(#[from] SettingsError),
    /// Its values do not go together.
    Sense {
        /// The file.
        path: PathBuf,
        /// What is wrong, one line each.
        faults: Vec<String>,
    },
}

/// `{:#}` may be coloured.
impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => fmt::Display::fmt(error, f),
            Self::Sense { path, faults } => {
                for (index, fault) in faults.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "\n" };
                    write!(f, "{separator}{}: {fault}", path.display())?;
                }
                Ok(())
            }
        }
    }
}

/// Reads the file at `path` and judges it.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path) -> Result<Settings, LoadError> {
    let settings: Settings = settings::load(path)?;
    let faults = settings.faults();
    if faults.is_empty() {
        return Ok(settings);
    }
    Err(LoadError::Sense { path: path.into(), faults })
}

/// The reference of all settings: `config/reference.toml`.
#[must_use]
pub fn reference() -> String {
    settings::reference::<Settings>(INTRO)
}

impl Settings {
    /// Where the admin socket is.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        if self.admin.socket.as_os_str().is_empty() {
            return self.server.data_dir.join(SOCKET_NAME);
        }
        self.admin.socket.clone()
    }

    /// The name that the server goes by.
    #[must_use]
    pub fn hostname(&self) -> String {
        if self.server.hostname.is_empty() {
            return rustix::system::uname().nodename().to_string_lossy().into_owned();
        }
        self.server.hostname.clone()
    }

    /// How many shards there shall be.
    #[must_use]
    pub fn shards(&self) -> u16 {
        if self.server.shards > 0 {
            return self.server.shards;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        u16::try_from(cores).unwrap_or(QUEUES_MAX).min(QUEUES_MAX)
    }

    /// What the directory is told.
    pub(super) fn directory_parts(&self) -> directory::Parts {
        directory::Parts {
            settings: self.directory.clone(),
            passwords: self.passwords.clone(),
            guessing: self.guessing.clone(),
        }
    }

    /// What the SMTP door is told.
    pub(super) fn told<'a>(
        &'a self,
        hostname: &'a str,
        acceptors: &'a [Option<Acceptor>],
    ) -> Told<'a> {
        let Self { listener: listeners, limits, relay, route: routes, authentication, .. } = self;
        Told { hostname, listeners, acceptors, limits, relay, routes, authentication }
    }

    /// What the IMAP door is told.
    pub(super) fn told_imap<'a>(
        &'a self,
        hostname: &'a str,
        acceptors: &'a [Option<Acceptor>],
    ) -> imapd::Told<'a> {
        let Self { listener, limits, mailbox, .. } = self;
        imapd::Told { hostname, listeners: listener, acceptors, limits, mailbox }
    }

    /// What the POP3 door is told.
    pub(super) fn told_pop3<'a>(
        &'a self,
        hostname: &'a str,
        acceptors: &'a [Option<Acceptor>],
    ) -> pop3d::Told<'a> {
        pop3d::Told { hostname, listeners: &self.listener, acceptors, limits: &self.limits }
    }

    /// The certificates of a listener: its own, or everybody's.
    pub(super) fn certificates<'a>(
        &'a self,
        listener: &'a ListenerSettings,
    ) -> &'a [CertificateSettings] {
        if listener.certificate.is_empty() { &self.tls.certificate } else { &listener.certificate }
    }

    /// These settings, with everything that only a restart changes as it is in `running`.
    pub(super) fn live(self, running: &Self) -> Self {
        let drain = self.server.drain;
        let level = self.log.level;
        let memory_per_shard = running.limits.memory_per_shard;
        let running = running.clone();
        Self {
            server: ServerSettings { drain, ..running.server },
            listener: running.listener,
            limits: LimitSettings { memory_per_shard, ..self.limits },
            dns: running.dns,
            storage: running.storage,
            log: LogSettings { level, ..running.log },
            admin: running.admin,
            tls: tls::Settings { check_every: running.tls.check_every, ..self.tls },
            relay: self.relay,
            directory: self.directory,
            passwords: self.passwords.live(running.passwords),
            guessing: self.guessing,
            queue: self.queue,
            authentication: self.authentication,
            dkim: self.dkim,
            mailbox: mailbox::Settings { memory: running.mailbox.memory, ..self.mailbox },
            delivery: self.delivery,
            route: self.route,
        }
    }

    /// What cannot work, in words; empty when all is well.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.limits.faults();
        faults.extend(self.queue.faults());
        faults.extend(self.directory.faults());
        faults.extend(self.passwords.faults());
        faults.extend(self.guessing.faults());
        faults.extend(self.authentication.faults());
        faults.extend(self.dkim.faults());
        faults.extend(self.mailbox.faults());
        faults.extend(self.dns.faults());
        let mut note = |result: Result<(), String>| faults.extend(result.err());
        let hostname = self.hostname();
        let named = Domain::parse(&hostname).map(drop);
        note(named.map_err(|error| format!("server.hostname: {hostname:?}: {error}")));
        note(Rules::compile(&self.told(&hostname, &[])).map(drop));
        note(imapd::Rules::compile(&self.told_imap(&hostname, &[])).map(drop));
        note(pop3d::Rules::compile(&self.told_pop3(&hostname, &[])).map(drop));
        let routes = Routes::compile(&self.route, self.delivery.port).map(drop);
        note(routes.map_err(|error| error.to_string()));
        if self.listener.is_empty() {
            note(Err("no [[listener]]: mail could not come in".to_owned()));
        }
        for (index, listener) in self.listener.iter().enumerate() {
            if !listener.kind.is_smtp() && listener.protocol != Protocol::default() {
                let path = format!("listener[{index}].protocol");
                note(Err(format!("{path}: only listeners that take mail have a protocol")));
            }
            let asks = listener.client_certificates != ClientCertificates::Ignore;
            if asks && listener.client_ca_file.as_os_str().is_empty() {
                let path = format!("listener[{index}].client_ca_file");
                note(Err(format!(
                    "{path}: name the authorities that clients' certificates are from"
                )));
            }
        }
        if self.server.shards > QUEUES_MAX {
            note(Err(format!("server.shards is at most {QUEUES_MAX}")));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_right_and_the_reference_says_it() {
        let settings = Settings {
            server: ServerSettings { hostname: "mx.test".into(), ..Default::default() },
            ..Default::default()
        };
        assert_eq!(settings.faults(), Vec::<String>::new());
        let parsed: Settings = settings::parse("reference", &reference()).unwrap();
        assert_eq!(parsed, Settings::default());
    }

    #[test]
    fn nonsense_between_rooms_is_found() {
        let mut settings = Settings::default();
        settings.server.hostname = "not a name".into();
        settings.listener[0].proxy_from = vec!["10.0.0.0/99".into()];
        settings.relay.domains = vec!["*".into()];
        settings.queue.retry_factor = f64::NAN;
        let faults = settings.faults().join("\n");
        for part in ["server.hostname", "relay.domains", "queue.retry_factor"] {
            assert!(faults.contains(part), "{part}: {faults}");
        }
        settings.relay.domains.clear();
        assert!(settings.faults().join("\n").contains("listener[0].proxy_from"));
        settings.listener.clear();
        assert!(settings.faults().join("\n").contains("[[listener]]"));
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_runs() {
        let running = Settings::default();
        let mut file = running.clone();
        file.server.shards = 7;
        file.limits.memory_per_shard = engine::settings::Bytes::mib(999);
        file.limits.recipients_per_message = 123;
        file.relay.domains = vec!["ours.test".into()];
        let live = file.clone().live(&running);
        assert_eq!(
            settings::changes(&running, &live),
            ["relay.domains", "limits.recipients_per_message"]
        );
        assert_eq!(settings::changes(&live, &file), ["server.shards", "limits.memory_per_shard"]);
    }
}
