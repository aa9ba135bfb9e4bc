//! The load test against programs that others wrote, and against a relay that does wrong on purpose.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
#![allow(clippy::disallowed_methods)] // tests may sleep

mod faulty;

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use loadtest::{
    cores::Cores,
    message::Spread,
    result::Run,
    scenario::ExpectOptions,
    sink::{Delivery, Hop, Rules, Sink},
    source::{Load, Login, Security, Source},
    trial::{Display, NextHop, Trial},
};

use faulty::{Fault, Faulty};

/// A program that is ended with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn lacks(program: &str) -> bool {
    let lacks = !Path::new(program).exists();
    if lacks {
        println!("skipped: {program} is missing (scripts/packages test installs it)");
    }
    lacks
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(30), "gave up waiting for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn load(to: SocketAddr, messages: u64) -> Load {
    Load::new(to, "t", messages, Spread::Fixed(3000))
}

/// smtp-sink ends by itself after the messages that it was told to wait for, not before.
#[test]
fn postfix_smtp_sink_counts_what_the_source_counts() {
    if lacks("/usr/sbin/smtp-sink") {
        return;
    }
    let port = free_port();
    let mut command = Command::new("/usr/sbin/smtp-sink");
    if rustix::process::geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    let child = command.args(["-M", "500", &format!("127.0.0.1:{port}"), "1024"]).spawn().unwrap();
    let mut sink = Running(child);
    until("smtp-sink to listen", || TcpStream::connect(local(port)).is_ok());
    for (pipelining, messages) in [(true, 250), (false, 249)] {
        let (source, ledger) =
            Source::run(Load { pipelining, ..load(local(port), messages) }).unwrap();
        assert_eq!(source.messages_accepted, messages, "{source:?}");
        assert_eq!(ledger.acknowledged().len() as u64, messages);
    }
    thread::sleep(Duration::from_millis(300));
    assert!(sink.0.try_wait().unwrap().is_none(), "499 messages are not 500");
    // It ends before it answers the last one.
    let _ = Source::run(Load { failures_max: 1, ..load(local(port), 1) }).unwrap();
    until("smtp-sink to have its 500", || sink.0.try_wait().unwrap().is_some());
}

#[test]
fn the_sink_counts_what_postfix_smtp_source_sends() {
    if lacks("/usr/sbin/smtp-source") {
        return;
    }
    let sink = Sink::single(local(0), Rules::default(), |_: &Delivery<'_>| {}).unwrap();
    let to = sink.address().to_string();
    for options in [
        &["-s", "20", "-m", "700", "-l", "5000", "-r", "3"][..],
        &["-d", "-s", "7", "-m", "300", "-l", "70000"],
    ] {
        let status = Command::new("/usr/sbin/smtp-source").args(options).arg(&to).status().unwrap();
        assert!(status.success());
    }
    let account = sink.account();
    assert_eq!((account.messages, account.recipients), (1000, 700 * 3 + 300), "{account:?}");
}

fn relayed(fault: Fault, messages: u64) -> (Run, u64) {
    let hop = NextHop::open(&Cores::Free(1), |inbox| {
        Ok(Hop { sites: vec![(local(0), Rules::default())], inbox, tls: None, dns: None, seed: 1 })
    })
    .unwrap();
    let relay = Faulty::start(hop.sink().address(), fault);
    let trial = Trial {
        load: Load { connections: 5, ..load(relay.address(), messages) },
        cores: &Cores::Free(1),
        hop: Some(&hop),
        watch: None,
        settle: Duration::from_millis(1500),
        expect: ExpectOptions::default(),
    };
    let run = trial.run(&mut Display::new("faulty", None, true)).unwrap();
    (run, relay.faults())
}

/// Every fault is found, told from the others, and counted exactly.
#[test]
fn a_relay_that_loses_repeats_cuts_or_lies_is_found_out() {
    let (run, _) = relayed(Fault::None, 300);
    assert!(run.is_good() && run.ledger.unwrap().delivered == 300);
    for fault in [
        Fault::Lose,
        Fault::Repeat,
        Fault::Cut,
        Fault::Lengthen,
        Fault::DenyAndDeliver,
        Fault::Bounce,
    ] {
        let (run, faults) = relayed(fault, 300);
        assert!(faults >= 10, "the relay did {faults} wrong");
        let ledger = run.ledger.clone().unwrap();
        let (lost, repeated, changed, denied, bounced) = match fault {
            Fault::Lose => (faults, 0, 0, 0, 0),
            Fault::Repeat => (0, faults, 0, 0, 0),
            Fault::Cut | Fault::Lengthen => (0, 0, faults, 0, 0),
            Fault::DenyAndDeliver => (0, 0, 0, faults, 0),
            Fault::Bounce => (0, 0, 0, 0, faults),
            Fault::None => unreachable!(),
        };
        let seen = (
            ledger.lost,
            ledger.duplicated,
            ledger.changed,
            ledger.refused_yet_delivered,
            ledger.bounced,
        );
        assert_eq!(seen, (lost, repeated, changed, denied, bounced), "{fault:?} {ledger:?}");
        // A repeated or bounced message is not lost.
        assert_eq!(run.is_good(), matches!(fault, Fault::Repeat | Fault::Bounce), "{fault:?}");
        assert_eq!(ledger.lost_samples.len() as u64, lost.min(20));
    }
}

/// aiosmtpd wants STARTTLS and a password.
#[test]
fn starttls_and_auth_with_aiosmtpd() {
    const SERVER: &str = r"
import ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
class Handler:
    taken = 0
    async def handle_DATA(self, server, session, envelope):
        Handler.taken += 1
        return '250 ok'
def judge(server, session, envelope, mechanism, data):
    # Not handled yet: aiosmtpd is to answer 235 or 535 itself.
    return AuthResult(success=data.login == b'user' and data.password == b'secret', handled=False)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[2], sys.argv[3])
controller = Controller(Handler(), hostname='127.0.0.1', port=int(sys.argv[1]), tls_context=context,
                        require_starttls=True, authenticator=judge, auth_required=True)
controller.start()
print('ready', flush=True)
sys.stdin.readline()
controller.stop()
print(Handler.taken, flush=True)
";
    let python = "/usr/bin/python3";
    let has = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        println!("skipped: aiosmtpd is missing (scripts/packages test installs python3-aiosmtpd)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let port = free_port();
    let mut server = Running(
        Command::new(python)
            .args(["-c", SERVER, &port.to_string()])
            .args([&certificate, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let with = |password: &str, per_connection| Load {
        security: Security::Starttls,
        login: Some(Login { user: "user".into(), password: password.into() }),
        per_connection,
        connections: 4,
        failures_max: 1,
        failure_pause: Duration::ZERO,
        ..load(local(port), 60)
    };
    for per_connection in [1, 100] {
        let (source, _) = Source::run(with("secret", per_connection)).unwrap();
        assert_eq!(source.messages_accepted, 60, "{source:?}");
    }
    let (source, _) = Source::run(with("wrong", 100)).unwrap();
    assert_eq!(source.messages_accepted, 0);
    let refusal = source.refusals.iter().find(|one| one.stage == "auth").unwrap();
    assert_eq!(refusal.code, 535, "{source:?}");
    server.0.stdin.as_ref().unwrap().write_all(b"\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "120");
}

/// Both ends ours, everything in TLS, sessions resumed or not.
#[test]
fn tls_between_source_and_sink() {
    for resume in [true, false] {
        let mut options =
            loadtest::scenario::SinkOptions { sink_tls: Some(true), ..Default::default() };
        options.sink_lmtp = Some(false);
        let inbox = Arc::new(|delivery: &Delivery<'_>| assert!(delivery.label().unwrap().1));
        let hop = loadtest::scenario::hop(&options, local(0), None, inbox, 1).unwrap();
        let sink = Sink::start(hop, &Cores::Free(1)).unwrap();
        let load = Load {
            security: Security::Starttls,
            resume,
            per_connection: 5,
            ..Load::new(sink.address(), "t", 200, "100..200 KiB".parse().unwrap())
        };
        let (source, _) = Source::run(load).unwrap();
        assert_eq!((source.messages_accepted, sink.messages()), (200, 200), "{source:?}");
    }
}
