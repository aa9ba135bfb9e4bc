//! `ringpost dkim …`: keys made, listed, shown as records, compared with the DNS, replaced.
//!
//! What must stay true: a rotation never signs with a key that the DNS does not have, unless told to
//! (`--force`); a private key is never shown. The DNS is asked from here, with the settings' resolver or
//! the one that is named, so that whoever types sees what that one sees.

mod arguments;
mod office;
mod show;
#[cfg(test)]
mod tests;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;

use engine::dns::{self, DnsError, Resolver};
use mail::authentication::signing::{Answer, Command, KeyInfo, Publication, State};

use super::arguments::Arguments;
use super::{Failure, boot, config_path, words};
pub(super) use arguments::DkimVerb;
use office::Office;
use show::Checked;

/// Octets of a key's file at most: a key of 4096 bits has some 3 KiB.
const KEY_FILE_MAX: u64 = 64 << 10;

/// Carries out a verb that is about keys.
pub(super) fn act(
    verb: &DkimVerb,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let json = arguments.json;
    let mut office = Office::open(arguments)?;
    match verb {
        DkimVerb::Generate { .. } => {
            let answer = office.ask(generate(verb)?)?;
            show::made(&answer.keys, json, out)
        }
        DkimVerb::List { domain } => {
            let answer = office.ask(Command::List { domain: domain.clone() })?;
            show::list(&answer.keys, json, out)
        }
        DkimVerb::Dns { domain } => {
            let keys = list(&mut office, domain)?;
            show::records(&keys, json, out)
        }
        DkimVerb::Check { domain, resolver } => {
            let keys = list(&mut office, domain)?;
            let checked = ask_dns(arguments, resolver.dns, keys)?;
            show::checked(&checked, json, out)?;
            match checked.iter().find(|it| it.key.state == State::Active && !it.is_published()) {
                Some(bad) => Err(Failure::Failed(format!(
                    "mail is signed with {}, which receivers do not find",
                    words::clean(&bad.key.selector)
                ))),
                None => Ok(()),
            }
        }
        DkimVerb::Rotate { domain, force, resolver } => {
            let keys = list(&mut office, domain)?;
            let mut rotation = Rotation { office, domain, json, out };
            if keys.iter().any(|key| key.state == State::Pending) {
                let checked = match force {
                    true => None,
                    false => Some(ask_dns(arguments, resolver.dns, keys)?),
                };
                rotation.switch(checked)
            } else if keys.iter().any(|key| key.state == State::Retired) {
                rotation.sweep(keys)
            } else {
                rotation.prepare()
            }
        }
        DkimVerb::Remove { domain, selector } => {
            let (domain, selector) = (domain.clone(), selector.clone());
            let answer = office.ask(Command::Remove { domain, selector })?;
            show::removed(&answer.keys, json, out)
        }
    }
}

fn list(office: &mut Office, domain: &str) -> Result<Vec<KeyInfo>, Failure> {
    Ok(office.ask(Command::List { domain: Some(domain.into()) })?.keys)
}

fn generate(verb: &DkimVerb) -> Result<Command, Failure> {
    let DkimVerb::Generate { domain, selector, algorithm, bits, key, pending, subdomains } = verb
    else {
        return Err(Failure::Failed("this makes no keys".into()));
    };
    let (domain, pending, subdomains) = (domain.clone(), *pending, *subdomains);
    Ok(match (key, selector) {
        (Some(path), Some(selector)) => {
            let (pem, selector) = (key_text(path)?, selector.clone());
            Command::Import { domain, selector, pem, pending, subdomains }
        }
        _ => Command::Generate {
            domain,
            selector: selector.clone(),
            algorithm: algorithm.map(Into::into),
            bits: *bits,
            pending,
            subdomains,
        },
    })
}

fn key_text(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(KEY_FILE_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(KEY_FILE_MAX).read_to_string(&mut text))
    };
    match read {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::Failed(format!("{}: {error}", path.display()))),
    }
}

/// One step of replacing a domain's keys.
struct Rotation<'a> {
    office: Office,
    domain: &'a str,
    json: bool,
    out: &'a mut dyn Write,
}

impl Rotation<'_> {
    fn ask(&mut self, command: fn(String) -> Command) -> Result<Answer, Failure> {
        self.office.ask(command(self.domain.into()))
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        let answer = self.ask(|domain| Command::Prepare { domain })?;
        show::made(&answer.keys, self.json, self.out)
    }

    fn switch(&mut self, checked: Option<Vec<Checked>>) -> Result<(), Failure> {
        let pending = checked.iter().flatten().filter(|it| it.key.state == State::Pending);
        let missing: Vec<&str> =
            pending.filter(|it| !it.is_published()).map(|it| it.key.name.as_str()).collect();
        if !missing.is_empty() {
            // What is wrong with each; the failure below says what to do.
            show::checked(checked.as_deref().unwrap_or_default(), self.json, self.out)?;
            return Err(Failure::Failed(format!(
                "nothing was changed: publish {} first (ringpost dkim dns {}), or say --force",
                missing.join(" and "),
                self.domain
            )));
        }
        let answer = self.ask(|domain| Command::Switch { domain })?;
        show::switched(&answer.keys, self.json, self.out)
    }

    fn sweep(&mut self, keys: Vec<KeyInfo>) -> Result<(), Failure> {
        let removed = self.ask(|domain| Command::Sweep { domain })?.keys;
        let is_waiting = |key: &KeyInfo| key.state == State::Retired && !removed.contains(key);
        let waiting: Vec<KeyInfo> = keys.into_iter().filter(is_waiting).collect();
        show::swept(&removed, &waiting, self.json, self.out)
    }
}

/// Looks every key up.
fn ask_dns(
    arguments: &Arguments,
    server: Option<SocketAddr>,
    keys: Vec<KeyInfo>,
) -> Result<Vec<Checked>, Failure> {
    let settings = match (boot::settings::load(&config_path(arguments)), server) {
        (_, Some(server)) => {
            dns::Settings { nameservers: vec![server], ..dns::Settings::default() }
        }
        (Ok(settings), None) => settings.dns,
        (Err(error), None) => return Err(super::of_boot(error)),
    };
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("dns: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(tokio::task::LocalSet::new().run_until(async {
        let resolver = Resolver::new(&settings).map_err(|error| failed(&error))?;
        let mut checked = Vec::with_capacity(keys.len());
        for key in keys {
            let answer = match resolver.txt(&key.name).await {
                Ok(texts) => Ok(Publication::of(&texts, &key.value)),
                Err(DnsError::NoName | DnsError::NoRecords) => Ok(Publication::Missing),
                Err(error) => Err(error.to_string()),
            };
            checked.push(Checked { key, answer });
        }
        Ok(checked)
    }))
}
