//! Keys on a disk, and signatures as mail-auth sees them.

mod anything;

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use engine::settings::Span;
use mail_auth::dkim::DomainKey;
use mail_auth::dns::TxtRecordParser;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DnsCache, MessageAuthenticator, NoCache, Parameters,
    ResolverCache, TxtRecord,
};
use proto::types::{Domain, Timestamp};

use super::*;

/// The DNS.
#[derive(Default)]
struct Zone(Mutex<HashMap<Box<str>, TxtRecord>>);

impl ResolverCache<Box<str>, TxtRecord> for Zone {
    fn get<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn remove<Q>(&self, name: &Q) -> Option<TxtRecord>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().unwrap().remove(name)
    }

    fn insert(&self, name: Box<str>, record: TxtRecord, _: Instant) {
        self.0.lock().unwrap().insert(name, record);
    }
}

impl DnsCache for Zone {
    type Txt = Self;
    type Mx = NoCache;
    type Ipv4 = NoCache;
    type Ipv6 = NoCache;
    type Ptr = NoCache;

    fn txt(&self) -> Option<&Self> {
        Some(self)
    }

    fn mx(&self) -> Option<&NoCache> {
        None
    }

    fn ipv4(&self) -> Option<&NoCache> {
        None
    }

    fn ipv6(&self) -> Option<&NoCache> {
        None
    }

    fn ptr(&self) -> Option<&NoCache> {
        None
    }
}

/// Keys in a folder, and what was said to the audit log.
struct Scene {
    dir: tempfile::TempDir,
    keys: Arc<Keys>,
    audit: Vec<String>,
}

impl Scene {
    fn new() -> Self {
        Self::with(&Settings::default())
    }

    fn with(settings: &Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = Keys::open(dir.path(), settings).unwrap();
        Self { dir, keys, audit: Vec::new() }
    }

    fn ask(&mut self, command: &str) -> Result<Vec<KeyInfo>, String> {
        let command: Command = serde_json::from_str(command).unwrap();
        let mut audit = |what: &str, on: &str| self.audit.push(format!("{what} {on}"));
        let answer = self.keys.command(command, &mut audit);
        answer.map(|answer| answer.keys).map_err(|error| error.to_string())
    }

    fn done(&mut self, command: &str) -> Vec<KeyInfo> {
        self.ask(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn zone(&mut self) -> Zone {
        let zone = Zone::default();
        for key in self.done(r#"{"dkim":"list"}"#) {
            let record = DomainKey::parse(key.value.as_bytes());
            let name = format!("{}.", key.name).into_boxed_str();
            zone.0.lock().unwrap().insert(name, record.into());
        }
        zone
    }

    fn signed(&self, message: &[u8], now: Timestamp) -> Vec<u8> {
        let mut out = Vec::new();
        self.keys.keyring().sign(message, now, &mut out).unwrap();
        out.extend_from_slice(message);
        out
    }
}

fn now() -> Timestamp {
    Timestamp(engine::shard::wall_ms())
}

/// What mail-auth says of each signature of `message`.
fn verified(message: &[u8], zone: &Zone) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let authenticator = MessageAuthenticator::new_system_conf().unwrap();
        let parsed = AuthenticatedMessage::parse(message).expect("a message");
        let parameters = Parameters::new(&parsed).with_cache(zone);
        let results = authenticator.verify_dkim(parameters).await;
        results.iter().map(|it| format!("{:?}", it.result())).collect()
    })
}

fn pass() -> String {
    format!("{:?}", DkimResult::Pass)
}

const GENERATE: &str = r#"{"dkim":"generate","domain":"x.test"}"#;
const ED25519: &str = r#"{"dkim":"generate","domain":"x.test","algorithm":"ed25519"}"#;
const MESSAGE: &str = "Received: from a\r\nFrom: Joe <joe@x.test>\r\nTo: a@y.test,\r\n b@y.test\r\n\
                       Subject:  two\r\n\twords \r\nX-Other: 1\r\n\r\nHello  there \r\n\r\n\r\n";

#[test]
fn both_signatures_are_good_and_well_formed() {
    let mut scene = Scene::with(&Settings {
        expiry: Span::hours(24),
        headers: vec!["X-Other".into()],
        ..Settings::default()
    });
    assert!(scene.keys.keyring().is_empty());
    let made = scene.done(GENERATE);
    assert_eq!(made.len(), 2);
    let zone = scene.zone();
    let signed = scene.signed(MESSAGE.as_bytes(), now());
    assert_eq!(verified(&signed, &zone), [pass(), pass()]);
    let text = String::from_utf8(signed).unwrap();
    let header = &text[..text.find("Received:").unwrap()];
    assert_eq!(header.matches("DKIM-Signature: v=1; a=").count(), 2);
    assert!(header.contains("h=From:From:Subject:To:X-Other;"), "{header}");
    assert!(header.contains(" x=") && header.contains("c=relaxed/relaxed"), "{header}");
    assert!(header.lines().all(|line| line.len() < 78), "{header}");
    assert!(header.lines().all(|line| line.trim_end() == line), "{header}");
    // Everything that is covered is.
    for (from, to) in [
        ("Joe <joe@x.test>", "Ann <joe@x.test>"),
        ("two", "too"),
        ("X-Other: 1", "X-Other: 2"),
        ("b@y.test\r\n", "b@y.test, c@y.test\r\n"),
        ("Hello", "Hallo"),
        ("Received: from a\r\n", "From: Eve <joe@x.test>\r\n"),
        ("h=From:From:", "h=From:"),
        (" x=", " x=1"),
    ] {
        let changed = text.replacen(from, to, 2);
        assert_ne!(changed, text);
        let results = verified(changed.as_bytes(), &zone);
        assert!(!results.is_empty() && !results.contains(&pass()), "{from}: {results:?}");
    }
    // And what is not, or does not matter, may change.
    for (from, to) in [
        ("Received: from a\r\n", "Received: b\r\nReceived: a\r\n"),
        ("two\r\n\twords ", "two words"),
        ("Hello  there \r\n\r\n", "Hello there\r\n"),
        ("Subject: ", "SUBJECT:\t "),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        assert_eq!(verified(changed.as_bytes(), &zone), [pass(), pass()], "{from}");
    }
    // A signature has its time.
    let old = scene.signed(MESSAGE.as_bytes(), Timestamp(now().0 - 25 * 3600 * 1000));
    assert!(verified(&old, &zone).iter().all(|result| result.contains("SignatureExpired")));
}

#[test]
fn who_signs_for_whom() {
    let mut scene = Scene::new();
    scene.done(ED25519);
    let own = r#"{"dkim":"generate","domain":"own.x.test","algorithm":"ed25519","selector":"own","subdomains":false}"#;
    scene.done(own);
    let keyring = scene.keys.keyring();
    let signer = |name: &str| {
        let signers = keyring.signers(&Domain::parse(name).unwrap())?;
        Some(signers.iter().map(|signer| signer.selector().to_owned()).collect::<Vec<_>>())
    };
    let month = signer("x.test").unwrap();
    assert!(month.len() == 1 && month[0].ends_with('e'), "{month:?}");
    assert_eq!(signer("deep.down.x.test"), Some(month.clone()));
    assert_eq!(signer("own.x.test").unwrap(), ["own"]);
    assert_eq!(signer("below.own.x.test"), Some(month), "the nearest that signs for subdomains");
    for nobody in ["test", "y.test", "xx.test", "x.test.y.test"] {
        assert_eq!(signer(nobody), None, "{nobody}");
    }
    scene.keys.reload(&Settings { sign_subdomains: false, ..Settings::default() }).unwrap();
    let keyring = scene.keys.keyring();
    assert!(keyring.signers(&Domain::parse("deep.x.test").unwrap()).is_none());
    assert!(keyring.signers(&Domain::parse("x.test").unwrap()).is_some());
}

#[test]
fn what_cannot_be_signed_goes_as_it_is() {
    let mut scene = Scene::new();
    scene.done(ED25519);
    let keyring = scene.keys.keyring();
    let mut out = b"before".to_vec();
    for message in
        ["To: a@x.test\r\n\r\n", "From: a@y.test\r\n\r\n", "", "From: a@x.test, b@y.test\r\n"]
    {
        assert_eq!(keyring.sign(message.as_bytes(), now(), &mut out), Ok(()));
    }
    let many = format!("From: a@x.test\r\n{}\r\n", "To: b@y.test\r\n".repeat(10_000));
    assert_eq!(keyring.sign(many.as_bytes(), now(), &mut out), Err(SignError::Fields));
    let signer = &keyring.signers(&Domain::parse("x.test").unwrap()).unwrap()[0];
    let digest = BodyDigest::new().finish();
    assert_eq!(signer.sign(b"To: a\r\n", &digest, now(), &mut out), Err(SignError::NoAuthor));
    assert_eq!(out, b"before");
}

#[test]
fn a_rotation_in_three_steps() {
    let mut scene = Scene::new();
    scene.done(GENERATE);
    let again = scene.ask(GENERATE).unwrap_err();
    assert!(again.contains("ringpost dkim rotate x.test"), "{again}");
    let old = scene.zone();
    let pending = scene.done(r#"{"dkim":"prepare","domain":"X.test"}"#);
    assert!(pending.iter().all(|key| key.state == State::Pending && key.selector.ends_with('2')));
    assert!(scene.ask(r#"{"dkim":"prepare","domain":"x.test"}"#).unwrap_err().contains("pending"));
    let signed = scene.signed(MESSAGE.as_bytes(), now());
    assert_eq!(verified(&signed, &old), [pass(), pass()], "the old keys still sign");

    let switched = scene.done(r#"{"dkim":"switch","domain":"x.test"}"#);
    let states: Vec<State> = switched.iter().map(|key| key.state).collect();
    assert_eq!(states, [State::Active, State::Active, State::Retired, State::Retired]);
    assert!(switched[2].removable.unwrap() > now().0 + RETIRED_MS - 60_000);
    let signed = scene.signed(MESSAGE.as_bytes(), now());
    assert_eq!(verified(&signed, &scene.zone()), [pass(), pass()]);
    let text = String::from_utf8(signed).unwrap();
    assert!(pending.iter().all(|key| text.contains(&format!("s={};", key.selector))), "{text}");

    assert!(scene.done(r#"{"dkim":"sweep","domain":"x.test"}"#).is_empty(), "too early");
    // Long ago.
    let path = scene.dir.path().join("dkim/x.test/keys.json");
    let retired = switched[2].retired.unwrap();
    let register = std::fs::read_to_string(&path).unwrap();
    let aged = register.replace(&retired.to_string(), &(retired - RETIRED_MS - 1).to_string());
    std::fs::write(&path, aged).unwrap();
    scene.keys.reload(&Settings::default()).unwrap();
    assert_eq!(scene.done(r#"{"dkim":"sweep","domain":"x.test"}"#).len(), 2);
    assert_eq!(scene.done(r#"{"dkim":"list","domain":"x.test"}"#).len(), 2);
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 3, "two keys and the register");
    let whats: Vec<&str> =
        scene.audit.iter().map(|line| line.split(" dkim").next().unwrap()).collect();
    let mut expected = ["generate", "prepare"].repeat(2);
    expected.sort_unstable();
    assert_eq!(whats[..4], expected);
    let mut rest = whats[4..].to_vec();
    rest.sort_unstable();
    assert_eq!(rest, ["activate", "activate", "remove", "remove", "retire", "retire"]);
    assert!(scene.audit[0].ends_with("._domainkey.x.test"), "{:?}", scene.audit);
}

#[test]
fn keys_survive_a_restart_and_go_for_good() {
    let mut scene = Scene::new();
    scene.done(GENERATE);
    let listed = scene.done(r#"{"dkim":"list"}"#);
    scene.keys = Keys::open(scene.dir.path(), &Settings::default()).unwrap();
    assert_eq!(scene.done(r#"{"dkim":"list"}"#), listed);
    // What a crash leaves: a key that nobody names, and a folder without a register.
    let folder = scene.dir.path().join("dkim");
    std::fs::write(folder.join("x.test/half.pem"), "half").unwrap();
    std::fs::create_dir(folder.join("y.test")).unwrap();
    scene.keys = Keys::open(scene.dir.path(), &Settings::default()).unwrap();
    assert_eq!(scene.done(r#"{"dkim":"list"}"#), listed);
    std::fs::remove_file(folder.join("x.test/half.pem")).unwrap();
    for key in &listed {
        let command =
            format!(r#"{{"dkim":"remove","domain":"x.test","selector":"{}"}}"#, key.selector);
        scene.done(&command);
        assert!(scene.ask(&command).is_err());
    }
    assert!(scene.keys.keyring().is_empty() && !folder.join("x.test").exists());
    assert!(
        scene.ask(r#"{"dkim":"list","domain":"x.test"}"#).unwrap_err().contains("generate x.test")
    );
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn private_keys_are_private() {
    let mut scene = Scene::new();
    let key = &scene.done(ED25519)[0];
    let folder = scene.dir.path().join("dkim/x.test");
    let path = folder.join(format!("{}.pem", key.selector));
    assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
    assert_eq!(mode(folder.parent().unwrap()), 0o700);
    for exposed in [0o644, 0o640, 0o604, 0o620] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(exposed)).unwrap();
        let error = Keys::open(scene.dir.path(), &Settings::default()).unwrap_err().to_string();
        assert!(error.contains("chmod 600") && error.contains("rotate x.test"), "{error}");
        assert!(scene.keys.reload(&Settings::default()).is_err());
        assert!(!scene.keys.keyring().is_empty(), "what was in force stays");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "nonsense").unwrap();
    let error = Keys::open(scene.dir.path(), &Settings::default()).unwrap_err().to_string();
    assert!(error.contains(".pem: ") && error.contains("BEGIN PRIVATE KEY"), "{error}");
}

#[test]
fn names_stay_in_their_folder() {
    let mut scene = Scene::new();
    for (domain, selector) in [
        ("../x.test", "s"),
        ("x.test", "../s"),
        ("x.test", ""),
        ("x.test", "a/b"),
        ("x.test", "a..b"),
        ("x.test", "ü"),
        ("x.test", &"a.".repeat(120)),
    ] {
        let command = Command::Generate {
            domain: domain.into(),
            selector: Some(selector.into()),
            algorithm: Some(Algorithm::Ed25519),
            bits: None,
            pending: false,
            subdomains: None,
        };
        assert!(scene.keys.command(command, &mut |_, _| ()).is_err(), "{domain} {selector}");
    }
    assert!(scene.done(r#"{"dkim":"list"}"#).is_empty());
}

#[test]
fn keys_of_others_are_taken() {
    let mut scene = Scene::new();
    // As `opendkim-genkey -b 2048` (openssl genrsa -traditional) writes them.
    let pem = include_str!("pkcs1.pem");
    let import = |pem: &str, selector: &str| {
        serde_json::json!({ "dkim": "import", "domain": "x.test", "selector": selector, "pem": pem })
            .to_string()
    };
    let taken = scene.done(&import(pem, "Mail"));
    assert_eq!((taken[0].selector.as_str(), taken[0].bits), ("mail", 2048));
    let zone = scene.zone();
    assert_eq!(verified(&scene.signed(MESSAGE.as_bytes(), now()), &zone), [pass()]);
    let weak = scene.ask(&import(include_str!("pkcs1_1024.pem"), "weak")).unwrap_err();
    assert!(weak.contains("1024 bits"), "{weak}");
    let path = scene.dir.path().join("dkim/x.test/mail.pem");
    assert!(std::fs::read_to_string(path).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
}
