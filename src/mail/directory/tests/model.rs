//! The store against a map: whatever is asked, and wherever the machine dies.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::super::*;
use super::CHEAP;

const ME: &str = "tester";

#[derive(Clone, Debug)]
enum Step {
    Add(Box<Record>),
    Rename(String, String),
    Password(String, bool),
    Remove(Kind, String, bool),
    Import(Vec<Record>, bool, bool),
    Compact,
    Reopen,
    /// The machine dies while the step before is being written: which share of its octets are on the
    /// disk, and which share of the audit log.
    Die(f64, f64),
}

type Model = BTreeMap<String, Record>;

fn domains() -> impl Strategy<Value = String> {
    (0..3).prop_map(|n| format!("d{n}.example"))
}

fn addresses() -> impl Strategy<Value = String> {
    ("[a-d]", domains()).prop_map(|(local, domain)| format!("{local}@{domain}"))
}

fn records() -> impl Strategy<Value = Record> {
    let account = (addresses(), prop::collection::vec(addresses(), 0..2), any::<bool>());
    prop_oneof![
        domains().prop_map(|domain| Record::Domain(LocalDomain::new(&domain))),
        account.prop_map(|(address, senders, disabled)| {
            Record::Account(Account { address, senders, disabled, ..Account::default() })
        }),
        (addresses(), prop::collection::vec(addresses(), 1..3))
            .prop_map(|(address, targets)| Record::Alias(Alias { address, targets })),
        (addresses(), prop::collection::vec(addresses(), 0..3)).prop_map(|(address, members)| {
            Record::Group(Group { address, members, name: String::new() })
        }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => records().prop_map(|record| Step::Add(Box::new(record))),
        1 => (addresses(), "[A-Z]{0,5}").prop_map(|(name, text)| Step::Rename(name, text)),
        1 => (addresses(), any::<bool>()).prop_map(|(name, given)| Step::Password(name, given)),
        2 => records().prop_map(|record| Step::Remove(record.kind(), record.name().into(), true)),
        1 => domains().prop_map(|name| Step::Remove(Kind::Domain, name, false)),
        2 => (prop::collection::vec(records(), 0..6), any::<bool>(), any::<bool>())
            .prop_map(|(records, replace, create)| Step::Import(records, replace, create)),
        1 => Just(Step::Compact),
        1 => Just(Step::Reopen),
        3 => (0.0..=1.0, 0.0..=1.0).prop_map(|(log, audit)| Step::Die(log, audit)),
    ]
}

fn domain_of(name: &str) -> Option<&str> {
    name.split_once('@').map(|(_, domain)| domain)
}

/// What the map says to a record; whether it is taken.
fn fits(model: &Model, record: &Record) -> bool {
    let has_domain = domain_of(record.name()).is_none_or(|domain| model.contains_key(domain));
    !model.contains_key(record.name()) && has_domain
}

/// The step in the map; whether it is right.
fn expect(model: &mut Model, step: &Step) -> bool {
    match step {
        Step::Add(record) => {
            let record = Record::clone(record).checked().unwrap();
            fits(model, &record) && model.insert(record.name().into(), record).is_none()
        }
        Step::Rename(name, text) => match model.get_mut(name) {
            Some(Record::Account(account)) => {
                account.name.clone_from(text);
                true
            }
            _ => false,
        },
        Step::Password(name, given) => match model.get_mut(name) {
            Some(Record::Account(account)) => {
                account.hash = given.then(|| HASH.into());
                true
            }
            _ => false,
        },
        Step::Remove(kind, name, all) => {
            if model.get(name).map(Record::kind) != Some(*kind) {
                return false;
            }
            let inside: Vec<String> =
                model.keys().filter(|key| domain_of(key) == Some(name)).cloned().collect();
            if !all && !inside.is_empty() {
                return false;
            }
            model.remove(name);
            inside.iter().for_each(|key| _ = model.remove(key));
            true
        }
        Step::Import(records, replace, create) => {
            for record in records {
                let record = record.clone().checked().unwrap();
                let name = record.name().to_owned();
                if let Some(domain) = domain_of(&name)
                    && *create
                    && !model.contains_key(domain)
                {
                    model.insert(domain.into(), Record::Domain(LocalDomain::new(domain)));
                }
                let kind = model.get(&name).map(Record::kind);
                if fits(model, &record) || (*replace && kind == Some(record.kind())) {
                    model.insert(name, record);
                }
            }
            true
        }
        Step::Compact | Step::Reopen | Step::Die(..) => true,
    }
}

const HASH: &str = "{SSHA}TPoAr158xCr+Vf2Nvm7gP79gbEAUvWZx";

/// The step as the store is told.
fn command(step: &Step) -> Option<Command> {
    Some(match step.clone() {
        Step::Add(record) => Command::Add { record: *record },
        Step::Rename(name, text) => {
            let change = Box::new(Change { name: Some(text), ..Change::default() });
            Command::Set { kind: Kind::Account, name, change }
        }
        Step::Password(name, given) => {
            let hash = given.then(|| HASH.into());
            Command::Password { name, password: None, hash, scram: None }
        }
        Step::Remove(kind, name, all) => Command::Remove { kind, name, all },
        Step::Import(records, replace, create_domains) => {
            Command::Import { records, replace, create_domains }
        }
        Step::Compact | Step::Reopen | Step::Die(..) => return None,
    })
}

fn content(store: &mut Store) -> Model {
    let mut model = Model::new();
    let mut after = None;
    loop {
        let command = Command::Export { limit: 3, after };
        let Answer::Records { records, next } = store.command(ME, command).unwrap() else {
            panic!()
        };
        model.extend(records.into_iter().map(|record| (record.name().to_owned(), record)));
        let Some(next) = next else { return model };
        after = Some(next);
    }
}

/// Numbers of the audit log.
fn lines(store: &mut Store) -> Vec<u64> {
    let (mut numbers, mut after) = (Vec::new(), 0);
    loop {
        let command = Command::Audit { since_ms: 0, limit: 5, after };
        let Answer::Audit { lines, next } = store.command(ME, command).unwrap() else { panic!() };
        numbers.extend(lines.iter().map(|line| line.number));
        let Some(next) = next else { return numbers };
        after = next;
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// The one log of changes in a folder.
fn log_in(folder: &Path) -> std::path::PathBuf {
    let mut logs =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("changes."))
        });
    let log = logs.next().unwrap();
    assert!(logs.next().is_none());
    log
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

/// Between `from` and `to`.
fn between(from: u64, to: u64, share: f64) -> u64 {
    from + ((to - from) as f64 * share).round() as u64
}

fn play(steps: &[Step]) {
    let home = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut data = home.path().join("0");
    let mut store = Store::open(&data, CHEAP).unwrap();
    let mut model = Model::new();
    // Before the last change: the state, the octets of the log, the lines of the audit log. And the
    // octets of the audit log that are synced.
    let mut before = (model.clone(), size(&log_in(&data.join("directory"))), 0);
    let mut synced = 0;
    for step in steps {
        let folder = data.join("directory");
        match step {
            Step::Compact => {
                store.compact().unwrap();
                before = (model.clone(), size(&log_in(&folder)), lines(&mut store).len());
                synced = size(&folder.join("audit.log"));
            }
            Step::Reopen => {
                drop(store);
                store = Store::open(&data, CHEAP).unwrap();
                before = (model.clone(), size(&log_in(&folder)), lines(&mut store).len());
            }
            Step::Die(share, audit_share) => {
                number += 1;
                let next = home.path().join(number.to_string());
                copy(&folder, &next.join("directory"));
                let log = log_in(&next.join("directory"));
                let whole = size(&log);
                let cut = between(before.1, whole, *share);
                let file = fs::File::options().write(true).open(&log).unwrap();
                file.set_len(cut).unwrap();
                if cut < whole {
                    // It was not acknowledged, so it did not happen: nor did its audit lines.
                    model = before.0.clone();
                }
                let audit = next.join("directory/audit.log");
                let text = fs::read_to_string(&audit).unwrap();
                let kept = text.lines().take(if cut < whole { before.2 } else { usize::MAX });
                let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
                let end = between(synced.min(kept.len() as u64), kept.len() as u64, *audit_share);
                fs::write(&audit, &kept.as_bytes()[..end as usize]).unwrap();
                drop(store);
                data = next;
                store = Store::open(&data, CHEAP).unwrap();
                before = (model.clone(), size(&log), lines(&mut store).len());
            }
            _ => {
                let saved = (model.clone(), size(&log_in(&folder)), lines(&mut store).len());
                let is_right = expect(&mut model, step);
                let result = store.command(ME, command(step).unwrap());
                assert_eq!(result.is_ok(), is_right, "{step:?}: {result:?}");
                if size(&log_in(&folder)) > saved.1 {
                    before = saved;
                }
            }
        }
        assert_eq!(content(&mut store), model, "{step:?}");
        let numbers = lines(&mut store);
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn the_store_is_a_map_that_survives(steps in prop::collection::vec(steps(), 1..40)) {
        play(&steps);
    }
}

#[test]
fn a_log_that_lost_what_was_promised_is_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), CHEAP).unwrap();
    for name in ["a.example", "b.example"] {
        let record = Record::Domain(LocalDomain::new(name));
        store.command(ME, Command::Add { record }).unwrap();
    }
    drop(store);
    let log = log_in(&dir.path().join("directory"));
    let file = fs::File::options().write(true).open(&log).unwrap();
    file.set_len(size(&log) - 1).unwrap();
    let error = Store::open(dir.path(), CHEAP).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}
