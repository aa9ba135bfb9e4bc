//! The command line of `ringpost mailbox`; the doc comments are its help.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What is to be done with mail.
#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum MailboxVerb {
    /// Check all stores: count everything again, and say what is wrong
    Verify,
    /// Take mail from a Maildir or mbox files; goes on where an import was cut off
    Import(ImportArgs),
    /// Write mail to a Maildir or an mbox file
    Export(ExportArgs),
    /// List the folders of an account
    List {
        /// Its address
        account: String,
    },
    /// Show what accounts use, most first
    Usage {
        /// Only this one
        account: Option<String>,
        /// Only those of this domain
        #[arg(long, conflicts_with = "account")]
        domain: Option<String>,
    },
    /// Remove all mail of an account for good; the account itself stays in the directory
    Remove {
        /// Its address
        account: String,
        /// Yes, for good
        #[arg(long, required = true)]
        yes: bool,
    },
}

/// What comes in.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("from").required(true).args(["maildir", "mbox"]))]
pub(in crate::cli) struct ImportArgs {
    /// Whose mail it becomes
    pub(super) account: String,
    /// A Maildir++ with all its folders
    #[arg(long, value_name = "DIR")]
    pub(super) maildir: Option<PathBuf>,
    /// mbox files
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(super) mbox: Vec<PathBuf>,
    /// Into this folder instead of INBOX, folders of a Maildir beneath it
    #[arg(long, value_name = "NAME")]
    pub(super) folder: Option<String>,
    /// Forget earlier imports to this account: what is imported again is there twice
    #[arg(long)]
    pub(super) again: bool,
}

/// What goes out.
#[derive(Clone, Debug, Args)]
#[command(group = clap::ArgGroup::new("to").required(true).args(["maildir", "mbox"]))]
pub(in crate::cli) struct ExportArgs {
    /// Whose mail
    pub(super) account: String,
    /// A Maildir++; what is there already is left, so that an export can go on
    #[arg(long, value_name = "DIR")]
    pub(super) maildir: Option<PathBuf>,
    /// A new mbox file, with one folder after the other: it does not say which is which
    #[arg(long, value_name = "FILE")]
    pub(super) mbox: Option<PathBuf>,
    /// Only these folders
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(super) folder: Vec<String>,
}
