//! What clients of mailboxes are to do: as people say it, and with all of it filled in.

use std::{net::SocketAddr, time::Duration};

use clap::{Args, ValueEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    message::{Framing, Spread, Template, bodies},
    scenario::human,
    source::Security,
};

/// Octets of a message when nothing is said.
const SIZE: u64 = 5 << 10;
/// Messages of a mailbox that is read over IMAP, and over POP3.
const MESSAGES: (u32, u32) = (100, 10);
/// Sessions at a time.
const SESSIONS: usize = 20;

/// What is done again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// IMAP: connect, TLS, login, LOGOUT
    Login,
    /// IMAP: SELECT and FETCH of ENVELOPE, flags and four header fields of all messages of a folder
    Headers,
    /// IMAP: UID FETCH BODY.PEEK[] of all messages of a folder; an operation is a message
    Bodies,
    /// IMAP: APPEND to INBOX
    Append,
    /// IMAP: sessions that IDLE, and how soon they hear of a delivery
    Idle,
    /// POP3: connect, TLS, login, STAT, UIDL, RETR of all messages, QUIT
    Pop3,
    /// LMTP: deliveries to INBOX
    Deliver,
}

impl Operation {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// What is done to mailboxes, and how.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Mailboxes")]
pub struct MailboxOptions {
    /// What is done; the command line says it by its command.
    #[arg(skip)]
    pub operation: Option<Operation>,
    /// Sessions at a time [default: 20]
    #[arg(long)]
    pub sessions: Option<usize>,
    /// Accounts, each used by as many sessions as the others [default: one a session]
    #[arg(long)]
    pub accounts: Option<usize>,
    /// Operations in all; of idle deliveries, where 0 only looks at the memory [default: 1000, or no limit with --duration]
    #[arg(long)]
    pub operations: Option<u64>,
    /// How long operations are begun, such as '4s'
    #[arg(long, value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<Duration>,
    /// Messages in each mailbox that is read [default: 100, of pop3: 10]
    #[arg(long)]
    pub messages: Option<u32>,
    /// Octets a message, as in '5KiB' [default: 5 KiB]
    #[arg(long)]
    pub size: Option<Spread>,
    /// TLS of IMAP and POP3; certificates are not judged [default: implicit]
    #[arg(long)]
    pub tls: Option<Security>,
    /// Resumes TLS sessions [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub tls_resume: Option<bool>,
    /// The accounts' names, with {n} for their number [default: u{n}@load.test]
    #[arg(long)]
    pub account: Option<String>,
    /// Their password [default: secret]
    #[arg(long)]
    pub password: Option<String>,
    /// How long the server may take for an operation [default: 60s]
    #[arg(long, value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub patience: Option<Duration>,
}

impl MailboxOptions {
    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.unwrap_or(SESSIONS).max(1)
    }

    /// How many accounts they use.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.accounts.unwrap_or(usize::MAX).clamp(1, self.sessions())
    }
}

/// Where the server under test listens.
#[derive(Clone, Copy, Debug)]
pub struct Servers {
    /// IMAP: also where mailboxes are filled and counted.
    pub imap: SocketAddr,
    /// POP3.
    pub pop3: SocketAddr,
    /// LMTP.
    pub lmtp: SocketAddr,
}

/// What is to be done.
#[derive(Debug)]
pub struct Order {
    /// What.
    pub operation: Operation,
    /// Where.
    pub servers: Servers,
    /// Sessions at a time, over all executors.
    pub sessions: usize,
    /// Accounts that they use.
    pub accounts: usize,
    /// Operations in all.
    pub operations: u64,
    /// After so long none is begun.
    pub duration: Option<Duration>,
    /// Messages of a mailbox that is read.
    pub messages: u32,
    /// The messages, CRLF line ends, one after the other and again.
    pub bodies: Vec<Vec<u8>>,
    /// The same, ready for DATA.
    pub templates: Vec<Template>,
    /// TLS of IMAP and POP3.
    pub security: Security,
    /// Whether TLS sessions are resumed.
    pub resume: bool,
    /// How long the server may take for an operation.
    pub patience: Duration,
    account: String,
    /// The password of all accounts.
    pub password: String,
}

impl Order {
    /// What these options ask for.
    ///
    /// # Errors
    /// They do not say what is to be done, or what they say does not fit together.
    pub fn new(options: &MailboxOptions, servers: Servers, seed: u64) -> Result<Self, String> {
        let operation =
            options.operation.ok_or("mailbox.operation is missing: login, headers …")?;
        let bodies: Vec<Vec<u8>> =
            bodies(options.size.as_ref().unwrap_or(&Spread::Fixed(SIZE)), seed).collect();
        let messages = match operation {
            Operation::Pop3 => MESSAGES.1,
            _ => MESSAGES.0,
        };
        let order = Self {
            operation,
            servers,
            sessions: options.sessions(),
            accounts: options.accounts(),
            operations: options.operations.or(options.duration.map(|_| u64::MAX)).unwrap_or(1000),
            duration: options.duration,
            messages: options.messages.unwrap_or(messages),
            templates: bodies.iter().map(|body| Template::new(body, Framing::Data)).collect(),
            bodies,
            security: options.tls.unwrap_or(Security::Implicit),
            resume: options.tls_resume.unwrap_or(true),
            patience: options.patience.unwrap_or(Duration::from_secs(60)),
            account: options.account.clone().unwrap_or_else(|| "u{n}@load.test".to_owned()),
            password: options.password.clone().unwrap_or_else(|| "secret".to_owned()),
        };
        order.judged()
    }

    fn judged(self) -> Result<Self, String> {
        let takes_literally = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !takes_literally(&self.account) || !takes_literally(&self.password) {
            return Err("account and password are of printable ASCII, without spaces".to_owned());
        }
        if self.messages == 0 {
            return Err("a mailbox without messages cannot be read: messages is 0".to_owned());
        }
        if self.operation == Operation::Pop3 && self.accounts < self.sessions {
            return Err(
                "a maildrop is one session's (RFC 1939): as many accounts as sessions".to_owned()
            );
        }
        Ok(self)
    }

    /// The account of session number `session`.
    #[must_use]
    pub fn account_of(&self, session: usize) -> usize {
        session % self.accounts
    }

    /// The name of an account.
    #[must_use]
    pub fn name(&self, account: usize) -> String {
        self.account.replace("{n}", &account.to_string())
    }

    /// Message number `number` of a mailbox, from 0.
    #[must_use]
    pub fn body(&self, number: u64) -> &[u8] {
        &self.bodies[number as usize % self.bodies.len()]
    }

    /// Octets of the message with this sequence number, from 1.
    #[must_use]
    pub fn octets(&self, sequence: u32) -> u64 {
        self.body(u64::from(sequence.saturating_sub(1))).len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Servers {
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        Servers { imap: at, pop3: at, lmtp: at }
    }

    #[test]
    fn sessions_share_accounts_evenly() {
        let options = MailboxOptions {
            operation: Some(Operation::Idle),
            sessions: Some(6),
            accounts: Some(3),
            ..MailboxOptions::default()
        };
        let order = Order::new(&options, servers(), 1).unwrap();
        let accounts: Vec<_> = (0..6).map(|session| order.account_of(session)).collect();
        assert_eq!(accounts, [0, 1, 2, 0, 1, 2]);
        assert_eq!(order.name(2), "u2@load.test");
        assert_eq!(order.octets(1), order.bodies[0].len() as u64);
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let of = |options: MailboxOptions| Order::new(&options, servers(), 1).unwrap_err();
        let pop3 = || MailboxOptions { operation: Some(Operation::Pop3), ..Default::default() };
        assert!(of(MailboxOptions::default()).contains("operation"));
        assert!(of(MailboxOptions { accounts: Some(2), ..pop3() }).contains("maildrop"));
        assert!(of(MailboxOptions { messages: Some(0), ..pop3() }).contains("messages"));
        assert!(
            of(MailboxOptions { password: Some("a\"\r\n".into()), ..pop3() }).contains("ASCII")
        );
    }
}
