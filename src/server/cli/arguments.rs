//! The command line as clap reads it; the doc comments are its help.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use mail::queue::{Filter, MessageId};

use super::directory::arguments::{
    AccountVerb, AliasVerb, AuditArgs, DomainVerb, ExportArgs, GroupVerb, ImportArgs,
};
use super::dkim::DkimVerb;
use super::mailbox::arguments::MailboxVerb;

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 not done, 2 wrong usage, 3 no server answers.

Settings are read from --config, else $RINGPOST_CONFIG, else /etc/ringpost/ringpost.toml;
a running server is found by --socket, else $RINGPOST_SOCKET, else by the settings.";

/// A durable, fast mail transfer agent.
#[derive(Clone, Debug, Parser)]
#[command(name = "ringpost", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(super) struct Arguments {
    /// The settings file
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The admin socket of the running server
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) socket: Option<PathBuf>,
    /// JSON instead of tables, one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Verb {
    /// Run the server in the foreground until SIGTERM or ^C
    Serve,
    /// Check settings, or print the reference of all of them
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Find out what would happen
    Check {
        #[command(subcommand)]
        verb: CheckVerb,
    },
    /// See and change what is queued
    Queue {
        #[command(subcommand)]
        verb: QueueVerb,
    },
    /// Domains whose addresses are ours
    Domain {
        #[command(subcommand)]
        verb: DomainVerb,
    },
    /// Mailboxes and logins
    Account {
        #[command(subcommand)]
        verb: AccountVerb,
    },
    /// Other names for addresses
    Alias {
        #[command(subcommand)]
        verb: AliasVerb,
    },
    /// Lists of members with an address
    Group {
        #[command(subcommand)]
        verb: GroupVerb,
    },
    /// Add domains, accounts, aliases and groups from a file
    Import(ImportArgs),
    /// Write all domains, accounts, aliases and groups, with their hashes
    Export(ExportArgs),
    /// Show who changed what in the directory, and when
    Audit(AuditArgs),
    /// Keys that mail of our domains is signed with (DKIM)
    Dkim {
        #[command(subcommand)]
        verb: DkimVerb,
    },
    /// The mail of accounts, while the server is stopped
    Mailbox {
        #[command(subcommand)]
        verb: MailboxVerb,
    },
    /// Show health, counters and latencies of the running server
    Status {
        /// Show it again and again, every SECONDS
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
              value_parser = clap::value_parser!(u64).range(1..=86_400))]
        watch: Option<u64>,
    },
    /// Let the running server read its settings again, as SIGHUP does
    Reload,
    /// Let the running server finish what is under way and stop, as SIGTERM does
    Stop,
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Man,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Say whether a settings file is right, and if not, where it is wrong
    Check {
        /// The file, if not the one of --config
        file: Option<PathBuf>,
    },
    /// Print every setting with its explanation and default
    Reference,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum CheckVerb {
    /// Say which TLS policy mail to a domain gets, from which records
    Tls {
        /// The recipient domain
        domain: String,
        /// Also connect to every host and try its TLS
        #[arg(long)]
        connect: bool,
    },
    /// Say whether a client may send for a domain (SPF); the first line is the result
    Spf {
        #[command(flatten)]
        client: ClientArgs,
        #[command(flatten)]
        dns: DnsArgs,
    },
    /// Check where a message comes from: DKIM, ARC, DMARC, and with --ip SPF and the client's name
    Message {
        /// The message, as it is sent; - is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        #[command(flatten)]
        client: MaybeClientArgs,
        #[command(flatten)]
        dns: DnsArgs,
    },
    /// Say what a domain publishes about its mail, and what large receivers would refuse
    Domain {
        /// The domain
        domain: String,
        /// A DKIM selector that it uses; may be given several times
        #[arg(long, value_name = "NAME")]
        selector: Vec<String>,
        #[command(flatten)]
        dns: DnsArgs,
    },
}

/// Who sends.
#[derive(Clone, Debug, Args)]
pub(super) struct ClientArgs {
    /// The address that the mail comes from
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip: IpAddr,
    /// The name that the client gives (HELO, EHLO)
    #[arg(long, value_name = "NAME")]
    pub(super) helo: String,
    /// The sender of the envelope; '' and '<>' are the null sender
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    pub(super) mail_from: String,
}

/// Who sends, if that is to be checked as well.
#[derive(Clone, Debug, Args)]
pub(super) struct MaybeClientArgs {
    /// The address that the mail comes from
    #[arg(long, value_name = "ADDRESS", requires = "helo")]
    ip: Option<IpAddr>,
    /// The name that the client gives (HELO, EHLO)
    #[arg(long, value_name = "NAME", requires = "ip")]
    helo: Option<String>,
    /// The sender of the envelope; '' and '<>' are the null sender
    #[arg(long, value_name = "ADDRESS", requires = "ip")]
    mail_from: Option<String>,
}

impl MaybeClientArgs {
    pub(super) fn client(&self) -> Option<ClientArgs> {
        let (ip, helo) = (self.ip?, self.helo.clone()?);
        Some(ClientArgs { ip, helo, mail_from: self.mail_from.clone().unwrap_or_default() })
    }
}

/// Whom to ask.
#[derive(Clone, Debug, Args)]
pub(super) struct DnsArgs {
    /// The name server to ask, instead of those of the settings
    #[arg(long, value_name = "HOST:PORT", value_parser = name_server)]
    pub(super) dns: Option<SocketAddr>,
}

/// `192.0.2.1`, `[::1]:5353`, `localhost:5353`.
fn name_server(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    let mut found = text.to_socket_addrs().map_err(|error| format!("{error}; give HOST:PORT"))?;
    found.next().ok_or_else(|| "it has no address".to_owned())
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum QueueVerb {
    /// List messages, oldest first
    List {
        #[command(flatten)]
        filter: FilterArgs,
        /// Messages to list at most
        #[arg(long, default_value_t = 50, conflicts_with = "all",
              value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        /// Go on behind this message
        #[arg(long, value_name = "ID")]
        after: Option<MessageId>,
        /// List every message
        #[arg(long)]
        all: bool,
    },
    /// Show everything about one message
    Show {
        /// Its id, as logs and lists show it
        id: MessageId,
    },
    /// Try messages now; all of them when no filter is given
    Flush {
        #[command(flatten)]
        which: Which,
    },
    /// Hold messages: they are not tried until released
    #[command(group = clap::ArgGroup::new("meant").required(true).multiple(true)
              .args(["id", "sender", "recipient", "domain", "all"]))]
    Hold {
        #[command(flatten)]
        which: Which,
    },
    /// Release held messages and try them now; all of them when no filter is given
    Release {
        #[command(flatten)]
        which: Which,
    },
    /// Delete messages for good, without a bounce
    #[command(group = clap::ArgGroup::new("meant").required(true).multiple(true)
              .args(["id", "sender", "recipient", "domain", "all"]))]
    Delete {
        #[command(flatten)]
        which: Which,
    },
}

/// Which messages a change is about.
#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Every message
    #[arg(long, conflicts_with_all = ["id", "sender", "recipient", "domain"])]
    pub(super) all: bool,
}

/// All that are given must match.
#[derive(Clone, Debug, Args)]
pub(super) struct FilterArgs {
    /// The message with this id
    #[arg(long)]
    pub(super) id: Option<MessageId>,
    /// Messages from this sender; '<>' is the null sender
    #[arg(long, value_name = "ADDRESS")]
    pub(super) sender: Option<String>,
    /// Messages to this recipient, among others
    #[arg(long, value_name = "ADDRESS")]
    pub(super) recipient: Option<String>,
    /// Messages to a recipient in this domain, among others
    #[arg(long)]
    pub(super) domain: Option<String>,
}

impl From<&FilterArgs> for Filter {
    fn from(given: &FilterArgs) -> Self {
        Self {
            id: given.id,
            sender: given.sender.clone(),
            recipient: given.recipient.clone(),
            domain: given.domain.clone(),
        }
    }
}
