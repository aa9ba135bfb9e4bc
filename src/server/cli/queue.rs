//! `ringpost queue …`: lists, one message in full, and changes.

use std::io::Write;

use mail::queue::{Detail, Filter, LIST_ROWS_MAX, MessageId, Phase, RecipientDetail, Row};

use super::arguments::{QueueVerb as Typed, Which};
use super::client::{self, Client};
use super::{Failure, words, write_json, write_line};
use crate::admin::{Done, List, QueueRequest, QueueVerb};

pub(super) fn act(
    typed: &Typed,
    client: &mut Client,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match typed {
        Typed::List { filter, limit, after, all } => {
            let wanted = if *all { u64::MAX } else { *limit };
            list(client, &Filter::from(filter), wanted, *after, json, out)
        }
        Typed::Show { id } => show(client, *id, json, out),
        Typed::Flush { which } => change(client, QueueVerb::Flush, which, json, out),
        Typed::Hold { which } => change(client, QueueVerb::Hold, which, json, out),
        Typed::Release { which } => change(client, QueueVerb::Release, which, json, out),
        Typed::Delete { which } => change(client, QueueVerb::Delete, which, json, out),
    }
}

/// Page after page until `wanted` rows are shown: as JSON a row a line, or a table a page.
fn list(
    client: &mut Client,
    filter: &Filter,
    wanted: u64,
    mut after: Option<MessageId>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut shown = 0;
    let mut table_rows = Vec::new();
    loop {
        let limit = (wanted - shown).min(LIST_ROWS_MAX as u64);
        let request = QueueRequest {
            limit: Some(limit as usize),
            after,
            ..QueueRequest::new(QueueVerb::List, filter.clone())
        };
        let page: List = client::read(client.ask(&request)?)?;
        warn(&page.warnings);
        shown += page.rows.len() as u64;
        after = page.next;
        for row in page.rows {
            if json {
                write_line(&row, out)?;
            } else {
                table_rows.push(row);
            }
        }
        let is_last = after.is_none() || shown >= wanted;
        // A table needs all its rows to size its columns, but not a million of them at once.
        if !table_rows.is_empty() && (is_last || table_rows.len() >= LIST_ROWS_MAX) {
            write_rows(&std::mem::take(&mut table_rows), out)?;
        }
        if is_last {
            break;
        }
    }
    if !json {
        write_end(shown, after, filter, out)?;
    }
    Ok(())
}

fn write_end(
    shown: u64,
    next: Option<MessageId>,
    filter: &Filter,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if let Some(next) = next {
        writeln!(out, "There may be more: go on with --after {next}, or list --all.")?;
    } else if shown == 0 && filter.is_all() {
        writeln!(out, "The queue is empty.")?;
    } else if shown == 0 {
        writeln!(out, "No message matches.")?;
    } else {
        writeln!(out, "{}.", words::messages(shown))?;
    }
    Ok(())
}

fn write_rows(rows: &[Row], out: &mut dyn Write) -> Result<(), Failure> {
    let now_ms = words::now_ms();
    let mut table = words::table(&["ID", "AGE", "SIZE", "STATE", "FROM", "TO"], &[1, 2]);
    for row in rows {
        table.add_row([
            row.id.to_string(),
            words::span(now_ms.saturating_sub(row.arrived.0)),
            words::size(row.size),
            state(row, now_ms),
            sender(row),
            recipients(row),
        ]);
    }
    Ok(writeln!(out, "{}", table.trim_fmt())?)
}

fn state(row: &Row, now_ms: u64) -> String {
    match (row.phase, row.due) {
        (Phase::Active, _) => "active".into(),
        (Phase::Held, _) => "held".into(),
        (Phase::Waiting, Some(due)) if due.0 > now_ms => words::relative(due.0, now_ms),
        (Phase::Waiting, _) => "due".into(),
    }
}

fn sender(row: &Row) -> String {
    row.sender.as_deref().map_or_else(|| "<>".into(), words::clean)
}

fn recipients(row: &Row) -> String {
    let mut text = words::clean(&row.recipients.join(" "));
    let more = row.recipients_count.saturating_sub(row.recipients.len());
    if more > 0 {
        text.push_str(&format!(" (+{more})"));
    }
    text
}

fn show(
    client: &mut Client,
    id: MessageId,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let request =
        QueueRequest { id: Some(id), ..QueueRequest::new(QueueVerb::Show, Filter::default()) };
    let answer = client.ask(&request)?;
    if json {
        return write_json(&answer, out);
    }
    let detail: Detail = client::read(answer)?;
    let now_ms = words::now_ms();
    let row = &detail.row;
    let arrived = words::moment(row.arrived.0);
    let expires = words::moment(detail.expires.0);
    let mut lines = vec![
        ("Message", row.id.to_string()),
        ("From", sender(row)),
        ("Size", format!("{} ({} bytes)", words::size(row.size), words::grouped(row.size))),
        ("Came", format!("{arrived}, {}", words::relative(row.arrived.0, now_ms))),
        ("Through", words::clean(&detail.origin)),
        ("State", state(row, now_ms)),
        ("Given up", format!("{expires}, {}", words::relative(detail.expires.0, now_ms))),
    ];
    if let Some(envid) = &detail.envid {
        lines.push(("Envelope id", words::clean(envid)));
    }
    if detail.smtputf8 {
        lines.push(("SMTPUTF8", "yes".into()));
    }
    for (name, value) in lines {
        writeln!(out, "{name:<12} {value}")?;
    }
    for recipient in &detail.recipients {
        write_recipient(recipient, now_ms, out)?;
    }
    Ok(())
}

/// A recipient takes a few lines: replies are too long for a table.
fn write_recipient(
    recipient: &RecipientDetail,
    now_ms: u64,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let address = words::clean(&recipient.address);
    write!(out, "\nTo           {address}: {}", words::clean(&recipient.status))?;
    match recipient.attempts {
        0 => write!(out, ", not tried yet")?,
        1 => write!(out, ", tried once")?,
        count => write!(out, ", tried {count} times")?,
    }
    if let Some(due) = recipient.due {
        write!(out, ", next {}", words::relative(due.0, now_ms))?;
    }
    writeln!(out)?;
    if let Some(at) = recipient.last_attempt {
        write!(out, "  {}", words::moment(at.0))?;
        if let Some(remote) = &recipient.last_remote {
            write!(out, " {}", words::clean(remote))?;
        }
        writeln!(out)?;
    }
    if let Some(reply) = &recipient.last_reply {
        writeln!(out, "  {}", words::clean(reply))?;
    }
    Ok(())
}

fn change(
    client: &mut Client,
    verb: QueueVerb,
    which: &Which,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let request =
        QueueRequest { all: which.all, ..QueueRequest::new(verb, Filter::from(&which.filter)) };
    let answer = client.ask(&request)?;
    if json {
        return write_json(&answer, out);
    }
    let done: Done = client::read(answer)?;
    warn(&done.warnings);
    let what = match verb {
        QueueVerb::Flush => "tried now",
        QueueVerb::Hold => "held",
        QueueVerb::Release => "released",
        QueueVerb::Delete => "deleted",
        QueueVerb::List | QueueVerb::Show => "seen",
    };
    Ok(writeln!(out, "{} {what}.", words::messages(done.count))?)
}

/// Shards that did not answer: the result is not complete.
pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        let _ = writeln!(std::io::stderr(), "ringpost: warning: {}", words::clean(warning));
    }
}
