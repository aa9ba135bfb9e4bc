//! What all shards of the process share: the settings in force, limits and figures.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use engine::shard::Backend;
use engine::telemetry::{Level, Log, Measured, Sheet, note};
use engine::tls::{Acceptor, Connector, Keeper, TlsError, https::Https};
use engine::{storage, telemetry::Counter};
use mail::authentication::signing::Keys;
use mail::delivery::{self, SiteTable, tls::policies::Policies};
use mail::directory::{Accounts, Writer};
use mail::mailbox::{self, DomainUse, Layout};
use mail::queue;

use super::settings::Settings;
use crate::gate::Gate;
use crate::imapd;
use crate::listener::{ListenerSettings, TlsMode};
use crate::pop3d;
use crate::smtpd;

/// Shared by every thread; nothing in it is touched once a message.
pub(super) struct House {
    pub settings: ArcSwap<Settings>,
    pub hostname: String,
    /// Certificates and the keys of tickets.
    pub keeper: Keeper,
    /// Of each listener, what it takes TLS with.
    pub acceptors: ArcSwap<Vec<Option<Acceptor>>>,
    /// What TLS connections are opened with.
    pub connector: ArcSwap<Connector>,
    pub backend: Backend,
    pub gate: Arc<Gate>,
    pub sites: Arc<SiteTable>,
    /// Whose addresses are ours, and who may log in.
    pub accounts: Arc<Accounts>,
    /// Changes the directory.
    pub writer: Writer,
    /// What mail of our domains is signed with.
    pub keys: Arc<Keys>,
    /// Which store an account's mail is in.
    pub layout: Layout,
    /// What the accounts of each domain keep.
    pub domains: Arc<DomainUse>,
    /// MTA-STS policies; none when nobody could be believed about them.
    pub policies: Option<Arc<Policies>>,
    pub figures: Vec<Figures>,
    pub log: Log,
    pub started: Instant,
}

/// The numbers of one shard.
#[derive(Default)]
pub(super) struct Figures {
    pub smtp: Arc<smtpd::Metrics>,
    pub imap: Arc<imapd::Metrics>,
    pub pop3: Arc<pop3d::Metrics>,
    pub queue: Arc<queue::Metrics>,
    pub storage: Arc<storage::Metrics>,
    pub delivery: Arc<delivery::Metrics>,
    pub mailbox: Arc<mailbox::Metrics>,
    /// Of the stores of mailboxes together.
    pub mailbox_storage: Arc<storage::Metrics>,
    /// Panics that were contained.
    pub panics: Counter,
}

impl Figures {
    pub fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::new();
        self.smtp.report(&mut sheet);
        self.imap.report(&mut sheet);
        self.pop3.report(&mut sheet);
        self.queue.report(&mut sheet);
        self.storage.report(&mut sheet);
        self.delivery.report(&mut sheet);
        self.mailbox.report(&mut sheet);
        let disk = &self.mailbox_storage;
        sheet.counter("mailbox.syncs", &disk.syncs);
        sheet.counter("mailbox.failures", &disk.failures);
        sheet.counter("mailbox.riders", &disk.riders);
        sheet.latency("mailbox.sync_us", &disk.sync);
        sheet.latency("mailbox.batch_messages", &disk.batch_messages);
        sheet.counter("shard.panics", &self.panics);
        sheet
    }
}

impl House {
    /// Reads the certificates.
    pub fn new(
        settings: Settings,
        backend: Backend,
        (accounts, writer): (Arc<Accounts>, Writer),
        keys: Arc<Keys>,
        layout: Layout,
        log: Log,
    ) -> Result<Self, TlsError> {
        let shards = usize::from(settings.shards());
        let hostname = settings.hostname();
        let keeper = Keeper::open(&settings.server.data_dir, &hostname)?;
        let acceptors = acceptors(&keeper, &settings)?;
        let connector = Connector::new(&settings.tls.ca_file)?;
        let policies = policies(&settings);
        Ok(Self {
            hostname,
            keeper,
            acceptors: ArcSwap::from_pointee(acceptors),
            connector: ArcSwap::from_pointee(connector),
            settings: ArcSwap::from_pointee(settings),
            backend,
            gate: Gate::new(),
            sites: Arc::new(SiteTable::new(shards)),
            accounts,
            writer,
            keys,
            layout,
            domains: Arc::default(),
            policies,
            figures: (0..shards).map(|_| Figures::default()).collect(),
            log,
            started: Instant::now(),
        })
    }

    /// Reads the certificates and authorities that `settings` name, for connections from now on.
    pub fn renew_certificates(&self, settings: &Settings) -> Result<(), TlsError> {
        let connector = Connector::new(&settings.tls.ca_file)?;
        self.acceptors.store(Arc::new(acceptors(&self.keeper, settings)?));
        self.connector.store(Arc::new(connector));
        if let (Some(policies), Ok(https)) = (&self.policies, Https::new(&settings.tls.ca_file)) {
            policies.renew(https);
        }
        Ok(())
    }

    pub fn shards(&self) -> u16 {
        // It was made with a u16 of shards.
        u16::try_from(self.figures.len()).unwrap_or(u16::MAX)
    }
}

fn acceptors(keeper: &Keeper, settings: &Settings) -> Result<Vec<Option<Acceptor>>, TlsError> {
    let acceptor = |listener: &ListenerSettings| {
        if listener.tls == TlsMode::None {
            return Ok(None);
        }
        let (wanted, ca_file) = (listener.client_certificates, &listener.client_ca_file);
        keeper.acceptor(settings.certificates(listener), wanted, ca_file).map(Some)
    };
    settings.listener.iter().map(acceptor).collect()
}

/// MTA-STS rests on authorities; without any it is left out, and the log says so.
fn policies(settings: &Settings) -> Option<Arc<Policies>> {
    let data_dir = &settings.server.data_dir;
    let opened =
        Https::new(&settings.tls.ca_file).map_err(|error| error.to_string()).and_then(|https| {
            Policies::open(data_dir, https, &settings.delivery.mta_sts)
                .map_err(|error| format!("{}: {error}", data_dir.display()))
        });
    match opened {
        Ok(policies) => Some(Arc::new(policies)),
        Err(error) => {
            note(Level::Warn, format_args!("MTA-STS policies are not heeded: {error}"));
            None
        }
    }
}
