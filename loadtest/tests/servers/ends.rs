//! Whatever happens to the load test or the server, nothing stays.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use loadtest::server::{Error, Place, Recipe};
use rustix::process::{Pid, Signal, kill_process};

use crate::mail::{alone, folder, left_in, no_namespaces, no_python, place, until};

/// A daemon of the worst kind: it leaves its session, starts another process, ignores SIGTERM; with `deaf` the one
/// that the pid file names does, too.
const DAEMON: &str = r#"
import os, signal, socket, sys, time
port, pid_file, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if mode == 'dies': print('my last words'); sys.exit(3)
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
if os.fork() == 0:
    os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True: time.sleep(1)
if mode == 'deaf': signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(pid_file, 'w').write(f'  {os.getpid()}\n')
listener = socket.create_server(('127.0.0.1', port))
while True:
    peer, _ = listener.accept()
    if mode != 'mute': peer.sendall(b'220 here\r\n')
    peer.close()
"#;

fn daemon(mode: &str) -> Recipe {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "name = 'Daemon'\ndurability = 'none'\n[[file]]\npath = '{{folder}}/daemon.py'\ntext = '''{DAEMON}'''\n\
         [start]\ncommand = ['/usr/bin/python3', '{{folder}}/daemon.py', '{{port}}', '{{folder}}/pid', '{mode}']\n\
         pid_file = '{{folder}}/pid'\nready_s = 2\n[stop]\nseconds = 1\n"
    );
    fs::write(file.path(), text).unwrap();
    Recipe::load(file.path()).unwrap()
}

fn assert_gone(folder: &Path) {
    assert!(!folder.exists(), "{} is left", folder.display());
    assert_eq!(left_in(folder), Vec::<String>::new());
}

/// What is left of any daemon of these tests.
fn remains() -> Vec<String> {
    left_in(&folder().join("")).into_iter().filter(|line| line.contains("daemon.py")).collect()
}

#[test]
fn a_stopped_daemon_leaves_no_process() {
    let _alone = alone();
    if no_python() || no_namespaces() {
        return;
    }
    let running = daemon("").start(&place()).unwrap();
    let folder = running.folder().to_owned();
    assert!(left_in(&folder).len() >= 2);
    running.stop().unwrap();
    assert_gone(&folder);
}

#[test]
fn one_that_does_not_stop_is_killed_and_said_so() {
    let _alone = alone();
    if no_python() || no_namespaces() {
        return;
    }
    let running = daemon("deaf").start(&place()).unwrap();
    let folder = running.folder().to_owned();
    assert!(matches!(running.stop(), Err(Error::Killed { .. })));
    assert_gone(&folder);
}

#[test]
fn dropping_and_panicking_stop_it() {
    let _alone = alone();
    if no_python() || no_namespaces() {
        return;
    }
    let running = daemon("deaf").start(&place()).unwrap();
    let folder = running.folder().to_owned();
    let panicked = std::thread::spawn(move || {
        let _running = running;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_gone(&folder);
}

#[test]
fn a_server_that_fails_says_its_last_words() {
    let _alone = alone();
    if no_python() || no_namespaces() {
        return;
    }
    let error = daemon("dies").start(&place()).unwrap_err().to_string();
    assert!(error.contains("my last words") && error.contains("Daemon ended"), "{error}");
    let error = daemon("mute").start(&place()).unwrap_err();
    assert!(matches!(error, Error::Silent { .. }), "{error}");
    assert_eq!(remains(), Vec::<String>::new());
}

#[test]
fn a_port_that_is_taken_is_not_mistaken_for_the_server() {
    let _alone = alone();
    let place = place();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", place.port)).unwrap();
    let error = daemon("").start(&place).unwrap_err();
    assert!(matches!(error, Error::Port { .. }), "{error}");
}

/// Not a test of its own: the load test that the next test kills.
#[test]
#[ignore = "started by a_killed_load_test_leaves_nothing"]
fn load_test_to_be_killed() {
    let port = std::env::var("PORT").unwrap().parse().unwrap();
    let running = daemon("deaf").start(&Place { port, ..place() }).unwrap();
    fs::write(std::env::var("STARTED").unwrap(), running.folder().to_str().unwrap()).unwrap();
    std::thread::park();
}

#[test]
fn a_killed_load_test_leaves_nothing() {
    let _alone = alone();
    if no_python() || no_namespaces() {
        return;
    }
    for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
        let started = tempfile::NamedTempFile::new().unwrap();
        let mut load = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "ends::load_test_to_be_killed"])
            .env("STARTED", started.path())
            .env("PORT", place().port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut path = String::new();
        until("the server's start", || {
            assert!(load.try_wait().unwrap().is_none(), "the load test ended by itself");
            path = fs::read_to_string(started.path()).unwrap();
            !path.is_empty()
        });
        let path = Path::new(&path);
        assert!(!left_in(path).is_empty());
        kill_process(Pid::from_child(&load), signal).unwrap();
        load.wait().unwrap();
        until("the end of the server", || !path.exists() && left_in(path).is_empty());
    }
}
