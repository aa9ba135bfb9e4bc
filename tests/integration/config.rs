//! Configuration files: mistakes are shown where they are, and the reference is what the code says.

use std::{fs, path::Path};

use crate::harness::{Plan, run_cli};

fn check(text: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.toml");
    fs::write(&path, text).unwrap();
    let output = run_cli(&["config", "check", "--config", path.to_str().unwrap()]);
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn good() -> String {
    Plan::relay_to(([127, 0, 0, 1], 2626).into()).text(Path::new("/tmp/d"), Path::new("/tmp/s"))
}

#[test]
fn a_good_file_passes() {
    let (passed, said) = check(&good());
    assert!(passed, "{said}");
}

#[test]
fn an_unknown_key_is_found_with_line_column_and_suggestion() {
    let text = format!("{}\n[limits]\nrecipients_per_mesage = 200\n", good());
    let line = text.lines().position(|line| line.starts_with("recipients_per_mesage")).unwrap() + 1;
    let (passed, said) = check(&text);
    assert!(!passed);
    assert!(said.contains(&format!("wrong.toml:{line}:1")), "{said}");
    assert!(said.contains("did you mean") && said.contains("recipients_per_message"), "{said}");
}

#[test]
fn wrong_values_name_their_path() {
    let (passed, said) = check(&good().replace("protocol = \"smtp\"", "protocol = \"smpt\""));
    assert!(!passed);
    assert!(said.contains("listener") && said.contains("protocol"), "{said}");
    let (passed, said) = check(&good().replace("shards = 2", "shards = \"two\""));
    assert!(!passed);
    assert!(said.contains("wrong.toml:") && said.contains("shards"), "{said}");
    let (passed, _) = check(&good().replace("127.0.0.0/8", "127.0.0.0/99"));
    assert!(!passed, "a network that is none");
}

#[test]
fn the_reference_is_what_the_code_says() {
    let output = run_cli(&["config", "reference"]);
    assert!(output.status.success());
    let kept = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/reference.toml"))
        .expect("config/reference.toml");
    let generated = String::from_utf8(output.stdout).unwrap();
    assert!(
        generated == kept,
        "config/reference.toml is stale: ringpost config reference > config/reference.toml"
    );
}

#[test]
fn the_shipped_files_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let output = run_cli(&["config", "check", "--config", path.to_str().unwrap()]);
            assert!(output.status.success(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 3, "ringpost.toml, dev.toml, reference.toml");
}

#[test]
fn a_version_is_told() {
    let output = run_cli(&["--version"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains(env!("CARGO_PKG_VERSION")), "{said}");
}
