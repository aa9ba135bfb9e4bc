//! `ringpost domain`, `account`, `alias`, `group`, `import`, `export`, `audit` as clap reads them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use engine::settings::{Bytes, Span};

const LIMIT_DEFAULT: u64 = 50;

#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum DomainVerb {
    /// Add a domain, so that its addresses are ours
    Add {
        /// Its name
        domain: String,
        #[command(flatten)]
        fields: DomainFields,
    },
    /// Change what is set about a domain
    Set {
        /// Its name
        domain: String,
        #[command(flatten)]
        fields: DomainFields,
    },
    /// List domains
    List {
        #[command(flatten)]
        page: Page,
    },
    /// Show what is set about a domain
    Show {
        /// Its name
        domain: String,
    },
    /// Remove a domain
    Remove {
        /// Its name
        domain: String,
        /// With all its accounts, aliases and groups
        #[arg(long)]
        all: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct DomainFields {
    /// Where mail for addresses goes that do not exist; "none" refuses it
    #[arg(long, value_name = "ADDRESS")]
    pub catch_all: Option<String>,
    /// What divides an address from its detail, joe+lists; "none" turns it off
    #[arg(long, value_name = "CHARACTER")]
    pub separator: Option<String>,
    #[command(flatten)]
    pub limits: LimitFields,
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct LimitFields {
    /// Messages to submit in an hour at most; 0 is what the settings say
    #[arg(long, value_name = "COUNT")]
    pub messages_per_hour: Option<u32>,
    /// Recipients to write to in an hour at most; 0 is what the settings say
    #[arg(long, value_name = "COUNT")]
    pub recipients_per_hour: Option<u32>,
}

#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum AccountVerb {
    /// Add an account; its password is asked for
    Add {
        /// Address and login
        address: String,
        /// The name of its owner
        #[arg(long)]
        name: Option<String>,
        /// Size of its mailbox at most, e.g. "5 GiB"
        #[arg(long, value_name = "SIZE")]
        quota: Option<Bytes>,
        #[command(flatten)]
        secret: SecretFields,
    },
    /// Change what is set about an account
    Set {
        /// Which
        address: String,
        /// The name of its owner
        #[arg(long)]
        name: Option<String>,
        /// Let it use this sender, too: an address, or @domain for all of a domain
        #[arg(long, value_name = "SENDER")]
        grant: Vec<String>,
        /// Take such a sender away again
        #[arg(long, value_name = "SENDER")]
        revoke: Vec<String>,
        #[command(flatten)]
        limits: LimitFields,
    },
    /// Set a password; it is asked for
    Passwd {
        /// Whose
        address: String,
        #[command(flatten)]
        secret: SecretFields,
    },
    /// Limit the size of a mailbox
    Quota {
        /// Whose
        address: String,
        /// e.g. "5 GiB"; "none" is no limit
        size: String,
    },
    /// Forward mail; without a target it is forwarded no more
    Forward {
        /// Whose
        address: String,
        /// Where to
        to: Vec<String>,
        /// Keep a copy in the mailbox
        #[arg(long, requires = "to")]
        keep: bool,
    },
    /// Let nobody log in, and take no mail
    Disable {
        /// Which
        address: String,
    },
    /// Undo disable
    Enable {
        /// Which
        address: String,
    },
    /// List accounts
    List {
        #[command(flatten)]
        of: OfDomain,
    },
    /// Show everything about an account but its secrets
    Show {
        /// Which
        address: String,
    },
    /// Remove an account
    Remove {
        /// Which
        address: String,
    },
}

#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct SecretFields {
    /// Read the password from standard input, its first line
    #[arg(long)]
    pub stdin: bool,
    /// Take this hash of it: argon2, bcrypt, sha512-crypt, PBKDF2 or SSHA, with or without Dovecot's
    /// {SCHEME}
    #[arg(long)]
    pub hash: Option<String>,
    /// None: nobody can log in with a password
    #[arg(long)]
    pub no_password: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum AliasVerb {
    /// Add another name for one or many addresses
    Add {
        /// The other name
        address: String,
        /// Where its mail goes
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Add and remove targets
    Set {
        /// Which
        address: String,
        #[command(flatten)]
        members: MemberFields,
    },
    /// List aliases
    List {
        #[command(flatten)]
        of: OfDomain,
    },
    /// Show an alias
    Show {
        /// Which
        address: String,
    },
    /// Remove an alias
    Remove {
        /// Which
        address: String,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum GroupVerb {
    /// Add a group
    Add {
        /// Its address
        address: String,
        /// Who is in it
        members: Vec<String>,
        /// What it is called
        #[arg(long)]
        name: Option<String>,
    },
    /// Add and remove members
    Set {
        /// Which
        address: String,
        #[command(flatten)]
        members: MemberFields,
        /// What it is called
        #[arg(long)]
        name: Option<String>,
    },
    /// List groups
    List {
        #[command(flatten)]
        of: OfDomain,
    },
    /// Show a group
    Show {
        /// Which
        address: String,
    },
    /// Remove a group
    Remove {
        /// Which
        address: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct MemberFields {
    /// Add this address
    #[arg(long, value_name = "ADDRESS")]
    pub add: Vec<String>,
    /// Remove this address
    #[arg(long, value_name = "ADDRESS")]
    pub remove: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct OfDomain {
    /// Only of this domain
    #[arg(long)]
    pub domain: Option<String>,
    #[command(flatten)]
    pub page: Page,
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Page {
    /// Lines to list at most
    #[arg(long, default_value_t = LIMIT_DEFAULT, conflicts_with = "every",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// Go on behind this one
    #[arg(long, value_name = "NAME")]
    pub after: Option<String>,
    /// List every one
    #[arg(long = "all", id = "every")]
    pub all: bool,
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ImportArgs {
    /// The file; "-" is standard input
    pub file: PathBuf,
    /// How it is written; otherwise its name says so (.csv, .jsonl)
    #[arg(long)]
    pub format: Option<Form>,
    /// Replace what is there already
    #[arg(long)]
    pub replace: bool,
    /// Add the domains of addresses when they are missing
    #[arg(long)]
    pub create_domains: bool,
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ExportArgs {
    /// The file; "-" is standard output
    #[arg(default_value = "-")]
    pub file: PathBuf,
    /// How it is written; otherwise its name says so (.csv, .jsonl)
    #[arg(long)]
    pub format: Option<Form>,
}

/// How records are written into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Form {
    /// A header and a line a record; lists are divided by spaces
    Csv,
    /// A JSON object a line
    Jsonl,
}

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct AuditArgs {
    /// Not older than this: a span such as "2 h" or "7 d", or a moment such as 2026-11-27T20:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub since: Option<u64>,
    /// Lines to show at most, the oldest first
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
}

/// Milliseconds since 1970.
fn parse_since(text: &str) -> Result<u64, String> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(crate::cli::words::now_ms().saturating_sub(span.as_ms()));
    }
    let at: jiff::Timestamp = text
        .parse()
        .map_err(|_| "write a span such as \"2 h\", or a moment such as 2026-11-27T20:00:00Z")?;
    Ok(u64::try_from(at.as_millisecond()).unwrap_or(0))
}
