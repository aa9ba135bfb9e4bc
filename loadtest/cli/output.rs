//! Results on standard output, pages in files, and the exit code.
#![allow(clippy::print_stdout)]

use std::{fs, path::Path, process::ExitCode};

use schemars::schema_for;

use super::arguments::OutputArguments;
use crate::{report, result::Document, scenario::Scenario, table};

/// Tells the result and judges it.
pub fn tell(document: &Document, output: &OutputArguments) -> Result<ExitCode, String> {
    if let Some(path) = &output.report {
        write(path, &report::render(document))?;
        eprintln!("report    {}", path.display());
    }
    if output.json {
        println!("{}", serde_json::to_string_pretty(document).map_err(|error| error.to_string())?);
    } else {
        println!("{}", table::table(document));
    }
    Ok(if document.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes a file, or says which one could not be written.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a text between the marks of a file that has them; else the whole file.
pub fn splice(path: &Path, text: &str) -> Result<(), String> {
    const MARKS: (&str, &str) = ("<!-- tables -->\n", "<!-- end of tables -->");
    let old = fs::read_to_string(path).unwrap_or_default();
    let between = old.find(MARKS.0).and_then(|at| {
        let start = at + MARKS.0.len();
        Some((start, start + old[start..].find(MARKS.1)?))
    });
    match between {
        Some((start, end)) => write(path, &[&old[..start], "\n", text, "\n", &old[end..]].concat()),
        None => write(path, text),
    }
}

/// Prints a JSON schema.
pub fn schema(of_scenarios: bool) -> Result<ExitCode, String> {
    let schema = if of_scenarios { schema_for!(Scenario) } else { schema_for!(Document) };
    println!("{}", serde_json::to_string_pretty(&schema).map_err(|error| error.to_string())?);
    Ok(ExitCode::SUCCESS)
}
