//! `ringpost check spf`: the result word, why it is so, which record said it, and what it cost.
//!
//! The word is that of the checks that incoming mail goes through; the rest is told by following the record.

use std::io::Write;
use std::rc::Rc;

use bytes::Bytes;
use engine::dns::Resolver;
use mail::authentication::checks::{SpfResult, Subject};
use mail::authentication::survey::spf::{
    Asking, Decided, LOOKUPS_MAX, Trace, VOID_LOOKUPS_MAX, Visited, trace,
};
use serde::Serialize;

use super::{authenticator, sender};
use crate::boot::{on_a_shard, settings::Settings};
use crate::cli::arguments::ClientArgs;
use crate::cli::{Failure, words, write_line};

/// What is told.
#[derive(Serialize)]
struct Told {
    /// `pass`, `fail` …
    result: &'static str,
    /// Whose record was asked: `mail-from`, or `helo` for the null sender.
    identity: &'static str,
    domain: String,
    /// Why, in words.
    explanation: String,
    /// What the domain says to those who fail (`exp=`).
    says: Option<String>,
    /// What matched.
    decided: Option<Decided>,
    /// The records that were read.
    records: Vec<Visited>,
    lookups: u32,
    lookups_max: u32,
    void_lookups: Vec<String>,
    void_lookups_max: usize,
    /// The result for the HELO name.
    helo: &'static str,
}

pub(super) fn spf(
    settings: &Settings,
    client: &ClientArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let sender = sender(client)?;
    let (settings, client) = (settings.clone(), client.clone());
    let told = on_a_shard(settings.server.io, async move |_| {
        let authenticator = authenticator(&settings)?;
        let resolver = Resolver::new(&settings.dns).map_err(|error| error.to_string())?;
        let hostname = settings.hostname();
        let subject = Subject {
            client: client.ip,
            helo: client.helo.as_str().into(),
            sender: sender.clone(),
            message: Bytes::from_static(b"\r\n"),
            hostname: Rc::from(hostname.as_str()),
        };
        let asking = Asking {
            client: client.ip,
            helo: client.helo.clone(),
            sender: sender.as_ref().map(ToString::to_string),
            hostname,
        };
        let (report, trace) = tokio::join!(authenticator.check(subject), trace(&resolver, &asking));
        Ok(told(&report.spf.helo, report.spf.mail_from.as_ref(), trace))
    });
    let told = told.and_then(|told| told).map_err(Failure::Failed)?;
    if json { write_line(&told, out) } else { write_told(&told, out) }
}

fn told(helo: &SpfResult, mail_from: Option<&SpfResult>, trace: Trace) -> Told {
    let (found, identity) = match mail_from {
        Some(found) => (found, "mail-from"),
        None => (helo, "helo"),
    };
    // The record is followed a second time, by another resolver: the DNS may have changed meanwhile,
    // and a term that is not as RFC 7208 has it may be passed over by one of the two.
    let agrees = trace.result == found.result;
    let explanation = match (agrees, found.reason.is_empty()) {
        (true, _) => trace.explanation,
        (false, false) => found.reason.to_string(),
        (false, true) => {
            let (word, why) = (trace.result.word(), trace.explanation);
            format!("followed once more, the record ends with {word}: {why}")
        }
    };
    Told {
        result: found.result.word(),
        identity,
        domain: found.domain.to_string(),
        explanation,
        says: Some(found.explanation.to_string()).filter(|says| !says.is_empty()),
        decided: trace.decided.filter(|_| agrees),
        records: trace.records,
        lookups: trace.lookups,
        lookups_max: LOOKUPS_MAX,
        void_lookups: trace.void_lookups,
        void_lookups_max: VOID_LOOKUPS_MAX,
        helo: helo.result.word(),
    }
}

fn write_told(told: &Told, out: &mut dyn Write) -> Result<(), Failure> {
    writeln!(out, "{}", told.result)?;
    let identity = if told.identity == "helo" { "HELO" } else { "MAIL FROM" };
    writeln!(out, "domain:       {} ({identity})", words::clean(&told.domain))?;
    writeln!(out, "explanation:  {}", words::clean(&told.explanation))?;
    if let Some(says) = &told.says {
        writeln!(out, "it says:      {}", words::clean(says))?;
    }
    for Visited { domain, record, by } in &told.records {
        let by = by.as_ref().map(|by| format!("   (by {by})")).unwrap_or_default();
        let decides = told.decided.as_ref().is_some_and(|it| it.domain == *domain);
        let title = if decides { "decided by:  " } else { "record:      " };
        writeln!(
            out,
            "{title} {}: {}{}",
            words::clean(domain),
            words::clean(record),
            words::clean(&by)
        )?;
    }
    let voids = told.void_lookups.len();
    write!(out, "look-ups:     {} of {LOOKUPS_MAX}, ", told.lookups)?;
    write!(out, "{voids} of {VOID_LOOKUPS_MAX} for nothing")?;
    let names = told.void_lookups.iter().map(|name| words::clean(name)).collect::<Vec<_>>();
    match names.is_empty() {
        true => writeln!(out)?,
        false => writeln!(out, " ({})", names.join(", "))?,
    }
    if told.identity != "helo" {
        writeln!(out, "HELO:         {}", told.helo)?;
    }
    Ok(())
}
