//! Mailboxes: every operation against Debian's Dovecot agrees with itself, and a server that loses or cuts mail is found out.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use loadtest::{
    cores::Cores,
    mailbox::{self, MailboxOptions, Operation, Order, Servers},
    result::Run,
    server::Running,
    source::Security,
    trial::Display,
};

use crate::mail::{alone, left_in, place, recipe};

fn run(
    options: &MailboxOptions,
    servers: Servers,
    running: Option<&Running>,
) -> Result<Run, String> {
    let order = Order::new(options, servers, 1)?;
    let watch = running.map(Running::watch);
    mailbox::run(order, &Cores::Free(2), watch, &mut Display::new("test", None, true))
}

/// What is done, how often, with how many messages a mailbox; and how many operations and messages must be counted.
type Case = (Operation, u64, u32, u64, Option<u64>);

const CASES: [Case; 7] = [
    (Operation::Login, 12, 1, 12, None),
    (Operation::Headers, 6, 9, 6, Some(54)),
    (Operation::Bodies, 45, 9, 45, Some(45)),
    (Operation::Append, 30, 1, 30, Some(30)),
    (Operation::Pop3, 9, 5, 9, Some(45)),
    (Operation::Deliver, 30, 1, 30, Some(30)),
    // Three deliveries; two sessions hear the first account's.
    (Operation::Idle, 3, 1, 4, Some(4)),
];

#[test]
fn dovecot_does_every_operation() {
    let _alone = alone();
    let recipe = recipe("dovecot");
    if let Some(what) = recipe.missing() {
        eprintln!("skipped: {what}");
        return;
    }
    for (operation, operations, messages, finished, expected) in CASES {
        let place = place();
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let servers =
            Servers { imap: at(place.imap_port), pop3: at(place.pop3_port), lmtp: at(place.port) };
        let running = recipe.start(&place).unwrap();
        let folder = running.folder().to_owned();
        let options = MailboxOptions {
            operation: Some(operation),
            sessions: Some(if operation == Operation::Idle { 4 } else { 3 }),
            accounts: Some(3),
            operations: Some(operations),
            messages: Some(messages),
            size: Some("1 KiB..20 KiB".parse().unwrap()),
            ..MailboxOptions::default()
        };
        let run = run(&options, servers, Some(&running)).unwrap();
        running.stop().unwrap();
        assert_eq!(left_in(&folder), Vec::<String>::new());
        let found = run.mailboxes.as_ref().unwrap();
        eprintln!("{found:?} {:?}", run.ledger);
        assert_eq!((found.operations, found.unfinished), (finished, 0), "{operation:?}");
        assert_eq!(found.connections_failed, 0, "{:?}", found.failures);
        let ledger = run.ledger.as_ref();
        assert_eq!(ledger.map(|ledger| ledger.delivered), expected, "{operation:?}");
        assert!(ledger.is_none_or(|one| (one.lost, one.changed, one.duplicated) == (0, 0, 0)));
        assert!(run.is_good());
        assert!(run.accept_latency.is_some_and(|latency| latency.count > 0));
        assert!(run.server_cost.is_some_and(|cost| cost.user_us + cost.system_us > 0));
        assert_eq!(found.memory_per_session_kib.is_some(), operation == Operation::Idle);
    }
}

/// An IMAP server that forgets every third message that is APPENDed, and cuts the first one of every FETCH.
#[derive(Default)]
struct Forgetful {
    taken: AtomicU64,
    kept: AtomicU64,
}

impl Forgetful {
    fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let server = Arc::new(Self::default());
        thread::spawn(move || {
            for peer in listener.incoming() {
                let server = Arc::clone(&server);
                // A client that is gone ends its thread.
                thread::spawn(move || server.serve(peer.unwrap()));
            }
        });
        at
    }

    fn serve(&self, peer: TcpStream) -> Option<()> {
        let mut input = BufReader::new(peer.try_clone().ok()?);
        let mut out = peer;
        out.write_all(b"* OK ready\r\n").ok()?;
        loop {
            let mut line = String::new();
            input.read_line(&mut line).ok().filter(|octets| *octets > 0)?;
            let mut words = line.split_whitespace();
            let (tag, command) = (words.next()?, words.next()?);
            let untagged = match command {
                "STATUS" => {
                    format!("* STATUS INBOX (MESSAGES {})\r\n", self.kept.load(Relaxed))
                }
                "APPEND" => {
                    let size = line.split(['{', '}']).nth(1)?.parse::<usize>().ok()?;
                    out.write_all(b"+ go on\r\n").ok()?;
                    let mut body = vec![0; size + 2];
                    input.read_exact(&mut body).ok()?;
                    let number = self.taken.fetch_add(1, Relaxed);
                    self.kept.fetch_add(u64::from(!number.is_multiple_of(3)), Relaxed);
                    String::new()
                }
                "UID" => {
                    // The second is missing.
                    "* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n".to_owned()
                }
                _ => String::new(),
            };
            out.write_all(format!("{untagged}{tag} OK done\r\n").as_bytes()).ok()?;
        }
    }
}

fn forgetful(operation: Operation, operations: u64) -> Run {
    let at = Forgetful::start();
    let options = MailboxOptions {
        operation: Some(operation),
        sessions: Some(2),
        accounts: Some(1),
        operations: Some(operations),
        messages: Some(2),
        tls: Some(Security::None),
        ..MailboxOptions::default()
    };
    run(&options, Servers { imap: at, pop3: at, lmtp: at }, None).unwrap()
}

#[test]
fn what_was_acknowledged_and_is_not_there_is_lost() {
    let run = forgetful(Operation::Append, 30);
    let ledger = run.ledger.as_ref().unwrap();
    assert_eq!((ledger.accepted, ledger.delivered, ledger.lost), (30, 20, 10));
    assert!(!run.is_good());
}

#[test]
fn a_body_that_is_cut_or_missing_is_told() {
    let run = forgetful(Operation::Bodies, 8);
    let ledger = run.ledger.as_ref().unwrap();
    assert_eq!((ledger.accepted, ledger.changed, ledger.lost), (8, 4, 4));
    assert!(!run.is_good());
}

#[test]
fn a_server_that_is_not_there_is_an_error_with_its_reason() {
    let at = SocketAddr::from(([127, 0, 0, 1], 1));
    let options = MailboxOptions { operation: Some(Operation::Login), ..Default::default() };
    let error = run(&options, Servers { imap: at, pop3: at, lmtp: at }, None).unwrap_err();
    assert!(error.contains("preparing") && error.contains("refused"), "{error}");
}
