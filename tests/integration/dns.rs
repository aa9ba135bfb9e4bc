//! MX records as a real name server (nsd) serves them, and next hops that are not there.
//!
//! Hosts live on 127.0.0.2 and above, all at one port; the server itself is 127.0.0.1.

use std::{
    fmt::Write as _,
    fs,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use loadtest::{
    message::{Domains, Mailing},
    sink::{Failure, Rules, Stage},
};

use crate::harness::{Plan, Postbox, Server, Text, free_port, load, send, wait_until};

const ZONE: &str = "\
$ORIGIN test.
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 1
@ NS ns.test.
ns A 127.0.0.1
a.hosts A 127.0.0.2
b.hosts A 127.0.0.3
c.hosts A 127.0.0.4
dead.hosts A 127.0.0.9
self.hosts A 127.0.0.1
pref MX 10 a.hosts
pref MX 20 b.hosts
equal MX 10 a.hosts
equal MX 10 b.hosts
null MX 0 .
implicit A 127.0.0.4
alias CNAME pref
deadfirst MX 10 dead.hosts
deadfirst MX 20 b.hosts
selfloop MX 10 self.hosts
selfsecond MX 10 a.hosts
selfsecond MX 20 self.hosts
selfsecond MX 30 b.hosts
nothing TXT \"no address, no MX\"
";

/// nsd in the foreground.
struct NameServer {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl NameServer {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let port = free_port();
        fs::write(at("zone"), format!("{ZONE}{more}")).unwrap();
        let config = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n username: \"\"\n \
             chroot: \"\"\n zonesdir: \"{}\"\n pidfile: \"{}\"\n database: \"\"\n \
             zonelistfile: \"{}\"\n xfrdfile: \"{}\"\n\
             remote-control:\n control-enable: no\nzone:\n name: test\n zonefile: \"{}\"\n",
            folder.path().display(),
            at("pid"),
            at("zones"),
            at("xfrd"),
            at("zone"),
        );
        fs::write(at("nsd.conf"), config).unwrap();
        let child = Command::new("/usr/sbin/nsd")
            .args(["-d", "-c", &at("nsd.conf")])
            .stderr(Stdio::inherit())
            .spawn()
            .expect("nsd (scripts/packages test installs it)");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let server = Self { child, address, _folder: folder };
        wait_until("nsd to answer", 20, || server.answers());
        server
    }

    /// Asks for the SOA of `test.` by hand.
    fn answers(&self) -> bool {
        let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04test\x00\x00\x06\x00\x01";
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut answer = [0; 512];
        socket.send_to(query, self.address).is_ok()
            && socket.recv(&mut answer).is_ok_and(|n| n > 12 && answer[3] & 15 == 0)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // nsd -d forks: its own handler ends the children.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The hosts of the zone, a name server, and a server that asks it.
struct World {
    a: Postbox,
    b: Postbox,
    c: Postbox,
    sender: Postbox,
    server: Server,
    port: u16,
    _names: NameServer,
}

fn world(more: &str, rules: Rules, adjust: impl FnOnce(Plan) -> Plan) -> World {
    let port = free_port();
    let host = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
    let (a, b) = (Postbox::at(host(2), rules), Postbox::at(host(3), Rules::default()));
    let (c, sender) = (Postbox::at(host(4), Rules::default()), Postbox::open());
    let names = NameServer::start(more);
    // Bounces go to sender.test.
    let mut plan = Plan::without_route().route("sender.test", sender.address());
    plan.nameservers = vec![names.address];
    // As on the Internet, all mail hosts listen at one port; we are 127.0.0.1 among them.
    plan.listeners[0].port = port;
    plan = plan.set("delivery", "port", &port.to_string());
    let server = Server::start(adjust(plan));
    World { a, b, c, sender, server, port, _names: names }
}

impl World {
    fn mail_to(&self, recipient: &str) {
        let mut talk = self.server.talk();
        talk.expect("220");
        talk.ask("EHLO client.test", "250");
        let reply =
            talk.mail("<me@sender.test>", &[&format!("<{recipient}>")], "Subject: x\r\n\r\nhello");
        assert!(reply.starts_with("250"), "{reply}");
    }

    /// Sends, and waits for the bounce that says `status`.
    fn bounces(&self, recipient: &str, status: &str) {
        self.mail_to(recipient);
        let bounce = self.sender.wait_for(recipient, 30).text();
        assert!(bounce.contains(&format!("\r\nStatus: {status}")), "{bounce}");
        assert!(bounce.contains("\r\nAction: failed"), "{bounce}");
    }
}

#[test]
fn preference_implicit_alias_and_dead_hosts() {
    let world = world("", Rules::default(), |plan| plan);
    world.mail_to("x@pref.test");
    world.a.wait_for("x@pref.test", 20);
    world.mail_to("x@alias.test");
    world.a.wait_for("x@alias.test", 20);
    world.mail_to("x@implicit.test");
    world.c.wait_for("x@implicit.test", 20);
    world.mail_to("x@deadfirst.test");
    world.b.wait_for("x@deadfirst.test", 20);
    world.mail_to("x@[127.0.0.4]");
    world.c.wait_for("x@[127.0.0.4]", 20);
    assert_eq!((world.a.count(), world.b.count(), world.c.count()), (2, 1, 2));
}

#[test]
fn names_without_mail_bounce_at_once() {
    let world = world("", Rules::default(), |plan| plan);
    world.bounces("x@null.test", "5.1.10");
    world.bounces("x@missing.test", "5.1.2");
    world.bounces("x@nothing.test", "5.1.2");
}

#[test]
fn own_hosts_are_no_next_hops() {
    let world = world("", Rules::default(), |plan| plan);
    // `self` has the address of our listener.
    world.bounces("x@selfloop.test", "5.4.6");
    world.mail_to("x@selfsecond.test");
    world.a.wait_for("x@selfsecond.test", 20);
    assert_eq!(world.b.count(), 0, "hosts behind ourselves are never tried (RFC 5321 §5.1)");
}

#[test]
fn equal_preference_is_shared() {
    let world = world("", Rules::default(), |plan| {
        plan.set("delivery", "messages_per_connection_max", "1")
    });
    for number in 0..40 {
        world.mail_to(&format!("x{number}@equal.test"));
    }
    wait_until("40 messages at a and b", 30, || world.a.count() + world.b.count() == 40);
    let (a, b) = (world.a.count(), world.b.count());
    assert!(a >= 5 && b >= 5, "a took {a}, b took {b}");
}

/// The better host answers 451 to everything: the next host is tried in the same attempt or later,
/// but the message is not lost and not bounced.
#[test]
fn a_busy_host_does_not_lose_mail() {
    let rules = Rules { fail: vec![Failure::new(Stage::Mail, 451).first(3)], ..Rules::default() };
    let world = world("", rules, Plan::quick_retries);
    for number in 0..5 {
        world.mail_to(&format!("x{number}@pref.test"));
    }
    wait_until("5 messages at a or b", 60, || world.a.count() + world.b.count() == 5);
}

/// A hundred domains whose hosts swallow connections, while good mail goes at full speed.
#[test]
fn black_holes_do_not_hold_up_good_mail() {
    let mut zone = String::new();
    for number in 1..=100 {
        writeln!(zone, "bh{number} MX 10 bh{number}.hosts").unwrap();
        writeln!(zone, "bh{number}.hosts A 127.0.1.{number}").unwrap();
    }
    let world = world(&zone, Rules::default(), |plan| plan);
    let mut holes = Vec::new();
    let mut silent = Vec::new();
    for number in 1..=100_u8 {
        let address = SocketAddr::from(([127, 0, 1, number], world.port));
        if number % 2 == 0 {
            // The kernel completes the connection, nobody ever greets.
            let mute = Rules { stall: Some(Stage::Greeting), ..Rules::default() };
            silent.push((address, mute));
        } else {
            holes.push(full_backlog(address));
        }
    }
    let silent = Postbox::at_all(silent);
    for number in 1..=100 {
        for each in 0..5 {
            world.mail_to(&format!("x{each}@bh{number}.test"));
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    let started = Instant::now();
    let mut load = load(world.server.address(), "good", 2000, 5 << 10);
    let mailing: &mut Mailing = Arc::get_mut(&mut load.mailing).unwrap();
    mailing.domains = Domains::new(vec!["pref.test".to_owned()], None).unwrap();
    let outcome = send(load);
    world.a.wait_all("good", &outcome.acknowledged, 30);
    let elapsed = started.elapsed();
    println!("2000 good messages in {elapsed:?} beside 100 black holes");
    assert_eq!(outcome.acknowledged.len(), 2000);
    assert!(elapsed < Duration::from_secs(20), "good mail took {elapsed:?}");
    drop(holes);
    drop(silent);
}

/// A listener whose accept queue is full: further connections hang in SYN-SENT.
fn full_backlog(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind(address).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let mut fillers = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(20)) {
        fillers.push(stream);
        assert!(fillers.len() < 20, "a backlog of 0 fills up");
    }
    (listener, fillers)
}
