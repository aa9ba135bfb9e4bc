//! The command line: what was asked for, carried out, told, and judged by the exit code.
//!
//! 0: all is well. 1: something was lost or changed, or a bound was missed. 2: it could not be measured.
#![allow(clippy::print_stdout)] // results go to standard output

mod arguments;
mod catalogue;
mod compare;
mod mailbox;
mod measure;
mod output;
mod sink;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::arguments::{
    CompareArguments, ImapArguments, Pop3Arguments, RelayArguments, RunArguments, SinkArguments,
    SmtpArguments,
};

/// A load test for mail servers: exact about what was lost, honest about latency
#[derive(Parser)]
#[command(version, about, name = "ringpost-loadtest", propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends mail to a server, in a closed or an open loop
    Smtp(SmtpArguments),
    /// Takes mail, checks it and counts it; kindly, or as one of the bad neighbours that servers meet
    Sink(SinkArguments),
    /// Source and sink around a server: says what was accepted, delivered, bounced, lost, duplicated
    Relay(RelayArguments),
    /// Runs a scenario from a file, or one that is built in (without a name: lists them)
    Run(RunArguments),
    /// Runs a scenario against several servers, rounds interleaved
    Compare(CompareArguments),
    /// Reads, fills and watches mailboxes over IMAP, and delivers to them over LMTP
    Imap(ImapArguments),
    /// Whole POP3 sessions that read all of a maildrop and delete nothing
    Pop3(Pop3Arguments),
    /// Prints the JSON schema of results (of scenarios with --scenario)
    Schema {
        /// The schema of scenario files instead
        #[arg(long)]
        scenario: bool,
    },
}

/// Reads the command line, does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Smtp(arguments) => measure::smtp(arguments),
        Command::Sink(arguments) => sink::run(&arguments),
        Command::Relay(arguments) => measure::relay(arguments),
        Command::Run(arguments) => measure::run(arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Imap(arguments) => mailbox::imap(arguments),
        Command::Pop3(arguments) => mailbox::pop3(arguments),
        Command::Schema { scenario } => output::schema(scenario),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{}: {error}", Arguments::command().get_name());
        ExitCode::from(2)
    })
}
