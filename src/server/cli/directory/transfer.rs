//! `ringpost import` and `export`: many records from and to a file.
//!
//! What must stay true: an import goes in pieces, each durable as a whole, and says of every line
//! that was not taken which it was and why, without showing what it held; memory does not grow with
//! the file. An exported file holds hashes, so only its owner may read it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use mail::directory::{Answer, Command, LIST_RECORDS_MAX, Parameters, Record, password};
use serde_json::json;

use super::arguments::{ExportArgs, Form, ImportArgs};
use super::desk::Desk;
use super::rows::{Incoming, Row, of_json};
use super::unexpected;
use crate::cli::{Failure, words, write_line};

/// Records of one piece at most.
const PIECE_RECORDS: usize = 1000;
/// Octets of one piece, as they stand in the file; a request may be 1 MiB.
const PIECE_BYTES: usize = 256 << 10;
/// Lines that were not taken and are complained about.
const COMPLAINTS_MAX: u64 = 20;

/// What came of an import.
#[derive(Default)]
struct Tally {
    added: u64,
    replaced: u64,
    refused: u64,
}

/// A piece on its way.
#[derive(Default)]
struct Piece {
    rows: Vec<(u64, Incoming)>,
    bytes: usize,
}

/// Adds what a file holds.
pub(super) fn import(
    desk: &mut Desk,
    given: &ImportArgs,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let form = form_of(&given.file, given.format)?;
    let (input, bar) = open(&given.file)?;
    let mut importer =
        Importer { desk, given, bar, tally: Tally::default(), piece: Piece::default() };
    let read = match form {
        Form::Csv => importer.csv(input),
        Form::Jsonl => importer.jsonl(input),
    };
    // What was read before an error is in.
    let sent = read.and_then(|()| importer.send());
    importer.bar.finish_and_clear();
    let Tally { added, replaced, refused } = importer.tally;
    if json {
        write_line(&json!({ "added": added, "replaced": replaced, "refused": refused }), out)?;
    } else {
        let [added, replaced] = [added, replaced].map(words::grouped);
        writeln!(out, "{added} added, {replaced} replaced.")?;
    }
    sent?;
    match refused {
        0 => Ok(()),
        1 => Err(Failure::Failed("one record was not taken".into())),
        _ => Err(Failure::Failed(format!("{} records were not taken", words::grouped(refused)))),
    }
}

struct Importer<'a> {
    desk: &'a mut Desk,
    given: &'a ImportArgs,
    bar: ProgressBar,
    tally: Tally,
    piece: Piece,
}

impl Importer<'_> {
    fn csv(&mut self, input: Box<dyn BufRead>) -> Result<(), Failure> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(input);
        let wrong = |error: csv::Error| Failure::Failed(format!("the file: {error}"));
        let headers = reader.headers().map_err(wrong)?.clone();
        let mut line = csv::StringRecord::new();
        loop {
            match reader.read_record(&mut line) {
                Ok(false) => return Ok(()),
                Ok(true) => (),
                // A line with too few fields, say: the next may be right.
                Err(error) if !error.is_io_error() => {
                    let number = error.position().map_or(0, csv::Position::line);
                    self.complain(number, &error.to_string());
                    continue;
                }
                Err(error) => return Err(wrong(error)),
            }
            let number = line.position().map_or(0, csv::Position::line);
            let row = line.deserialize::<Row>(Some(&headers)).map_err(|error| match error.kind() {
                csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
                _ => error.to_string(),
            });
            let bytes = line.as_slice().len();
            self.take(number, bytes, row.and_then(Row::record))?;
        }
    }

    fn jsonl(&mut self, input: Box<dyn BufRead>) -> Result<(), Failure> {
        for (number, line) in (1..).zip(input.lines()) {
            let line = line?;
            if !line.trim().is_empty() {
                self.take(number, line.len(), of_json(&line))?;
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        number: u64,
        bytes: usize,
        row: Result<Incoming, String>,
    ) -> Result<(), Failure> {
        match row {
            Ok(incoming) => self.piece.rows.push((number, incoming)),
            Err(error) => {
                self.complain(number, &error);
                return Ok(());
            }
        }
        self.piece.bytes += bytes;
        if self.piece.rows.len() >= PIECE_RECORDS || self.piece.bytes >= PIECE_BYTES {
            self.send()?;
        }
        Ok(())
    }

    /// Hands the piece in.
    fn send(&mut self) -> Result<(), Failure> {
        let Piece { mut rows, .. } = std::mem::take(&mut self.piece);
        if rows.is_empty() {
            return Ok(());
        }
        let unfit = hash_all(&mut rows, &self.desk.parameters);
        for (number, error) in unfit {
            self.complain(number, &error);
        }
        let (numbers, records): (Vec<u64>, Vec<Record>) =
            rows.into_iter().map(|(number, incoming)| (number, incoming.record)).unzip();
        let ImportArgs { replace, create_domains, .. } = *self.given;
        let answer = self.desk.ask(&Command::Import { records, replace, create_domains })?;
        let Answer::Imported { added, replaced, refused, faults } = answer else {
            return Err(unexpected());
        };
        self.tally.added += added;
        self.tally.replaced += replaced;
        let told = faults.len() as u64;
        for fault in faults {
            let number = numbers.get(fault.index).copied().unwrap_or(0);
            self.complain(number, &fault.error);
        }
        self.tally.refused += refused.saturating_sub(told);
        let done = self.tally.added + self.tally.replaced;
        self.bar.set_message(HumanCount(done).to_string());
        Ok(())
    }

    fn complain(&mut self, line: u64, error: &str) {
        self.tally.refused += 1;
        let text = match self.tally.refused {
            ..=COMPLAINTS_MAX => format!("ringpost: line {line}: {}", words::clean(error)),
            count if count == COMPLAINTS_MAX + 1 => "ringpost: … and more of these".into(),
            _ => return,
        };
        // Between the lines of the bar, when there is one.
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }
}

/// Hashes the passwords of a piece on all cores; takes out the rows whose password cannot be.
fn hash_all(rows: &mut Vec<(u64, Incoming)>, parameters: &Parameters) -> Vec<(u64, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = rows.len().div_ceil(cores).max(1);
    let unfit: Vec<(u64, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = rows
            .chunks_mut(share)
            .filter(|rows| rows.iter().any(|(_, incoming)| incoming.password.is_some()))
            .map(|rows| scope.spawn(|| hash_some(rows, parameters)))
            .collect();
        let panicked = |_| vec![(0, "hashing a password panicked".to_owned())];
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    // A password that is left was not hashed.
    rows.retain(|(_, incoming)| incoming.password.is_none());
    unfit
}

fn hash_some(rows: &mut [(u64, Incoming)], parameters: &Parameters) -> Vec<(u64, String)> {
    let mut unfit = Vec::new();
    for (number, incoming) in rows {
        let (Some(password), Record::Account(account)) = (&incoming.password, &mut incoming.record)
        else {
            continue;
        };
        match password::make(password, parameters) {
            Ok((hash, scram)) => {
                account.hash = Some(hash);
                account.scram = account.scram.take().or(scram);
                incoming.password = None;
            }
            Err(error) => unfit.push((*number, error)),
        }
    }
    unfit
}

/// Writes every record.
pub(super) fn export(
    desk: &mut Desk,
    given: &ExportArgs,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let form = form_of(&given.file, given.format)?;
    if is_standard(&given.file) {
        return export_to(desk, form, &ProgressBar::hidden(), out).map(drop);
    }
    let named = |error: io::Error| {
        Failure::Failed(format!("{}: {error}", words::clean(&given.file.display().to_string())))
    };
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&given.file);
    let mut file = io::BufWriter::new(file.map_err(named)?);
    let bar = if io::stderr().is_terminal() {
        ProgressBar::new_spinner().with_style(style("{spinner} {pos} records, {elapsed}"))
    } else {
        ProgressBar::hidden()
    };
    let count = export_to(desk, form, &bar, &mut file)?;
    bar.finish_and_clear();
    file.into_inner().map_err(|error| named(error.into_error()))?.sync_all().map_err(named)?;
    Ok(writeln!(out, "{} records, hashes of passwords among them.", words::grouped(count))?)
}

fn export_to(
    desk: &mut Desk,
    form: Form,
    bar: &ProgressBar,
    out: &mut dyn Write,
) -> Result<u64, Failure> {
    let (mut after, mut count) = (None, 0);
    let mut is_first = true;
    loop {
        let answer = desk.ask(&Command::Export { limit: LIST_RECORDS_MAX, after })?;
        let Answer::Records { records, next } = answer else { return Err(unexpected()) };
        count += records.len() as u64;
        bar.set_position(count);
        match form {
            Form::Jsonl => {
                for record in &records {
                    write_line(record, out)?;
                }
            }
            Form::Csv => {
                let mut writer =
                    csv::WriterBuilder::new().has_headers(is_first).from_writer(&mut *out);
                for record in records {
                    let row = Row::of(record).map_err(Failure::Failed)?;
                    writer.serialize(row).map_err(|error| Failure::Failed(error.to_string()))?;
                }
                writer.flush()?;
            }
        }
        is_first = false;
        after = next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn form_of(file: &Path, given: Option<Form>) -> Result<Form, Failure> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match (given, ending.to_ascii_lowercase().as_str()) {
        (Some(form), _) => Ok(form),
        (None, "csv") => Ok(Form::Csv),
        (None, "jsonl" | "ndjson" | "json") => Ok(Form::Jsonl),
        (None, _) if is_standard(file) => Ok(Form::Jsonl),
        (None, _) => Err(Failure::Failed(
            "how the file is written is not in its name: say --format csv or --format jsonl".into(),
        )),
    }
}

/// The file, and a bar that shows how far it is read when a person looks on.
fn open(path: &Path) -> Result<(Box<dyn BufRead>, ProgressBar), Failure> {
    if is_standard(path) {
        return Ok((Box::new(BufReader::new(io::stdin())), ProgressBar::hidden()));
    }
    let named = |error: io::Error| {
        Failure::Failed(format!("{}: {error}", words::clean(&path.display().to_string())))
    };
    let file = File::open(path).map_err(named)?;
    let bar = if io::stderr().is_terminal() {
        let form = "{bar:30} {percent} %, {msg} records, {elapsed}, {eta} left";
        ProgressBar::new(file.metadata().map_err(named)?.len()).with_style(style(form))
    } else {
        ProgressBar::hidden()
    };
    Ok((Box::new(BufReader::with_capacity(1 << 20, bar.wrap_read(file))), bar))
}

fn style(form: &str) -> ProgressStyle {
    // The forms are ours and right; a plain bar would do.
    ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar())
}
