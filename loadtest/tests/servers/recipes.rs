//! Recipes say what is wrong with them.

use std::{fs, path::Path};

use loadtest::server::Recipe;

fn load(text: &str) -> Result<Recipe, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    Recipe::load(file.path()).map_err(|error| error.to_string())
}

const GOOD: &str = "name = 'A'\ndurability = 'none'\n[start]\ncommand = ['true']\n";

#[test]
fn every_shipped_recipe_loads_and_says_what_is_on_disk() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let recipe = Recipe::load(&entry.unwrap().path()).unwrap();
        assert!(!recipe.durability.is_empty() && recipe.tuning.is_some(), "{}", recipe.name);
        assert!(!recipe.version.is_empty(), "{}", recipe.name);
        count += 1;
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn unknown_keys_are_named() {
    assert!(load(GOOD).is_ok());
    for (text, key) in [
        (format!("nmae = 'B'\n{GOOD}"), "nmae"),
        (format!("{GOOD}pidfile = 'x'\n"), "pidfile"),
        (format!("{GOOD}[stop]\nsignals = 'TERM'\n"), "signals"),
        (format!("{GOOD}[[file]]\npath = 'x'\ntext = ''\nuser = 'x'\n"), "user"),
    ] {
        let error = load(&text).unwrap_err();
        assert!(error.contains(key) && error.contains("line"), "{error}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let empty = GOOD.replace("['true']", "[]");
    assert!(load(&empty).unwrap_err().contains("start.command"));
    assert!(load(&format!("{GOOD}[stop]\nsignal = 'SIG TERM'\n")).unwrap_err().contains("signal"));
    let neither = format!("needs = [{{ install = 'x' }}]\n{GOOD}");
    assert!(load(&neither).unwrap_err().contains("needs"));
}

#[test]
fn what_is_missing_is_said_in_words() {
    let text = "needs = [{ program = '/no/such', install = 'apt-get install such' }]\n";
    let missing = load(&format!("{text}{GOOD}")).unwrap().missing().unwrap();
    assert_eq!(missing, "A needs /no/such: apt-get install such");
    let text = "needs = [{ user = 'no-such-user', install = 'scripts/peers a' }]\n";
    let missing = load(&format!("{text}{GOOD}")).unwrap().missing().unwrap();
    assert!(missing.contains("no-such-user") && missing.contains("scripts/peers a"), "{missing}");
    assert_eq!(load(GOOD).unwrap().missing(), None);
}
