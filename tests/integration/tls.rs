//! TLS with programs that others wrote: OpenSSL, curl, Postfix; and what must never happen around
//! STARTTLS.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use loadtest::wire;
use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, KeyPair, SanType};
use rustls::pki_types::PrivateKeyDer;

use crate::harness::{Listener, Plan, Postbox, Server, Text, free_port, run_program, wait_until};

const LETTER: &str = "Subject: over TLS\r\n\r\nHello.\r\n";

/// An authority in a folder, and certificates by it.
pub struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // With the name of what it signs, that would seem to be signed by itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn ca(&self) -> String {
        self.file("ca.pem").to_str().unwrap().to_owned()
    }

    /// Writes `name.pem` and `name.key`; the lines that configure them.
    pub fn write(&self, name: &str, host: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let names = vec![host.to_owned(), "localhost".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (chain, key_file) =
            (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")));
        fs::write(&key_file, key.serialize_pem()).unwrap();
        fs::write(&chain, certificate.pem()).unwrap();
        format!("certificate = [{{ chain = {chain:?}, key = {key_file:?} }}]")
    }

    /// Writes a certificate of a person, and its key; the files.
    pub fn person(&self, address: &str) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::Rfc822Name(address.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = [self.file(&format!("{address}.pem")), self.file(&format!("{address}.key"))];
        fs::write(&files[0], certificate.pem()).unwrap();
        fs::write(&files[1], key.serialize_pem()).unwrap();
        files.map(|file| file.to_str().unwrap().to_owned())
    }

    /// A next hop with a certificate for `host`.
    fn postbox(&self, host: &str) -> Postbox {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Postbox::with_tls(wire::server_config(certificate.der().clone(), key).unwrap())
    }
}

/// Two listeners, STARTTLS and implicit, with a certificate for `mx.test`.
fn listening(authority: &Authority, next_hop: SocketAddr) -> Server {
    let certificate = authority.write("mx", "mx.test");
    let mut plan = Plan::relay_to(next_hop);
    plan.listeners = ["starttls", "implicit"]
        .map(|tls| Listener { tls, lines: vec![certificate.clone()], ..Listener::smtp() })
        .to_vec();
    Server::start(plan.set("tls", "check_every", "\"100 ms\""))
}

/// A dialogue through `openssl s_client`; what it and the server said.
pub fn s_client(arguments: &[&str], dialogue: &[&str]) -> String {
    let mut child = Command::new("timeout")
        .args(["30", "openssl", "s_client", "-crlf", "-ign_eof", "-servername", "mx.test"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl (scripts/packages test installs it)");
    let mut input = child.stdin.take().unwrap();
    let lines: Vec<String> = dialogue.iter().map(|line| format!("{line}\n")).collect();
    let writer = thread::spawn(move || {
        for line in lines {
            input.write_all(line.as_bytes()).unwrap();
        }
        // Kept open: its end would be taken for ours.
        input
    });
    let output = child.wait_with_output().unwrap();
    drop(writer.join());
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{said}");
    said
}

/// What a client says, line by line: QUIT comes last, so the server ends it.
fn letter(mark: &str) -> Vec<String> {
    ["EHLO client.test", "MAIL FROM:<a@client.test>", "RCPT TO:<b@sink.test>", "DATA"]
        .into_iter()
        .map(str::to_owned)
        .chain([format!("Subject: {mark}"), String::new(), ".".into(), "QUIT".into()])
        .collect()
}

#[test]
fn openssl_sends_mail_by_starttls_and_on_the_implicit_port() {
    let (authority, postbox) = (Authority::new(), Postbox::open());
    let server = listening(&authority, postbox.address());
    let ca = authority.ca();
    for (index, version) in [(0, "-tls1_3"), (0, "-tls1_2"), (1, "-tls1_3"), (1, "-tls1_2")] {
        let at = format!("127.0.0.1:{}", server.plan.listeners[index].port);
        let mark = format!("port {index}{version}");
        let letter = letter(&mark);
        let dialogue: Vec<&str> = letter.iter().map(String::as_str).collect();
        let mut arguments = vec!["-connect", &at, version, "-CAfile", &ca, "-verify_return_error"];
        if index == 0 {
            arguments.extend(["-starttls", "smtp"]);
        }
        let said = s_client(&arguments, &dialogue);
        assert!(said.contains("Verify return code: 0 (ok)"), "{mark}");
        assert!(said.contains("221 2.0.0"), "{mark}");
        assert!(!said.contains("250-STARTTLS"), "not offered twice");
        let text = postbox.wait_for(&mark, 10).text();
        let name = if version == "-tls1_3" { "(TLSv1.3 TLS_" } else { "(TLSv1.2 TLS_ECDHE_" };
        assert!(text.contains("with ESMTPS") && text.contains(name), "{text}");
    }
    // Older versions are not spoken.
    let at = format!("127.0.0.1:{}", server.plan.listeners[1].port);
    let old = ["-connect", &at, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"];
    assert!(!s_client(&old, &["QUIT"]).contains("220 "));
}

#[test]
fn curl_and_posttls_finger_are_content() {
    let (authority, postbox) = (Authority::new(), Postbox::open());
    let server = listening(&authority, postbox.address());
    let letter = authority.file("letter");
    fs::write(&letter, LETTER).unwrap();
    let ports = [server.plan.listeners[0].port, server.plan.listeners[1].port];
    for (scheme, port) in [("smtp", ports[0]), ("smtps", ports[1])] {
        let url = format!("{scheme}://mx.test:{port}/client.test");
        let resolve = format!("mx.test:{port}:127.0.0.1");
        let ca = authority.ca();
        let arguments =
            ["-sS", "--ssl-reqd", "--cacert", &ca, "--resolve", &resolve, "--url", &url];
        let envelope = ["--mail-from", "a@client.test", "--mail-rcpt", "b@sink.test", "-T"];
        let arguments = [&arguments[..], &envelope, &[letter.to_str().unwrap()]].concat();
        assert!(run_program("curl", &arguments).status.success(), "{scheme}");
    }
    postbox.wait_count(2, 10);
    let at = format!("[127.0.0.1]:{}", ports[0]);
    let output = run_program("/usr/sbin/posttls-finger", &["-c", "-l", "encrypt", &at]);
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("TLS connection established") && said.contains("TLSv1.3"), "{said}");
}

#[test]
fn a_changed_certificate_is_shown_while_connections_stay() {
    let (authority, postbox) = (Authority::new(), Postbox::open());
    let server = listening(&authority, postbox.address());
    let at = format!("127.0.0.1:{}", server.plan.listeners[1].port);
    let fingerprint = || {
        let said = s_client(&["-connect", &at, "-showcerts"], &["QUIT"]);
        let start = said.find("-----BEGIN CERTIFICATE").unwrap();
        said[start..start + 400].to_owned()
    };
    let config = wire::client_config(false).unwrap();
    let mut kept = tls_talk(server.plan.listeners[1].port, config);
    assert!(kept.line().starts_with("220 "));
    let before = fingerprint();
    authority.write("mx", "mx.test");
    wait_until("the new certificate", 20, || fingerprint() != before);
    kept.say("NOOP");
    assert!(kept.line().starts_with("250 "));
    assert!(server.log_text().contains("has changed: it is used from now on"));
}

/// A TLS connection as blocking code uses it.
struct Secured(BufReader<rustls::StreamOwned<rustls::ClientConnection, TcpStream>>);

fn tls_talk(port: u16, config: std::sync::Arc<rustls::ClientConfig>) -> Secured {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let name = "mx.test".try_into().unwrap();
    let connection = rustls::ClientConnection::new(config, name).unwrap();
    Secured(BufReader::new(rustls::StreamOwned::new(connection, stream)))
}

impl Secured {
    fn say(&mut self, text: &str) {
        self.0.get_mut().write_all(format!("{text}\r\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }
}

#[test]
fn commands_injected_before_the_handshake_are_never_obeyed() {
    let (authority, postbox) = (Authority::new(), Postbox::open());
    let server = listening(&authority, postbox.address());
    let mut talk = server.talk();
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    talk.send(b"STARTTLS\r\nMAIL FROM:<evil@client.test>\r\n");
    talk.expect("554 5.5.1");
    assert!(talk.closed());
    // Behind the 220 as well: what is no handshake ends it.
    let mut talk = server.talk();
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    talk.ask("STARTTLS", "220");
    talk.send(b"MAIL FROM:<evil@client.test>\r\n");
    assert!(talk.closed());
    // A transaction that began in the clear is forgotten: swaks says so by STARTTLS in its middle.
    assert_eq!(postbox.count(), 0);
}

/// A next hop that offers STARTTLS and then misbehaves.
fn injector(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(20) {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let _ = stream.write_all(b"220 injector.test ESMTP\r\n");
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                let reply: &[u8] = match line.split_whitespace().next() {
                    Some("EHLO") => b"250-injector.test\r\n250 STARTTLS\r\n",
                    Some("STARTTLS") => answer,
                    // Whoever gets here was fooled, or sends in the clear.
                    _ => b"550 5.7.1 not this way\r\n",
                };
                let _ = stream.write_all(reply);
                if line.starts_with("STARTTLS") {
                    let _ = reader.read_to_end(&mut Vec::new());
                }
                line.clear();
            }
        }
    });
    address
}

#[test]
fn replies_injected_behind_the_220_are_never_believed() {
    let answer = b"220 go ahead\r\n250-injector.test\r\n250 SIZE 1\r\n";
    let mut plan = Plan::without_route().quick_retries();
    plan = plan.route("*", injector(answer)).set("delivery", "tls", "\"require\"");
    let server = Server::start(plan);
    let mut talk = server.talk();
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    talk.mail("<a@client.test>", &["<b@sink.test>"], LETTER);
    wait_until("a deferral for want of TLS", 20, || {
        server.events_of("deferred").iter().any(|event| event["stage"] == "tls")
    });
    assert!(server.events_of("delivered").is_empty() && server.events_of("failed").is_empty());
}

#[test]
fn mail_leaves_with_as_much_tls_as_is_demanded() {
    let authority = Authority::new();
    let (good, plain) = (authority.postbox("localhost"), Postbox::open());
    let (strange, other) =
        (authority.postbox("elsewhere.test"), Authority::new().postbox("localhost"));
    let mut plan = Plan::without_route().quick_retries();
    let via = |postbox: &Postbox| format!("localhost:{}", postbox.address().port());
    let routes = [
        ("good-verify.test", via(&good), "verify"),
        ("good-require.test", via(&good), "require"),
        ("good-none.test", via(&good), "none"),
        ("plain-opportunistic.test", via(&plain), "opportunistic"),
        ("plain-require.test", via(&plain), "require"),
        ("strange-verify.test", via(&strange), "verify"),
        ("strange-require.test", via(&strange), "require"),
        ("other-verify.test", via(&other), "verify"),
    ];
    plan = plan.set("tls", "ca_file", &format!("{:?}", authority.ca()));
    // The last address that was tried is told: `localhost` has two.
    plan = plan.set("delivery", "family", "\"ipv4\"");
    for (domain, via, tls) in &routes {
        plan.tables.push(format!("[[route]]\nmatch = {domain:?}\nvia = [{via:?}]\ntls = {tls:?}"));
    }
    let server = Server::start(plan);
    let mut talk = server.talk();
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    for (domain, ..) in &routes {
        talk.mail("<a@client.test>", &[&format!("<b@{domain}>")], LETTER);
    }
    good.wait_count(3, 20);
    plain.wait_count(1, 20);
    strange.wait_count(1, 20);
    let deferred = |domain: &str| {
        let to = format!("b@{domain}");
        let events = server.events_of("deferred");
        let event = events.into_iter().find(|event| event["recipient"] == to.as_str());
        event.map(|event| event["reply"].as_str().unwrap_or_default().to_owned())
    };
    for (domain, why) in [
        ("plain-require.test", "451 4.7.4"),
        ("strange-verify.test", "451 4.7.5"),
        ("other-verify.test", "451 4.7.5"),
    ] {
        wait_until(&format!("{domain} to be deferred"), 20, || deferred(domain).is_some());
        let reply = deferred(domain).unwrap();
        assert!(reply.starts_with(why), "{domain}: {reply}");
    }
    assert_eq!((plain.count(), strange.count(), other.count()), (1, 1, 0));
}

#[test]
fn a_host_whose_tls_is_broken_gets_its_mail_in_the_clear_if_that_is_allowed() {
    // It offers STARTTLS, and has nothing behind it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heard = thread::spawn(move || {
        let mut heard = Vec::new();
        for stream in listener.incoming().take(2) {
            let mut stream = stream.unwrap();
            stream.write_all(b"220 broken.test ESMTP\r\n").unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                let word = line.split_whitespace().next().unwrap_or_default().to_owned();
                let reply: &[u8] = match word.as_str() {
                    "EHLO" => b"250-broken.test\r\n250 STARTTLS\r\n",
                    "STARTTLS" => b"454 4.7.0 no certificate today\r\n",
                    "DATA" => b"354 go\r\n",
                    "QUIT" => b"221 bye\r\n",
                    _ => b"250 ok\r\n",
                };
                heard.push(word);
                line.clear();
                if stream.write_all(reply).is_err() {
                    break;
                }
            }
        }
        heard
    });
    let server = Server::start(Plan::relay_to(address));
    let mut talk = server.talk();
    talk.expect("220");
    talk.ask("EHLO client.test", "250");
    talk.mail("<a@client.test>", &["<b@sink.test>"], LETTER);
    wait_until("delivery", 20, || !server.events_of("delivered").is_empty());
    drop(server);
    let heard = heard.join().unwrap();
    assert!(
        heard.contains(&"STARTTLS".to_owned()) && heard.contains(&"MAIL".to_owned()),
        "{heard:?}"
    );
}

/// Debian's Postfix from the load test's recipe, relaying to `next_hop`.
fn postfix(next_hop: u16) -> Option<(loadtest::server::Running, u16)> {
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/loadtest/recipes/postfix.toml");
    let recipe = loadtest::server::Recipe::load(recipe.as_ref()).unwrap();
    if let Some(missing) = recipe.missing() {
        println!("skipped: {missing}");
        return None;
    }
    let port = free_port();
    let place = loadtest::server::Place {
        // Its users must be able to enter it.
        folder: "/var/tmp".into(),
        port,
        sink_port: next_hop,
        imap_port: 0,
        pop3_port: 0,
        users: 0,
        dns_port: 0,
        out: 5,
        sessions: 5,
        shards: 1,
        program: None,
    };
    Some((recipe.start(&place).unwrap(), port))
}

#[test]
fn postfix_talks_tls_with_us_as_client_and_as_server() {
    let postbox = Postbox::open();
    let Some((behind, behind_port)) = postfix(postbox.address().port()) else { return };
    let mut plan = Plan::relay_to(([127, 0, 0, 1], behind_port).into());
    plan = plan.set("delivery", "tls", "\"require\"");
    let server = Server::start(plan);
    let Some((before, before_port)) = postfix(server.port()) else { return };
    let to = format!("127.0.0.1:{before_port}");
    let arguments = ["-s", "1", "-m", "3", "-f", "a@source.test", "-t", "b@sink.test", &to];
    assert!(run_program("/usr/sbin/smtp-source", &arguments).status.success());
    postbox.wait_count(3, 60);
    for delivery in postbox.deliveries() {
        let text = delivery.text();
        // As server; that it was TLS on the way out `require` has seen to.
        assert!(text.contains("with ESMTPS\r\n\t(TLSv1.3 TLS_"), "{text}");
    }
    for event in server.events_of("delivered") {
        assert!(event["reply"].as_str().unwrap().starts_with("250 2.0.0"), "{event}");
    }
    behind.stop().unwrap();
    before.stop().unwrap();
}

#[test]
fn testssl_finds_nothing_to_improve() {
    let (authority, postbox) = (Authority::new(), Postbox::open());
    let server = listening(&authority, postbox.address());
    for (index, starttls) in [(0, true), (1, false)] {
        let at = format!("127.0.0.1:{}", server.plan.listeners[index].port);
        let mut arguments = vec!["--quiet", "--color", "0", "--warnings", "off", "-p", "-s", "-U"];
        if starttls {
            arguments.extend(["-t", "smtp"]);
        }
        arguments.push(&at);
        let output = Command::new("timeout").arg("300").arg("testssl").args(&arguments).output();
        let output = output.expect("testssl (scripts/packages test installs it)");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("{said}");
        assert!(said.contains("TLS 1.3"), "it ran");
        for word in ["VULNERABLE", "NOT ok", "deprecated"] {
            assert!(!said.contains(word), "{at}: {word}");
        }
    }
}
