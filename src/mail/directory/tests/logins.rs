//! Who may log in: from a password to an identity, and what guessing gets.

use std::net::IpAddr;
use std::sync::Arc;

use engine::settings::Span;
use engine::telemetry::{Events, Format};

use super::super::*;
use super::on_a_shard;

const HERE: &str = "192.0.2.1";
/// doveadm's, of `correct horse`.
const SSHA: &str = "{SSHA}TPoAr158xCr+Vf2Nvm7gP79gbEAUvWZx";

struct Scene {
    accounts: Arc<Accounts>,
    writer: Writer,
    login: Login,
    events: Events,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let passwords = PasswordSettings {
            argon2_memory: engine::settings::Bytes::kib(64),
            argon2_passes: 1,
            scram_iterations: 4096,
            threads: 1,
            ..PasswordSettings::default()
        };
        let guessing = GuessSettings { delay_max: Span::ms(1), ..GuessSettings::default() };
        let parts = Parts { settings: Settings::default(), passwords, guessing };
        let (accounts, writer) = Accounts::open(dir.path(), parts).unwrap();
        let events = Events::to_memory(0, Format::Text);
        let login = Login::new(Arc::clone(&accounts), events.clone());
        let scene = Self { accounts, writer, login, events, _dir: dir };
        scene.add(r#"{"kind":"domain","domain":"x.example"}"#);
        scene.add(&format!(
            r#"{{"kind":"account","address":"joe@x.example","hash":"{SSHA}","name":"Joe",
                "senders":["Sales@y.example","@z.example"],"messages_per_hour":2}}"#
        ));
        scene.add(&format!(
            r#"{{"kind":"account","address":"off@x.example","hash":"{SSHA}","disabled":true}}"#
        ));
        scene.add(r#"{"kind":"account","address":"none@x.example"}"#);
        scene.add(r#"{"kind":"alias","address":"info@x.example","targets":["joe@x.example"]}"#);
        scene
    }

    fn add(&self, record: &str) {
        self.ask(Command::Add { record: serde_json::from_str(record).unwrap() });
    }

    fn ask(&self, command: Command) -> Answer {
        on_a_shard(self.writer.command("me".into(), command)).unwrap().unwrap()
    }

    fn check(&self, login: &str, password: &str, client: &str) -> Verdict {
        let client: IpAddr = client.parse().unwrap();
        on_a_shard(self.login.check(login, password.as_bytes(), client))
    }

    fn granted(&self, login: &str, password: &str) -> Box<Identity> {
        match self.check(login, password, HERE) {
            Verdict::Granted(identity) => identity,
            other => panic!("{login}: {other:?}"),
        }
    }

    fn account(&self, name: &str) -> Account {
        // An order behind all upgrades that were given before.
        let Answer::Records { records, .. } = self.ask(Command::Export { limit: 100, after: None })
        else {
            panic!()
        };
        let found = records.into_iter().find(|record| record.name() == name);
        let Some(Record::Account(account)) = found else { panic!("{name}") };
        account
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.writer.stop();
    }
}

#[test]
fn right_and_wrong() {
    let scene = Scene::new();
    let identity = scene.granted("JOE@x.example", "correct horse");
    assert_eq!(
        (identity.account.to_string().as_str(), identity.name.as_str()),
        ("joe@x.example", "Joe")
    );
    for (login, password, reason) in [
        ("joe@x.example", "wrong", "wrong password"),
        ("joe@x.example", "", "wrong password"),
        ("jim@x.example", "correct horse", "unknown account"),
        ("joe@y.example", "correct horse", "unknown account"),
        ("info@x.example", "correct horse", "unknown account"),
        ("joe", "correct horse", "unknown account"),
        ("off@x.example", "correct horse", "disabled account"),
        ("none@x.example", "correct horse", "no password"),
        ("none@x.example", "", "no password"),
    ] {
        let _ = scene.events.take();
        // Each from its own client: this is not about guessing.
        let client = format!("192.0.2.{}", 10 + reason.len() + password.len());
        let verdict = scene.check(login, password, &client);
        assert!(matches!(verdict, Verdict::Wrong), "{login}: {verdict:?}");
        let line = scene.events.take();
        assert!(
            line.contains(&format!("login-failed shard=0 client={client} reason=\"{reason}\"")),
            "{line}"
        );
    }
}

#[test]
fn an_identity_knows_its_senders_and_its_limits() {
    let scene = Scene::new();
    let identity = scene.granted("joe@x.example", "correct horse");
    for (sender, may) in [
        ("joe@x.example", true),
        ("JOE+x@X.example", true),
        ("joe-x@x.example", false),
        ("jim@x.example", false),
        ("joe@x.example.org", false),
        ("sales@Y.example", true),
        ("other@y.example", false),
        ("any@z.example", true),
        ("any@sub.z.example", false),
        ("joe@[192.0.2.1]", false),
    ] {
        assert_eq!(identity.may_send_as(&Address::parse(sender).unwrap()), may, "{sender}");
    }
    let now_ms = engine::shard::now_ms();
    identity.allowance.take(1, now_ms).unwrap();
    // Another session of the same account.
    let again = scene.granted("joe@x.example", "correct horse");
    again.allowance.take(1, now_ms).unwrap();
    assert_eq!(identity.allowance.take(1, now_ms).unwrap_err().what, "messages");
}

#[test]
fn an_old_hash_is_renewed_at_login_and_gets_scram() {
    let scene = Scene::new();
    assert_eq!(scene.account("joe@x.example").hash.as_deref(), Some(SSHA));
    scene.granted("joe@x.example", "correct horse");
    let account = scene.account("joe@x.example");
    let hash = account.hash.clone().unwrap();
    assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
    let scram = account.scram.unwrap();
    let derived = ScramSecrets::derive("correct horse", &scram.salt, scram.iterations);
    assert_eq!(derived.unwrap(), scram);
    assert_eq!(on_a_shard(scene.login.scram("joe@x.example")).unwrap(), scram);
    scene.granted("joe@x.example", "correct horse");
    assert!(matches!(scene.check("joe@x.example", "wrong", HERE), Verdict::Wrong));
    assert_eq!(scene.account("joe@x.example").hash, Some(hash));
    let Answer::Audit { lines, .. } =
        scene.ask(Command::Audit { since_ms: 0, limit: 100, after: 0 })
    else {
        panic!()
    };
    let last = lines.last().unwrap();
    assert_eq!((last.who.as_str(), last.what.as_str()), ("ringpost", "upgrade hash"));
}

#[test]
fn a_changed_password_holds_at_once() {
    let scene = Scene::new();
    scene.granted("joe@x.example", "correct horse");
    let name = "joe@x.example".to_owned();
    scene.ask(Command::Password {
        name: name.clone(),
        password: Some("battery staple".into()),
        hash: None,
        scram: None,
    });
    // What was remembered is worth nothing.
    assert!(matches!(scene.check(&name, "correct horse", HERE), Verdict::Wrong));
    scene.granted(&name, "battery staple");
    let change = Box::new(Change { disabled: Some(true), ..Change::default() });
    scene.ask(Command::Set { kind: Kind::Account, name: name.clone(), change });
    assert!(matches!(scene.check(&name, "battery staple", HERE), Verdict::Wrong));
}

#[test]
fn guessing_is_blocked_and_others_keep_working() {
    let scene = Scene::new();
    let attacker = "2001:db8::1";
    let mut blocked = 0;
    for number in 0..30 {
        match scene.check("joe@x.example", &format!("guess{number}"), attacker) {
            Verdict::Wrong => assert_eq!(blocked, 0),
            Verdict::Blocked => blocked += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(blocked, 20);
    // Not even with the right one, from anywhere in its /64.
    assert!(matches!(
        scene.check("joe@x.example", "correct horse", "2001:db8::2"),
        Verdict::Blocked
    ));
    scene.granted("joe@x.example", "correct horse");
    assert!(
        scene.events.take().contains("client=2001:db8::2 reason=blocked account=joe@x.example")
    );
}

#[test]
fn many_guesses_at_once_are_counted_like_one_after_the_other() {
    let scene = Scene::new();
    let client: IpAddr = "198.51.100.7".parse().unwrap();
    let verdicts = on_a_shard(async {
        let local = tokio::task::LocalSet::new();
        let tasks: Vec<_> = (0..16)
            .map(|number| {
                let login = scene.login.clone();
                local.spawn_local(async move {
                    login.check("joe@x.example", format!("guess{number}").as_bytes(), client).await
                })
            })
            .collect();
        local
            .run_until(async {
                let mut verdicts = Vec::new();
                for task in tasks {
                    verdicts.push(task.await.unwrap());
                }
                verdicts
            })
            .await
    });
    let wrong = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Wrong)).count();
    let blocked = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Blocked)).count();
    assert_eq!((wrong, blocked), (10, 6), "{verdicts:?}");
}

#[test]
fn scram_of_nobody_is_a_decoy_that_stays() {
    let scene = Scene::new();
    let decoy = |login: &str| on_a_shard(scene.login.scram(login)).unwrap();
    for login in ["nobody@x.example", "off@x.example", "none@x.example", "joe@x.example", "x"] {
        assert_eq!(decoy(login), decoy(login));
        assert_eq!(decoy(login).iterations, 4096);
        assert_eq!(decoy(login).salt.len(), 16);
    }
    assert_ne!(decoy("nobody@x.example").salt, decoy("anybody@x.example").salt);
    let client = HERE.parse().unwrap();
    let proved = on_a_shard(scene.login.proved("joe@x.example", client));
    assert!(matches!(proved, Verdict::Granted(_)));
    for login in ["off@x.example", "nobody@x.example"] {
        assert!(matches!(on_a_shard(scene.login.proved(login, client)), Verdict::Wrong));
    }
    for _ in 0..10 {
        scene.login.failed("joe@x.example", client);
    }
    assert_eq!(on_a_shard(scene.login.admit("joe@x.example", client)), Admission::Blocked);
    assert_eq!(on_a_shard(scene.login.admit("jim@x.example", client)), Admission::Go);
}

/// Needs fail2ban; without it the filter is only looked at.
#[test]
fn fail2ban_reads_what_is_logged() {
    let filter = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/fail2ban/ringpost.conf");
    assert!(std::fs::read_to_string(filter).unwrap().contains("login-failed"));
    let scene = Scene::new();
    let mut text = String::new();
    for format in [Format::Text, Format::Json] {
        let events = Events::to_memory(3, format);
        let login = Login::new(Arc::clone(&scene.accounts), events.clone());
        for client in ["192.0.2.77", "2001:db8::77"] {
            // An account that tries to have another banned.
            let account = "joe client=198.51.100.1 reason=x\",\"client\":\"198.51.100.1";
            let check = login.check(account, b"wrong", client.parse().unwrap());
            assert!(matches!(on_a_shard(check), Verdict::Wrong));
        }
        events.event("accepted", |event| {
            event.str("id", "login-failed shard=0 client=198.51.100.1 reason=x");
        });
        text += &events.take();
    }
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    std::fs::write(&log, text).unwrap();
    let output = std::process::Command::new("fail2ban-regex")
        .args([log.as_os_str(), filter.as_ref(), "--out".as_ref(), "<ip>".as_ref()])
        .output();
    let Ok(output) = output else {
        println!("skipped: fail2ban-regex is not installed");
        return;
    };
    let found = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<&str> = found.split_whitespace().collect();
    found.sort_unstable();
    assert_eq!(found, ["192.0.2.77", "192.0.2.77", "2001:db8::77", "2001:db8::77"]);
}
