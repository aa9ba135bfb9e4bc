//! Scenarios: a load, a next hop and bounds, from a file, with the command line laid over it.

pub mod human;
mod options;
mod resolve;

use std::{fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::mailbox::MailboxOptions;

pub use options::{CompareOptions, ExpectOptions, RunOptions, SinkOptions, SourceOptions};
pub use resolve::{hop, load};

/// A scenario file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// What it is for, in a sentence.
    pub description: String,
    /// The load.
    pub source: SourceOptions,
    /// The next hop.
    pub sink: SinkOptions,
    /// What is done to mailboxes; with an operation it is this that is done, and not the load.
    pub mailbox: MailboxOptions,
    /// The bounds.
    pub expect: ExpectOptions,
    /// The run.
    pub run: RunOptions,
    /// Of `compare`: the servers and rounds.
    pub compare: CompareOptions,
    /// Of `compare`: what changes from case to case; without any there is one case.
    pub case: Vec<Case>,
}

/// A case of a comparison: what it changes in the scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Case {
    /// `5 KiB, 100 sessions`.
    pub name: String,
    /// What is different in the load.
    pub source: SourceOptions,
    /// What is different in the next hop.
    pub sink: SinkOptions,
    /// What is different in what is done to mailboxes.
    pub mailbox: MailboxOptions,
}

impl Scenario {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or holds what no scenario holds; the text says where.
    pub fn read(path: &Path) -> Result<Self, String> {
        read(path)
    }

    /// The cases by name, each a scenario of its own, with `over` laid over all of them.
    ///
    /// # Errors
    /// None in practice.
    pub fn cases(&self, over: &Self) -> Result<Vec<(String, Self)>, String> {
        let whole = Self { case: Vec::new(), ..self.clone() };
        if self.case.is_empty() {
            return Ok(vec![("all".to_owned(), whole)]);
        }
        let laid = |case: &Case| {
            let change = Self {
                source: case.source.clone(),
                sink: case.sink.clone(),
                mailbox: case.mailbox.clone(),
                ..Self::default()
            };
            Ok((case.name.clone(), whole.with(&change)?.with(over)?))
        };
        self.case.iter().map(laid).collect()
    }

    /// Lays `over` over this one: what it says counts.
    ///
    /// # Errors
    /// None in practice: both are scenarios.
    pub fn with(&self, over: &Self) -> Result<Self, String> {
        let mut base = table(self)?;
        lay(&mut base, table(over)?);
        base.try_into().map_err(|error: toml::de::Error| error.to_string())
    }
}

/// Reads a TOML file.
///
/// # Errors
/// It cannot be read, or does not fit; the text says where.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn table(scenario: &Scenario) -> Result<toml::Table, String> {
    toml::Table::try_from(scenario).map_err(|error| error.to_string())
}

/// Tables go into each other; an empty list or text says nothing.
fn lay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => lay(base, over),
            (_, toml::Value::Array(list)) if list.is_empty() => {}
            (_, toml::Value::String(text)) if text.is_empty() => {}
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_command_line_is_laid_over_the_file() {
        let file: Scenario = toml::from_str(
            "description = 'x'\n[source]\nconnections = 5\nsize = '1 KiB *3, 2 KiB'\nramp = '2 s'\n\
             [[sink.fail]]\nstage = 'rcpt'\ncode = 450\nshare = 0.5\n[expect]\nexpect_p99 = '1 s'\n",
        )
        .unwrap();
        let mut over = Scenario::default();
        over.source.connections = Some(7);
        over.source.duration = Some(Duration::from_millis(1500));
        let both = file.with(&over).unwrap();
        assert_eq!(
            (both.source.connections, both.source.ramp),
            (Some(7), Some(Duration::from_secs(2)))
        );
        assert_eq!(both.source.duration, Some(Duration::from_millis(1500)));
        assert_eq!(
            (&both.sink, &both.source.size, &*both.description),
            (&file.sink, &file.source.size, "x")
        );
    }

    #[test]
    fn what_no_scenario_holds_is_an_error() {
        let error =
            toml::from_str::<Scenario>("[source]\nconections = 5\n").unwrap_err().to_string();
        assert!(error.contains("conections") && error.contains("connections"), "{error}");
    }

    /// Every scenario that is shipped can be read, and says what it is for.
    #[test]
    fn shipped_scenarios_are_scenarios() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let scenario = Scenario::read(&path).unwrap();
            assert!(scenario.description.len() > 20, "{}", path.display());
            count += 1;
        }
        assert!(count >= 8);
    }
}
