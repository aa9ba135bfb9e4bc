//! TLS to other servers by their domains' word: DANE behind a signed zone (ldns, nsd) and a validating
//! resolver (unbound), MTA-STS from an HTTPS server (Python), mail hosts on OpenSSL (aiosmtpd).
//!
//! The zone is signed by a key of the test's own. One record is changed behind its signature (bogus), one
//! zone below is not signed at all. Hosts live on 127.0.0.2 and above, all at one port.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::harness::{Daemon, NameServer, Plan, Server, free_port, run_program, wait_until};
use crate::tls::{Authority, s_client};

/// The mail hosts: address, certificate, and the names in it.
const HOSTS: [(&str, &str, &[&str]); 4] = [
    ("127.0.0.2", "a", &["a.hosts.test", "ta.hosts.test", "notlsa.hosts.test"]),
    ("127.0.0.3", "b", &["other.test"]),
    ("127.0.0.4", "", &[]),
    ("127.0.0.5", "promise", &["promise.hosts.test"]),
];
/// Of these the one that keeps to REQUIRETLS.
const PROMISING: &str = "promise";

/// Domains with a policy: its text, and the host of their MX.
const POLICIES: [(&str, &str, &str); 11] = [
    ("sts-good", "enforce notlsa.hosts.test", "notlsa"),
    ("sts-star", "enforce *.hosts.test", "notlsa"),
    ("sts-name", "enforce wrong.hosts.test", "wrong"),
    ("sts-clear", "enforce clear.hosts.test", "clear"),
    ("sts-unlisted", "enforce elsewhere.test", "notlsa"),
    ("sts-testing", "testing wrong.hosts.test", "wrong"),
    ("sts-none", "none", "wrong"),
    ("sts-gone", "", "wrong"),
    ("sts-html", "#text/html", "wrong"),
    ("sts-moved", "#301 https://mta-sts.sts-good.test/.well-known/mta-sts.txt", "wrong"),
    ("sts-cert", "enforce wrong.hosts.test", "wrong"),
];

const ZONE: &str = "\
$ORIGIN test.
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
ns A 127.0.0.1
plain NS ns.test.
a.hosts A 127.0.0.2
ta.hosts A 127.0.0.2
notlsa.hosts A 127.0.0.2
mismatch.hosts A 127.0.0.2
unusable.hosts A 127.0.0.2
unusableclear.hosts A 127.0.0.4
bogus.hosts A 127.0.0.2
wrong.hosts A 127.0.0.3
clear.hosts A 127.0.0.4
stripped.hosts A 127.0.0.4
promise.hosts A 127.0.0.5
alias.hosts CNAME a.hosts
aliasmismatch.hosts CNAME mismatch.hosts
aliasplain.hosts CNAME host.plain
dane-good MX 10 a.hosts
dane-ta MX 10 ta.hosts
dane-mismatch MX 10 mismatch.hosts
dane-second MX 10 mismatch.hosts
dane-second MX 20 a.hosts
dane-unusable MX 10 unusable.hosts
dane-unusableclear MX 10 unusableclear.hosts
dane-bogus MX 10 bogus.hosts
dane-stripped MX 10 stripped.hosts
dane-alias MX 10 alias.hosts
dane-aliasmismatch MX 10 aliasmismatch.hosts
dane-aliasplain MX 10 aliasplain.hosts
dane-over-sts MX 10 a.hosts
required-second MX 10 a.hosts
required-second MX 20 promise.hosts
required-never MX 10 a.hosts
required-never MX 20 ta.hosts
required-clear MX 10 clear.hosts
none MX 10 notlsa.hosts
noneclear MX 10 clear.hosts
";

/// Not signed: what it says of TLSA counts for nothing.
const PLAIN_ZONE: &str = "\
$ORIGIN plain.test.
$TTL 60
@ SOA ns.test. root.test. 1 3600 600 86400 60
@ NS ns.test.
@ MX 10 host.plain.test.
host A 127.0.0.2
";

const WRONG_DIGEST: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const CHANGED_DIGEST: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
/// Of the record that is changed behind its signature.
const SIGNED_DIGEST: &str = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";

/// Everything around the server under test.
struct Surroundings {
    /// End before their folder goes.
    _daemons: [Daemon; 2],
    names: NameServer,
    mail_port: u16,
    https_port: u16,
    resolver: SocketAddr,
}

/// Who validates.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// unbound, whose AD bit is trusted.
    Unbound,
    /// Ringpost, behind an unbound that does not.
    Ringpost,
}

impl Surroundings {
    fn start(by: By) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mail_port, https_port, port) = (free_port(), free_port(), free_port());
        make_certificates(folder.path());
        write_policies(folder.path());
        sign_zone(folder.path(), &zone(folder.path(), mail_port));
        let resolver = SocketAddr::from(([127, 0, 0, 1], port));
        let zone = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let zones = [("test", zone("signed.zone")), ("plain.test", zone("plain.zone"))];
        let zones = zones.each_ref().map(|(name, text)| (*name, text.as_str()));
        let names = NameServer::serve(folder, &zones);
        let folder = names.folder.path();
        let daemons = [
            start_unbound(folder, port, names.address().port(), by),
            start_servers(folder, mail_port, https_port),
        ];
        let this = Self { _daemons: daemons, names, mail_port, https_port, resolver };
        wait_until("unbound to answer", 20, || this.answers());
        this
    }

    /// Asks for the SOA of `test.` by hand.
    fn answers(&self) -> bool {
        let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04test\x00\x00\x06\x00\x01";
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut answer = [0; 512];
        socket.send_to(query, self.resolver).is_ok()
            && socket
                .recv(&mut answer)
                .is_ok_and(|n| n > 12 && answer[3] & 15 == 0 && answer[7] > 0)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.names.folder.path().join(name)
    }

    fn plan(&self, by: By) -> Plan {
        let mut plan = Plan::without_route()
            .set("delivery", "port", &self.mail_port.to_string())
            .set("delivery", "mta_sts", &format!("{{ port = {} }}", self.https_port))
            .set("tls", "ca_file", &format!("{:?}", self.at("ca.crt")));
        plan.nameservers = vec![self.resolver];
        plan.listeners[0].port = free_port();
        match by {
            By::Unbound => plan.set("dns", "dnssec", "\"trust-ad\""),
            By::Ringpost => plan.set("dns", "dnssec", "\"validate\"").set(
                "dns",
                "trust_anchor",
                &format!("{:?}", self.at("anchor")),
            ),
        }
    }

    /// What arrived for a recipient: where, and whether through TLS.
    fn arrival(&self, recipient: &str) -> Option<(String, bool)> {
        let text = fs::read_to_string(self.at("arrived")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut found = lines.filter(|line| line["to"][0] == recipient);
        let line = found.next()?;
        assert!(found.next().is_none(), "{recipient}: it arrived twice");
        Some((line["at"].as_str().unwrap().to_owned(), line["tls"].as_bool().unwrap()))
    }

    fn asked(&self, domain: &str) -> usize {
        let text = fs::read_to_string(self.at("asked")).unwrap_or_default();
        text.lines().filter(|line| *line == format!("{domain}.test")).count()
    }
}

fn openssl(folder: &Path, script: &str) -> String {
    let script = format!("set -e; cd {}; {script}", folder.display());
    let output = run_program("bash", &["-c", &script]);
    assert!(output.status.success(), "openssl");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn make_certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let ca = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=keyCertSign";
    openssl(
        folder,
        &format!("openssl req -x509 {key} -keyout ca.key -out ca.crt -days 30 -subj /CN=ca {ca}"),
    );
    let policies: Vec<String> = POLICIES
        .iter()
        .filter(|(domain, ..)| *domain != "sts-cert")
        .map(|(domain, ..)| format!("mta-sts.{domain}.test"))
        .chain(["mta-sts.dane-over-sts.test".to_owned()])
        .collect();
    let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
    let certificates = HOSTS
        .iter()
        .filter(|(_, name, _)| !name.is_empty())
        .map(|(_, name, names)| (*name, *names));
    for (name, names) in certificates.chain([("policies", &policies[..])]) {
        let san: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
        fs::write(folder.join("ext"), format!("subjectAltName={}\n", san.join(","))).unwrap();
        openssl(
            folder,
            &format!(
                "openssl req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}; \
                 openssl x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -days 30 \
                 -extfile ext -out {name}.crt; cat {name}.crt ca.crt {name}.key > {name}.pem"
            ),
        );
    }
}

fn write_policies(folder: &Path) {
    fs::create_dir(folder.join("policies")).unwrap();
    let all = POLICIES.iter().map(|(domain, policy, _)| (*domain, *policy));
    // It would forbid the host, but that has TLSA records (RFC 8461 §2).
    for (domain, policy) in all.chain([("dane-over-sts", "enforce elsewhere.test")]) {
        let mut words = policy.split(' ');
        let text = match words.next().unwrap() {
            "" => continue,
            "#301" => policy.to_owned(),
            first => {
                let (head, mode) = match first {
                    "#text/html" => ("#text/html\n", "enforce"),
                    mode => ("", mode),
                };
                let mx: String = words.map(|mx| format!("mx: {mx}\r\n")).collect();
                format!("{head}version: STSv1\r\nmode: {mode}\r\nmax_age: 86400\r\n{mx}")
            }
        };
        fs::write(folder.join("policies").join(format!("{domain}.test")), text).unwrap();
    }
}

fn zone(folder: &Path, port: u16) -> String {
    let right = openssl(
        folder,
        "openssl x509 -in a.crt -noout -pubkey | openssl pkey -pubin -outform DER | \
         openssl dgst -sha256 -r | cut -c1-64",
    );
    let anchor = openssl(
        folder,
        "openssl x509 -in ca.crt -outform DER | openssl dgst -sha512 -r | cut -c1-128",
    );
    let mut zone = ZONE.to_owned();
    for (host, record) in [
        ("a", format!("3 1 1 {right}")),
        ("ta", format!("2 0 2 {anchor}")),
        ("mismatch", format!("3 1 1 {WRONG_DIGEST}")),
        ("unusable", format!("1 1 1 {right}")),
        ("unusableclear", format!("1 1 1 {right}")),
        ("bogus", format!("3 1 1 {SIGNED_DIGEST}")),
        ("stripped", format!("3 1 1 {right}")),
    ] {
        writeln!(zone, "_{port}._tcp.{host}.hosts TLSA {record}").unwrap();
    }
    for (domain, _, host) in POLICIES.into_iter().chain([("dane-over-sts", "", "")]) {
        writeln!(zone, "_mta-sts.{domain} TXT \"v=STSv1; id={};\"", domain.replace('-', ""))
            .unwrap();
        writeln!(zone, "mta-sts.{domain} A 127.0.0.1").unwrap();
        if !host.is_empty() {
            writeln!(zone, "{domain} MX 10 {host}.hosts").unwrap();
        }
    }
    let plain = format!("{PLAIN_ZONE}_{port}._tcp.host TLSA 3 1 1 {WRONG_DIGEST}\n");
    fs::write(folder.join("plain.zone"), plain).unwrap();
    zone
}

/// Signs it, keeps the key as the trust anchor, and changes a record behind its signature.
fn sign_zone(folder: &Path, zone: &str) {
    fs::write(folder.join("test.zone"), zone).unwrap();
    openssl(
        folder,
        "key=$(ldns-keygen -a ECDSAP256SHA256 -k test); cp $key.key anchor; \
         ldns-signzone -f signed.zone test.zone $key",
    );
    let signed = fs::read_to_string(folder.join("signed.zone")).unwrap();
    let changed = signed.replace(SIGNED_DIGEST, CHANGED_DIGEST);
    assert_ne!(signed, changed, "the record that is to be bogus");
    fs::write(folder.join("signed.zone"), changed).unwrap();
}

fn start_unbound(folder: &Path, port: u16, names_port: u16, by: By) -> Daemon {
    let (modules, anchor) = match by {
        By::Unbound => {
            let anchor = format!(" trust-anchor-file: \"{}\"\n", folder.join("anchor").display());
            ("validator iterator", anchor)
        }
        By::Ringpost => ("iterator", String::new()),
    };
    let stub =
        |zone: &str| format!("stub-zone:\n name: \"{zone}\"\n stub-addr: 127.0.0.1@{names_port}\n");
    let config = format!(
        "server:\n interface: 127.0.0.1@{port}\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n \
         directory: \"{}\"\n do-daemonize: no\n use-syslog: no\n do-ip6: no\n num-threads: 1\n \
         do-not-query-localhost: no\n local-zone: \"test.\" nodefault\n \
         module-config: \"{modules}\"\n{anchor}remote-control:\n control-enable: no\n{}{}",
        folder.display(),
        stub("test."),
        stub("plain.test."),
    );
    let path = folder.join("unbound.conf");
    fs::write(&path, config).unwrap();
    Daemon::start(Command::new("/usr/sbin/unbound").args(["-d", "-c", path.to_str().unwrap()]))
}

fn start_servers(folder: &Path, mail_port: u16, https_port: u16) -> Daemon {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/tls_policy/servers.py");
    let mut command = Command::new("/usr/bin/python3");
    command.arg(script).arg(folder).args([mail_port.to_string(), https_port.to_string()]);
    command.args(HOSTS.map(|(address, certificate, _)| {
        let promise = if certificate == PROMISING { "+" } else { "" };
        format!("{address}={certificate}{promise}")
    }));
    let mut daemon = Daemon::start(command.stdout(Stdio::piped()));
    let mut line = String::new();
    BufReader::new(daemon.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "ready", "servers.py");
    daemon
}

/// Mail to `x@DOMAIN.test`, and what became of it first.
fn fate(server: &Server, domain: &str) -> Value {
    mail(server, &format!("x@{domain}.test"), "Subject: x\r\n\r\nhello")
}

fn mail(server: &Server, recipient: &str, text: &str) -> Value {
    let seen = server.events().len();
    let mut talk = server.talk();
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    let reply = talk.mail("<>", &[&format!("<{recipient}>")], text);
    assert!(reply.starts_with("250"), "{reply}");
    let find = || {
        server.events().into_iter().skip(seen).find(|event| {
            event["recipient"] == recipient
                && (event["event"] == "delivered" || event["event"] == "deferred")
        })
    };
    wait_until(&format!("the fate of {recipient}"), 60, || find().is_some());
    find().unwrap()
}

fn arrives(around: &Surroundings, server: &Server, domain: &str, at: &str, through_tls: bool) {
    let event = fate(server, domain);
    assert_eq!(event["event"], "delivered", "{domain}: {event}");
    let arrival = around.arrival(&format!("x@{domain}.test"));
    assert_eq!(arrival, Some((at.to_owned(), through_tls)), "{domain}");
}

fn waits(around: &Surroundings, server: &Server, domain: &str, status: &str, words: &str) {
    let event = fate(server, domain);
    assert_eq!(event["event"], "deferred", "{domain}: {event}");
    let reply = event["reply"].as_str().unwrap();
    assert!(reply.starts_with(&format!("451 {status} ")), "{domain}: {reply}");
    assert!(reply.contains(words), "{domain}: {reply}");
    assert_eq!(around.arrival(&format!("x@{domain}.test")), None, "{domain}");
}

/// What was counted today, over all shards: `tlsa 1` (successes), `tlsa certificate-not-trusted` …
fn outcomes(server: &mut Server) -> HashMap<String, Vec<String>> {
    assert!(server.stop().success());
    let folder = server.folder().join("data/tls-outcomes");
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let day: Value = serde_json::from_str(&text).unwrap();
        for (domain, tallies) in day["domains"].as_object().unwrap() {
            let words = found.entry(domain.trim_end_matches(".test").to_owned()).or_default();
            for tally in tallies.as_array().unwrap() {
                let policy = tally["policy"].as_str().unwrap();
                words.push(format!("{policy} {}", tally["successes"]));
                for failure in tally["failures"].as_array().unwrap() {
                    words.push(format!("{policy} {}", failure["result"].as_str().unwrap()));
                }
            }
        }
    }
    found
}

fn dane(by: By) {
    let around = Surroundings::start(by);
    let mut server = Server::start(around.plan(by));
    let good = |domain| arrives(&around, &server, domain, "127.0.0.2", true);
    good("dane-good");
    good("dane-ta");
    good("dane-second");
    good("dane-alias");
    good("dane-over-sts");
    good("dane-unusable");
    good("none");
    // Insecure, so that its wrong record counts for nothing.
    good("plain");
    good("dane-aliasplain");
    arrives(&around, &server, "noneclear", "127.0.0.4", false);
    let bad = |domain, status, words| waits(&around, &server, domain, status, words);
    bad("dane-mismatch", "4.7.5", "DANE");
    bad("dane-aliasmismatch", "4.7.5", "_tcp.mismatch.hosts.test");
    bad("dane-stripped", "4.7.4", "DANE");
    bad("dane-unusableclear", "4.7.4", "DANE");
    bad("dane-bogus", "4.7.5", "cannot be told");
    let counted = outcomes(&mut server);
    let has = |domain: &str, words: &str| {
        assert!(counted[domain].iter().any(|it| it == words), "{domain}: {:?}", counted[domain]);
    };
    has("dane-good", "tlsa 1");
    has("dane-second", "tlsa certificate-not-trusted");
    has("dane-second", "tlsa 1");
    has("dane-mismatch", "tlsa certificate-not-trusted");
    has("dane-stripped", "tlsa starttls-not-supported");
    has("dane-unusable", "tlsa tlsa-invalid");
    has("dane-bogus", "tlsa dnssec-invalid");
    has("none", "no-policy-found 1");
}

#[test]
fn dane_by_the_ad_bit_of_a_resolver() {
    dane(By::Unbound);
}

#[test]
fn dane_by_own_validation() {
    dane(By::Ringpost);
}

#[test]
fn mta_sts() {
    let around = Surroundings::start(By::Unbound);
    let mut server = Server::start(around.plan(By::Unbound));
    arrives(&around, &server, "sts-good", "127.0.0.2", true);
    arrives(&around, &server, "sts-star", "127.0.0.2", true);
    let bad = |domain, status, words| waits(&around, &server, domain, status, words);
    bad("sts-name", "4.7.5", "MTA-STS policy (enforce) is not met");
    bad("sts-clear", "4.7.4", "MTA-STS policy (enforce) is not met");
    bad("sts-unlisted", "4.7.5", "the MTA-STS policy does not list notlsa.hosts.test");
    // Unless the message itself says that it need not be so (RFC 8689 §5).
    let waived =
        mail(&server, "waived@sts-name.test", "TLS-Required: No\r\nSubject: x\r\n\r\nhello");
    assert_eq!(waived["event"], "delivered", "{waived}");
    assert_eq!(around.arrival("waived@sts-name.test").unwrap().0, "127.0.0.3");
    // These share their host with `sts-name`, whose mail waits.
    for domain in ["sts-testing", "sts-none", "sts-gone", "sts-html", "sts-moved", "sts-cert"] {
        arrives(&around, &server, domain, "127.0.0.3", true);
    }
    let counted = outcomes(&mut server);
    let has = |domain: &str, words: &str| {
        assert!(counted[domain].iter().any(|it| it == words), "{domain}: {:?}", counted[domain]);
    };
    has("sts-good", "sts 1");
    has("sts-name", "sts certificate-host-mismatch");
    has("sts-clear", "sts starttls-not-supported");
    has("sts-unlisted", "sts validation-failure");
    has("sts-testing", "sts certificate-host-mismatch");
    has("sts-gone", "sts sts-policy-fetch-error");
    has("sts-html", "sts sts-policy-fetch-error");
    has("sts-moved", "sts sts-policy-fetch-error");
    has("sts-cert", "sts sts-webpki-invalid");
}

/// REQUIRETLS (RFC 8689): only to a host that is proved and promises it, be it the second; back to the
/// sender when there is none.
#[test]
fn mail_that_requires_tls_goes_where_it_is_promised_or_back() {
    let around = Surroundings::start(By::Unbound);
    let authority = Authority::new();
    let mut plan = around.plan(By::Unbound).quick_retries();
    plan.listeners[0].lines.push(authority.write("mx", "mx.test"));
    let server = Server::start(plan);
    let port = format!("127.0.0.1:{}", server.port());
    for domain in ["required-second", "required-never", "required-clear"] {
        let recipient = format!("rcpt to:<x@{domain}.test>");
        let said = s_client(
            &["-starttls", "smtp", "-connect", &port],
            &[
                "EHLO client.test",
                "MAIL FROM:<me@noneclear.test> REQUIRETLS",
                &recipient,
                "DATA",
                "Subject: required\n\nhello\n.",
                "QUIT",
            ],
        );
        assert!(said.contains("REQUIRETLS") && said.matches("250 2.0.0").count() >= 1, "{said}");
    }
    let arrived = || around.arrival("x@required-second.test");
    wait_until("the mail at the host that promises", 30, || arrived().is_some());
    assert_eq!(arrived(), Some(("127.0.0.5".to_owned(), true)));
    assert_eq!(fs::read_to_string(around.at("required")).unwrap(), "yes\n", "it is passed on");
    let bounced = || {
        let events = server.events_of("bounced");
        events.into_iter().find(|event| event["recipient"] == "x@required-never.test")
    };
    wait_until("the mail that nobody promises anything for", 30, || bounced().is_some());
    let reply = bounced().unwrap()["reply"].to_string();
    assert!(reply.contains("5.7.30") && reply.contains("REQUIRETLS"), "{reply}");
    // The report itself need not be so (RFC 8689 §5).
    wait_until("the report", 30, || around.arrival("me@noneclear.test").is_some());
    // What may be mended waits.
    let deferred = || {
        let events = server.events_of("deferred");
        events.into_iter().find(|event| event["recipient"] == "x@required-clear.test")
    };
    wait_until("the mail to a host without TLS", 30, || deferred().is_some());
    assert!(deferred().unwrap()["reply"].to_string().contains("4.7.4"));
}

/// A policy that was seen once holds without its server, also after a restart.
#[test]
fn a_policy_outlives_its_server() {
    let around = Surroundings::start(By::Unbound);
    let mut server = Server::start(around.plan(By::Unbound));
    waits(&around, &server, "sts-name", "4.7.5", "MTA-STS");
    fs::remove_dir_all(around.at("policies")).unwrap();
    assert!(server.stop().success());
    server.launch();
    waits(&around, &server, "sts-name", "4.7.5", "MTA-STS");
    assert_eq!(around.asked("sts-name"), 1, "it is kept, and not asked for again");
}

#[test]
fn check_tells_what_would_happen() {
    let around = Surroundings::start(By::Unbound);
    let server = Server::start(around.plan(By::Unbound));
    let check = |domain: &str| {
        let domain = format!("{domain}.test");
        server.cli_json(&["check", "tls", &domain, "--connect", "--json"])
    };
    let told = check("dane-good");
    assert_eq!((&told["dane"], &told["hosts"][0]["secure"]), (&true.into(), &true.into()));
    assert!(told["hosts"][0]["tlsa"][0].as_str().unwrap().starts_with("3 1 1 "), "{told}");
    assert_eq!(told["tried"][0]["fault"], Value::Null, "{told}");
    assert_eq!(told["tried"][0]["protocol"], "TLSv1.3", "{told}");
    assert_eq!(told["tried"][0]["names"][0], "a.hosts.test");
    assert!(check("dane-mismatch")["tried"][0]["fault"].is_string());
    assert!(check("dane-bogus")["hosts"][0]["refused"].is_string());
    let told = check("sts-name");
    assert_eq!(told["mta_sts"]["mode"], "enforce");
    assert!(told["tried"][0]["fault"].is_string(), "{told}");
    assert!(check("sts-gone")["mta_sts_failure"].is_string());
    assert!(check("missing")["nowhere"].as_str().unwrap().contains("5.1.2"));
    let output = server.cli(&["check", "tls", "sts-unlisted.test", "--connect"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("does not list") && text.contains("MTA-STS:  enforce"), "{text}");
}
