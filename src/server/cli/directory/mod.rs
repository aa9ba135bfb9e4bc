//! `ringpost domain …`, `account …`, `alias …`, `group …`: changes, lists, and one in full.

pub(super) mod arguments;
mod audit;
pub(super) mod desk;
mod rows;
mod show;
#[cfg(test)]
mod tests;
mod transfer;

use std::io::{self, BufRead, IsTerminal, Write};

use mail::directory::{
    Account, Alias, Answer, Change, Command, Group, Kind, LocalDomain, Parameters, Record,
    ScramSecrets, password,
};
use serde_json::Value;

use super::arguments::{Arguments, Verb};
use super::{Failure, words, write_json};
use arguments::{
    AccountVerb, AliasVerb, DomainFields, DomainVerb, GroupVerb, LimitFields, OfDomain,
    SecretFields,
};
use desk::Desk;

/// Takes a setting away.
const NONE: &str = "none";

/// Carries out a verb that is about the directory.
pub(super) fn act(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let mut desk = Desk::open(arguments)?;
    let mut counter = Counter { desk: &mut desk, json: arguments.json, out };
    match &arguments.verb {
        Verb::Domain { verb } => counter.domain(verb),
        Verb::Account { verb } => counter.account(verb),
        Verb::Alias { verb } => counter.alias(verb),
        Verb::Group { verb } => counter.group(verb),
        Verb::Import(given) => transfer::import(counter.desk, given, counter.json, counter.out),
        Verb::Export(given) => transfer::export(counter.desk, given, counter.out),
        Verb::Audit(given) => audit::show(counter.desk, given, counter.json, counter.out),
        _ => Ok(()),
    }
}

/// One command and how its answer is shown.
struct Counter<'a> {
    desk: &'a mut Desk,
    json: bool,
    out: &'a mut dyn Write,
}

impl Counter<'_> {
    fn domain(&mut self, verb: &DomainVerb) -> Result<(), Failure> {
        match verb {
            DomainVerb::Add { domain, fields } => {
                let change = domain_change(fields);
                let mut record = LocalDomain::new(domain);
                record.catch_all = change.catch_all.filter(|text| !text.is_empty());
                if let Some(separator) = change.separator {
                    record.separator = one_char(&separator)?;
                }
                record.messages_per_hour = change.messages_per_hour.filter(|count| *count > 0);
                record.recipients_per_hour = change.recipients_per_hour.filter(|count| *count > 0);
                self.add(Record::Domain(record))
            }
            DomainVerb::Set { domain, fields } => {
                self.set(Kind::Domain, domain, domain_change(fields))
            }
            DomainVerb::List { page } => {
                let of = OfDomain { domain: None, page: page.clone() };
                show::list(self.desk, Kind::Domain, &of, self.json, self.out)
            }
            DomainVerb::Show { domain } => self.show(Kind::Domain, domain),
            DomainVerb::Remove { domain, all } => self.remove(Kind::Domain, domain, *all),
        }
    }

    fn account(&mut self, verb: &AccountVerb) -> Result<(), Failure> {
        match verb {
            AccountVerb::Add { address, name, quota, secret } => {
                self.add_account(address, name.as_deref(), quota.map(|q| q.get()), secret)
            }
            AccountVerb::Set { address, name, grant, revoke, limits } => {
                let change = Change {
                    name: name.clone(),
                    add: grant.clone(),
                    remove: revoke.clone(),
                    ..limit_change(limits)
                };
                self.set(Kind::Account, address, change)
            }
            AccountVerb::Passwd { address, secret } => self.passwd(address, secret),
            AccountVerb::Quota { address, size } => {
                let quota_bytes = Some(quota_of(size)?);
                self.set(Kind::Account, address, Change { quota_bytes, ..Change::default() })
            }
            AccountVerb::Forward { address, to, keep } => {
                let (forward, forward_keep) = (Some(to.clone()), Some(*keep));
                let change = Change { forward, forward_keep, ..Change::default() };
                self.set(Kind::Account, address, change)
            }
            AccountVerb::Disable { address } => self.disable(address, true),
            AccountVerb::Enable { address } => self.disable(address, false),
            AccountVerb::List { of } => {
                show::list(self.desk, Kind::Account, of, self.json, self.out)
            }
            AccountVerb::Show { address } => self.show(Kind::Account, address),
            AccountVerb::Remove { address } => self.remove(Kind::Account, address, false),
        }
    }

    fn alias(&mut self, verb: &AliasVerb) -> Result<(), Failure> {
        match verb {
            AliasVerb::Add { address, targets } => {
                let (address, targets) = (address.clone(), targets.clone());
                self.add(Record::Alias(Alias { address, targets }))
            }
            AliasVerb::Set { address, members } => {
                let (add, remove) = (members.add.clone(), members.remove.clone());
                self.set(Kind::Alias, address, Change { add, remove, ..Change::default() })
            }
            AliasVerb::List { of } => show::list(self.desk, Kind::Alias, of, self.json, self.out),
            AliasVerb::Show { address } => self.show(Kind::Alias, address),
            AliasVerb::Remove { address } => self.remove(Kind::Alias, address, false),
        }
    }

    fn group(&mut self, verb: &GroupVerb) -> Result<(), Failure> {
        match verb {
            GroupVerb::Add { address, members, name } => {
                let (address, members) = (address.clone(), members.clone());
                let name = name.clone().unwrap_or_default();
                self.add(Record::Group(Group { address, members, name }))
            }
            GroupVerb::Set { address, members, name } => {
                let (add, remove) = (members.add.clone(), members.remove.clone());
                let change = Change { add, remove, name: name.clone(), ..Change::default() };
                self.set(Kind::Group, address, change)
            }
            GroupVerb::List { of } => show::list(self.desk, Kind::Group, of, self.json, self.out),
            GroupVerb::Show { address } => self.show(Kind::Group, address),
            GroupVerb::Remove { address } => self.remove(Kind::Group, address, false),
        }
    }

    fn add(&mut self, record: Record) -> Result<(), Failure> {
        let (kind, name) = (record.kind(), record.name().to_owned());
        self.change(&Command::Add { record }, &format!("Added {kind} {name}."))
    }

    fn set(&mut self, kind: Kind, name: &str, change: Change) -> Result<(), Failure> {
        let command = Command::Set { kind, name: name.into(), change: Box::new(change) };
        self.change(&command, &format!("Changed {kind} {name}."))
    }

    fn disable(&mut self, address: &str, is_disabled: bool) -> Result<(), Failure> {
        let change = Change { disabled: Some(is_disabled), ..Change::default() };
        let command =
            Command::Set { kind: Kind::Account, name: address.into(), change: Box::new(change) };
        let verb = if is_disabled { "Disabled" } else { "Enabled" };
        self.change(&command, &format!("{verb} account {address}."))
    }

    fn add_account(
        &mut self,
        address: &str,
        name: Option<&str>,
        quota_bytes: Option<u64>,
        secret: &SecretFields,
    ) -> Result<(), Failure> {
        let (hash, scram) = new_secret(secret, address, &self.desk.parameters)?;
        self.add(Record::Account(Account {
            address: address.into(),
            hash,
            scram,
            quota_bytes,
            name: name.unwrap_or_default().into(),
            ..Account::default()
        }))
    }

    fn passwd(&mut self, address: &str, secret: &SecretFields) -> Result<(), Failure> {
        // Better to hear that there is no such account before typing a password.
        self.desk.ask(&Command::Show { kind: Some(Kind::Account), name: address.into() })?;
        let (hash, scram) = new_secret(secret, address, &self.desk.parameters)?;
        let done = match hash {
            Some(_) => format!("Set the password of {address}."),
            None => format!("{address} has no password now."),
        };
        let command = Command::Password { name: address.into(), password: None, hash, scram };
        self.change(&command, &done)
    }

    fn show(&mut self, kind: Kind, name: &str) -> Result<(), Failure> {
        let answer = self.desk.ask(&Command::Show { kind: Some(kind), name: name.into() })?;
        match answer {
            Answer::Record { record } if !self.json => show::one(&record, self.out),
            Answer::Record { record } => super::write_line(&record, self.out),
            _ => Err(unexpected()),
        }
    }

    fn remove(&mut self, kind: Kind, name: &str, all: bool) -> Result<(), Failure> {
        let answer = self.desk.ask(&Command::Remove { kind, name: name.into(), all })?;
        if self.json {
            return json(&answer, self.out);
        }
        let name = words::clean(name);
        match answer {
            Answer::Done { count: 0 | 1 } => Ok(writeln!(self.out, "Removed {kind} {name}.")?),
            Answer::Done { count } => {
                let inside = words::grouped(count - 1);
                Ok(writeln!(self.out, "Removed {kind} {name} with {inside} addresses.")?)
            }
            _ => Err(unexpected()),
        }
    }

    /// A command whose answer says little: `done` does.
    fn change(&mut self, command: &Command, done: &str) -> Result<(), Failure> {
        let answer = self.desk.ask(command)?;
        if self.json {
            return json(&answer, self.out);
        }
        Ok(writeln!(self.out, "{}", words::clean(done))?)
    }
}

fn json(answer: &Answer, out: &mut dyn Write) -> Result<(), Failure> {
    let value: Value = serde_json::to_value(answer).map_err(io::Error::from)?;
    write_json(&value, out)
}

/// An answer of another kind than the question; what it holds is not shown: it may be hashes.
fn unexpected() -> Failure {
    let advice = "is the server of another version than this program?";
    Failure::Failed(format!("the answer is not to the question; {advice}"))
}

/// "none" becomes the empty text, which takes a setting away.
fn unless_none(text: &Option<String>) -> Option<String> {
    text.as_ref().map(|text| if text == NONE { String::new() } else { text.clone() })
}

fn domain_change(fields: &DomainFields) -> Change {
    Change {
        catch_all: unless_none(&fields.catch_all),
        separator: unless_none(&fields.separator),
        ..limit_change(&fields.limits)
    }
}

fn limit_change(limits: &LimitFields) -> Change {
    Change {
        messages_per_hour: limits.messages_per_hour,
        recipients_per_hour: limits.recipients_per_hour,
        ..Change::default()
    }
}

fn one_char(text: &str) -> Result<Option<char>, Failure> {
    let mut chars = text.chars();
    let first = chars.next();
    match chars.next() {
        None => Ok(first),
        Some(_) => Err(Failure::Failed("a separator is one character, or none".into())),
    }
}

/// 0 is no limit.
fn quota_of(text: &str) -> Result<u64, Failure> {
    if text == NONE {
        return Ok(0);
    }
    let size: engine::settings::Bytes =
        text.parse().map_err(|error| Failure::Failed(format!("{error}, or none")))?;
    Ok(size.get())
}

type Secrets = (Option<String>, Option<ScramSecrets>);

/// The new password's hash: from where the arguments say, or asked for twice.
fn new_secret(
    secret: &SecretFields,
    address: &str,
    parameters: &Parameters,
) -> Result<Secrets, Failure> {
    if secret.no_password {
        return Ok((None, None));
    }
    if let Some(hash) = &secret.hash {
        return Ok((Some(password::recognised(hash).map_err(Failure::Failed)?), None));
    }
    let typed = if secret.stdin { first_line(&mut io::stdin().lock())? } else { asked(address)? };
    let (hash, scram) = password::make(&typed, parameters).map_err(Failure::Failed)?;
    Ok((Some(hash), scram))
}

fn first_line(input: &mut dyn BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a password without showing it.
fn asked(address: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() {
        let advice = "there is no terminal to ask for a password on: say --stdin and write it to \
                      standard input, or give --hash or --no-password";
        return Err(Failure::Failed(advice.into()));
    }
    let address = words::clean(address);
    let first = rpassword::prompt_password(format!("New password of {address}: "))?;
    let second = rpassword::prompt_password("Once more: ")?;
    if first != second {
        return Err(Failure::Failed("the two are not the same; nothing was changed".into()));
    }
    Ok(first)
}
