//! What lies in the mailboxes of a server that does not run, read from its stores as they are on disk.

use std::{path::Path, rc::Rc, sync::Arc};

use engine::{settings::Bytes, storage};
use mail::mailbox::{Caches, Layout, Parts, Settings, Stores, Ways};
use tokio::task::LocalSet;

/// All stores of a data directory.
pub struct Mailboxes {
    stores: Stores,
    local: LocalSet,
    runtime: tokio::runtime::Runtime,
}

impl Mailboxes {
    /// Opens them; the server must be stopped, or killed.
    pub fn open(data_dir: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let local = LocalSet::new();
        let open = async {
            let settings = Settings::default();
            let metrics = Arc::<mail::mailbox::Metrics>::default();
            let storage = storage::Settings {
                memory: Bytes::mib(4),
                free_min: Bytes(0),
                ballast: Bytes(0),
                batch_bytes_max: Bytes::mib(1),
            };
            let parts = Parts {
                settings: Arc::new(settings.clone()),
                storage,
                caches: Rc::new(Caches::new(&settings, Arc::clone(&metrics))),
                domains: Arc::default(),
                metrics,
                storage_metrics: Arc::default(),
                own: 1,
            };
            let layout = Layout::open(data_dir, 1).unwrap();
            Stores::open(layout, 0, Ways::new(1).0, parts).unwrap()
        };
        let stores = local.block_on(&runtime, open);
        Self { stores, local, runtime }
    }

    /// The messages of a folder, in order.
    pub fn folder(&self, account: &str, name: &str) -> Vec<String> {
        self.local.block_on(&self.runtime, async {
            let mailbox = self.stores.mailbox(account).await.unwrap();
            let view = mailbox.open(name, true).await.unwrap();
            let mut texts = Vec::new();
            for uid in view.uids() {
                let body = view.body(*uid, 0..u64::MAX).await.unwrap();
                texts.push(String::from_utf8_lossy(&body).into_owned());
            }
            texts
        })
    }

    /// Makes a folder.
    pub fn make(&self, account: &str, name: &str) {
        self.local.block_on(&self.runtime, async {
            let mailbox = self.stores.mailbox(account).await.unwrap();
            mailbox.create(name, None).await.unwrap();
        });
    }

    /// Everything that is wrong with any of them.
    pub fn faults(&self) -> Vec<String> {
        self.local.block_on(&self.runtime, async {
            let mut faults = Vec::new();
            for store in self.stores.stores() {
                faults.extend(store.verify().unwrap().faults);
            }
            faults
        })
    }

    /// Lets the server have them again.
    pub fn close(self) {
        assert!(self.local.block_on(&self.runtime, self.stores.close()));
    }
}
