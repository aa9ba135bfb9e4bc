//! Logins: is this the account's password, and may it be tried at all.
//!
//! What must stay true: a shard never hashes; who guesses is slowed and blocked before a hash is
//! computed, and is counted by the thread that computed it, so that many at once gain nothing; a
//! login to an account that does not exist, is disabled or has no password takes as long as a wrong
//! password. How it fails: a directory that is down, or too many logins at once, is
//! [`Verdict::Temporary`], never `Wrong`.
//!
//! Every failure is an event, which fail2ban reads (`config/fail2ban/ringpost.conf`):
//! `login-failed shard=0 client=192.0.2.1 reason="wrong password" account=joe@example.org`. The
//! client stands before what the client wrote, so that nobody can have others banned.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use engine::shard::{now_ms, sleep};
use engine::telemetry::Events;
use proto::types::{Address, Domain};

use super::accounts::Accounts;
use super::error::Down;
use super::guess::{Attempt, Leave};
use super::name::{fold, parse_own};
use super::password::{self, PASSWORD_OCTETS_MAX, Parameters, ScramSecrets, Scratch};
use super::pool::Client;
use super::proofs::Proof;
use super::record::Account;
use super::{Allowance, Upgrade};

/// Characters of a login that the log shows.
const LOGGED_MAX: usize = 128;

/// What came of a login.
#[derive(Debug)]
pub enum Verdict {
    /// It is this account.
    Granted(Box<Identity>),
    /// There is no such account, or it has another password: 535 5.7.8.
    Wrong,
    /// Not known now: 454 4.7.0.
    Temporary,
    /// This client has guessed too often: 454 4.7.0 or a closed connection. Nothing was verified.
    Blocked,
}

/// Whether a login may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Now; the wait that was due is over.
    Go,
    /// This client has guessed too often.
    Blocked,
}

/// Who is logged in, and what that allows.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The account, folded.
    pub account: Address,
    /// The name of its owner; may be empty.
    pub name: String,
    /// What it may send in an hour.
    pub allowance: Allowance,
    /// Bytes of its mailbox at most.
    pub quota_bytes: Option<u64>,
    senders: Vec<String>,
    separator: Option<char>,
}

/// Logins of one shard.
#[derive(Clone)]
pub struct Login {
    accounts: Arc<Accounts>,
    events: Events,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// An account as a login names it.
struct Named {
    /// Folded; for what is no address, the text itself, folded and cut.
    text: String,
    address: Option<(Address, Domain)>,
}

impl Named {
    fn new(login: &str) -> Self {
        match parse_own(login) {
            Ok((address, domain)) => {
                Self { text: address.to_string(), address: Some((address, domain)) }
            }
            Err(_) => {
                let cut: String = login.chars().take(LOGGED_MAX).collect();
                Self { text: fold(&cut).into_owned(), address: None }
            }
        }
    }
}

/// What a thread of the pool says.
struct Verified {
    is_right: bool,
    is_blocked: bool,
    better: Option<(String, Option<ScramSecrets>)>,
}

/// What it needs for that.
struct Job {
    accounts: JobParts,
    attempt: Attempt,
    hash: Arc<str>,
    password: Vec<u8>,
    proof: Proof,
    /// There is such an account, it has a password and may log in.
    is_usable: bool,
    has_scram: bool,
}

/// Not all of [`Accounts`]: their pool must not end on one of its own threads.
struct JobParts {
    guesses: Arc<super::guess::Guesses>,
    guess: super::GuessSettings,
    parameters: Parameters,
}

/// Octets that nobody can foresee, for an exchange; `None` when the system gives none.
#[must_use]
pub fn nonce() -> Option<[u8; 18]> {
    password::random().ok()
}

impl Login {
    /// The logins of a shard with these events.
    #[must_use]
    pub const fn new(accounts: Arc<Accounts>, events: Events) -> Self {
        Self { accounts, events }
    }

    /// Verifies a password. May take seconds for those who guess; may be dropped while it waits.
    pub async fn check(&self, login: &str, password: &[u8], client: IpAddr) -> Verdict {
        let named = Named::new(login);
        let account = match self.find(&named).await {
            Ok(account) => account,
            Err(_) => return Verdict::Temporary,
        };
        let fault = account.as_ref().map_or(Some("unknown account"), fault_of);
        let hash: Arc<str> = match account.as_ref().and_then(|account| account.hash.as_deref()) {
            Some(hash) => hash.into(),
            None => Arc::clone(&self.accounts.dummy_hash),
        };
        // Longer ones than any that can be set are cut: they are wrong in any case.
        let password = &password[..password.len().min(PASSWORD_OCTETS_MAX + 1)];
        let proof = self.accounts.proofs.proof(&named.text, &hash, password);
        if fault.is_none() && self.accounts.proofs.knows(proof, now_ms()) {
            return self.grant(&named, account).await;
        }
        if self.wait(&named, client).await == Admission::Blocked {
            return Verdict::Blocked;
        }
        let job = Job {
            accounts: self.job_parts(),
            attempt: self.attempt(&named, client),
            hash: Arc::clone(&hash),
            password: password.to_vec(),
            proof,
            is_usable: fault.is_none(),
            has_scram: account.as_ref().is_some_and(|account| account.scram.is_some()),
        };
        let verified = self.accounts.pool.run(client.into(), move |scratch| job.verify(scratch));
        let Some(verified) = verified.await else { return Verdict::Temporary };
        if verified.is_blocked {
            self.note(&named, client, "blocked");
            return Verdict::Blocked;
        }
        if !verified.is_right {
            self.note(&named, client, fault.unwrap_or("wrong password"));
            return Verdict::Wrong;
        }
        self.upgrade(&named, &hash, verified.better);
        self.accounts.proofs.remember(proof, now_ms());
        self.grant(&named, account).await
    }

    /// Whether `client` may try to log in by a mechanism that is verified elsewhere (SCRAM). Waits
    /// as long as it has to.
    pub async fn admit(&self, login: &str, client: IpAddr) -> Admission {
        self.wait(&Named::new(login), client).await
    }

    /// What SCRAM-SHA-256 needs of `login`. For accounts that do not exist or have no such secrets
    /// it is a decoy, the same each time, that no password fits: an exchange with it fails at its
    /// end, as one with a wrong password does.
    ///
    /// # Errors
    /// The directory is down: 454.
    pub async fn scram(&self, login: &str) -> Result<ScramSecrets, Down> {
        let named = Named::new(login);
        let account = self.find(&named).await?.filter(|account| fault_of(account).is_none());
        Ok(account.and_then(|account| account.scram).unwrap_or_else(|| self.decoy(&named)))
    }

    /// An account that proved itself by other means: SCRAM, or a client certificate.
    pub async fn proved(&self, login: &str, client: IpAddr) -> Verdict {
        let named = Named::new(login);
        let Ok(account) = self.find(&named).await else { return Verdict::Temporary };
        if let Some(fault) = account.as_ref().map_or(Some("unknown account"), disabled) {
            self.note(&named, client, fault);
            return Verdict::Wrong;
        }
        let (attempt, rules) = (self.attempt(&named, client), self.accounts.rules.load_full());
        self.accounts.guesses.succeeded(attempt, &rules.guess, now_ms());
        self.grant(&named, account).await
    }

    /// Counts and logs a failure of a mechanism that was verified elsewhere.
    pub fn failed(&self, login: &str, client: IpAddr) {
        let named = Named::new(login);
        let (attempt, rules) = (self.attempt(&named, client), self.accounts.rules.load());
        // The password is not known: each one counts.
        let moment = now_ms();
        self.accounts.guesses.failed_anew(attempt, &rules.guess, moment);
        self.note(&named, client, "wrong password");
    }

    async fn find(&self, named: &Named) -> Result<Option<Account>, Down> {
        let Some((address, domain)) = &named.address else { return Ok(None) };
        self.accounts.directory.account(domain, address.local()).await
    }

    fn attempt(&self, named: &Named, client: IpAddr) -> Attempt {
        self.accounts.guesses.attempt(&named.text, Client::from(client))
    }

    fn job_parts(&self) -> JobParts {
        let rules = self.accounts.rules.load();
        JobParts {
            guesses: Arc::clone(&self.accounts.guesses),
            guess: rules.guess.clone(),
            parameters: rules.parameters,
        }
    }

    /// Waits until an attempt may be made.
    async fn wait(&self, named: &Named, client: IpAddr) -> Admission {
        let attempt = self.attempt(named, client);
        let leave = {
            let rules = self.accounts.rules.load();
            self.accounts.guesses.leave(attempt, &rules.guess, now_ms())
        };
        match leave {
            Leave::After(0) => Admission::Go,
            Leave::After(ms) => {
                sleep(ms).await;
                Admission::Go
            }
            Leave::Blocked => {
                self.note(named, client, "blocked");
                Admission::Blocked
            }
        }
    }

    async fn grant(&self, named: &Named, account: Option<Account>) -> Verdict {
        let (Some((address, domain)), Some(account)) = (&named.address, account) else {
            return Verdict::Wrong;
        };
        let entry = match self.accounts.directory.domain(domain).await {
            Ok(Some(entry)) => entry,
            // Gone in between.
            Ok(None) => return Verdict::Wrong,
            Err(_) => return Verdict::Temporary,
        };
        let [own, all] = self.accounts.limits(&account, &entry);
        let allowances = &self.accounts.allowances;
        Verdict::Granted(Box::new(Identity {
            allowance: allowances.of(&named.text, own, domain.as_str(), all, now_ms()),
            account: address.clone(),
            name: account.name,
            quota_bytes: account.quota_bytes,
            senders: account.senders,
            separator: entry.separator,
        }))
    }

    fn upgrade(&self, named: &Named, hash: &str, better: Option<(String, Option<ScramSecrets>)>) {
        if let (Some((to, scram)), Some((account, _))) = (better, &named.address) {
            let account = account.clone();
            let upgrade = Upgrade { account, from: hash.into(), to: to.into(), scram };
            self.accounts.directory.upgrade(upgrade);
        }
    }

    fn decoy(&self, named: &Named) -> ScramSecrets {
        let secret = self.accounts.secret.derived("scram", b"");
        let iterations = self.accounts.rules.load().parameters.scram_iterations.max(4096);
        ScramSecrets::decoy(&secret, &named.text, iterations)
    }

    fn note(&self, named: &Named, client: IpAddr, reason: &str) {
        let shown: String = named.text.chars().take(LOGGED_MAX).collect();
        self.events.event("login-failed", |event| {
            event
                .show("client", client.to_canonical())
                .str("reason", reason)
                .str("account", &shown);
        });
    }
}

/// Why an account cannot log in with a password.
fn fault_of(account: &Account) -> Option<&'static str> {
    match account.hash {
        None => Some("no password"),
        Some(_) => disabled(account),
    }
}

fn disabled(account: &Account) -> Option<&'static str> {
    account.disabled.then_some("disabled account")
}

impl Job {
    /// On a thread of the pool.
    fn verify(&self, scratch: &mut Scratch) -> Verified {
        let JobParts { guesses, guess, parameters } = &self.accounts;
        // While it waited, others of the same client may have used its guesses up.
        if guesses.leave(self.attempt, guess, now_ms()) == Leave::Blocked {
            return Verified { is_right: false, is_blocked: true, better: None };
        }
        let is_right = password::verify(&self.hash, &self.password, scratch) && self.is_usable;
        if !is_right {
            guesses.failed(self.attempt, self.proof.fingerprint(), guess, now_ms());
            return Verified { is_right, is_blocked: false, better: None };
        }
        guesses.succeeded(self.attempt, guess, now_ms());
        Verified { is_right, is_blocked: false, better: self.better(parameters, scratch) }
    }

    /// A new hash when the old one is weaker than new ones are, and what SCRAM lacks.
    fn better(
        &self,
        parameters: &Parameters,
        scratch: &mut Scratch,
    ) -> Option<(String, Option<ScramSecrets>)> {
        let scram = match self.has_scram {
            true => None,
            false => password::scram_of(&self.password, parameters).ok()?,
        };
        if password::is_outdated(&self.hash, parameters) {
            return Some((password::hash(&self.password, parameters, scratch).ok()?, scram));
        }
        scram.map(|scram| (self.hash.to_string(), Some(scram)))
    }
}

impl Identity {
    /// Whether mail may have this sender: the account itself, with or without a detail, or one that
    /// was granted.
    #[must_use]
    pub fn may_send_as(&self, sender: &Address) -> bool {
        let local = fold(sender.local());
        let base = self.separator.and_then(|separator| local.split_once(separator));
        let is_own =
            |local: &str| local == self.account.local() && sender.host() == self.account.host();
        if is_own(&local) || base.is_some_and(|(base, _)| is_own(base)) {
            return true;
        }
        let text = sender.to_string().to_lowercase();
        self.senders.iter().any(|granted| match granted.strip_prefix('@') {
            Some(domain) => sender.domain().is_some_and(|theirs| theirs.as_str() == domain),
            None => granted.to_lowercase() == text,
        })
    }
}
