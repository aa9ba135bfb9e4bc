//! Where mail goes: a table of addresses, circles, fans, and a directory that is down.

use proto::types::Enhanced;

use super::super::resolve::{DEPTH_MAX, TARGETS_MAX};
use super::super::*;
use super::{CHEAP, on_a_shard};

struct Scene {
    store: Store,
    accounts: Accounts,
    _dir: tempfile::TempDir,
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

impl Scene {
    fn new(records: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), CHEAP).unwrap();
        let records = records.lines().filter(|line| !line.trim().is_empty());
        let records = records.map(|line| serde_json::from_str(line).unwrap()).collect();
        let import = Command::Import { records, replace: false, create_domains: true };
        let answer = store.command("me", import).unwrap();
        let Answer::Imported { faults, .. } = answer else { panic!() };
        assert!(faults.is_empty(), "{faults:?}");
        let accounts = accounts(Box::new(Embedded::new(store.shared(), None)));
        Self { store, accounts, _dir: dir }
    }

    fn resolve(&self, text: &str) -> Resolution {
        on_a_shard(self.accounts.resolve(&address(text)))
    }

    /// As a line: mailboxes, `>` forwards, or what else.
    fn line(&self, text: &str) -> String {
        match self.resolve(text) {
            Resolution::Deliver(targets) => {
                let shown = targets.iter().map(|target| match target {
                    Target::Mailbox { account, detail: None, .. } => account.to_string(),
                    Target::Mailbox { account, detail: Some(detail), .. } => {
                        format!("{account}[{}]", detail.text)
                    }
                    Target::Forward { to, by } => format!(">{to} by {by}"),
                    Target::Return { to } => format!("<{to}"),
                });
                shown.collect::<Vec<_>>().join(", ")
            }
            Resolution::Temporary(_) => "temporary".into(),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

fn accounts(directory: Box<dyn Directory>) -> Accounts {
    let passwords = PasswordSettings { threads: 1, ..PasswordSettings::default() };
    let settings = Settings { postmaster: "joe@x.example".into(), ..Settings::default() };
    let guessing = GuessSettings::default();
    let secret = secret::Secret::of(&[7; 32]);
    Accounts::new(directory, secret, Parts { settings, passwords, guessing }).unwrap()
}

const RECORDS: &str = r#"
{"kind":"domain","domain":"x.example"}
{"kind":"domain","domain":"all.example","catch_all":"joe@x.example","separator":null}
{"kind":"domain","domain":"away.example","catch_all":"Box@Else.example","separator":"-"}
{"kind":"account","address":"joe@x.example"}
{"kind":"account","address":"ann@x.example"}
{"kind":"account","address":"bob+work@x.example"}
{"kind":"account","address":"off@x.example","disabled":true}
{"kind":"account","address":"bücher@bücher.example"}
{"kind":"account","address":"moved@x.example","forward":["new@Else.example"]}
{"kind":"account","address":"both@x.example","forward":["far@else.example","ann@x.example"],"forward_keep":true}
{"kind":"account","address":"self@x.example","forward":["far@else.example","SELF@x.example"]}
{"kind":"account","address":"ring1@x.example","forward":["ring2@x.example"],"forward_keep":true}
{"kind":"account","address":"ring2@x.example","forward":["ring1@x.example"]}
{"kind":"account","address":"b@away.example"}
{"kind":"alias","address":"info@x.example","targets":["joe@x.example"]}
{"kind":"alias","address":"team@x.example","targets":["info@x.example","ann@x.example","nobody@x.example","joe+team@x.example"]}
{"kind":"alias","address":"list@x.example","targets":["Joe+Lists@x.example","ann+l@x.example","b-y@away.example"]}
{"kind":"alias","address":"gone@x.example","targets":["nobody@x.example"]}
{"kind":"alias","address":"loop@x.example","targets":["pool@x.example"]}
{"kind":"alias","address":"pool@x.example","targets":["loop@x.example"]}
{"kind":"alias","address":"dead@x.example","targets":["off@x.example","nobody@x.example"]}
{"kind":"group","address":"group@x.example","members":["team@x.example","Far@Else.example","far@else.example","a@[192.0.2.1]"]}
{"kind":"group","address":"empty@x.example","members":[]}
"#;

#[test]
fn a_table_of_addresses() {
    let scene = Scene::new(RECORDS);
    for (given, expected) in [
        ("joe@x.example", "joe@x.example"),
        ("JOE@X.Example", "joe@x.example"),
        ("\"joe\"@x.example", "joe@x.example"),
        ("BÜCHER@xn--bcher-kva.example", "bücher@xn--bcher-kva.example"),
        ("bu\u{308}cher@bücher.example", "bücher@xn--bcher-kva.example"),
        ("nobody@x.example", "unknown"),
        ("off@x.example", "disabled"),
        ("joe@elsewhere.example", "notours"),
        ("joe@sub.x.example", "notours"),
        ("joe@[192.0.2.1]", "notours"),
        // Detail: the account itself wins, case is kept, and other separators are none.
        ("joe+Lists+x@x.example", "joe@x.example[Lists+x]"),
        ("bob+work@x.example", "bob+work@x.example"),
        ("bob+other@x.example", "unknown"),
        ("+joe@x.example", "unknown"),
        ("joe-lists@x.example", "unknown"),
        ("info+x@x.example", "joe@x.example"),
        ("off+x@x.example", "disabled"),
        ("b-y@away.example", "b@away.example[y]"),
        // Catch-all.
        ("any@all.example", "joe@x.example"),
        ("any+x@all.example", "joe@x.example"),
        ("any@away.example", ">Box@else.example by away.example"),
        ("postmaster@x.example", "joe@x.example"),
        ("Abuse@x.example", "joe@x.example"),
        ("postmaster@away.example", ">Box@else.example by away.example"),
        // Lists.
        ("info@x.example", "joe@x.example"),
        ("team@x.example", "joe@x.example, ann@x.example"),
        ("gone@x.example", "unknown"),
        ("empty@x.example", "unknown"),
        ("dead@x.example", "disabled"),
        (
            "group@x.example",
            "joe@x.example, ann@x.example, >Far@else.example by x.example, \
             >far@else.example by x.example, >a@[192.0.2.1] by x.example",
        ),
        // Forwards.
        ("moved@x.example", ">new@else.example by x.example"),
        ("both@x.example", "both@x.example, >far@else.example by x.example, ann@x.example"),
        ("self@x.example", "self@x.example, >far@else.example by x.example"),
        ("ring1@x.example", "ring1@x.example"),
        ("ring2@x.example", "ring1@x.example"),
        ("loop@x.example", "temporary"),
    ] {
        assert_eq!(scene.line(given), expected, "{given}");
    }
}

#[test]
fn details_behind_an_alias_are_kept() {
    let scene = Scene::new(RECORDS);
    let details = "joe@x.example[Lists], ann@x.example[l], b@away.example[y]";
    assert_eq!(scene.line("list@x.example"), details);
    assert_eq!(scene.line("list+x@x.example"), details, "a list has none of its own");
    let Resolution::Deliver(targets) = scene.resolve("list@x.example") else { panic!() };
    let shown = |is_here: bool| {
        let addresses = targets.iter().map(|target| target.address(is_here).to_string());
        addresses.collect::<Vec<_>>().join(" ")
    };
    // Each leads to its own mailbox again, or to its account where the detail means nothing.
    assert_eq!(shown(true), "Joe+Lists@x.example ann+l@x.example b-y@away.example");
    assert_eq!(shown(false), "joe@x.example ann@x.example b@away.example");
    for target in targets {
        let again = scene.resolve(&target.address(true).to_string());
        assert_eq!(again, Resolution::Deliver(vec![target]));
    }
}

#[test]
fn bounces_of_forwarded_mail_find_back() {
    let scene = Scene::new(RECORDS);
    let sender = address("Someone@Origin.example");
    let Resolution::Deliver(targets) = scene.resolve("moved@x.example") else { panic!() };
    let Target::Forward { by, .. } = &targets[0] else { panic!() };
    let rewritten = scene.accounts.forwarded_sender(Some(&sender), by).unwrap();
    assert_eq!(rewritten.domain(), Some(by));
    assert_eq!(scene.line(&rewritten.to_string()), "<Someone@origin.example");
    assert_eq!(scene.accounts.forwarded_sender(None, by), None);
    // Forged ones are unknown, even where a catch-all takes everything.
    let forged = rewritten.to_string().replace("Someone", "Victim");
    assert_eq!(scene.line(&forged), "unknown");
    assert_eq!(scene.line("SRS0=abcdef=ab=victim.example=joe@all.example"), "unknown");
    assert_eq!(scene.line("SRS0=abcdef=ab=victim.example=joe@elsewhere.example"), "notours");
    // A domain that only SRS uses is no domain of ours, and works.
    let accounts = accounts(Box::new(Embedded::new(scene.store.shared(), None)));
    let settings = Settings { srs_domain: "srs.example".into(), ..Settings::default() };
    let (passwords, guessing) = (PasswordSettings::default(), GuessSettings::default());
    accounts.reload(Parts { settings, passwords, guessing }).unwrap();
    let rewritten = accounts.forwarded_sender(Some(&sender), by).unwrap();
    assert_eq!(rewritten.domain().unwrap().as_str(), "srs.example");
    let back = on_a_shard(accounts.resolve(&rewritten));
    assert_eq!(back, Resolution::Deliver(vec![Target::Return { to: sender }]));
}

#[test]
fn chains_and_fans_are_bounded() {
    let mut records = String::from("{\"kind\":\"domain\",\"domain\":\"x.example\"}\n");
    let alias = |name: String, targets: Vec<String>| {
        serde_json::to_string(&Record::Alias(Alias { address: name, targets })).unwrap() + "\n"
    };
    for step in 0..=DEPTH_MAX + 1 {
        let next = format!("s{}@x.example", step + 1);
        records += &alias(format!("s{step}@x.example"), vec![next]);
    }
    let last = DEPTH_MAX + 2;
    records += &format!("{{\"kind\":\"account\",\"address\":\"s{last}@x.example\"}}\n");
    let many = |count: usize, domain: &str| (0..count).map(|n| format!("u{n}@{domain}")).collect();
    records += &alias("full@x.example".into(), many(TARGETS_MAX, "else.example"));
    records +=
        &alias("over@x.example".into(), vec!["full@x.example".into(), "one@else.example".into()]);
    let scene = Scene::new(&records);
    assert_eq!(scene.line("s0@x.example"), "temporary");
    assert_eq!(scene.line("s1@x.example"), "temporary");
    assert_eq!(scene.line("s2@x.example"), format!("s{last}@x.example"));
    let Resolution::Deliver(targets) = scene.resolve("full@x.example") else { panic!() };
    assert_eq!(targets.len(), TARGETS_MAX);
    assert_eq!(scene.line("over@x.example"), "temporary");
}

/// A directory behind a broken wire.
struct Broken {
    /// Domains are still known.
    half: bool,
}

fn down<'a, T: 'a>() -> Soon<'a, Result<T, Down>> {
    Soon::Later(Box::pin(async {
        tokio::task::yield_now().await;
        Err(Down("no route".into()))
    }))
}

impl Directory for Broken {
    fn domain<'a>(&'a self, _: &'a Domain) -> Soon<'a, Result<Option<DomainEntry>, Down>> {
        if self.half { Soon::now(Ok(Some(DomainEntry::default()))) } else { down() }
    }

    fn entry<'a>(&'a self, _: &'a Domain, _: &'a str) -> Soon<'a, Result<Option<Entry>, Down>> {
        down()
    }

    fn account<'a>(&'a self, _: &'a Domain, _: &'a str) -> Soon<'a, Result<Option<Account>, Down>> {
        down()
    }

    fn upgrade(&self, _: Upgrade) {}
}

#[test]
fn a_directory_that_is_down_is_451() {
    for half in [false, true] {
        let accounts = accounts(Box::new(Broken { half }));
        let resolution = on_a_shard(accounts.resolve(&address("joe@x.example")));
        let reply = resolution.refusal().unwrap();
        assert_eq!((reply.code, reply.enhanced), (451, Some(Enhanced(4, 3, 0))));
    }
    assert_eq!(Resolution::Unknown.refusal().unwrap().enhanced, Some(Enhanced(5, 1, 1)));
    assert!(Resolution::NotOurs.refusal().is_none());
}
