//! `ringpost-loadtest`: see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    loadtest::cli::main()
}
