//! What an admin can ask of the directory, and what it answers.
//!
//! These are the lines of the admin socket: `{"directory":"add","record":{"kind":"alias",…}}`.
//! Unknown keys are refused, so that a mistyped one never changes something else.

use serde::{Deserialize, Serialize};

use super::audit::AuditLine;
use super::password::ScramSecrets;
use super::record::{Kind, Record};

/// Records of one page at most.
pub const LIST_RECORDS_MAX: usize = 1000;
/// Records of one import command at most.
pub const IMPORT_RECORDS_MAX: usize = 10_000;
/// What is wrong with an import is told for so many records.
pub const FAULTS_MAX: usize = 100;

/// Asked of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "directory", rename_all = "lowercase", deny_unknown_fields)]
pub enum Command {
    /// Something new; its name must be free.
    Add {
        /// What.
        record: Record,
    },
    /// Changes what is there.
    Set {
        /// What it must be.
        kind: Kind,
        /// Domain or address.
        name: String,
        /// What becomes of it.
        change: Box<Change>,
    },
    /// Gives an account another password, or takes it away when nothing is given.
    Password {
        /// Whose.
        name: String,
        /// The new password; it is hashed here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
        /// Instead: its hash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
        /// With the hash: what SCRAM-SHA-256 needs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scram: Option<ScramSecrets>,
    },
    /// Removes for good.
    Remove {
        /// What it must be.
        kind: Kind,
        /// Domain or address.
        name: String,
        /// A domain with all its addresses; without this it must be empty.
        #[serde(default)]
        all: bool,
    },
    /// One record, without secrets.
    Show {
        /// What it must be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<Kind>,
        /// Domain or address.
        name: String,
    },
    /// A page of records in order of domain and address, without secrets.
    List {
        /// Only these.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<Kind>,
        /// Only of this domain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        domain: Option<String>,
        /// Records at most; bounded by [`LIST_RECORDS_MAX`].
        #[serde(default = "limit_default")]
        limit: usize,
        /// Go on behind this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Adds many. Those that make no sense are left out and named; the others are in.
    Import {
        /// [`IMPORT_RECORDS_MAX`] at most.
        records: Vec<Record>,
        /// What is there already is replaced; otherwise it is left as it is and named.
        #[serde(default)]
        replace: bool,
        /// Domains that are missing are added.
        #[serde(default)]
        create_domains: bool,
    },
    /// A page of records with their secrets.
    Export {
        /// Records at most; bounded by [`LIST_RECORDS_MAX`].
        #[serde(default = "limit_default")]
        limit: usize,
        /// Go on behind this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// A page of the audit log.
    Audit {
        /// Not older than this, in milliseconds since 1970.
        #[serde(default)]
        since_ms: u64,
        /// Lines at most; bounded by [`AUDIT_LINES_MAX`](super::AUDIT_LINES_MAX).
        #[serde(default = "limit_default")]
        limit: usize,
        /// `next` of the page before.
        #[serde(default)]
        after: u64,
    },
}

fn limit_default() -> usize {
    100
}

/// What becomes of a record. What is not given stays; an empty text or list, or 0, takes a setting
/// away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Of a domain: where mail for unknown addresses goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catch_all: Option<String>,
    /// Of a domain: what divides an address from its detail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// Of a domain or account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_hour: Option<u32>,
    /// Of a domain or account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_hour: Option<u32>,
    /// Of an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_bytes: Option<u64>,
    /// Of an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Of an account or group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of an account: all its forwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Vec<String>>,
    /// Of an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_keep: Option<bool>,
    /// Targets of an alias, members of a group, or granted senders of an account that come.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
    /// The same that go.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// The directory's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "lowercase")]
pub enum Answer {
    /// To a change: how many records it touched.
    Done {
        /// Records.
        count: u64,
    },
    /// To [`Command::Show`].
    Record {
        /// The record.
        record: Box<Record>,
    },
    /// To [`Command::List`] and [`Command::Export`].
    Records {
        /// The page.
        records: Vec<Record>,
        /// Ask again `after` this for more. A page may be short, even empty, and have more behind
        /// it: one call looks at a bounded number of records.
        next: Option<String>,
    },
    /// To [`Command::Import`].
    Imported {
        /// Records that are new.
        added: u64,
        /// Records that took the place of others.
        replaced: u64,
        /// Records that are not in.
        refused: u64,
        /// What is wrong with these, [`FAULTS_MAX`] at most.
        faults: Vec<Fault>,
    },
    /// To [`Command::Audit`].
    Audit {
        /// The page.
        lines: Vec<AuditLine>,
        /// Where the next page begins.
        next: Option<u64>,
    },
}

/// What is wrong with a record of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which, counted from 0 within the command.
    pub index: usize,
    /// What.
    pub error: String,
}

impl Change {
    /// The names of what is to change, for the audit log.
    pub(super) fn fields(&self) -> String {
        let mut fields = String::new();
        let mut note = |is_given: bool, name: &str| {
            if is_given {
                fields.push(' ');
                fields.push_str(name);
            }
        };
        note(self.catch_all.is_some(), "catch_all");
        note(self.separator.is_some(), "separator");
        note(self.messages_per_hour.is_some(), "messages_per_hour");
        note(self.recipients_per_hour.is_some(), "recipients_per_hour");
        note(self.quota_bytes.is_some(), "quota_bytes");
        note(self.disabled == Some(true), "disabled");
        note(self.disabled == Some(false), "enabled");
        note(self.name.is_some(), "name");
        note(self.forward.is_some(), "forward");
        note(self.forward_keep.is_some(), "forward_keep");
        note(!self.add.is_empty(), "add");
        note(!self.remove.is_empty(), "remove");
        fields
    }

    /// The record with the change made.
    ///
    /// # Errors
    /// When its kind has no such field.
    pub(super) fn applied(&self, record: Record) -> Result<Record, String> {
        let kind = record.kind();
        let unfit = |is_given: bool, name: &str| match is_given {
            true => Err(format!("{} has no {name}", kind.with_article())),
            false => Ok(()),
        };
        let (is_domain, is_account) = (kind == Kind::Domain, kind == Kind::Account);
        unfit(!is_domain && self.catch_all.is_some(), "catch-all")?;
        unfit(!is_domain && self.separator.is_some(), "separator")?;
        let is_limited = is_domain || is_account;
        unfit(!is_limited && self.messages_per_hour.is_some(), "limit")?;
        unfit(!is_limited && self.recipients_per_hour.is_some(), "limit")?;
        unfit(!is_account && self.quota_bytes.is_some(), "quota")?;
        unfit(!is_account && self.disabled.is_some(), "way to be disabled")?;
        unfit(!is_account && self.forward.is_some(), "forwarding")?;
        unfit(!is_account && self.forward_keep.is_some(), "forwarding")?;
        unfit(!is_account && kind != Kind::Group && self.name.is_some(), "display name")?;
        unfit(is_domain && !(self.add.is_empty() && self.remove.is_empty()), "list")?;
        self.applied_fields(record)
    }

    fn applied_fields(&self, mut record: Record) -> Result<Record, String> {
        match &mut record {
            Record::Domain(domain) => {
                set_text(&mut domain.catch_all, self.catch_all.as_deref());
                if let Some(text) = &self.separator {
                    let mut chars = text.chars();
                    domain.separator = chars.next();
                    if chars.next().is_some() {
                        return Err("a separator is one character".into());
                    }
                }
                set(&mut domain.messages_per_hour, self.messages_per_hour);
                set(&mut domain.recipients_per_hour, self.recipients_per_hour);
            }
            Record::Account(account) => {
                set(&mut account.messages_per_hour, self.messages_per_hour);
                set(&mut account.recipients_per_hour, self.recipients_per_hour);
                set(&mut account.quota_bytes, self.quota_bytes);
                account.disabled = self.disabled.unwrap_or(account.disabled);
                account.forward_keep = self.forward_keep.unwrap_or(account.forward_keep);
                replace(&mut account.forward, self.forward.as_ref());
                replace(&mut account.name, self.name.as_ref());
                self.change_list(&mut account.senders)?;
            }
            Record::Alias(alias) => self.change_list(&mut alias.targets)?,
            Record::Group(group) => {
                replace(&mut group.name, self.name.as_ref());
                self.change_list(&mut group.members)?;
            }
        }
        Ok(record)
    }

    fn change_list(&self, list: &mut Vec<String>) -> Result<(), String> {
        for gone in &self.remove {
            let before = list.len();
            list.retain(|item| item.to_lowercase() != gone.trim().to_lowercase());
            if list.len() == before {
                return Err(format!("{gone} is not in the list"));
            }
        }
        list.extend(self.add.iter().cloned());
        Ok(())
    }
}

fn replace<T: Clone>(field: &mut T, given: Option<&T>) {
    if let Some(value) = given {
        field.clone_from(value);
    }
}

/// 0 takes the value away.
fn set<T: Copy + Default + PartialEq>(field: &mut Option<T>, given: Option<T>) {
    if let Some(value) = given {
        *field = (value != T::default()).then_some(value);
    }
}

/// An empty text takes the value away.
fn set_text(field: &mut Option<String>, given: Option<&str>) {
    if let Some(text) = given {
        *field = (!text.is_empty()).then(|| text.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{Account, Alias};
    use super::*;

    #[test]
    fn lines_are_read_strictly() {
        let line = r#"{"directory":"remove","kind":"account","name":"a@x.example"}"#;
        let command: Command = serde_json::from_str(line).unwrap();
        let name = "a@x.example".to_owned();
        assert_eq!(command, Command::Remove { kind: Kind::Account, name, all: false });
        for line in [
            r#"{"directory":"remove","kind":"account","name":"a@x.example","al":true}"#,
            r#"{"directory":"dance"}"#,
            r#"{"directory":"set","kind":"account","name":"a@x.example","change":{"qouta":1}}"#,
            r#"{"directory":"add","record":{"kind":"alias","address":"a@x.example"}}"#,
        ] {
            assert!(serde_json::from_str::<Command>(line).is_err(), "{line}");
        }
    }

    #[test]
    fn changes_fit_their_kind() {
        let alias = Record::Alias(Alias {
            address: "a@x.example".into(),
            targets: vec!["B@y.example".into()],
        });
        let quota = Change { quota_bytes: Some(5), ..Change::default() };
        assert!(quota.applied(alias.clone()).is_err());
        let swap = Change {
            add: vec!["c@y.example".into()],
            remove: vec!["b@Y.example".into()],
            ..Change::default()
        };
        let Record::Alias(alias) = swap.applied(alias).unwrap() else { panic!() };
        assert_eq!(alias.targets, ["c@y.example"]);
        assert_eq!(swap.fields(), " add remove");
        let account = Account { quota_bytes: Some(9), ..Account::default() };
        let none = Change { quota_bytes: Some(0), disabled: Some(true), ..Change::default() };
        let Record::Account(account) = none.applied(Record::Account(account)).unwrap() else {
            panic!()
        };
        assert!(account.quota_bytes.is_none() && account.disabled);
    }
}
