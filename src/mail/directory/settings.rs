//! What an administrator says about the directory, passwords and those who guess them.
//!
//! The doc comments become the text of `config/reference.toml`.

use engine::settings::{Bytes, Span};
use proto::types::{Address, Domain};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name;
use super::password::Parameters;

/// Domains, accounts and aliases of our own: `ringpost domain`, `account`, `alias`, `group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The domain that senders of forwarded mail are rewritten to (SRS), so that SPF of their own
    /// domain does not fail at the next host. It needs an MX that leads here. Empty: the domain of
    /// the address that forwards.
    pub srs_domain: String,
    /// Where mail for postmaster and abuse goes in domains that have no such address; RFC 5321
    /// §4.5.1 and RFC 2142 want both answered. Empty: they are unknown like any other.
    pub postmaster: String,
    /// Messages that an account may submit in an hour, unless its own record says otherwise: what a
    /// stolen password is worth. 0: no limit.
    pub messages_per_hour: u32,
    /// Recipients that an account may write to in an hour, the same.
    pub recipients_per_hour: u32,
    /// Messages that all accounts of a domain together may submit in an hour, unless the domain's
    /// record says otherwise. 0: no limit.
    pub domain_messages_per_hour: u32,
    /// Recipients that all accounts of a domain may write to in an hour, the same.
    pub domain_recipients_per_hour: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            srs_domain: String::new(),
            postmaster: String::new(),
            messages_per_hour: 500,
            recipients_per_hour: 2000,
            domain_messages_per_hour: 0,
            domain_recipients_per_hour: 0,
        }
    }
}

impl Settings {
    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(self.srs().err());
        faults.extend(self.postmaster().err());
        faults
    }

    pub(super) fn srs(&self) -> Result<Option<Domain>, String> {
        let text = self.srs_domain.as_str();
        let domain = (!text.is_empty()).then(|| Domain::parse(text)).transpose();
        domain.map_err(|error| format!("directory.srs_domain: {text:?}: {error}"))
    }

    pub(super) fn postmaster(&self) -> Result<Option<Address>, String> {
        let text = self.postmaster.as_str();
        let address = (!text.is_empty()).then(|| name::parse_own(text)).transpose();
        let address = address.map_err(|error| format!("directory.postmaster: {error}"))?;
        Ok(address.map(|(address, _)| address))
    }
}

/// How passwords are hashed, and by how many threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// Memory of one argon2id hash (RFC 9106). More makes guessing from a stolen file dearer, and
    /// every login, too; hashes that used less are made again at the next login.
    pub argon2_memory: Bytes,
    /// Passes over that memory. 19 MiB and 2 passes are OWASP's first choice.
    pub argon2_passes: u32,
    /// Lanes of argon2id. They are computed one after the other: more than 1 is for hashes that
    /// others shall verify.
    pub argon2_lanes: u32,
    /// Iterations of the PBKDF2 in SCRAM-SHA-256 (RFC 7677 asks for 4096 at least). The client pays
    /// for them at each login, and whoever steals the directory at each guess. 0 keeps nothing for
    /// SCRAM: accounts whose password is set then cannot use it.
    /// Programs on cyrus-sasl refuse to compute more than 65,536.
    pub scram_iterations: u32,
    /// Threads that verify passwords, beside the shards. 0: one for two cores.
    pub threads: u16,
    /// Logins that wait for these threads at most. Beyond that, those of the client that has most
    /// waiting are told to try again.
    pub waiting_max: u32,
    /// Logins of one client (an IPv4 address or an IPv6 /64) that wait at most.
    pub waiting_per_client_max: u32,
    /// How long a login that succeeded is remembered (as a keyed hash, in memory), so that clients
    /// that log in for each message cost little. "0 s" never remembers.
    pub remember: Span,
    /// Logins that are remembered at most.
    pub remember_max: u32,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self {
            argon2_memory: Bytes::mib(19),
            argon2_passes: 2,
            argon2_lanes: 1,
            scram_iterations: Parameters::default().scram_iterations,
            threads: 0,
            waiting_max: 256,
            waiting_per_client_max: 16,
            remember: Span::mins(1),
            remember_max: 10_000,
        }
    }
}

impl PasswordSettings {
    /// What a new hash costs.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        Parameters {
            memory_kib: u32::try_from(self.argon2_memory.get() >> 10).unwrap_or(u32::MAX),
            passes: self.argon2_passes,
            lanes: self.argon2_lanes,
            scram_iterations: self.scram_iterations,
        }
    }

    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, text: &str| {
            if !holds {
                faults.push(format!("passwords.{text}"));
            }
        };
        let memory = self.argon2_memory;
        demand(
            (Bytes::mib(1)..=Bytes::mib(256)).contains(&memory),
            "argon2_memory must be 1 MiB to 256 MiB",
        );
        demand((1..=16).contains(&self.argon2_passes), "argon2_passes must be 1 to 16");
        demand((1..=16).contains(&self.argon2_lanes), "argon2_lanes must be 1 to 16");
        let work = memory.get().saturating_mul(u64::from(self.argon2_passes));
        demand(work <= 2 << 30, "argon2_memory times argon2_passes must be 2 GiB at most");
        let iterations = self.scram_iterations;
        demand(
            iterations == 0 || (4096..=5_000_000).contains(&iterations),
            "scram_iterations must be 4096 to 5000000, or 0",
        );
        demand(self.waiting_max > 0, "waiting_max must be at least 1");
        demand(self.waiting_per_client_max > 0, "waiting_per_client_max must be at least 1");
        demand(self.threads <= 256, "threads is at most 256");
        demand(self.remember_max <= 1_000_000, "remember_max is at most 1000000");
        faults
    }

    /// These settings, with everything that only a restart changes as it is in `running`.
    #[must_use]
    pub fn live(self, running: Self) -> Self {
        Self {
            argon2_memory: self.argon2_memory,
            argon2_passes: self.argon2_passes,
            argon2_lanes: self.argon2_lanes,
            scram_iterations: self.scram_iterations,
            ..running
        }
    }

    pub(super) fn threads(&self) -> usize {
        if self.threads > 0 {
            return usize::from(self.threads);
        }
        std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2)
    }
}

/// What happens to those who guess passwords. A client is an IPv4 address or an IPv6 /64. Nobody can
/// lock others out: an account that is attacked becomes slow for clients it does not know, but
/// only the guessing client is blocked, and one that logged in lately is neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuessSettings {
    /// Wrong passwords from one client for one account that cost nothing. The same wrong password
    /// again counts once: it is a program that does not know of a change.
    pub free: u32,
    /// After that many wrong passwords from one client for one account the client is blocked from
    /// this account.
    pub account_failures: u32,
    /// After that many wrong passwords from one client, whatever the account, it is blocked from all
    /// accounts that it has not logged in to lately.
    pub client_failures: u32,
    /// Wrong passwords for one account, whoever the client, after which clients that it does not
    /// know are slowed.
    pub slow_after: u32,
    /// The longest that an attempt is held back; the first time is a second, and it doubles.
    pub delay_max: Span,
    /// Wrong passwords are forgotten when no other came for so long.
    pub window: Span,
    /// How long a block lasts.
    pub block: Span,
    /// How long a client that logged in to an account is known to it.
    pub known: Span,
}

impl Default for GuessSettings {
    fn default() -> Self {
        Self {
            free: 3,
            account_failures: 10,
            client_failures: 30,
            slow_after: 20,
            delay_max: Span::secs(10),
            window: Span::mins(15),
            block: Span::mins(30),
            known: Span::days(30),
        }
    }
}

impl GuessSettings {
    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, text: &str| {
            if !holds {
                faults.push(format!("guessing.{text}"));
            }
        };
        demand(self.account_failures > self.free, "account_failures must be more than free");
        demand(
            self.client_failures >= self.account_failures,
            "client_failures must not be under account_failures",
        );
        demand(self.slow_after > 0, "slow_after must be at least 1");
        demand(self.delay_max.as_ms() <= 60_000, "delay_max is at most 1 min: clients give up");
        demand(self.window.as_ms() > 0 && self.block.as_ms() > 0, "window and block are not 0");
        faults
    }
}
