//! `ringpost check domain`: what a domain publishes, and what is to be done about it.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use engine::dns::Resolver;
use indicatif::{ProgressBar, ProgressStyle};
use mail::authentication::signing::Keys;
use mail::authentication::survey::domain::{
    Advice, Facts, KeyFacts, Part, Receiver, Request, Severity, judge, look_up,
};
use proto::types::Domain;
use serde::Serialize;

use crate::boot::{on_a_shard, settings::Settings};
use crate::cli::{Failure, words, write_line};

/// For everything together.
const DEADLINE: Duration = Duration::from_secs(30);
/// Questions under way at once; a name server may think more of them an attack.
const QUERIES_MAX: u32 = 24;

/// What is told.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    facts: Facts,
    advice: Vec<Advice>,
}

pub(super) fn domain(
    mut settings: Settings,
    name: &str,
    selectors: &[String],
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let wrong = |name: &str, error: &dyn std::fmt::Display| {
        Failure::Failed(format!("{}: {error}", words::clean(name)))
    };
    let domain = Domain::parse(name).map_err(|error| wrong(name, &error))?;
    for selector in selectors {
        Domain::parse(selector).map_err(|error| wrong(selector, &error))?;
    }
    settings.dns.queries_max = settings.dns.queries_max.min(QUERIES_MAX);
    let request = Request {
        // None when they cannot be read: they are the server's.
        own: Keys::active_selectors(&settings.server.data_dir, &domain).unwrap_or_default(),
        domain: domain.as_str().to_owned(),
        asked: selectors.to_vec(),
        deadline: DEADLINE,
    };
    let bar = progress();
    let shown = bar.clone();
    let facts = on_a_shard(settings.server.io, async move |_| {
        let resolver = Resolver::new(&settings.dns).map_err(|error| error.to_string())?;
        Ok(look_up(&resolver, &request, |_| shown.inc(1)).await)
    });
    bar.finish_and_clear();
    let facts = facts.and_then(|facts| facts).map_err(Failure::Failed)?;
    let advice = judge(&facts);
    let told = Told { facts, advice };
    if json { write_line(&told, out) } else { write_told(&told, out) }
}

/// For a person who waits; nothing for others.
fn progress() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let parts = u64::try_from(Part::ALL.len()).unwrap_or_default();
    let style = ProgressStyle::with_template("{spinner} asking the DNS: {pos} of {len} parts");
    let bar = ProgressBar::new(parts);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn write_told(told: &Told, out: &mut dyn Write) -> Result<(), Failure> {
    let facts = &told.facts;
    writeln!(out, "{}\n", words::clean(&facts.domain))?;
    write_hosts(facts, out)?;
    write_records(facts, out)?;
    write_keys(&facts.dkim.keys, out)?;
    for (severity, title) in [
        (Severity::Must, "MUST be done: mail is refused or lost while it stays so"),
        (Severity::Should, "SHOULD be done: it is weak, or punished"),
        (Severity::Fine, "Fine"),
    ] {
        let of_it: Vec<&Advice> = told.advice.iter().filter(|it| it.severity == severity).collect();
        if of_it.is_empty() && severity == Severity::Must {
            writeln!(out, "Nothing must be done.\n")?;
        } else if !of_it.is_empty() {
            writeln!(out, "{title}")?;
            of_it.iter().try_for_each(|advice| write_advice(advice, out))?;
            writeln!(out)?;
        }
    }
    Ok(())
}

fn write_advice(advice: &Advice, out: &mut dyn Write) -> Result<(), Failure> {
    let receivers: Vec<&str> = advice.receivers.iter().map(|it: &Receiver| it.name()).collect();
    let by = match receivers.is_empty() {
        true => String::new(),
        false => format!(" [{}]", receivers.join(", ")),
    };
    let text = words::clean(&advice.text);
    writeln!(out, "  {:<8} {text}{by}", advice.topic.word())?;
    if !advice.reason.is_empty() {
        writeln!(out, "           {}", words::clean(&advice.reason))?;
    }
    if let Some(record) = &advice.publish {
        let (name, value) = (words::clean(&record.name), words::clean(&record.value));
        writeln!(out, "           publish:  {name} {} {value}", record.kind)?;
    }
    Ok(())
}

fn write_hosts(facts: &Facts, out: &mut dyn Write) -> Result<(), Failure> {
    if facts.mx.hosts.is_empty() {
        return Ok(());
    }
    let mut table =
        words::table(&["MAIL EXCHANGER", "RANK", "ADDRESS", "LEADS BACK TO", "TLSA"], &[1]);
    for host in &facts.mx.hosts {
        let addresses: Vec<String> =
            host.addresses.iter().map(|it| it.address.to_string()).collect();
        let names: Vec<String> = host
            .addresses
            .iter()
            .map(|it| match (it.names.is_empty(), it.is_confirmed, &it.unknown) {
                (_, false, Some(_)) => "?".to_owned(),
                (true, ..) => "-".to_owned(),
                (false, true, _) => it.names.join(", "),
                (false, false, None) => format!("{} (not back)", it.names.join(", ")),
            })
            .collect();
        let tlsa = match (host.tlsa.len(), host.tlsa_secure) {
            (0, _) => "-".to_owned(),
            (count, Some(true)) => format!("{count}, signed"),
            (count, Some(false)) => format!("{count}, not signed"),
            (count, None) => format!("{count}, not checked"),
        };
        table.add_row(vec![
            words::clean(&host.host),
            host.preference.to_string(),
            addresses.join("\n"),
            words::clean_lines(&names.join("\n")),
            tlsa,
        ]);
    }
    Ok(writeln!(out, "{}\n", table.trim_fmt())?)
}

fn write_records(facts: &Facts, out: &mut dyn Write) -> Result<(), Failure> {
    let domain = &facts.domain;
    let mut rows: Vec<(String, &str)> = Vec::new();
    match &facts.spf.cost {
        Some(cost) => {
            rows.extend(cost.records.iter().map(|it| (it.domain.clone(), it.record.as_str())));
        }
        None => rows.extend(facts.spf.records.iter().map(|it| (domain.clone(), it.as_str()))),
    }
    let dmarc = facts.dmarc.records.iter();
    rows.extend(dmarc.map(|it| (format!("_dmarc.{}", it.domain), it.record.as_str())));
    let sts = facts.mta_sts.records.iter();
    rows.extend(sts.map(|it| (format!("_mta-sts.{domain}"), it.as_str())));
    let rpt = facts.tls_rpt.records.iter();
    rows.extend(rpt.map(|it| (format!("_smtp._tls.{domain}"), it.as_str())));
    if rows.is_empty() {
        return Ok(());
    }
    let mut table = words::table(&["NAME", "TXT"], &[]);
    for (name, text) in rows {
        table.add_row(vec![words::clean(&name), words::clean(text)]);
    }
    Ok(writeln!(out, "{}\n", table.trim_fmt())?)
}

fn write_keys(keys: &[KeyFacts], out: &mut dyn Write) -> Result<(), Failure> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut table = words::table(&["DKIM SELECTOR", "KEY", "BITS", "NOTE"], &[2]);
    for found in keys {
        let note = match (&found.key, &found.fault) {
            (_, Some(fault)) => words::clean(fault),
            (None, None) => "no record".to_owned(),
            (Some(key), None) if key.is_revoked => "withdrawn".to_owned(),
            (Some(key), None) if key.is_testing => "test (t=y)".to_owned(),
            (Some(_), None) => String::new(),
        };
        let kind = found.key.as_ref().map_or("", |key| key.kind.word());
        let bits = found.key.as_ref().filter(|key| !key.is_revoked);
        let bits = bits.map(|key| key.bits.to_string()).unwrap_or_default();
        table.add_row(vec![words::clean(&found.selector), kind.to_owned(), bits, note]);
    }
    Ok(writeln!(out, "{}\n", table.trim_fmt())?)
}
