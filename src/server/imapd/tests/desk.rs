//! One session without a connection: the machine, the commands, and a store in a temporary directory.

use std::{future::Future, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use engine::settings::Bytes as Size;
use engine::shard::Budget;
use engine::storage;
use mail::mailbox::{
    self, Caches, DomainUse, INBOX, Layout, Limits, Mailbox, Marks, Metrics, Parcel, Store,
};
use proto::imap::respond::Completion;
use proto::imap::{Answer, Command, Profile, Question, Server, Step};
use proto::sasl;
use proto::types::{Moment, Timestamp};
use tokio::task::LocalSet;

use super::super::home::{Guests, Home, Manner};
use super::super::news::{self, Telling};
use super::super::turns::Memory;
use super::super::{copy, folders, list, quota, search, select, sort, status, thread, trouble};
use crate::pace::Pace;

/// Bounds a test that hangs; nothing is asserted about time.
const PATIENCE: Duration = Duration::from_secs(120);
const ANN: &str = "ann@x.example";

pub(super) struct Desk {
    pub home: Home,
    /// What its commands may hold.
    pub memory: Memory,
    machine: Server,
    store: Store,
    metrics: Arc<Metrics>,
    _dir: tempfile::TempDir,
}

/// Runs a test with a session that is logged in.
pub(super) fn at_desk<F: Future<Output = ()>>(body: impl FnOnce(Desk) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bounded = async {
        let test = async { body(Desk::new().await).await };
        tokio::time::timeout(PATIENCE, test).await.expect("the test hangs");
    };
    LocalSet::new().block_on(&runtime, bounded);
}

fn open(dir: &std::path::Path, metrics: &Arc<Metrics>) -> Store {
    let settings = mailbox::Settings::default();
    let storage = storage::Settings {
        memory: Size::mib(4),
        free_min: Size(0),
        ballast: Size(0),
        batch_bytes_max: Size::mib(1),
    };
    let parts = mailbox::Parts {
        caches: Rc::new(Caches::new(&settings, Arc::clone(metrics))),
        settings: Arc::new(settings),
        storage,
        domains: Arc::<DomainUse>::default(),
        metrics: Arc::clone(metrics),
        storage_metrics: Arc::default(),
        own: 1,
    };
    Store::open(&Layout::open(dir, 1).unwrap(), 0, parts).unwrap()
}

impl Desk {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Arc::<Metrics>::default();
        let store = open(dir.path(), &metrics);
        let home = Home {
            mailbox: store.mailbox(ANN).await.unwrap(),
            limits: Limits::default(),
            view: None,
            saved: Vec::new(),
            pace: Pace::default(),
            guest: Guests::default().enter(ANN, 1).unwrap(),
        };
        let profile = Profile {
            auth_in_the_clear: true,
            mechanisms: sasl::Mechanism::ALL.into_iter().collect(),
            ..Profile::default()
        };
        let mut machine = Server::new(Rc::new(profile), Moment(0));
        let _ = machine.greet(Moment(0), &mut Vec::new());
        let memory = Memory::new(&Budget::new(64 << 20), &Arc::default());
        let mut desk = Self { home, memory, machine, store, metrics, _dir: dir };
        desk.told("LOGIN ann secret").await;
        desk
    }

    /// How often a body was looked for, in memory or on the disk.
    pub fn bodies_read(&self) -> u64 {
        self.metrics.body_hits.get() + self.metrics.body_misses.get()
    }

    /// The account's mailbox, as another session has it.
    pub async fn other(&self) -> Mailbox {
        self.store.mailbox(ANN).await.unwrap()
    }

    /// Puts a message into INBOX.
    pub async fn put(&self, message: &str, internal_ms: u64, marks: Marks) {
        let message = Bytes::from(message.replace('\n', "\r\n"));
        let parcel = Parcel::new(message, Timestamp(internal_ms)).with(marks);
        self.home.mailbox.append(INBOX, &[parcel], Limits::default(), 0).await.unwrap();
    }

    /// All that is said to a command, behind the tag `t`.
    pub async fn ask(&mut self, command: &str) -> String {
        let input = format!("t {command}\r\n");
        let (mut rest, mut out) = (input.as_bytes(), Vec::new());
        loop {
            let (used, step) = self.machine.feed(Moment(0), rest, &mut out);
            rest = &rest[used..];
            let answer = match step {
                Step::NeedInput => break,
                Step::Ask(Question::Authenticate) => Answer::Proof(sasl::Answer::Granted),
                Step::Ask(Question::Enter) => Answer::Accept,
                Step::Ask(Question::Command) => {
                    self.execute(&mut out).await;
                    continue;
                }
                other => panic!("{other:?} to {command}"),
            };
            let _ = self.machine.answer(Moment(0), answer, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    /// What is told before the completion of a command that succeeds.
    pub async fn told(&mut self, command: &str) -> String {
        let said = self.ask(command).await;
        let last = said.trim_end().rfind("\r\n").map_or(0, |at| at + 2);
        assert!(said[last..].starts_with("t OK "), "{said} to {command}");
        said[..last].to_owned()
    }

    /// That a command ends so, whatever is told before.
    pub async fn ends(&mut self, command: &str, how: &str) {
        let said = self.ask(command).await;
        let last = said.lines().last().unwrap_or_default();
        assert!(last.starts_with(&format!("t {how}")), "{said} to {command}");
    }

    async fn execute(&mut self, out: &mut Vec<u8>) {
        let command = self.machine.take_command().unwrap();
        let manner = Manner {
            enabled: self.machine.enabled(),
            tag: self.machine.tag().into(),
            append_bytes_max: 1000,
            memory: self.memory.clone(),
        };
        let telling = Telling { expunges: command.allows_expunge(), by_uid: false, own: true };
        let done = perform(&mut self.home, command, &manner, out).await;
        if let Some(view) = self.home.view.as_deref_mut() {
            news::tell(view, telling, &manner, out).unwrap();
        }
        let _ = self.machine.finish(Moment(0), &done, out);
    }
}

async fn perform(
    home: &mut Home,
    command: Command,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    match command {
        Command::Noop => Completion::ok("Done"),
        Command::Select(wanted) => match select::open(home, &wanted, manner, out).await {
            Ok(opened) => {
                home.view = Some(Box::new(opened.view));
                Completion::ok("Selected")
            }
            Err(error) => trouble::completion(&error),
        },
        Command::Create(wanted) => folders::create(home, wanted, manner, out).await,
        Command::Delete(name) => folders::delete(home, name, manner, out).await,
        Command::Rename { from, to } => folders::rename(home, from, to, manner, out).await,
        Command::Subscribe(name) => folders::subscribe(home, name, manner, out).await,
        Command::Unsubscribe(name) => folders::unsubscribe(home, name, manner, out).await,
        Command::List(wanted) => list::list(home, wanted, manner, out).await,
        Command::Namespace => list::namespace(out),
        Command::Status { mailbox, items } => {
            status::status(home, mailbox, items, manner, out).await
        }
        Command::Search(wanted) => search::search(home, wanted, manner, out).await,
        Command::Sort(wanted) => sort::sort(home, wanted, manner, out).await,
        Command::Thread(wanted) => thread::thread(home, wanted, manner, out).await,
        Command::Copy(wanted) => copy::copy(home, wanted, manner, out).await,
        Command::Move(wanted) => copy::move_to(home, wanted, manner, out).await,
        Command::GetQuota(root) => quota::get_quota(home, root, manner, out).await,
        Command::GetQuotaRoot(name) => quota::get_quota_root(home, name, manner, out).await,
        Command::SetQuota(wanted) => quota::set_quota(home, wanted, manner, out).await,
        other => panic!("{other:?} is not asked here"),
    }
}
