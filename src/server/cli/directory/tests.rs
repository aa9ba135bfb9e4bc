//! The directory's commands from their arguments to what they print, against a real store.

use std::path::Path;

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::admin::tests::Scene;

fn typed(words: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("ringpost").chain(words.iter().copied()))
}

fn run(scene: &Scene, words: &[&str]) -> Result<String, Failure> {
    let mut arguments = typed(words).unwrap_or_else(|error| panic!("{error}"));
    arguments.socket = Some(scene.path.clone());
    let mut out = Vec::new();
    act(&arguments, &mut out).map(|()| String::from_utf8(out).unwrap())
}

fn done(scene: &Scene, words: &[&str]) -> String {
    run(scene, words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

fn refused(scene: &Scene, words: &[&str]) -> String {
    match run(scene, words) {
        Err(Failure::Failed(error)) => error,
        other => panic!("{words:?}: {other:?}"),
    }
}

const HASH: &str = "{SSHA}TPoAr158xCr+Vf2Nvm7gP79gbEAUvWZx";

fn furnished() -> Scene {
    let scene = Scene::new();
    done(&scene, &["domain", "add", "x.example", "--catch-all", "joe@x.example"]);
    done(
        &scene,
        &["account", "add", "joe@x.example", "--hash", HASH, "--name", "Joe", "--quota", "5 GiB"],
    );
    done(&scene, &["account", "add", "Ann@x.example", "--no-password"]);
    done(&scene, &["alias", "add", "info@x.example", "joe@x.example", "Out@y.example"]);
    done(&scene, &["group", "add", "all@x.example", "joe@x.example", "--name", "All of us"]);
    scene
}

#[test]
fn a_life_of_an_account() {
    let scene = furnished();
    let shown = done(&scene, &["account", "show", "JOE@x.example"]);
    for part in ["Account       joe@x.example", "ssha", "5 GiB", "enabled", "as the settings say"] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    assert!(!shown.contains("TPoAr"), "a hash is shown");
    assert_eq!(
        done(&scene, &["account", "disable", "joe@x.example"]),
        "Disabled account joe@x.example.\n"
    );
    done(&scene, &["account", "quota", "joe@x.example", "none"]);
    done(
        &scene,
        &["account", "set", "joe@x.example", "--grant", "@y.example", "--messages-per-hour", "9"],
    );
    done(&scene, &["account", "forward", "joe@x.example", "far@z.example", "--keep"]);
    let json: Value =
        serde_json::from_str(&done(&scene, &["account", "show", "joe@x.example", "--json"]))
            .unwrap();
    assert_eq!(json["disabled"], true);
    assert_eq!(json["senders"][0], "@y.example");
    assert_eq!(json["forward"][0], "far@z.example");
    assert!(json.get("quota_bytes").is_none() && json["messages_per_hour"] == 9);
    done(
        &scene,
        &["account", "set", "joe@x.example", "--revoke", "@Y.example", "--messages-per-hour", "0"],
    );
    done(&scene, &["account", "enable", "joe@x.example"]);
    done(&scene, &["account", "forward", "joe@x.example"]);
    let table = done(&scene, &["account", "list"]);
    assert!(table.contains("ann@x.example") && table.ends_with("2 accounts.\n"), "{table}");
    assert!(!table.contains("far@z.example") && table.contains("enabled"), "{table}");
    assert_eq!(
        done(&scene, &["account", "remove", "ann@x.example"]),
        "Removed account ann@x.example.\n"
    );
    let audit = done(&scene, &["audit"]);
    for part in ["add account", "set account disabled", "set account quota_bytes", "remove account"]
    {
        assert!(audit.contains(part), "{part}:\n{audit}");
    }
    assert!(!audit.contains("TPoAr") && !audit.contains("SSHA"), "{audit}");
}

#[test]
fn mistakes_say_what_to_do() {
    let scene = furnished();
    for (words, part) in [
        (
            &["account", "add", "joe@y.example", "--no-password"][..],
            "ringpost domain add y.example",
        ),
        (&["account", "add", "info@x.example", "--no-password"], "it is an alias"),
        (&["alias", "remove", "joe@x.example"], "is an account, not an alias"),
        (&["account", "show", "jim@x.example"], "there is no account"),
        (&["account", "passwd", "jim@x.example", "--no-password"], "there is no account"),
        (&["account", "passwd", "joe@x.example", "--hash", "secret"], "argon2, bcrypt"),
        (&["account", "set", "joe@x.example"], "nothing to change"),
        (&["account", "set", "joe@x.example", "--revoke", "q@q.example"], "not in the list"),
        (&["account", "quota", "joe@x.example", "much"], "or none"),
        (&["domain", "remove", "x.example"], "--all"),
        (&["domain", "add", "X.example"], "exists already"),
        (&["domain", "add", "no domain"], "is no domain"),
        (
            &[
                "alias",
                "set",
                "info@x.example",
                "--remove",
                "joe@x.example",
                "--remove",
                "out@y.example",
            ],
            "needs a target",
        ),
    ] {
        let error = refused(&scene, words);
        assert!(error.contains(part), "{words:?}: {error}");
    }
    for words in [
        &["account", "add", "a@x.example", "--stdin", "--hash", HASH][..],
        &["account", "forward", "a@x.example", "--keep"],
        &["alias", "add", "a@x.example"],
        &["audit", "--since", "yesterday"],
    ] {
        assert!(typed(words).is_err(), "{words:?}");
    }
    assert_eq!(
        done(&scene, &["domain", "remove", "x.example", "--all"]),
        "Removed domain x.example with 4 addresses.\n"
    );
    assert_eq!(done(&scene, &["account", "list"]), "There are no accounts.\n");
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_csv_file_is_imported_as_far_as_it_makes_sense() {
    let scene = furnished();
    let dir = tempfile::tempdir().unwrap();
    let file = write(
        dir.path(),
        "people.csv",
        "address,hash,password,quota_bytes,kind,targets,name\n\
         new@n.example,,correct horse,1 GiB,,,\"Doe, Jane\"\n\
         a@x.example,{SSHA}nonsense,,,,,\n\
         joe@x.example,,,,,,\n\
         both@x.example,,,,alias,new@n.example out@y.example,\n\
         bad line\n\
         c@x.example,,,,person,,\n",
    );
    let error = refused(&scene, &["import", &file, "--create-domains"]);
    assert_eq!(error, "4 records were not taken");
    let shown = done(&scene, &["account", "show", "new@n.example", "--json"]);
    let json: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&json["hash"], &json["name"]), (&"argon2id".into(), &"Doe, Jane".into()));
    assert_eq!(json["quota_bytes"], 1_u64 << 30);
    assert!(done(&scene, &["alias", "show", "both@x.example"]).contains("out@y.example"));
    let file = write(dir.path(), "odd.csv", "adress\njoe@x.example\n");
    refused(&scene, &["import", &file]);
    let replace = write(dir.path(), "replace.csv", "address,name\njoe@x.example,Joseph\n");
    assert_eq!(done(&scene, &["import", &replace, "--replace"]), "0 added, 1 replaced.\n");
}

#[test]
fn what_is_exported_comes_back_the_same() {
    let scene = furnished();
    done(
        &scene,
        &["domain", "add", "z.example", "--separator", "none", "--messages-per-hour", "5"],
    );
    let dir = tempfile::tempdir().unwrap();
    let whole = done(&scene, &["export"]);
    assert_eq!(whole.lines().count(), 6);
    assert!(whole.contains(HASH));
    for name in ["all.csv", "all.jsonl"] {
        let file = dir.path().join(name);
        let path = file.to_str().unwrap();
        done(&scene, &["export", path]);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).unwrap());
        assert_eq!(mode & 0o777, 0o600);
        let other = Scene::new();
        assert_eq!(done(&other, &["import", path]), "6 added, 0 replaced.\n", "{name}");
        assert_eq!(done(&other, &["export"]), whole, "{name}");
    }
}

#[test]
fn long_lists_come_in_pages() {
    let scene = furnished();
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (0..2500)
        .map(|n| format!("{{\"kind\":\"account\",\"address\":\"u{n:04}@x.example\"}}\n"))
        .collect();
    let file = write(dir.path(), "many.jsonl", &lines);
    assert_eq!(done(&scene, &["import", &file]), "2,500 added, 0 replaced.\n");
    let page = done(&scene, &["account", "list", "--domain", "x.example", "--limit", "3"]);
    assert!(page.contains("--after u0000@x.example"), "{page}");
    let all = done(&scene, &["account", "list", "--all", "--json"]);
    assert_eq!(all.lines().count(), 2502);
    let rest = done(&scene, &["account", "list", "--after", "u2498@x.example"]);
    assert!(rest.ends_with("1 account.\n"), "{rest}");
    assert_eq!(done(&scene, &["audit", "--json"]).lines().count(), 2505);
    assert_eq!(done(&scene, &["audit", "--json", "--limit", "7"]).lines().count(), 7);
    assert_eq!(
        done(&scene, &["audit", "--since", "2099-01-01T00:00:00Z"]),
        "Nothing was changed.\n"
    );
}

#[test]
fn a_store_without_a_server_is_changed_under_its_lock() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let text = format!("[server]\nhostname = \"mx.test\"\ndata_dir = {data:?}\n");
    let config = write(dir.path(), "ringpost.toml", &text);
    let run = |words: &[&str]| {
        let mut words = words.to_vec();
        words.extend(["--config", &config]);
        let mut out = Vec::new();
        act(&typed(&words).unwrap(), &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    assert_eq!(run(&["domain", "add", "x.example"]).unwrap(), "Added domain x.example.\n");
    assert!(run(&["domain", "list"]).unwrap().contains("x.example"));
    assert!(run(&["audit"]).unwrap().contains("without a server"));
    let _lock = crate::boot::lock(&data).unwrap();
    assert!(matches!(run(&["domain", "list"]), Err(Failure::Unreachable(_))));
}
