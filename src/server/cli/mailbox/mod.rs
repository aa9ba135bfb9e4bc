//! `ringpost mailbox …`: stores checked, mail brought in and out, folders listed, mail removed.
//!
//! What must stay true: all of this is done without a server, under the data directory's lock; asking
//! makes no mailbox. `verify` fails when it finds anything.

pub(super) mod arguments;
mod export;
mod import;
mod premises;

use std::fs;
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use mail::exchange::journal::Journal;
use mail::mailbox::{Report, Usage};
use serde_json::json;

use super::arguments::Arguments;
use super::{Failure, words, write_line};
use arguments::MailboxVerb;
use premises::{Premises, close, failed, local};

/// Carries out a verb.
pub(super) fn act(
    verb: &MailboxVerb,
    arguments: &Arguments,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let premises = Premises::open(arguments)?;
    let json = arguments.json;
    match verb {
        MailboxVerb::Verify => verify(&premises, json, out),
        MailboxVerb::Import(given) => local(import::import(&premises, given, json, out)),
        MailboxVerb::Export(given) => local(export::export(&premises, given, json, out)),
        MailboxVerb::List { account } => local(list(&premises, account, json, out)),
        MailboxVerb::Usage { account, domain } => {
            let wanted = Wanted {
                account: account.as_deref().map(Premises::name).transpose()?,
                domain: domain.as_ref().map(|domain| format!("@{}", domain.to_ascii_lowercase())),
            };
            usage(&premises, &wanted, json, out)
        }
        MailboxVerb::Remove { account, .. } => local(remove(&premises, account, json, out)),
    }
}

fn verify(premises: &Premises, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let stores: Vec<u16> =
        (0..premises.layout.stores()).filter(|store| premises.has(*store)).collect();
    let bar = bar(stores.len() as u64, "{bar:30} store {pos} of {len}, {elapsed}");
    let mut reports = Vec::with_capacity(stores.len());
    for number in stores {
        // A store that cannot be read is a finding, and the others are looked at.
        let report = local(check(premises, number)).unwrap_or_else(|failure| Report {
            fault_count: 1,
            faults: vec![failure.to_string()],
            ..Report::default()
        });
        bar.inc(1);
        reports.push((number, report));
    }
    bar.finish_and_clear();
    show_reports(&reports, json, out)?;
    match reports.iter().map(|(_, report)| report.fault_count).sum() {
        0 => Ok(()),
        1 => Err(failed("one thing is wrong")),
        count => Err(failed(format!("{} things are wrong", words::grouped(count)))),
    }
}

async fn check(premises: &Premises, number: u16) -> Result<Report, Failure> {
    let store = premises.store(number)?;
    // What is being removed is half there.
    store.swept().await;
    let report = store.verify().map_err(failed)?;
    close(store).await?;
    Ok(report)
}

fn show_reports(reports: &[(u16, Report)], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        for (number, report) in reports {
            let Report { accounts, folders, entries, messages, bytes, fault_count, faults } =
                report;
            let line = json!({
                "store": number, "accounts": accounts, "folders": folders, "entries": entries,
                "messages": messages, "bytes": bytes, "fault_count": fault_count, "faults": faults,
            });
            write_line(&line, out)?;
        }
        return Ok(());
    }
    let titles = ["STORE", "ACCOUNTS", "FOLDERS", "ENTRIES", "MESSAGES", "SIZE", "FAULTS"];
    let mut table = words::table(&titles, &[0, 1, 2, 3, 4, 5, 6]);
    for (number, report) in reports {
        let counts = [report.accounts, report.folders, report.entries, report.messages];
        let mut row = vec![number.to_string()];
        row.extend(counts.map(words::grouped));
        row.extend([words::size(report.bytes), words::grouped(report.fault_count)]);
        table.add_row(row);
    }
    writeln!(out, "{table}")?;
    let mut faults = words::table(&["STORE", "FINDING"], &[0]);
    let all = reports.iter().flat_map(|(number, report)| {
        report.faults.iter().map(move |fault| [number.to_string(), words::clean(fault)])
    });
    faults.add_rows(all);
    if !faults.is_empty() {
        writeln!(out, "\n{faults}")?;
    }
    Ok(())
}

async fn list(
    premises: &Premises,
    account: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let name = Premises::name(account)?;
    let store = premises.store_of(&name)?;
    let mailbox = store.existing(&name).await.map_err(failed)?.ok_or_else(|| none(&name))?;
    let mut table = words::table(&["FOLDER", "MESSAGES", "UNSEEN", "SIZE", "USE"], &[1, 2, 3]);
    for folder in mailbox.folders().map_err(failed)? {
        let counts = folder.counts;
        let special_use = folder.special_use.map_or("", |special_use| special_use.as_str());
        if json {
            let line = json!({
                "folder": folder.name, "messages": counts.messages, "unseen": counts.unseen,
                "bytes": counts.bytes, "special_use": folder.special_use.map(|one| one.as_str()),
                "uid_validity": folder.validity, "uid_next": counts.uid_next,
                "subscribed": folder.is_subscribed,
            });
            write_line(&line, out)?;
        }
        table.add_row([
            words::clean(&folder.name),
            words::grouped(counts.messages.into()),
            words::grouped(counts.unseen.into()),
            words::size(counts.bytes),
            special_use.into(),
        ]);
    }
    if !json {
        writeln!(out, "{table}")?;
    }
    drop(mailbox);
    close(store).await
}

/// Which accounts are shown.
struct Wanted {
    account: Option<String>,
    /// With its `@`.
    domain: Option<String>,
}

fn usage(
    premises: &Premises,
    wanted: &Wanted,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut found: Vec<(Box<str>, Usage)> = Vec::new();
    let place = wanted.account.as_ref().map(|account| premises.layout.store_of(account));
    for number in (0..premises.layout.stores()).filter(|number| premises.has(*number)) {
        if place.is_some_and(|place| place != number) {
            continue;
        }
        let accounts = local(async {
            let store = premises.store(number)?;
            let accounts = store.accounts().map_err(failed)?;
            close(store).await?;
            Ok(accounts)
        })?;
        found.extend(accounts.into_iter().filter(|(name, _)| {
            wanted.account.as_ref().is_none_or(|account| **account == **name)
                && wanted.domain.as_ref().is_none_or(|domain| name.ends_with(domain.as_str()))
        }));
    }
    if let (Some(account), true) = (&wanted.account, found.is_empty()) {
        return Err(none(account));
    }
    found.sort_unstable_by(|(a, used_a), (b, used_b)| (used_b.bytes, a).cmp(&(used_a.bytes, b)));
    let mut table = words::table(&["ACCOUNT", "MESSAGES", "SIZE"], &[1, 2]);
    for (name, Usage { bytes, messages }) in found {
        if json {
            write_line(&json!({ "account": name, "messages": messages, "bytes": bytes }), out)?;
        }
        table.add_row([words::clean(&name), words::grouped(messages), words::size(bytes)]);
    }
    if json { Ok(()) } else { Ok(writeln!(out, "{table}")?) }
}

async fn remove(
    premises: &Premises,
    account: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let name = Premises::name(account)?;
    let store = premises.store_of(&name)?;
    let is_removed = store.remove(&name).await.map_err(failed)?;
    close(store).await?;
    if !is_removed {
        return Err(none(&name));
    }
    // Who has the name next has imported nothing.
    forget(premises, &name)?;
    premises.record("remove mailbox", &name)?;
    if json {
        return write_line(&json!({ "removed": name }), out);
    }
    Ok(writeln!(out, "All mail of {} is removed.", words::clean(&name))?)
}

/// Forgets what was imported to an account.
fn forget(premises: &Premises, account: &str) -> Result<(), Failure> {
    match fs::remove_file(Journal::path(&premises.settings.server.data_dir, account)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

fn none(account: &str) -> Failure {
    failed(format!("{account} has no mailbox: it is made when mail comes"))
}

/// A bar when a person looks on.
fn bar(length: u64, form: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    // The forms are ours and right; a plain bar would do.
    let style = ProgressStyle::with_template(form);
    ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
