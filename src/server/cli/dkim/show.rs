//! Keys as people read them, and as programs do.

use std::io::Write;

use mail::authentication::signing::{KeyInfo, Publication, RETIRED_MS, State, zone_text};
use serde::Serialize;

use crate::cli::{Failure, words, write_line};

/// A key, and what the DNS has of it, or why nobody could tell.
pub(super) struct Checked {
    pub key: KeyInfo,
    pub answer: Result<Publication, String>,
}

/// The same for programs.
#[derive(Serialize)]
struct CheckedLine<'a> {
    #[serde(flatten)]
    key: &'a KeyInfo,
    /// published, missing, differs, unknown.
    dns: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    testing: bool,
}

impl Checked {
    /// Whether receivers find it. What is still a test (t=y) is found.
    pub fn is_published(&self) -> bool {
        matches!(self.answer, Ok(Publication::Published { .. }))
    }

    fn line(&self) -> CheckedLine<'_> {
        let (dns, reason, testing) = match &self.answer {
            Ok(Publication::Published { is_testing }) => ("published", None, *is_testing),
            Ok(Publication::Missing) => ("missing", None, false),
            Ok(Publication::Differs(reason)) => ("differs", Some(reason.as_str()), false),
            Err(reason) => ("unknown", Some(reason.as_str()), false),
        };
        CheckedLine { key: &self.key, dns, reason, testing }
    }

    fn words(&self) -> String {
        let line = self.line();
        match (line.reason, line.testing) {
            (Some(reason), _) => format!("{}: {}", line.dns, words::clean(reason)),
            (None, true) => "published, but only for testing (t=y)".into(),
            (None, false) => line.dns.into(),
        }
    }
}

fn lines(keys: &[KeyInfo], out: &mut dyn Write) -> Result<(), Failure> {
    keys.iter().try_for_each(|key| write_line(key, out))
}

/// New keys: what to do next.
pub(super) fn made(keys: &[KeyInfo], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return lines(keys, out);
    }
    let Some(first) = keys.first() else { return Ok(()) };
    let domain = words::clean(&first.domain);
    let also = if first.subdomains { " and its subdomains" } else { "" };
    if first.state == State::Pending {
        writeln!(out, "{domain} has new keys, which do not sign yet. Publish:\n")?;
        write_records(keys, out)?;
        writeln!(out, "\nThen take them into use: ringpost dkim rotate {domain}")?;
    } else {
        writeln!(out, "Mail from {domain}{also} is signed from now on. Publish:\n")?;
        write_records(keys, out)?;
        writeln!(out, "\nThen see whether it can be found: ringpost dkim check {domain}")?;
    }
    Ok(())
}

/// All in a table.
pub(super) fn list(keys: &[KeyInfo], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return lines(keys, out);
    }
    if keys.is_empty() {
        return Ok(writeln!(out, "There are no keys: ringpost dkim generate DOMAIN makes them.")?);
    }
    let titles = ["DOMAIN", "SELECTOR", "KEY", "STATE", "SINCE", "SUBDOMAINS"];
    let mut table = words::table(&titles, &[]);
    for key in keys {
        let since = key.retired.or(key.activated).unwrap_or(key.made);
        let subdomains = if key.subdomains { "signed" } else { "not signed" };
        table.add_row([
            words::clean(&key.domain),
            words::clean(&key.selector),
            kind(key),
            key.state.to_string(),
            words::moment(since),
            subdomains.into(),
        ]);
    }
    Ok(writeln!(out, "{}", table.trim_fmt())?)
}

fn kind(key: &KeyInfo) -> String {
    format!("{} {}", key.algorithm, key.bits)
}

/// Records to publish: those of keys that sign or will.
pub(super) fn records(keys: &[KeyInfo], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return lines(keys, out);
    }
    write_records(keys, out)
}

/// A zone file, so that it can be put into one as it is.
fn write_records(keys: &[KeyInfo], out: &mut dyn Write) -> Result<(), Failure> {
    for key in keys {
        let note = match key.removable {
            Some(at) => format!(", may be removed after {}", words::moment(at)),
            None => String::new(),
        };
        writeln!(out, "; {}, {}{note}", kind(key), key.state)?;
        write!(out, "{}", words_of_zone(key))?;
    }
    Ok(())
}

fn words_of_zone(key: &KeyInfo) -> String {
    zone_text(&words::clean(&key.name), &words::clean(&key.value))
}

/// What the DNS has.
pub(super) fn checked(checked: &[Checked], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return checked.iter().try_for_each(|it| write_line(&it.line(), out));
    }
    let mut table = words::table(&["RECORD", "KEY", "STATE", "IN THE DNS"], &[]);
    for it in checked {
        let name = words::clean(&it.key.name);
        table.add_row([name, kind(&it.key), it.key.state.to_string(), it.words()]);
    }
    Ok(writeln!(out, "{}", table.trim_fmt())?)
}

/// The second step of a rotation.
pub(super) fn switched(keys: &[KeyInfo], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return lines(keys, out);
    }
    for key in keys {
        let selector = words::clean(&key.selector);
        match key.removable {
            None => writeln!(out, "{selector} ({}) signs from now on.", kind(key))?,
            Some(at) => writeln!(
                out,
                "{selector} ({}) is retired. Keep its record until {}: mail signed with it is still \
                 under way.",
                kind(key),
                words::moment(at)
            )?,
        }
    }
    if let Some(retired) = keys.iter().find(|key| key.state == State::Retired) {
        let (domain, span) = (words::clean(&retired.domain), words::span(RETIRED_MS));
        writeln!(out, "In {span}, say again: ringpost dkim rotate {domain}")?;
    }
    Ok(())
}

/// The third.
pub(super) fn swept(
    removed: &[KeyInfo],
    waiting: &[KeyInfo],
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if json {
        return lines(removed, out);
    }
    self::removed(removed, false, out)?;
    for key in waiting {
        let at = key.removable.map(words::moment).unwrap_or_default();
        writeln!(
            out,
            "{} is retired, and its record has to stay until {at}. Nothing is to be done before; to \
             begin another rotation at once, remove it: ringpost dkim remove {} {}",
            words::clean(&key.name),
            words::clean(&key.domain),
            words::clean(&key.selector)
        )?;
    }
    Ok(())
}

/// Keys that are no more.
pub(super) fn removed(keys: &[KeyInfo], json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        return lines(keys, out);
    }
    for key in keys {
        let was = if key.state == State::Active { ", which signed" } else { "" };
        writeln!(
            out,
            "Removed {}{was}. Its record may go: {}",
            words::clean(&key.selector),
            words::clean(&key.name)
        )?;
    }
    Ok(())
}
