//! Signatures as strangers see them: dkimpy and OpenDKIM verify what Ringpost signs, over a folder of odd
//! messages, with the records that `ringpost dkim dns` prints, served by nsd.

use std::{
    fs,
    path::{Path, PathBuf},
};

use loadtest::sink::{Failure, Rules, Stage};
use mail::authentication::signing::{Keys, Settings};
use proto::{text::stuff_dots, types::Timestamp};

use crate::harness::{NameServer, Plan, Postbox, Server, Talk, run_cli, run_program};

const ALGORITHMS: [&str; 2] = ["rsa-sha256", "ed25519-sha256"];

/// A name server, and an OpenDKIM that asks it.
struct Verifiers(NameServer);

impl Verifiers {
    /// `records` are lines of a zone file.
    fn start(records: &str) -> Self {
        let names = NameServer::start(records);
        let unbound = format!(
            "server:\n chroot: \"\"\n do-not-query-localhost: no\n local-zone: \"test.\" nodefault\n \
             module-config: \"iterator\"\n do-ip6: no\nstub-zone:\n name: \"test.\"\n stub-addr: \
             127.0.0.1@{}\n",
            names.address().port()
        );
        let this = Self(names);
        fs::write(this.at("unbound.conf"), unbound).unwrap();
        let config = this.at("unbound.conf");
        let opendkim =
            format!("Mode v\nSyslog no\nMaximumHeaders 0\nResolverConfiguration {config}\n");
        fs::write(this.at("opendkim.conf"), opendkim).unwrap();
        this
    }

    fn at(&self, name: &str) -> String {
        self.0.folder.path().join(name).display().to_string()
    }

    fn dns(&self) -> String {
        self.0.address().to_string()
    }

    /// Both say of a message that all its signatures, one of each algorithm, are good.
    fn accept(&self, name: &str, message: &[u8]) {
        let path = self.at(&format!("{name}.signed"));
        fs::write(&path, message).unwrap();
        let results = self.dkimpy(&path);
        assert_eq!(results, ["ed25519-sha256 pass", "rsa-sha256 pass"], "dkimpy: {name}");
        // OpenDKIM tells of one signature only, and wants a last line that ends, which changes no digest.
        for algorithm in ALGORITHMS {
            let path = format!("{path}.{algorithm}");
            let mut alone = only(message, algorithm);
            if !alone.ends_with(b"\r\n") {
                alone.extend_from_slice(b"\r\n");
            }
            fs::write(&path, alone).unwrap();
            assert!(self.opendkim(&path), "OpenDKIM: {name}, {algorithm}");
        }
    }

    /// What dkimpy says of each signature.
    fn dkimpy(&self, path: &str) -> Vec<String> {
        let script = root().join("tests/integration/dkim/verify.py");
        let port = self.0.address().port().to_string();
        let output = run_program("/usr/bin/python3", &[script.to_str().unwrap(), path, &port]);
        assert!(output.status.success(), "dkimpy fails");
        let mut lines: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    /// Whether OpenDKIM finds the message good.
    fn opendkim(&self, path: &str) -> bool {
        let config = self.at("opendkim.conf");
        let arguments = ["-x", &config, "-t", path];
        let output = run_program("/usr/sbin/opendkim", &arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        output.status.success() && said.contains("succeeded") && !said.contains("fail")
    }
}

/// The message without signatures of another algorithm.
fn only(message: &[u8], algorithm: &str) -> Vec<u8> {
    let end = message.windows(4).position(|it| it == b"\r\n\r\n").unwrap_or(message.len());
    let (mut kept, mut is_kept) = (Vec::new(), true);
    for line in message[..end].split_inclusive(|octet| *octet == b'\n') {
        if !line.starts_with(b"\t") && !line.starts_with(b" ") {
            let text = String::from_utf8_lossy(line);
            is_kept = !text.starts_with("DKIM-Signature:") || text.contains(algorithm);
        }
        if is_kept {
            kept.extend_from_slice(line);
        }
    }
    [&kept, &message[end..]].concat()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The odd messages, by name.
fn odd() -> Vec<(String, Vec<u8>)> {
    let folder = root().join("tests/integration/messages/odd");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    let named = |path: PathBuf| {
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
    };
    let messages: Vec<_> = paths.into_iter().map(named).collect();
    assert!(messages.len() >= 12);
    messages
}

fn done(server: &Server, arguments: &[&str]) -> String {
    let output = server.cli(arguments);
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A server that has keys for `domain`, and those who can verify what it signs.
fn signing(plan: Plan, domain: &str) -> (Server, Verifiers) {
    let server = Server::start(plan);
    done(&server, &["dkim", "generate", domain]);
    let verifiers = Verifiers::start(&done(&server, &["dkim", "dns", domain]));
    (server, verifiers)
}

#[test]
fn strangers_accept_what_we_sign() {
    let (server, verifiers) = signing(Plan::relay_to(([127, 0, 0, 1], 9).into()), "ours.test");
    let table = done(&server, &["dkim", "check", "ours.test", "--dns", &verifiers.dns()]);
    assert_eq!(table.matches("published").count(), 2, "{table}");
    let keys = Keys::open(&server.folder().join("data"), &Settings::default()).unwrap();
    let now = Timestamp(engine::shard::wall_ms());
    for (name, message) in odd() {
        let mut signed = Vec::new();
        keys.keyring().sign(&message, now, &mut signed).unwrap();
        signed.extend_from_slice(&message);
        verifiers.accept(&name, &signed);
        // They can tell.
        signed.extend_from_slice(b"\r\nmore\r\n");
        let path = verifiers.at("changed");
        fs::write(&path, &signed).unwrap();
        let results = verifiers.dkimpy(&path);
        assert!(results.iter().all(|it| it.ends_with("fail")), "{name}: {results:?}");
        assert!(!verifiers.opendkim(&path), "OpenDKIM takes {name}, changed");
    }
}

#[test]
fn a_bounce_is_signed() {
    let refusal = Failure::new(Stage::Rcpt, 550).saying("5.1.1 no such mailbox");
    let hop = Postbox::with(Rules { fail: vec![refusal], ..Rules::default() });
    let sender = Postbox::open();
    let plan = Plan::without_route()
        .route("sender.test", sender.address())
        .route("*", hop.address())
        .quick_retries();
    // Of the domain above the host's name, which signs for it.
    let (server, verifiers) = signing(plan, "ringpost.test");
    let mut talk = Talk::hello(server.address());
    let reply = talk.mail("<me@sender.test>", &["<nobody@sink.test>"], "Subject: lost\r\n\r\nx");
    assert!(reply.starts_with("250"), "{reply}");
    let bounce = sender.wait_for("Subject: lost", 30);
    verifiers.accept("bounce", &bounce.message);
}

#[test]
fn what_passes_through_is_signed() {
    let sink = Postbox::open();
    let (server, verifiers) = signing(Plan::relay_to(sink.address()), "ours.test");
    for (name, message) in odd() {
        let mut talk = Talk::hello(server.address());
        let utf8 = if name == "utf8_header" { " SMTPUTF8" } else { "" };
        talk.ask(&format!("MAIL FROM:<joe@ours.test> BODY=8BITMIME{utf8}"), "250");
        talk.ask("RCPT TO:<ann@sink.test>", "250");
        talk.ask("DATA", "354");
        talk.send(&stuff_dots(&message));
        talk.ask(if message.ends_with(b"\r\n") { "." } else { "\r\n." }, "250");
        let mark = format!("<{name}@ours.test>");
        verifiers.accept(&name, &sink.wait_for(&mark, 20).message);
    }
}

/// The records of keys that strangers sign with; the keys are in the folder.
fn foreign_keys(folder: &Path) -> String {
    let script = format!(
        "set -e; cd {}; openssl genrsa -traditional -out rsa.pem 2048 2>/dev/null; \
         openssl genpkey -algorithm ed25519 -out ed.pem; \
         openssl pkey -in ed.pem -outform DER | tail -c 32 | base64 -w0 > ed25519.seed; \
         openssl rsa -in rsa.pem -pubout -outform DER 2>/dev/null | base64 -w0; echo; \
         openssl pkey -in ed.pem -pubout -outform DER | tail -c 32 | base64 -w0",
        folder.display()
    );
    let output = run_program("bash", &["-c", &script]);
    let text = String::from_utf8(output.stdout).unwrap();
    let (rsa, ed) = text.trim().split_once('\n').unwrap();
    let (first, rest) = rsa.split_at(200);
    format!(
        "s1._domainkey.ours TXT \"v=DKIM1; p={first}\" \"{rest}\"\n\
         ed._domainkey.ours TXT \"v=DKIM1; k=ed25519; p={ed}\"\n"
    )
}

/// The fields that OpenDKIM puts before a message.
fn opendkim_fields(folder: &Path, path: &str, form: &str) -> Vec<u8> {
    let config = folder.join("sign.conf");
    let text = format!(
        "Mode s\nSyslog no\nDomain ours.test\nSelector s1\nKeyFile {}\nCanonicalization {form}\n\
         RequireSafeKeys no\nMaximumHeaders 0\n",
        folder.join("rsa.pem").display()
    );
    fs::write(&config, text).unwrap();
    let arguments = ["-x", config.to_str().unwrap(), "-t", path];
    let output = run_program("/usr/sbin/opendkim", &arguments);
    let said = [output.stdout, output.stderr].concat();
    let begin = said.windows(15).position(|it| it == b"DKIM-Signature:").expect("a signature");
    let field = String::from_utf8(said[begin..].to_vec()).unwrap();
    let end = field.find("==\n").map_or(field.trim_end().len(), |at| at + 2);
    format!("{}\r\n", field[..end].replace('\n', "\r\n")).into_bytes()
}

#[test]
fn we_accept_what_strangers_sign() {
    let folder = tempfile::tempdir().unwrap();
    let records = foreign_keys(folder.path());
    let names = NameServer::start(&records);
    let dns = names.address().to_string();
    let results = |name: &str, message: &[u8]| -> Vec<String> {
        let path = folder.path().join("signed.eml");
        fs::write(&path, message).unwrap();
        let path = path.to_str().unwrap();
        let output = run_cli(&["check", "message", path, "--dns", &dns, "--json"]);
        assert!(output.status.success(), "{name}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = told["dkim"].as_array().expect("dkim").iter();
        all.map(|one| one["result"].as_str().unwrap().to_owned()).collect()
    };
    let script = root().join("tests/integration/dkim/sign.py");
    for (name, mut message) in odd() {
        // OpenDKIM reads whole lines, and SMTP knows no others.
        if !message.ends_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        let path = folder.path().join("plain.eml");
        fs::write(&path, &message).unwrap();
        let path = path.to_str().unwrap();
        let arguments = [script.to_str().unwrap(), path, folder.path().to_str().unwrap()];
        let mut fields = run_program("/usr/bin/python3", &arguments).stdout;
        // As it prints its field, blanks of it are not those that it has signed.
        for form in ["relaxed/relaxed", "relaxed/simple"] {
            fields.extend(opendkim_fields(folder.path(), path, form));
        }
        let signed = [&fields[..], &message].concat();
        assert_eq!(results(&name, &signed), ["pass"; 6], "{name}");
        let changed = [&signed[..], b"more\r\n"].concat();
        let results = results(&name, &changed);
        assert!(results.len() == 6 && !results.contains(&"pass".to_owned()), "{name}: {results:?}");
    }
}
