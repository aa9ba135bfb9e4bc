//! Records as lines of a file: CSV for spreadsheets, JSON lines for everything.
//!
//! Columns may come in any order and be left out; a column of another name is an error. Lists are
//! divided by spaces. An import takes `password` beside `hash`: it is hashed here.

use engine::settings::Bytes;
use mail::directory::{Account, Alias, Group, LocalDomain, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line of a CSV file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Row {
    /// `account` when empty.
    kind: String,
    /// A domain's name stands here, too.
    address: String,
    name: String,
    hash: String,
    #[serde(skip_serializing)]
    password: String,
    scram: String,
    quota_bytes: String,
    disabled: String,
    senders: String,
    forward: String,
    forward_keep: String,
    targets: String,
    catch_all: String,
    separator: String,
    messages_per_hour: String,
    recipients_per_hour: String,
}

/// A record to import, and the password that is not hashed yet.
#[derive(Debug)]
pub(super) struct Incoming {
    pub record: Record,
    pub password: Option<String>,
}

/// Reads a line of JSON.
pub(super) fn of_json(line: &str) -> Result<Incoming, String> {
    let mut value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let password = match value.as_object_mut().and_then(|object| object.remove("password")) {
        None | Some(Value::Null) => None,
        Some(Value::String(password)) => Some(password),
        Some(_) => return Err("a password is a text".into()),
    };
    let record = serde_json::from_value(value).map_err(|error| error.to_string())?;
    judged(record, password)
}

fn judged(record: Record, password: Option<String>) -> Result<Incoming, String> {
    match &record {
        Record::Account(account) if password.is_some() && account.hash.is_some() => {
            Err("give a password or a hash, not both".into())
        }
        Record::Account(_) => Ok(Incoming { record, password }),
        other if password.is_some() => {
            Err(format!("{} has no password", other.kind().with_article()))
        }
        _ => Ok(Incoming { record, password: None }),
    }
}

impl Row {
    /// The record that the line stands for.
    pub fn record(self) -> Result<Incoming, String> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let address = self.address.trim().to_owned();
        let messages_per_hour = number(&self.messages_per_hour, "messages_per_hour")?;
        let recipients_per_hour = number(&self.recipients_per_hour, "recipients_per_hour")?;
        let record = match self.kind.trim() {
            "" | "account" => Record::Account(Account {
                address,
                hash: text(&self.hash),
                scram: text(&self.scram).map(|text| text.parse()).transpose()?,
                quota_bytes: quota(&self.quota_bytes)?,
                disabled: truth(&self.disabled, "disabled")?,
                name: self.name.trim().into(),
                senders: list(&self.senders),
                forward: list(&self.forward),
                forward_keep: truth(&self.forward_keep, "forward_keep")?,
                messages_per_hour,
                recipients_per_hour,
            }),
            "alias" => Record::Alias(Alias { address, targets: list(&self.targets) }),
            "group" => {
                let (members, name) = (list(&self.targets), self.name.trim().into());
                Record::Group(Group { address, members, name })
            }
            "domain" => Record::Domain(LocalDomain {
                catch_all: text(&self.catch_all),
                separator: separator(self.separator.trim())?,
                messages_per_hour,
                recipients_per_hour,
                ..LocalDomain::new(&address)
            }),
            other => {
                return Err(format!("{other:?} is none of domain, account, alias and group"));
            }
        };
        judged(record, Some(self.password).filter(|password| !password.is_empty()))
    }

    /// The line of a record.
    pub fn of(record: Record) -> Result<Self, String> {
        let shown = |number: Option<u32>| number.map(|n| n.to_string()).unwrap_or_default();
        let kind = record.kind().as_str().to_owned();
        Ok(match record {
            Record::Account(account) => Self {
                kind,
                hash: account.hash.unwrap_or_default(),
                scram: account.scram.map(|scram| scram.to_string()).unwrap_or_default(),
                quota_bytes: account.quota_bytes.map(|n| n.to_string()).unwrap_or_default(),
                disabled: account.disabled.to_string(),
                name: account.name,
                senders: joined(&account.address, &account.senders)?,
                forward: joined(&account.address, &account.forward)?,
                forward_keep: account.forward_keep.to_string(),
                messages_per_hour: shown(account.messages_per_hour),
                recipients_per_hour: shown(account.recipients_per_hour),
                address: account.address,
                ..Self::default()
            },
            Record::Alias(alias) => Self {
                kind,
                targets: joined(&alias.address, &alias.targets)?,
                address: alias.address,
                ..Self::default()
            },
            Record::Group(group) => Self {
                kind,
                name: group.name,
                targets: joined(&group.address, &group.members)?,
                address: group.address,
                ..Self::default()
            },
            Record::Domain(domain) => Self {
                kind,
                catch_all: domain.catch_all.unwrap_or_default(),
                separator: domain.separator.map_or_else(|| super::NONE.into(), String::from),
                messages_per_hour: shown(domain.messages_per_hour),
                recipients_per_hour: shown(domain.recipients_per_hour),
                address: domain.domain,
                ..Self::default()
            },
        })
    }
}

fn list(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Quoted local parts may hold spaces.
fn joined(name: &str, list: &[String]) -> Result<String, String> {
    if list.iter().any(|item| item.contains(char::is_whitespace)) {
        return Err(format!(
            "{name} names an address with a space in it: export JSON lines instead"
        ));
    }
    Ok(list.join(" "))
}

fn number(text: &str, what: &str) -> Result<Option<u32>, String> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| format!("{what}: {text:?} is no number")),
    }
}

fn quota(text: &str) -> Result<Option<u64>, String> {
    match text.trim() {
        "" => Ok(None),
        text => {
            let size: Bytes = text.parse().map_err(|error| format!("quota_bytes: {error}"))?;
            Ok(Some(size.get()).filter(|size| *size > 0))
        }
    }
}

fn truth(text: &str, what: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" | "false" | "no" | "0" => Ok(false),
        "true" | "yes" | "1" => Ok(true),
        other => Err(format!("{what}: {other:?} is neither true nor false")),
    }
}

/// Empty is the default.
fn separator(text: &str) -> Result<Option<char>, String> {
    if text == super::NONE {
        return Ok(None);
    }
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (None, _) => Ok(LocalDomain::new("").separator),
        (Some(separator), None) => Ok(Some(separator)),
        _ => Err(format!("separator: {text:?} is not one character")),
    }
}
