//! A full disk: 452 to clients, nothing acknowledged lost, and mail again once there is space.
//!
//! The data directory is a small tmpfs, which only root can mount; without root the test says so.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{Plan, Postbox, Server, Talk, free_port, load, send, wait_until};
use loadtest::source::Load;

const SIZE_MIB: u64 = 512;

/// A mounted tmpfs, unmounted at the end.
struct SmallDisk {
    folder: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        fs::create_dir(&path).unwrap();
        let options = format!("size={SIZE_MIB}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs", path.to_str().unwrap()])
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("SKIPPED: mounting a tmpfs needs root");
            return None;
        }
        Some(Self { folder: Some(folder), path })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", self.path.to_str().unwrap()]).status();
        drop(self.folder.take());
    }
}

fn server_on(disk: &Path, plan: Plan) -> Server {
    // Each shard looks at the disk on its own, once a second: one is asked, so that it cannot be two.
    let plan = Plan { shards: 1, ..plan }
        .set("storage", "memory", "\"8 MiB\"")
        .set("storage", "ballast", "\"8 MiB\"")
        .set("storage", "free_min", "\"16 MiB\"")
        .quick_retries();
    Server::start_on(plan, tempfile::tempdir().unwrap(), disk.join("data"))
}

/// Mail until the server says 452; the numbers that were acknowledged.
fn fill(server: &Server, run: &str) -> Vec<u64> {
    let load = Load { connections: 4, ..load(server.address(), run, 4000, 256 << 10) };
    let outcome = send(load);
    let refusals = &outcome.source.refusals;
    println!("{} acknowledged, {:?}", outcome.acknowledged.len(), outcome.source);
    assert!(outcome.source.messages_refused > 0, "a gigabyte fitted on {SIZE_MIB} MiB");
    for refusal in refusals {
        assert!((400..500).contains(&refusal.code), "refused for good: {refusal:?}");
    }
    assert!(refusals.iter().any(|one| one.text.starts_with("452 4.3.1")), "{refusals:?}");
    outcome.acknowledged
}

fn takes_mail(server: &Server) -> bool {
    let mut talk = Talk::hello(server.address());
    talk.say("MAIL FROM:<x@source.test> SIZE=1000").starts_with("250")
}

/// The next hop is down, the queue fills the disk, the next hop comes back.
#[test]
fn a_queue_that_fills_the_disk_recovers_by_delivering() {
    let Some(disk) = SmallDisk::mount() else { return };
    let hop = std::net::SocketAddr::from(([127, 0, 0, 1], free_port()));
    let server = server_on(&disk.path, Plan::relay_to(hop));
    let acknowledged = fill(&server, "full");
    assert!(acknowledged.len() > 100, "{} is little for {SIZE_MIB} MiB", acknowledged.len());
    assert!(!takes_mail(&server), "still full");
    let postbox = Postbox::at(hop, Default::default());
    postbox.wait_all("full", &acknowledged, 120);
    wait_until("the server to take mail again", 90, || takes_mail(&server));
}

/// Another program fills the disk, then tidies up; a restart in between changes nothing.
#[test]
fn somebody_else_fills_the_disk() {
    let Some(disk) = SmallDisk::mount() else { return };
    let postbox = Postbox::open();
    let mut server = server_on(&disk.path, Plan::relay_to(postbox.address()));
    let before = send(load(server.address(), "before", 200, 5 << 10)).acknowledged;
    let hog = disk.path.join("hog");
    let block = vec![0_u8; 1 << 20];
    let mut file = fs::File::create(&hog).unwrap();
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
    wait_until("the server to refuse mail", 30, || !takes_mail(&server));
    let mut talk = Talk::hello(server.address());
    let reply = talk.say("MAIL FROM:<x@source.test>");
    assert!(reply.starts_with("452 4.3.1"), "{reply}");
    // The space is free only once nobody has the file open.
    drop(file);
    fs::remove_file(&hog).unwrap();
    wait_until("the server to take mail again", 60, || takes_mail(&server));
    postbox.wait_all("before", &before, 60);
    server.kill();
    server.launch();
    let outcome = send(load(server.address(), "after", 200, 5 << 10));
    assert_eq!(outcome.acknowledged.len(), 200, "{:?}", outcome.source);
    postbox.wait_all("after", &outcome.acknowledged, 60);
}
