//! Records as people read them: tables, and one in full.

use std::io::Write;

use mail::directory::{Account, Answer, Command, Kind, LIST_RECORDS_MAX, LocalDomain, Record};

use super::arguments::OfDomain;
use super::desk::Desk;
use super::unexpected;
use crate::cli::{Failure, words, write_line};

/// Items of a list that a table shows.
const SHOWN_MAX: usize = 3;

/// Page after page until as many are shown as were wanted: as JSON a record a line, or a table a page.
pub(super) fn list(
    desk: &mut Desk,
    kind: Kind,
    of: &OfDomain,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let wanted = if of.page.all { u64::MAX } else { of.page.limit };
    let (mut shown, mut after) = (0, of.page.after.clone());
    let mut rows = Vec::new();
    loop {
        let limit = (wanted - shown).min(LIST_RECORDS_MAX as u64) as usize;
        let domain = of.domain.clone();
        let answer = desk.ask(&Command::List { kind: Some(kind), domain, limit, after })?;
        let Answer::Records { records, next } = answer else { return Err(unexpected()) };
        shown += records.len() as u64;
        after = next;
        for record in records {
            if json {
                write_line(&record, out)?;
            } else {
                rows.push(record);
            }
        }
        let is_last = after.is_none() || shown >= wanted;
        if !rows.is_empty() && (is_last || rows.len() >= LIST_RECORDS_MAX) {
            write_rows(kind, &std::mem::take(&mut rows), out)?;
        }
        if is_last {
            break;
        }
    }
    if json { Ok(()) } else { write_end(kind, shown, after.as_deref(), out) }
}

fn write_end(
    kind: Kind,
    shown: u64,
    next: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let plural = plural(kind);
    if let Some(next) = next {
        let next = words::clean(next);
        writeln!(out, "There may be more: go on with --after {next}, or list --all.")?;
    } else if shown == 0 {
        writeln!(out, "There are no {plural}.")?;
    } else if shown == 1 {
        writeln!(out, "1 {kind}.")?;
    } else {
        writeln!(out, "{} {plural}.", words::grouped(shown))?;
    }
    Ok(())
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Domain => "domains",
        Kind::Account => "accounts",
        Kind::Alias => "aliases",
        Kind::Group => "groups",
    }
}

fn write_rows(kind: Kind, records: &[Record], out: &mut dyn Write) -> Result<(), Failure> {
    let (titles, numbers): (&[&str], &[usize]) = match kind {
        Kind::Domain => (&["DOMAIN", "CATCH-ALL", "SEPARATOR"], &[]),
        Kind::Account => (&["ACCOUNT", "STATE", "QUOTA", "PASSWORD", "NAME", "FORWARDED TO"], &[2]),
        Kind::Alias => (&["ALIAS", "TO"], &[]),
        Kind::Group => (&["GROUP", "MEMBERS", "NAME", "WHO"], &[1]),
    };
    let mut table = words::table(titles, numbers);
    for record in records {
        table.add_row(match record {
            Record::Domain(domain) => vec![
                domain.domain.clone(),
                domain.catch_all.as_deref().map_or_else(|| "-".into(), words::clean),
                separator(domain),
            ],
            Record::Account(account) => vec![
                words::clean(&account.address),
                state(account).into(),
                quota(account),
                account.hash.clone().unwrap_or_else(|| "-".into()),
                words::clean(&account.name),
                few(&account.forward),
            ],
            Record::Alias(alias) => vec![words::clean(&alias.address), few(&alias.targets)],
            Record::Group(group) => vec![
                words::clean(&group.address),
                words::grouped(group.members.len() as u64),
                words::clean(&group.name),
                few(&group.members),
            ],
        });
    }
    Ok(writeln!(out, "{}", table.trim_fmt())?)
}

fn separator(domain: &LocalDomain) -> String {
    domain.separator.map_or_else(|| "none".into(), String::from)
}

fn state(account: &Account) -> &'static str {
    if account.disabled { "disabled" } else { "enabled" }
}

fn quota(account: &Account) -> String {
    account.quota_bytes.map_or_else(|| "-".into(), words::size)
}

/// The first few, and how many more there are.
fn few(list: &[String]) -> String {
    let mut text = words::clean(&list[..list.len().min(SHOWN_MAX)].join(" "));
    if list.len() > SHOWN_MAX {
        text.push_str(&format!(" (+{})", list.len() - SHOWN_MAX));
    }
    text
}

/// Everything about one.
pub(super) fn one(record: &Record, out: &mut dyn Write) -> Result<(), Failure> {
    let mut lines: Vec<(&str, String)> = Vec::new();
    let mut limits = (None, None);
    match record {
        Record::Domain(domain) => {
            lines.push(("Domain", domain.domain.clone()));
            let catch_all = domain.catch_all.clone().unwrap_or_else(|| "none: refused".into());
            lines.push(("Catch-all", catch_all));
            lines.push(("Separator", separator(domain)));
            limits = (domain.messages_per_hour, domain.recipients_per_hour);
        }
        Record::Account(account) => {
            lines = account_lines(account);
            limits = (account.messages_per_hour, account.recipients_per_hour);
        }
        Record::Alias(alias) => {
            lines.push(("Alias", alias.address.clone()));
            lines.extend(alias.targets.iter().map(|target| ("To", target.clone())));
        }
        Record::Group(group) => {
            lines.push(("Group", group.address.clone()));
            lines.push(("Name", group.name.clone()));
            lines.extend(group.members.iter().map(|member| ("Member", member.clone())));
        }
    }
    if matches!(record.kind(), Kind::Domain | Kind::Account) {
        let usual = || "as the settings say".to_owned();
        let an_hour = |limit: Option<u32>| limit.map_or_else(usual, |n| words::grouped(n.into()));
        lines.push(("Messages/h", an_hour(limits.0)));
        lines.push(("Recipients/h", an_hour(limits.1)));
    }
    let mut before = "";
    for (name, value) in lines {
        // A list names its lines once.
        let shown = if name == before { "" } else { name };
        writeln!(out, "{shown:<13} {}", words::clean(&value))?;
        before = name;
    }
    Ok(())
}

fn account_lines(account: &Account) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("Account", account.address.clone()),
        ("Name", account.name.clone()),
        ("State", state(account).into()),
        ("Password", account.hash.clone().unwrap_or_else(|| "none: nobody can log in".into())),
        ("Quota", account.quota_bytes.map_or_else(|| "none".into(), words::size)),
    ];
    lines.extend(account.senders.iter().map(|sender| ("May send as", sender.clone())));
    lines.extend(account.forward.iter().map(|to| ("Forwarded to", to.clone())));
    if !account.forward.is_empty() {
        lines.push(("Copy kept", if account.forward_keep { "yes" } else { "no" }.into()));
    }
    lines
}
