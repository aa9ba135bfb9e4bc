//! What all shards of the process share: the settings in force, limits and figures.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use engine::shard::Backend;
use engine::telemetry::{Log, Measured, Sheet};
use engine::{storage, telemetry::Counter};
use mail::delivery::{self, SiteTable};
use mail::queue;

use super::settings::Settings;
use crate::smtpd::{self, Gate};

/// Shared by every thread; nothing in it is touched once a message.
pub(super) struct House {
    pub settings: ArcSwap<Settings>,
    pub hostname: String,
    pub backend: Backend,
    pub gate: Arc<Gate>,
    pub sites: Arc<SiteTable>,
    pub figures: Vec<Figures>,
    pub log: Log,
    pub started: Instant,
}

/// The numbers of one shard.
#[derive(Default)]
pub(super) struct Figures {
    pub smtp: Arc<smtpd::Metrics>,
    pub queue: Arc<queue::Metrics>,
    pub storage: Arc<storage::Metrics>,
    pub delivery: Arc<delivery::Metrics>,
    /// Panics that were contained.
    pub panics: Counter,
}

impl Figures {
    pub fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::new();
        self.smtp.report(&mut sheet);
        self.queue.report(&mut sheet);
        self.storage.report(&mut sheet);
        self.delivery.report(&mut sheet);
        sheet.counter("shard.panics", &self.panics);
        sheet
    }
}

impl House {
    pub fn new(settings: Settings, backend: Backend, log: Log) -> Self {
        let shards = usize::from(settings.shards());
        Self {
            hostname: settings.hostname(),
            settings: ArcSwap::from_pointee(settings),
            backend,
            gate: Gate::new(),
            sites: Arc::new(SiteTable::new(shards)),
            figures: (0..shards).map(|_| Figures::default()).collect(),
            log,
            started: Instant::now(),
        }
    }

    pub fn shards(&self) -> u16 {
        // It was made with a u16 of shards.
        u16::try_from(self.figures.len()).unwrap_or(u16::MAX)
    }
}
