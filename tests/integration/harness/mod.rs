//! What the tests stand on: a server to start and stop, postboxes for its mail, a raw SMTP voice.

mod daemon;
mod mailboxes;
mod names;
mod plan;
mod postbox;
mod sender;
mod server;
mod talk;

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

pub use daemon::Daemon;
pub use mailboxes::Mailboxes;
pub use names::NameServer;
pub use plan::{Listener, Plan};
pub use postbox::{Delivery, Postbox, Text};
pub use sender::{load, send};
pub use server::{Server, run_cli};
pub use talk::Talk;

/// Polls until `done`, or panics naming what was waited for.
pub fn wait_until(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    println!("waiting for {what} (at most {seconds} s)");
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(seconds), "gave up waiting for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A free port below the range that the kernel hands out by itself, so that no outgoing connection
/// of another test takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) * 7 + std::process::id() * 101;
        let port = u16::try_from(10_000 + step % 22_000).unwrap();
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
}

/// Runs a program of Debian's to its end, within a minute.
pub fn run_program(program: &str, arguments: &[&str]) -> Output {
    let output =
        Command::new("timeout").args(["60", program]).args(arguments).output().unwrap_or_else(
            |error| panic!("{program}: {error} (scripts/packages test installs it)"),
        );
    println!(
        "{program} {} -> {}\n{}{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
