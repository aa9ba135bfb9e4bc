//! The thread that changes the directory while the server runs.
//!
//! What must stay true: commands are carried out one after the other, in the order they came;
//! whoever asks never waits for more than the queue's bound ([`StoreError::Busy`] otherwise);
//! better hashes are written in groups, and dropped when there is too much to do: the next login
//! makes them again.

use std::fmt;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use engine::telemetry::{Level, note};
use tokio::sync::oneshot;

use super::command::{Answer, Command};
use super::error::StoreError;
use super::store::{Store, Upgrade};

/// Orders that may wait.
const WAITING_MAX: usize = 256;
/// Better hashes that are written together at most.
const GROUP_MAX: usize = 64;

enum Order {
    Command {
        who: String,
        command: Box<Command>,
        answer: oneshot::Sender<Result<Answer, StoreError>>,
    },
    Upgrade(Box<Upgrade>),
    Record {
        who: String,
        what: String,
        on: String,
    },
    Stop,
}

/// Gives orders to the thread. Clones give them to the same one.
#[derive(Clone)]
pub struct Writer {
    orders: SyncSender<Order>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Starts the thread; it owns the store from now on.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(store: Store) -> io::Result<Self> {
        let (orders, inbox) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("directory".into())
            .spawn(move || run(store, &inbox))?;
        Ok(Self { orders, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Has `command` carried out for `who`. A sender that is dropped means that the thread has ended.
    pub fn command(
        &self,
        who: String,
        command: Command,
    ) -> oneshot::Receiver<Result<Answer, StoreError>> {
        let (answer, receiver) = oneshot::channel();
        let order = Order::Command { who, command: Box::new(command), answer };
        if let Err(TrySendError::Full(Order::Command { answer, .. })) = self.orders.try_send(order)
        {
            let _ = answer.send(Err(StoreError::Busy));
        }
        receiver
    }

    /// Has a change that was made elsewhere put into the audit log. Waits for room: not on a shard.
    pub fn record(&self, who: &str, what: &str, on: &str) {
        let (who, what, on) = (who.to_owned(), what.to_owned(), on.to_owned());
        // Nobody is there only when the server ends.
        let _ = self.orders.send(Order::Record { who, what, on });
    }

    /// Has a better hash written, if there is room for it.
    pub fn upgrade(&self, upgrade: Upgrade) {
        let _ = self.orders.try_send(Order::Upgrade(Box::new(upgrade)));
    }

    /// Ends the thread when it has done what was asked before.
    pub fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        let _ = self.orders.send(Order::Stop);
        if thread.join().is_err() {
            note(Level::Error, "the directory's thread panicked");
        }
    }
}

fn run(mut store: Store, inbox: &Receiver<Order>) {
    let mut upgrades: Vec<Upgrade> = Vec::new();
    while let Ok(order) = inbox.recv() {
        let mut next = Some(order);
        while let Some(order) = next.take() {
            match order {
                Order::Upgrade(upgrade) => {
                    upgrades.push(*upgrade);
                    if upgrades.len() < GROUP_MAX {
                        next = inbox.try_recv().ok();
                    }
                }
                Order::Command { who, command, answer } => {
                    // It shall see what was given before.
                    write_upgrades(&mut store, &mut upgrades);
                    let result = store.command(&who, *command);
                    // Whoever asked may have gone.
                    let _ = answer.send(result);
                }
                Order::Record { who, what, on } => {
                    write_upgrades(&mut store, &mut upgrades);
                    if let Err(error) = store.record(&who, &what, &on) {
                        let text =
                            format_args!("audit: {what} {on} by {who} is not in it: {error}");
                        note(Level::Error, text);
                    }
                }
                Order::Stop => {
                    write_upgrades(&mut store, &mut upgrades);
                    return;
                }
            }
        }
        write_upgrades(&mut store, &mut upgrades);
        if store.is_long()
            && let Err(error) = store.compact()
        {
            note(Level::Error, format_args!("directory: no new snapshot: {error}"));
        }
    }
}

fn write_upgrades(store: &mut Store, upgrades: &mut Vec<Upgrade>) {
    if upgrades.is_empty() {
        return;
    }
    if let Err(error) = store.upgrade(upgrades) {
        note(Level::Warn, format_args!("directory: hashes could not be renewed: {error}"));
    }
    upgrades.clear();
}
