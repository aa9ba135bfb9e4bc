//! `ringpost-loadtest sink|source|demo`: see `--help`.
#![allow(clippy::print_stdout)] // a command-line tool speaks on standard output
#![allow(clippy::disallowed_methods)] // and may sleep

mod demo;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use clap::{Parser, Subcommand};
use loadtest::{
    message::Label,
    sink::{Delivery, Rules, Sink, Stage},
    source::{self, Load},
};

#[derive(Parser)]
#[command(version, about = "A source of mail and a sink for it, to try a mail server with")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Takes mail, checks its bytes, prints a line a message.
    Sink(SinkArguments),
    /// Sends numbered messages and prints which of them were acknowledged.
    Source(SourceArguments),
    /// Starts a server, relays messages through it to a sink of its own, and tells what happened.
    Demo(demo::Arguments),
}

#[derive(clap::Args)]
struct SinkArguments {
    /// Address and port to listen on.
    #[arg(long, default_value = "127.0.0.1:2626")]
    listen: SocketAddr,
    /// Writes every message into this folder, NNNNNN.eml.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Ends after so many messages.
    #[arg(long)]
    count: Option<u64>,
    /// Speaks LMTP.
    #[arg(long)]
    lmtp: bool,
    /// Refuses recipients that contain this text with 550.
    #[arg(long)]
    reject_rcpt: Option<String>,
    /// Answers the first so many MAIL commands with 451.
    #[arg(long, default_value_t = 0)]
    tempfail_first: u64,
    /// Never answers from this stage on.
    #[arg(long)]
    stall: Option<Stage>,
    /// Hangs up instead of acknowledging a message.
    #[arg(long)]
    drop_after_data: bool,
}

#[derive(clap::Args)]
struct SourceArguments {
    /// The server.
    #[arg(long, default_value = "127.0.0.1:2525")]
    to: SocketAddr,
    /// Connections at a time.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// Messages in all.
    #[arg(long, default_value_t = 1000)]
    messages: u64,
    /// Messages a connection.
    #[arg(long, default_value_t = u64::MAX)]
    per_connection: u64,
    /// Recipients a message.
    #[arg(long, default_value_t = 1)]
    recipients: usize,
    /// Octets a message.
    #[arg(long, default_value_t = 5120)]
    size: usize,
    /// Waits for the reply to every command.
    #[arg(long)]
    no_pipelining: bool,
    /// Names the run; the sink prints it with every message.
    #[arg(long, default_value = "run")]
    run: String,
    /// The recipients' domain.
    #[arg(long, default_value = "sink.test")]
    domain: String,
    /// Prints every acknowledged number.
    #[arg(long)]
    ids: bool,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Sink(arguments) => run_sink(arguments),
        Command::Source(arguments) => run_source(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("ringpost-loadtest: {error}");
        ExitCode::FAILURE
    })
}

fn run_sink(arguments: SinkArguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let rules = Rules {
        reject_rcpt: arguments.reject_rcpt,
        tempfail_first: arguments.tempfail_first,
        stall: arguments.stall,
        drop_after_data: arguments.drop_after_data,
        lmtp: arguments.lmtp,
        ..Rules::default()
    };
    if let Some(folder) = &arguments.folder {
        fs::create_dir_all(folder)?;
    }
    let folder = arguments.folder;
    let sink = Sink::start(arguments.listen, rules, move |delivery| {
        let number = TAKEN.fetch_add(1, Ordering::SeqCst) + 1;
        print_delivery(number, &delivery);
        if let Some(folder) = &folder {
            let path = folder.join(format!("{number:06}.eml"));
            if let Err(error) = fs::write(&path, &delivery.message) {
                eprintln!("{}: {error}", path.display());
            }
        }
    })?;
    println!("listening on {}", sink.address());
    while arguments.count.is_none_or(|count| TAKEN.load(Ordering::SeqCst) < count) {
        thread::sleep(Duration::from_millis(50));
    }
    Ok(ExitCode::SUCCESS)
}

fn print_delivery(number: u64, delivery: &Delivery) {
    let proof = match Label::check(&delivery.message) {
        Some((label, same)) => {
            format!("{}-{} {}", label.run, label.number, if same { "intact" } else { "CHANGED" })
        }
        None => "no label".to_owned(),
    };
    let octets = delivery.message.len();
    println!(
        "{number} from {} to {} {octets} {proof}",
        delivery.mail,
        delivery.recipients.join(" ")
    );
}

fn run_source(arguments: &SourceArguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let load = Load {
        connections: arguments.connections,
        messages: arguments.messages,
        per_connection: arguments.per_connection,
        recipients: arguments.recipients,
        size: arguments.size,
        pipelining: !arguments.no_pipelining,
        domain: arguments.domain.clone(),
        ..Load::new(arguments.to, &arguments.run)
    };
    let ids = arguments.ids;
    let outcome = source::run(&load, &move |number| {
        if ids {
            println!("{number}");
        }
    });
    println!(
        "acknowledged {} refused {} unanswered {} in {:.2} s ({:.0} msgs/s)",
        outcome.acknowledged.len(),
        outcome.refused.len(),
        outcome.unanswered.len(),
        outcome.elapsed.as_secs_f64(),
        outcome.acknowledged.len() as f64 / outcome.elapsed.as_secs_f64(),
    );
    for reason in
        outcome.failures.iter().chain(outcome.refused.iter().map(|(_, text)| text)).take(5)
    {
        eprintln!("{reason}");
    }
    let complete = outcome.acknowledged.len() as u64 == load.messages;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
