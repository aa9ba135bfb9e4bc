//! `ringpost audit`: who changed what, and when.

use std::io::Write;

use mail::directory::{AUDIT_LINES_MAX, Answer, AuditLine, Command};

use super::arguments::AuditArgs;
use super::desk::Desk;
use super::unexpected;
use crate::cli::{Failure, words, write_line};

/// Page after page: as JSON a line a change, or a table a page.
pub(super) fn show(
    desk: &mut Desk,
    given: &AuditArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut wanted = given.limit.unwrap_or(u64::MAX);
    let (since_ms, mut after, mut shown) = (given.since.unwrap_or(0), 0, 0);
    loop {
        let limit = wanted.min(AUDIT_LINES_MAX as u64) as usize;
        let answer = desk.ask(&Command::Audit { since_ms, limit, after })?;
        let Answer::Audit { lines, next } = answer else { return Err(unexpected()) };
        wanted -= (lines.len() as u64).min(wanted);
        shown += lines.len();
        if json {
            for line in &lines {
                write_line(line, out)?;
            }
        } else if !lines.is_empty() {
            write_lines(&lines, out)?;
        }
        match next {
            Some(next) if wanted > 0 => after = next,
            _ => break,
        }
    }
    if shown == 0 && !json {
        writeln!(out, "Nothing was changed.")?;
    }
    Ok(())
}

fn write_lines(lines: &[AuditLine], out: &mut dyn Write) -> Result<(), Failure> {
    let mut table = words::table(&["WHEN", "WHO", "WHAT", "ON"], &[]);
    for line in lines {
        table.add_row([
            words::moment(line.at),
            words::clean(&line.who),
            words::clean(&line.what),
            words::clean(&line.on),
        ]);
    }
    Ok(writeln!(out, "{}", table.trim_fmt())?)
}
