//! What is counted is what was used: a program that forks, orphans and forgets children which burn
//! a known time each.

use std::{fs, io::Read, net::TcpStream, sync::Arc};

use loadtest::{
    cost::{Cgroup, Watch},
    server::{Recipe, Running},
};

use crate::mail::{alone, left_in, no_namespaces, no_python, place, until};

/// Burns in ways in which servers do: itself; children that are waited for; daemons that left their
/// session and whose parents have ended; with `autoreap` children of a parent that ignores SIGCHLD, as
/// Exim does. When all have burnt it greets. `idle` burns nothing.
const BURNER: &str = r#"
import os, signal, socket, sys, time
port, ms, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
told, tell = os.pipe()
def burn():
    end = time.process_time() + ms / 1000  # a child's clock begins at zero
    while time.process_time() < end: pass
    os.write(tell, b'.')
def child(body):
    pid = os.fork()
    if pid == 0:
        body()
        os._exit(0)
    return pid
def orphan():
    os.setsid()
    child(burn)
if mode != 'idle':
    burn()
    for _ in range(3): os.waitpid(child(burn), 0)
    for _ in range(3): os.waitpid(child(orphan), 0)
    for _ in range(7): os.read(told, 1)
if mode == 'autoreap':
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(3): child(burn)
    for _ in range(3): os.read(told, 1)
listener = socket.create_server(('127.0.0.1', port))
while True:
    peer, _ = listener.accept()
    peer.sendall(b'220 burnt\r\n')
    peer.close()
"#;

/// What each burns: long beside a clock tick of 10 ms.
const BURN_MS: u64 = 200;

fn burner(mode: &str) -> (Recipe, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "name = 'Burner'\ndurability = 'none'\n[[file]]\npath = '{{folder}}/burner.py'\ntext = '''{BURNER}'''\n\
         [start]\ncommand = ['/usr/bin/python3', '{{folder}}/burner.py', '{{port}}', '{BURN_MS}', '{mode}']\n"
    );
    fs::write(file.path(), text).unwrap();
    (Recipe::load(file.path()).unwrap(), file)
}

/// What all of it used when only the listening process is left.
fn burnt(mode: &str, watch: impl FnOnce(&Running) -> Watch) -> Option<u64> {
    if no_python() {
        return None;
    }
    let (recipe, _file) = burner(mode);
    let running = recipe.start(&place()).unwrap();
    let own = running.folder().to_owned();
    let mut watch = watch(&running);
    // The shells' command lines hold the command, too, but quoted.
    let pythons =
        || left_in(&own).iter().filter(|line| line.contains(" /usr/bin/python3 ")).count();
    until("the children's end", || pythons() == 1);
    let used = watch.cpu().total_us();
    running.stop().unwrap();
    assert_eq!(left_in(&own), Vec::<String>::new());
    Some(used)
}

fn assert_near(used: Option<u64>, burns: u64) {
    let Some(used) = used else { return };
    let wanted = burns * BURN_MS * 1000;
    eprintln!("burnt {wanted} us, counted {used} us");
    // Python starts in some tens of ms; a child that is missed would be 200 ms.
    assert!(used >= wanted - 20_000 && used < wanted + 150_000, "{used} for {wanted} us");
}

#[test]
fn a_tree_counts_the_waited_for_and_the_orphaned() {
    let _alone = alone();
    if no_namespaces() {
        return;
    }
    assert_near(burnt("", |running| Watch::of(running.pid())), 7);
}

#[test]
fn a_cgroup_counts_what_no_parent_collected_too() {
    let _alone = alone();
    if Cgroup::create().is_none() {
        eprintln!("skipped: no cgroup can be made here");
        return;
    }
    assert_near(burnt("autoreap", Running::watch), 10);
}

#[test]
fn a_cgroup_goes_when_it_is_dropped() {
    let Some(group) = Cgroup::create().map(Arc::new) else {
        eprintln!("skipped: no cgroup can be made here");
        return;
    };
    let path = group.path().to_owned();
    let mut watch = Watch::cgroup(group);
    assert_eq!(watch.sample().processes, 0);
    assert_eq!(watch.sample().pss_kib, None);
    drop(watch);
    assert!(!path.exists());
}

#[test]
fn system_calls_are_counted_where_perf_may() {
    let _alone = alone();
    if no_python() {
        return;
    }
    let (recipe, _file) = burner("idle");
    let place = place();
    let running = recipe.start(&place).unwrap();
    let greetings = 50;
    for watch in [running.watch(), Watch::of(running.pid())] {
        let Some(count) = watch.syscalls() else {
            eprintln!("skipped: perf is missing or may not count here");
            return;
        };
        for _ in 0..greetings {
            let mut text = String::new();
            let mut peer = TcpStream::connect(("127.0.0.1", place.port)).unwrap();
            peer.read_to_string(&mut text).unwrap();
            assert_eq!(text, "220 burnt\r\n");
        }
        let calls = count.stop().unwrap();
        eprintln!("{}: {calls} system calls for {greetings} greetings", watch.source());
        // accept4, getsockname, sendto, close; the first accept4 was entered before.
        assert!((4 * (greetings - 1)..20 * greetings).contains(&calls), "{calls}");
    }
    running.stop().unwrap();
}
