//! What signals and the admin socket can do with the running server.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::settings::changes;
use engine::telemetry::{Level, Sheet, note};
use mail::authentication::signing;
use mail::directory;
use mail::queue::{Answer, Command, QueueError, Snapshot};
use tokio::sync::{mpsc, oneshot};

use super::house::House;
use super::settings;
use super::shard::Order;
use crate::admin::{About, Hub, Reloaded};

/// The hub; shared by the admin thread and the signals.
pub(super) struct Switchboard {
    house: Arc<House>,
    orders: Vec<mpsc::Sender<Order>>,
    path: PathBuf,
    draining: AtomicBool,
    /// One reload at a time.
    reloading: Mutex<()>,
}

impl Switchboard {
    pub fn new(house: Arc<House>, orders: Vec<mpsc::Sender<Order>>, path: PathBuf) -> Self {
        Self { house, orders, path, draining: AtomicBool::new(false), reloading: Mutex::default() }
    }

    fn order(&self, shard: usize, order: Order) {
        // A full or closed channel drops the order, and with it the sender of its answer.
        if let Some(to) = self.orders.get(shard) {
            let _ = to.try_send(order);
        }
    }

    /// Reads the file again and applies what can be applied.
    pub fn reload_now(&self) -> Result<Reloaded, String> {
        let _one = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        self.house.log.reopen();
        let file = settings::load(&self.path).map_err(|error| error.to_string())?;
        let running = self.house.settings.load_full();
        let live = file.clone().live(&running);
        let applied = changes(&*running, &live);
        let restart = changes(&live, &file);
        self.house.renew_certificates(&live).map_err(|error| error.to_string())?;
        self.house.keys.reload(&live.dkim).map_err(|error| format!("dkim: {error}"))?;
        self.house.log.set_level(live.log.level);
        self.house.accounts.reload(live.directory_parts())?;
        self.house.settings.store(Arc::new(live));
        for shard in 0..self.orders.len() {
            self.order(shard, Order::Reload);
        }
        Ok(Reloaded { applied, restart })
    }

    /// The same, with what came of it in the log.
    pub fn reload_and_note(&self) -> Result<Reloaded, String> {
        let result = self.reload_now();
        match &result {
            Ok(Reloaded { applied, restart }) if applied.is_empty() && restart.is_empty() => {
                note(Level::Info, "reloaded: nothing has changed");
            }
            Ok(Reloaded { applied, restart }) => {
                if !applied.is_empty() {
                    note(Level::Info, format_args!("reloaded: {}", applied.join(", ")));
                }
                if !restart.is_empty() {
                    let paths = restart.join(", ");
                    note(Level::Warn, format_args!("changed, but needs a restart: {paths}"));
                }
            }
            Err(error) => note(Level::Error, format_args!("not reloaded: {error}")),
        }
        result
    }

    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl Hub for Switchboard {
    fn shards(&self) -> usize {
        self.orders.len()
    }

    fn queue(
        &self,
        shard: usize,
        command: Command,
    ) -> oneshot::Receiver<Vec<Result<Answer, QueueError>>> {
        let (to, answer) = oneshot::channel();
        self.order(shard, Order::Queue(command, to));
        answer
    }

    fn snapshots(&self, shard: usize) -> oneshot::Receiver<Vec<Snapshot>> {
        let (to, answer) = oneshot::channel();
        self.order(shard, Order::Snapshots(to));
        answer
    }

    fn sheet(&self, shard: usize) -> Sheet {
        self.house.figures.get(shard).map(super::house::Figures::sheet).unwrap_or_default()
    }

    fn about(&self) -> About {
        About {
            version: env!("CARGO_PKG_VERSION").into(),
            hostname: self.house.hostname.clone(),
            pid: std::process::id(),
            io: self.house.backend.to_string(),
            uptime_ms: u64::try_from(self.house.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            draining: self.is_draining(),
        }
    }

    fn directory(
        &self,
        who: String,
        command: directory::Command,
    ) -> oneshot::Receiver<Result<directory::Answer, directory::StoreError>> {
        self.house.writer.command(who, command)
    }

    fn dkim(
        &self,
        who: String,
        command: signing::Command,
    ) -> oneshot::Receiver<Result<signing::Answer, signing::KeyError>> {
        let (to, answer) = oneshot::channel();
        let (keys, writer) = (Arc::clone(&self.house.keys), self.house.writer.clone());
        let work = move || {
            let mut audit = |what: &str, on: &str| writer.record(&who, what, on);
            let _ = to.send(keys.command(command, &mut audit));
        };
        // RSA keys take long to make: neither shards nor other commands wait for them. When there is no
        // thread, `to` is dropped, and with it the answer.
        let _ = std::thread::Builder::new().name("dkim".into()).spawn(work);
        answer
    }

    fn reload(&self) -> oneshot::Receiver<Result<Reloaded, String>> {
        let (to, answer) = oneshot::channel();
        // A small file: read where it is asked for.
        let _ = to.send(self.reload_and_note());
        answer
    }

    fn stop(&self) {
        if !self.draining.swap(true, Ordering::Relaxed) {
            note(Level::Info, "stopping: what is under way is finished first");
        }
        for shard in 0..self.orders.len() {
            self.order(shard, Order::Drain);
        }
    }
}
