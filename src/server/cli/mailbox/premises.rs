//! The stores of a server that does not run.
//!
//! What must stay true: they are opened only under the data directory's lock, only when the directory
//! is there, and only by the user that it belongs to. What is changed is in the audit log.
//!
//! How it fails: while a server runs, with a text that says what to do.

use std::cell::RefCell;
use std::fs::{self, File};
use std::future::Future;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use engine::settings::Bytes;
use mail::directory::{self, Answer, Command, Kind, Record};
use mail::mailbox::{Caches, Layout, Limits, Parts, Settings, Store};
use proto::types::Address;
use tokio::task::LocalSet;

use crate::admin::described;
use crate::boot;
use crate::cli::arguments::Arguments;
use crate::cli::{Failure, config_path, of_boot, words};

/// The data directory, which is ours while this lives.
pub(super) struct Premises {
    pub settings: boot::settings::Settings,
    pub layout: Layout,
    parts: Parts,
    /// Knows the accounts, and has the audit log.
    directory: RefCell<directory::Store>,
    who: String,
    _lock: File,
}

impl Premises {
    pub fn open(arguments: &Arguments) -> Result<Self, Failure> {
        let settings = boot::settings::load(&config_path(arguments)).map_err(of_boot)?;
        let folder = &settings.server.data_dir;
        let lock = lock(folder)?;
        let directory =
            directory::Store::open(folder, settings.passwords.parameters()).map_err(failed)?;
        let layout = Layout::open(folder, usize::from(settings.shards())).map_err(failed)?;
        // Everything is read or written once: caches would only take memory.
        let own =
            Settings { body_cache: Bytes(0), digest_cache: Bytes(0), ..settings.mailbox.clone() };
        let parts = Parts {
            storage: own.storage(&settings.storage),
            caches: Rc::new(Caches::new(&own, Arc::default())),
            settings: Arc::new(own),
            domains: Arc::default(),
            metrics: Arc::default(),
            storage_metrics: Arc::default(),
            own: 1,
        };
        let who = format!("{}, without a server", described(rustix::process::getuid().as_raw()));
        Ok(Self { settings, layout, parts, directory: RefCell::new(directory), who, _lock: lock })
    }

    /// An account's name as stores know it.
    pub fn name(given: &str) -> Result<String, Failure> {
        let address = Address::parse(given.trim()).and_then(|address| directory::folded(&address));
        let address = address.map_err(|error| failed(format!("{given:?} is no address: {error}")));
        Ok(address?.to_string())
    }

    /// What an account of the directory may keep. The limit of its domain is not looked at: the stores
    /// of its other accounts are not open.
    pub fn limits(&self, account: &str) -> Result<Limits, Failure> {
        let show = Command::Show { kind: Some(Kind::Account), name: account.into() };
        let answer = self.directory.borrow_mut().command(&self.who, show).map_err(failed)?;
        let quota = match answer {
            Answer::Record { record } => match *record {
                Record::Account(account) => account.quota_bytes,
                _ => None,
            },
            _ => None,
        };
        Ok(Limits { domain: None, ..Limits::of(&self.settings.mailbox, quota) })
    }

    /// Whether a store has been made.
    pub fn has(&self, store: u16) -> bool {
        self.layout.dir(store).is_dir()
    }

    /// Opens a store, or makes it; inside [`local`].
    pub fn store(&self, number: u16) -> Result<Store, Failure> {
        Store::open(&self.layout, number, self.parts.clone())
            .map_err(|error| failed(format!("mailbox store {number}: {error}")))
    }

    /// The store of an account; inside [`local`].
    pub fn store_of(&self, account: &str) -> Result<Store, Failure> {
        self.store(self.layout.store_of(account))
    }

    /// Puts what was done into the audit log.
    pub fn record(&self, what: &str, on: &str) -> Result<(), Failure> {
        self.directory
            .borrow_mut()
            .record(&self.who, what, on)
            .map_err(|error| failed(format!("it was done, but is not in the audit log: {error}")))
    }
}

fn lock(folder: &Path) -> Result<File, Failure> {
    let shown = folder.display();
    let found =
        fs::metadata(folder).map_err(|error| failed(format!("data directory {shown}: {error}")))?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        let owner = described(found.uid());
        return Err(failed(format!("only {owner} may open the data directory {shown}")));
    }
    boot::lock(folder).map_err(|error| match error {
        boot::BootError::Taken(_) => failed(format!(
            "a server is using {shown}: stop it first (ringpost stop), or use IMAP while it runs"
        )),
        other => failed(other),
    })
}

/// Runs what works with stores, which belong to one thread.
pub(super) fn local<T>(task: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, task)
}

/// Writes what waits.
pub(super) async fn close(store: Store) -> Result<(), Failure> {
    store.swept().await;
    if store.close().await { Ok(()) } else { Err(failed("the store could not be closed")) }
}

#[allow(clippy::needless_pass_by_value)] // for map_err
pub(super) fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(words::clean_lines(&error.to_string()))
}
