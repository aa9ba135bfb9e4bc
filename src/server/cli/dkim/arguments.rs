//! `ringpost dkim` as clap reads it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use mail::authentication::signing;

#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum DkimVerb {
    /// Make keys for a domain, an RSA and an Ed25519 one, or take one that you have
    Generate {
        /// Whose mail is signed
        domain: String,
        /// Its name in the DNS, SELECTOR._domainkey.DOMAIN; otherwise the month and a letter
        #[arg(long)]
        selector: Option<String>,
        /// Only such a key
        #[arg(long)]
        algorithm: Option<Algorithm>,
        /// Of an RSA key: 2048, 3072 or 4096; otherwise 2048
        #[arg(long)]
        bits: Option<u32>,
        /// Take this private key (PEM, PKCS#1 or PKCS#8), as OpenDKIM's are; "-" is standard input
        #[arg(long, value_name = "FILE", requires = "selector",
              conflicts_with_all = ["algorithm", "bits"])]
        key: Option<PathBuf>,
        /// Sign with it only when `ringpost dkim rotate` has found it in the DNS
        #[arg(long)]
        pending: bool,
        /// Whether to sign for subdomains without keys, too; otherwise as the settings say
        #[arg(long, value_name = "YES|NO", value_parser = yes_or_no)]
        subdomains: Option<bool>,
    },
    /// List keys
    List {
        /// Only of this domain
        domain: Option<String>,
    },
    /// Print the records to publish, as a zone file says them
    Dns {
        /// Whose
        domain: String,
    },
    /// Ask the DNS for the records of a domain's keys
    Check {
        /// Whose
        domain: String,
        #[command(flatten)]
        resolver: ResolverArgs,
    },
    /// Replace a domain's keys in three steps, one each time that it is said
    #[command(long_about = ROTATE)]
    Rotate {
        /// Whose
        domain: String,
        /// Switch to the new keys though the DNS does not have them
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        resolver: ResolverArgs,
    },
    /// Remove a key for good
    Remove {
        /// Whose
        domain: String,
        /// Which
        selector: String,
    },
}

const ROTATE: &str = "\
Replace a domain's keys in three steps, one each time that it is said.

First, new keys are made and their records shown: publish them. Then, when the DNS has them, mail is
signed with them, and the old ones retire; their records stay for mail under way. At last, when their
time is over, the retired keys are removed, and their records may go.";

#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct ResolverArgs {
    /// Ask this name server instead of those of the settings
    #[arg(long, value_name = "HOST:PORT", value_parser = name_server)]
    pub dns: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Algorithm {
    /// Understood by everybody
    Rsa,
    /// Small and fast (RFC 8463); not understood by everybody yet
    Ed25519,
}

impl From<Algorithm> for signing::Algorithm {
    fn from(given: Algorithm) -> Self {
        match given {
            Algorithm::Rsa => Self::Rsa,
            Algorithm::Ed25519 => Self::Ed25519,
        }
    }
}

fn yes_or_no(text: &str) -> Result<bool, &'static str> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("say yes or no"),
    }
}

fn name_server(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "it has no address".to_owned())
}
