//! Commands about keys from their arguments to what they print, against real keys and a small DNS.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};

use clap::Parser;
use serde_json::Value;

use super::super::Verb;
use super::*;
use crate::admin::tests::Scene;

fn typed(words: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(["ringpost", "dkim"].iter().chain(words).copied())
}

fn run(scene: &Scene, words: &[&str]) -> (Result<(), Failure>, String) {
    let mut arguments = typed(words).unwrap_or_else(|error| panic!("{error}"));
    arguments.socket = Some(scene.path.clone());
    let Verb::Dkim { verb } = arguments.verb.clone() else { panic!() };
    let mut out = Vec::new();
    let result = act(&verb, &arguments, &mut out);
    (result, String::from_utf8(out).unwrap())
}

fn done(scene: &Scene, words: &[&str]) -> String {
    let (result, out) = run(scene, words);
    result.unwrap_or_else(|error| panic!("{words:?}: {error}\n{out}"));
    out
}

fn refused(scene: &Scene, words: &[&str]) -> (String, String) {
    match run(scene, words) {
        (Err(Failure::Failed(error)), out) => (error, out),
        (other, out) => panic!("{words:?}: {other:?}\n{out}"),
    }
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Answers questions for TXT records: those that it has, or that there is no such name.
struct Dns {
    records: Arc<Mutex<HashMap<String, String>>>,
    address: String,
}

impl Dns {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let records: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let theirs = Arc::clone(&records);
        std::thread::spawn(move || {
            let mut query = [0; 4096];
            while let Ok((octets, from)) = socket.recv_from(&mut query) {
                let answer = answer(&query[..octets], &theirs.lock().unwrap());
                let _ = socket.send_to(&answer, from);
            }
        });
        Self { records, address }
    }

    /// Publishes what `ringpost dkim dns` prints.
    fn publish(&self, zone: &str) {
        let text =
            zone.lines().filter(|line| !line.starts_with(';')).collect::<Vec<_>>().join("\n");
        let mut rest = text.as_str();
        while let Some((name, behind)) = rest.split_once(". IN TXT ") {
            let end = match behind.strip_prefix('(') {
                Some(inside) => inside.find(')').map_or(behind.len(), |at| at + 2),
                None => behind.find('\n').unwrap_or(behind.len()),
            };
            let value: String = behind[..end].split('"').skip(1).step_by(2).collect();
            self.records
                .lock()
                .unwrap()
                .insert(name.lines().next_back().unwrap_or(name).to_owned(), value);
            rest = &behind[end..];
        }
    }

    fn change(&self, from: &str, to: &str) {
        for value in self.records.lock().unwrap().values_mut() {
            *value = value.replace(from, to);
        }
    }
}

fn answer(query: &[u8], records: &HashMap<String, String>) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let found = records.get(&labels.join("."));
    let mut out = query[..2].to_vec();
    out.extend([0x81, if found.is_some() { 0x80 } else { 0x83 }, 0, 1]);
    out.extend([0, u8::from(found.is_some()), 0, 0, 0, 0]);
    out.extend(&query[12..at + 5]);
    if let Some(value) = found {
        let strings: Vec<u8> = value
            .as_bytes()
            .chunks(255)
            .flat_map(|it| [&[it.len() as u8][..], it].concat())
            .collect();
        out.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 1]);
        out.extend((strings.len() as u16).to_be_bytes());
        out.extend(strings);
    }
    out
}

#[test]
fn keys_from_the_first_to_the_last() {
    let (scene, dns) = (Scene::new(), Dns::start());
    assert!(done(&scene, &["list"]).starts_with("There are no keys"));
    let made = done(&scene, &["generate", "X.test", "--subdomains", "no"]);
    assert!(made.starts_with("Mail from x.test is signed from now on."), "{made}");
    assert!(made.contains("._domainkey.x.test. IN TXT ("), "{made}");
    assert!(!made.contains("PRIVATE"));
    assert!(refused(&scene, &["generate", "x.test"]).0.contains("ringpost dkim rotate x.test"));

    let (error, table) = refused(&scene, &["check", "x.test", "--dns", &dns.address]);
    assert!(error.contains("receivers do not find") && table.contains("missing"), "{table}");
    dns.publish(&done(&scene, &["dns", "x.test"]));
    let table = done(&scene, &["check", "x.test", "--dns", &dns.address]);
    assert_eq!(table.matches("published").count(), 2, "{table}");
    dns.change("v=DKIM1;", "v=DKIM1; t=y;");
    let lines = json(&done(&scene, &["--json", "check", "x.test", "--dns", &dns.address]));
    assert!(lines.iter().all(|it| it["dns"] == "published" && it["testing"] == true));
    dns.change("p=", "p=AAAA");
    let (_, table) = refused(&scene, &["check", "x.test", "--dns", &dns.address]);
    assert_eq!(table.matches("differs: its p= is another key").count(), 2, "{table}");
    dns.change("p=AAAA", "p=");

    let first = done(&scene, &["rotate", "x.test", "--dns", &dns.address]);
    assert!(first.contains("do not sign yet") && first.contains("IN TXT"), "{first}");
    let (error, table) = refused(&scene, &["rotate", "x.test", "--dns", &dns.address]);
    assert!(error.contains("nothing was changed") && table.contains("missing"), "{error}");
    dns.publish(&first);
    let second = done(&scene, &["rotate", "x.test", "--dns", &dns.address]);
    assert_eq!(second.matches("signs from now on").count(), 2, "{second}");
    assert_eq!(second.matches("is retired. Keep its record until").count(), 2, "{second}");
    let third = done(&scene, &["rotate", "x.test", "--dns", &dns.address]);
    assert_eq!(third.matches("has to stay until").count(), 2, "{third}");

    let keys = json(&done(&scene, &["list", "--json"]));
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| key["subdomains"] == false && key["value"].is_string()));
    for key in keys {
        let removed = done(&scene, &["remove", "x.test", key["selector"].as_str().unwrap()]);
        assert!(removed.contains("Its record may go"), "{removed}");
    }
    assert!(done(&scene, &["list"]).starts_with("There are no keys"));
    let mut arguments = Arguments::try_parse_from(["ringpost", "audit"]).unwrap();
    arguments.socket = Some(scene.path.clone());
    let mut out = Vec::new();
    crate::cli::act(&arguments, &mut out).unwrap();
    let audit = String::from_utf8(out).unwrap();
    for what in ["generate dkim key", "prepare", "activate", "retire", "remove dkim key"] {
        assert_eq!(
            audit.matches(what).count(),
            if what.starts_with("rem") { 4 } else { 2 },
            "{audit}"
        );
    }
}

#[test]
fn keys_that_are_there_already_and_force() {
    let (scene, dns) = (Scene::new(), Dns::start());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mail.private");
    let path_text = path.to_str().unwrap();
    let pem = include_str!("../../../mail/authentication/signing/tests/pkcs1.pem");
    std::fs::write(&path, pem).unwrap();
    let import = ["generate", "x.test", "--key", path_text, "--selector", "mail", "--pending"];
    let made = done(&scene, &import);
    assert!(made.contains("mail._domainkey.x.test. IN TXT") && made.contains("rotate"), "{made}");
    assert!(refused(&scene, &["rotate", "x.test", "--dns", &dns.address]).0.contains("--force"));
    let switched = done(&scene, &["rotate", "x.test", "--force"]);
    assert_eq!(switched, "mail (rsa 2048) signs from now on.\n");
    let both = done(&scene, &["generate", "y.test", "--selector", "s", "--bits", "3072"]);
    assert!(both.contains("s-rsa._domainkey.y.test") && both.contains("s-ed25519._"), "{both}");
    let table = done(&scene, &["list"]);
    assert!(table.contains("rsa 3072") && table.contains("active"), "{table}");
    let missing = refused(&scene, &["generate", "z.test", "--key", "/nowhere", "--selector", "s"]);
    assert!(missing.0.starts_with("/nowhere: "), "{}", missing.0);
}

#[test]
fn usage_is_checked() {
    for wrong in [
        &["generate"][..],
        &["generate", "x.test", "--algorithm", "dsa"],
        &["generate", "x.test", "--key", "file"],
        &["generate", "x.test", "--key", "file", "--selector", "s", "--bits", "2048"],
        &["generate", "x.test", "--subdomains", "maybe"],
        &["check", "x.test", "--dns", "127.0.0.1"],
        &["remove", "x.test"],
    ] {
        assert!(typed(wrong).is_err(), "{wrong:?}");
    }
}
