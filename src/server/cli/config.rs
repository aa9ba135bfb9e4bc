//! `ringpost config`: judges a settings file, or prints the reference.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::{Failure, boot, judge, write_line};

/// Says `FILE: ok`, or fails with everything that is wrong.
pub(super) fn check(path: &Path, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let result = judge(path);
    if json {
        let errors = result.as_ref().err();
        let report = json!({ "file": path, "ok": errors.is_none(), "error": errors });
        write_line(&report, out)?;
    }
    result.map_err(Failure::Settings)?;
    if !json {
        writeln!(out, "{}: ok", path.display())?;
    }
    Ok(())
}

/// Prints every setting with its explanation and default.
pub(super) fn reference(out: &mut dyn Write) -> Result<(), Failure> {
    Ok(out.write_all(boot::settings::reference().as_bytes())?)
}
