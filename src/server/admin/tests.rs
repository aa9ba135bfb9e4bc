//! The socket from a stranger's side, with a hub that only pretends to be a server.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::telemetry::{Counter, Histogram, Sheet};
use mail::authentication::signing::{self, Keys};
use mail::directory::{self, Parameters, Store, Writer};
use mail::queue::{
    Answer, Command, Detail, Filter, MessageId, Phase, QueueError, RecipientDetail, Row, Snapshot,
};
use proto::types::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{About, Admin, CONNECTIONS_MAX, Hub, REQUEST_BYTES_MAX, Reloaded, start};

/// Two shards with a few messages each; shard 1 also keeps an adopted queue.
#[derive(Default)]
pub(crate) struct FakeHub {
    pub(crate) asked: Mutex<Vec<(usize, Command)>>,
    pub(crate) stopped: AtomicBool,
    pub(crate) silent: AtomicBool,
    /// A real one.
    directory: Option<Writer>,
    /// Real ones.
    keys: Option<Arc<Keys>>,
}

/// Shard 0 keeps ids 1, 3, 5 …, shard 1 keeps 2, 4, 6 ….
const MESSAGES: u64 = 9;

pub(crate) fn row(id: u64) -> Row {
    Row {
        id: MessageId(id),
        sender: (id != 2).then(|| format!("sender{id}@here.example")),
        recipients: vec!["someone@there.example".into()],
        recipients_count: 1 + id as usize % 2,
        size: 1000 * id,
        arrived: Timestamp(1_700_000_000_000),
        phase: if id == 3 { Phase::Held } else { Phase::Waiting },
        due: Some(Timestamp(1_700_000_300_000)),
    }
}

fn ids_of(shard: usize) -> impl Iterator<Item = u64> {
    (1..=MESSAGES).filter(move |id| id % 2 != shard as u64 % 2)
}

fn page(shard: usize, limit: usize, after: Option<MessageId>) -> Answer {
    let mut ids = ids_of(shard).filter(|id| after.is_none_or(|after| MessageId(*id) > after));
    let rows: Vec<_> = ids.by_ref().take(limit).map(row).collect();
    let next = if ids.next().is_some() { rows.last().map(|row| row.id) } else { None };
    Answer::List { rows, next }
}

fn detail(id: u64) -> Detail {
    Detail {
        row: row(id),
        origin: "smtp 192.0.2.1".into(),
        envid: None,
        smtputf8: false,
        expires: Timestamp(1_700_432_000_000),
        recipients: vec![RecipientDetail {
            address: "someone@there.example".into(),
            status: "pending".into(),
            attempts: 2,
            due: Some(Timestamp(1_700_000_300_000)),
            last_attempt: Some(Timestamp(1_700_000_000_000)),
            last_reply: Some("450 4.2.0 later \u{1b}[31m".into()),
            last_remote: Some("mx.there.example [192.0.2.9]".into()),
        }],
    }
}

impl Hub for FakeHub {
    fn shards(&self) -> usize {
        2
    }

    fn queue(
        &self,
        shard: usize,
        command: Command,
    ) -> oneshot::Receiver<Vec<Result<Answer, QueueError>>> {
        let (send, receive) = oneshot::channel();
        self.asked.lock().unwrap().push((shard, command.clone()));
        if self.silent.load(Ordering::Relaxed) && shard == 1 {
            return receive;
        }
        let mine = match command {
            Command::List { limit, after, .. } => page(shard, limit, after),
            Command::Show { id } => Answer::Show {
                detail: ids_of(shard).find(|mine| *mine == id.0).map(|id| Box::new(detail(id))),
            },
            _ => Answer::Done { count: 2 },
        };
        let mut answers = vec![Ok(mine)];
        if shard == 1 {
            answers.push(Err(QueueError::Closed));
        }
        send.send(answers).unwrap();
        receive
    }

    fn snapshots(&self, shard: usize) -> oneshot::Receiver<Vec<Snapshot>> {
        let (send, receive) = oneshot::channel();
        let health = if shard == 1 { "full: 12345 bytes free" } else { "healthy" };
        let snapshot = Snapshot {
            queue: shard as u16,
            messages: 4,
            active: 1,
            held: 1,
            ready: 2,
            late_ms: 90_000,
            health: health.into(),
        };
        send.send(vec![snapshot]).unwrap();
        receive
    }

    fn sheet(&self, shard: usize) -> Sheet {
        let (accepted, commit) = (Counter::new(), Histogram::new());
        accepted.add(10 + shard as u64);
        commit.record(1500);
        let mut sheet = Sheet::new();
        sheet.counter("queue.accepted", &accepted);
        sheet.latency("queue.commit_us", &commit);
        sheet.level("smtp.connections", 3);
        sheet
    }

    fn about(&self) -> About {
        About {
            version: "1.2.3".into(),
            hostname: "mx.here.example".into(),
            pid: 77,
            io: "io_uring".into(),
            uptime_ms: 3_723_000,
            draining: false,
        }
    }

    fn directory(
        &self,
        who: String,
        command: directory::Command,
    ) -> oneshot::Receiver<Result<directory::Answer, directory::StoreError>> {
        self.directory.as_ref().unwrap().command(who, command)
    }

    fn dkim(
        &self,
        who: String,
        command: signing::Command,
    ) -> oneshot::Receiver<Result<signing::Answer, signing::KeyError>> {
        let (send, receive) = oneshot::channel();
        let (keys, writer) = (self.keys.as_ref().unwrap(), self.directory.as_ref().unwrap());
        let answer = keys.command(command, &mut |what, on| writer.record(&who, what, on));
        send.send(answer).unwrap();
        receive
    }

    fn reload(&self) -> oneshot::Receiver<Result<Reloaded, String>> {
        let (send, receive) = oneshot::channel();
        let reloaded =
            Reloaded { applied: vec!["queue.retry".into()], restart: vec!["listener".into()] };
        send.send(Ok(reloaded)).unwrap();
        receive
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// A server on a socket of its own.
pub(crate) struct Scene {
    pub(crate) hub: Arc<FakeHub>,
    pub(crate) path: PathBuf,
    admin: Option<Admin>,
    _dir: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("admin.sock");
        let cheap = Parameters { memory_kib: 64, passes: 1, lanes: 1, scram_iterations: 0 };
        let directory = Writer::start(Store::open(dir.path(), cheap).unwrap()).unwrap();
        let keys = Some(Keys::open(dir.path(), &signing::Settings::default()).unwrap());
        let hub = Arc::new(FakeHub { directory: Some(directory), keys, ..FakeHub::default() });
        let admin = Some(start(&path, hub.clone()).unwrap());
        Self { hub, path, admin, _dir: dir }
    }
}

fn connect(path: &Path) -> BufReader<UnixStream> {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    BufReader::new(stream)
}

fn ask(stream: &mut BufReader<UnixStream>, request: &Value) -> Value {
    writeln!(stream.get_mut(), "{request}").unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn ids(answer: &Value) -> Vec<u64> {
    let rows: Vec<Row> = serde_json::from_value(answer["rows"].clone()).unwrap();
    rows.iter().map(|row| row.id.0).collect()
}

#[test]
fn one_connection_asks_many_things() {
    let scene = Scene::new();
    let mut stream = connect(&scene.path);

    let status = ask(&mut stream, &json!({ "admin": "status" }));
    assert_eq!(status["ok"], true);
    assert_eq!(status["version"], "1.2.3");
    assert_eq!(status["total"]["counters"]["queue.accepted"], 21);
    assert_eq!(status["shards"][1]["counters"]["queue.accepted"], 11);
    assert_eq!(status["total"]["latencies"]["queue.commit_us"]["count"], 2);
    assert_eq!(status["health"], "queue 1: full: 12345 bytes free");

    let shown = ask(&mut stream, &json!({ "queue": "show", "id": MessageId(4) }));
    assert_eq!(shown["row"]["id"], MessageId(4).to_string());
    let missing = ask(&mut stream, &json!({ "queue": "show", "id": MessageId(40) }));
    assert_eq!(missing["ok"], false);

    let filter = Filter { domain: Some("there.example".into()), ..Filter::default() };
    let held = ask(&mut stream, &json!({ "queue": "hold", "filter": filter }));
    assert_eq!(
        (held["count"].as_u64(), held["warnings"].as_array().map(Vec::len)),
        (Some(4), Some(1))
    );
    let last = scene.hub.asked.lock().unwrap().last().cloned();
    assert_eq!(last, Some((1, Command::Hold { filter })));

    let reloaded = ask(&mut stream, &json!({ "admin": "reload" }));
    assert_eq!(reloaded["restart"][0], "listener");
    assert!(!scene.hub.stopped.load(Ordering::Relaxed));
    assert_eq!(ask(&mut stream, &json!({ "admin": "stop" }))["ok"], true);
    assert!(scene.hub.stopped.load(Ordering::Relaxed));
}

#[test]
fn refused_requests_reach_no_shard() {
    let scene = Scene::new();
    let mut stream = connect(&scene.path);
    for request in [json!({ "queue": "delete" }), json!({ "queue": "dance" }), json!(3)] {
        assert_eq!(ask(&mut stream, &request)["ok"], false, "{request}");
    }
    assert!(scene.hub.asked.lock().unwrap().is_empty());
}

#[test]
fn pages_cover_all_shards_in_order() {
    let scene = Scene::new();
    let mut stream = connect(&scene.path);
    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let answer = ask(&mut stream, &json!({ "queue": "list", "limit": 2, "after": after }));
        assert!(ids(&answer).len() <= 2);
        seen.extend(ids(&answer));
        after = answer["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(seen, (1..=MESSAGES).collect::<Vec<_>>());
}

#[test]
fn a_silent_shard_is_a_warning() {
    let scene = Scene::new();
    scene.hub.silent.store(true, Ordering::Relaxed);
    let answer = ask(&mut connect(&scene.path), &json!({ "queue": "list" }));
    assert_eq!(ids(&answer), [1, 3, 5, 7, 9]);
    assert_eq!(answer["warnings"], json!(["shard 1 cannot answer"]));
}

#[test]
fn a_request_is_bounded() {
    let scene = Scene::new();
    let mut stream = connect(&scene.path);
    let filler = "x".repeat(REQUEST_BYTES_MAX);
    // The server may close before all of it is written.
    let _ = writeln!(stream.get_mut(), "{filler}");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.contains(&format!("at most {REQUEST_BYTES_MAX} bytes")),
        "{answer}"
    );
    // The largest that is allowed is answered.
    let request = "{\"admin\":\"status\"}";
    let padded = format!("{request}{}", " ".repeat(REQUEST_BYTES_MAX - 1 - request.len()));
    let mut stream = connect(&scene.path);
    writeln!(stream.get_mut(), "{padded}").unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    assert!(answer.contains("\"ok\":true"));
}

#[test]
fn connections_are_bounded_and_come_free_again() {
    let scene = Scene::new();
    let mut held: Vec<_> = (0..CONNECTIONS_MAX).map(|_| connect(&scene.path)).collect();
    for stream in &mut held {
        assert_eq!(ask(stream, &json!({ "admin": "status" }))["ok"], true);
    }
    let mut refused = String::new();
    connect(&scene.path).read_to_string(&mut refused).unwrap();
    assert!(refused.contains("too many admin connections"), "{refused}");
    drop(held);
    let is_free = (0..200).any(|_| {
        std::thread::yield_now();
        let mut stream = connect(&scene.path);
        let _ = writeln!(stream.get_mut(), "{{\"admin\":\"status\"}}");
        let mut line = String::new();
        stream.read_line(&mut line).is_ok() && line.contains("\"ok\":true")
    });
    assert!(is_free);
}

#[test]
fn the_file_is_private_replaced_when_stale_and_removed() {
    let mut scene = Scene::new();
    let mode = std::fs::metadata(&scene.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    let taken = start(&scene.path, scene.hub.clone()).unwrap_err();
    assert!(taken.to_string().contains("another ringpost"), "{taken}");
    assert!(ask(&mut connect(&scene.path), &json!({ "admin": "status" }))["ok"] == true);

    scene.admin.take().unwrap().stop();
    assert!(!scene.path.exists());

    // What a killed server leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&scene.path).unwrap());
    assert!(scene.path.exists());
    scene.admin = Some(start(&scene.path, scene.hub.clone()).unwrap());
    assert!(ask(&mut connect(&scene.path), &json!({ "admin": "status" }))["ok"] == true);
    scene.admin.take().unwrap().stop();

    std::fs::write(&scene.path, "precious").unwrap();
    let refused = start(&scene.path, scene.hub.clone()).unwrap_err();
    assert!(refused.to_string().contains("no socket"), "{refused}");
    assert_eq!(std::fs::read_to_string(&scene.path).unwrap(), "precious");
}

#[test]
fn the_directory_is_changed_and_says_by_whom() {
    let scene = Scene::new();
    let mut stream = connect(&scene.path);
    let add = |record: Value| json!({ "directory": "add", "record": record });
    let early =
        add(json!({ "kind": "alias", "address": "a@x.example", "targets": ["b@y.example"] }));
    let refused = ask(&mut stream, &early);
    assert!(
        refused["error"].as_str().unwrap().contains("ringpost domain add x.example"),
        "{refused}"
    );
    let domain = ask(&mut stream, &add(json!({ "kind": "domain", "domain": "X.example" })));
    assert_eq!((&domain["ok"], &domain["count"]), (&json!(true), &json!(1)));
    assert_eq!(ask(&mut stream, &early)["ok"], true);
    let shown = ask(&mut stream, &json!({ "directory": "show", "name": "A@x.example" }));
    assert_eq!(shown["record"]["targets"], json!(["b@y.example"]));
    let audit = ask(&mut stream, &json!({ "directory": "audit" }));
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(audit["lines"][1]["what"], "add alias");
    assert!(
        audit["lines"][1]["who"].as_str().unwrap().ends_with(&format!("uid {uid})")),
        "{audit}"
    );
}
