//! The arguments of every command.

use std::{net::SocketAddr, path::PathBuf, thread};

use clap::Args;

use crate::{
    cores::Cores,
    mailbox::{MailboxOptions, Operation},
    scenario::{CompareOptions, ExpectOptions, RunOptions, Scenario, SinkOptions, SourceOptions},
};

/// Where results go.
#[derive(Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArguments {
    /// Prints the result as one JSON document (its schema: `ringpost-loadtest schema`)
    #[arg(long)]
    pub json: bool,
    /// Writes a page with plots
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Shows no progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// Where the generator runs.
#[derive(Args)]
#[command(next_help_heading = "Generator")]
pub struct CoreArguments {
    /// The source's cores, an executor pinned to each: '1', '2-3'; 'any:2' for two that are not pinned
    #[arg(long, default_value_t = last_core())]
    pub source_cores: Cores,
    /// The sink's cores
    #[arg(long, default_value_t = Cores::Pinned(vec![0]))]
    pub sink_cores: Cores,
}

fn last_core() -> Cores {
    let count = thread::available_parallelism().map_or(1, usize::from);
    Cores::Pinned(vec![count - 1])
}

/// The server under test.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArguments {
    /// Starts this server by its recipe: a file, or one that is built in, such as postfix
    #[arg(long, value_name = "RECIPE", conflicts_with_all = ["server_pid", "server_cgroup"])]
    pub server: Option<String>,
    /// Counts the CPU and memory of this process and its descendants
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Counts the CPU and memory of this cgroup
    #[arg(long, value_name = "FOLDER", conflicts_with = "server_pid")]
    pub server_cgroup: Option<PathBuf>,
    #[command(flatten)]
    pub place: PlaceArguments,
}

/// How a recipe's server is started.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub struct PlaceArguments {
    /// Ringpost's program, for its recipes [default: beside this program]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Where a started server keeps its queue; the disk under it is what is measured
    #[arg(long, value_name = "FOLDER", default_value = "/var/tmp/ringpost-bench")]
    pub folder: PathBuf,
    /// Port of a started server
    #[arg(long, default_value_t = 12525)]
    pub port: u16,
    /// IMAP port of a started server with mailboxes
    #[arg(long, default_value_t = 12993)]
    pub imap_port: u16,
    /// POP3 port of a started server with mailboxes
    #[arg(long, default_value_t = 12995)]
    pub pop3_port: u16,
    /// Port of the sink behind a started server
    #[arg(long, default_value_t = 12626)]
    pub sink_port: u16,
}

/// `smtp`.
#[derive(Args)]
pub struct SmtpArguments {
    /// The server's address and port
    #[arg(long, default_value = "127.0.0.1:2525")]
    pub to: SocketAddr,
    #[command(flatten)]
    pub source: SourceOptions,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub expect: ExpectOptions,
    #[command(flatten)]
    pub server: ServerArguments,
    #[command(flatten)]
    pub cores: CoreArguments,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `imap`.
#[derive(Args)]
pub struct ImapArguments {
    /// What is done again and again
    pub operation: Operation,
    /// The server's IMAP address and port
    #[arg(long, default_value = "127.0.0.1:993")]
    pub to: SocketAddr,
    /// Its LMTP address and port, for idle and deliver
    #[arg(long, default_value = "127.0.0.1:2424")]
    pub lmtp: SocketAddr,
    #[command(flatten)]
    pub shared: MailboxArguments,
}

/// `pop3`.
#[derive(Args)]
pub struct Pop3Arguments {
    /// The server's POP3 address and port
    #[arg(long, default_value = "127.0.0.1:995")]
    pub to: SocketAddr,
    /// Its IMAP address and port, where maildrops are filled
    #[arg(long, default_value = "127.0.0.1:993")]
    pub imap: SocketAddr,
    #[command(flatten)]
    pub shared: MailboxArguments,
}

/// Of both.
#[derive(Args)]
pub struct MailboxArguments {
    #[command(flatten)]
    pub options: MailboxOptions,
    /// Of the messages: the same seed, the same messages
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub server: ServerArguments,
    /// The sessions' cores, an executor pinned to each: '1', '2-3'; 'any:2' for two that are not pinned
    #[arg(long, default_value_t = last_core())]
    pub source_cores: Cores,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `relay`.
#[derive(Args)]
pub struct RelayArguments {
    #[command(flatten)]
    pub ends: EndArguments,
    #[command(flatten)]
    pub over: ScenarioArguments,
    #[command(flatten)]
    pub server: ServerArguments,
    #[command(flatten)]
    pub cores: CoreArguments,
    #[command(flatten)]
    pub output: OutputArguments,
}

/// `run`.
#[derive(Args)]
pub struct RunArguments {
    /// A file, or the name of a scenario that is built in
    pub scenario: Option<String>,
    #[command(flatten)]
    pub relay: RelayArguments,
}

/// Where the server under test is between.
#[derive(Args)]
pub struct EndArguments {
    /// The server's address and port
    #[arg(long, default_value = "127.0.0.1:2525")]
    pub to: SocketAddr,
    /// Where the sink listens, and the server relays to
    #[arg(long, default_value = "127.0.0.1:2626")]
    pub sink: SocketAddr,
}

/// What is laid over a scenario.
#[derive(Args)]
pub struct ScenarioArguments {
    #[command(flatten)]
    pub source: SourceOptions,
    #[command(flatten)]
    pub sink: SinkOptions,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub expect: ExpectOptions,
}

impl ScenarioArguments {
    /// As a scenario.
    pub fn scenario(self) -> Scenario {
        let Self { source, sink, run, expect } = self;
        Scenario { source, sink, run, expect, ..Scenario::default() }
    }
}

/// `compare`.
#[derive(Args)]
pub struct CompareArguments {
    /// A scenario, with or without [[case]] tables; a file or a name
    #[arg(default_value = "peers")]
    pub scenario: String,
    #[command(flatten)]
    pub compare: CompareOptions,
    /// Only the cases whose name holds this text
    #[arg(long, value_name = "TEXT")]
    pub case: Option<String>,
    #[command(flatten)]
    pub source: SourceOptions,
    #[command(flatten)]
    pub place: PlaceArguments,
    #[command(flatten)]
    pub cores: CoreArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    /// Writes the tables as markdown: between the lines '<!-- tables -->' and '<!-- end of tables -->' when the file
    /// has them
    #[arg(long, value_name = "FILE.md")]
    pub markdown: Option<PathBuf>,
}

/// `sink`.
#[derive(Args)]
pub struct SinkArguments {
    /// Address and port to listen on
    #[arg(long, default_value = "127.0.0.1:2626")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub rules: SinkOptions,
    /// The domain of --sites
    #[arg(long, default_value = "sites.test")]
    pub domain: String,
    /// Of everything random
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Writes every message into this folder, NNNNNN.eml
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// Ends after so many messages [default: at ^C]
    #[arg(long)]
    pub count: Option<u64>,
    /// The sink's cores
    #[arg(long, default_value_t = Cores::Free(1))]
    pub sink_cores: Cores,
    /// Prints no line a message, only the account at the end
    #[arg(long, short)]
    pub quiet: bool,
    /// Prints the account as JSON
    #[arg(long)]
    pub json: bool,
}
