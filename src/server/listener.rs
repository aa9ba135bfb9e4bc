//! What an administrator says about listeners and their limits; every door has some.
//!
//! Every doc comment below becomes the text of `config/reference.toml`, so each gives its reason.

use std::net::SocketAddr;
use std::path::PathBuf;

use engine::settings::{Bytes, Span};
use engine::tls::{CertificateSettings, ClientCertificates};
use mail::authentication::checks::Policy;
use proto::sasl::{Mechanism, Mechanisms};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The language a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// SMTP, RFC 5321.
    #[default]
    Smtp,
    /// LMTP, RFC 2033: one reply a recipient after the message.
    Lmtp,
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Mail from other servers, and from networks that may relay.
    #[default]
    Relay,
    /// Mail from users, RFC 6409.
    Submission,
    /// Users read and keep their mail, RFC 9051 and RFC 3501.
    Imap,
    /// Users fetch their mail, RFC 1939.
    Pop3,
}

impl Kind {
    /// Mail comes in by it.
    #[must_use]
    pub const fn is_smtp(self) -> bool {
        matches!(self, Self::Relay | Self::Submission)
    }
}

/// How a user may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MechanismName {
    /// RFC 4616, under TLS only.
    Plain,
    /// Obsolete, but some programs know nothing else; under TLS only.
    Login,
    /// RFC 7677: the password is never sent.
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// The same, bound to the TLS connection.
    #[serde(rename = "scram-sha-256-plus")]
    ScramSha256Plus,
    /// A client certificate that names the account.
    External,
}

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Never.
    None,
    /// When the client says STARTTLS (RFC 3207).
    #[default]
    Starttls,
    /// From its first octet (RFC 8314).
    Implicit,
}

/// What to do with a bare CR or LF, which RFC 5321 forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LineEndings {
    /// Refuse the message.
    #[default]
    Refuse,
    /// Make CRLF of it.
    Fix,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListenerSettings {
    /// Address and port, e.g. "0.0.0.0:25" or "[::]:25". Every shard listens on it (SO_REUSEPORT).
    pub address: SocketAddr,
    /// "relay" for mail between servers; "submission" for users' programs (RFC 6409, ports 587 and 465):
    /// nobody sends without logging in, sender addresses must be the account's own or granted to it,
    /// the limits an hour of account and domain hold, and what is missing in a header is put in. "imap" and
    /// "pop3" (ports 143 and 110, or 993 and 995 with tls = "implicit") hand out the mail of the accounts.
    pub kind: Kind,
    /// "smtp", or "lmtp" (RFC 2033) for a front end that wants one reply a recipient.
    pub protocol: Protocol,
    /// Networks of load balancers that speak the PROXY protocol (v1 or v2) to this listener. When
    /// any is listed, every connection must come from one of them and begin with a PROXY header;
    /// from elsewhere a header could lie about the client's address.
    pub proxy_from: Vec<String>,
    /// What to do with a bare CR or LF: "refuse", or "fix" for old clients that send them. Either
    /// way only CRLF.CRLF ends a message, which is what stops SMTP smuggling.
    pub line_endings: LineEndings,
    /// "starttls" offers it to whoever asks; "implicit" begins with TLS, as port 465 does; "none".
    pub tls: TlsMode,
    /// How users may log in: "plain", "login", "scram-sha-256", "scram-sha-256-plus", "external". Empty:
    /// none where the kind is "relay", all of them elsewhere. Nobody logs in without TLS.
    pub auth: Vec<MechanismName>,
    /// Leaves the address of a client that has logged in out of the Received field: where a user is when
    /// they write is nobody's business, but without it abuse is harder to trace.
    pub hide_client: bool,
    /// How long a user may have a message held before it leaves (FUTURERELEASE, RFC 4865); "0 s" does not
    /// offer it. On listeners for submission only.
    pub future_release_max: Span,
    /// What is done here with mail that fails DMARC or SPF, instead of what [authentication] says: "none",
    /// "tag", "quarantine", "reject". Nothing is checked of users who have logged in.
    pub authentication: Option<Policy>,
    /// Certificates of this listener alone, instead of those in [tls].
    pub certificate: Vec<CertificateSettings>,
    /// Whether clients are asked for a certificate: "ignore", "ask" (it may have none), "require".
    pub client_certificates: ClientCertificates,
    /// A PEM file of the authorities that clients' certificates are verified with; needed when they
    /// are asked for one.
    pub client_ca_file: PathBuf,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 2525)),
            kind: Kind::default(),
            protocol: Protocol::default(),
            proxy_from: Vec::new(),
            line_endings: LineEndings::default(),
            tls: TlsMode::default(),
            auth: Vec::new(),
            hide_client: false,
            future_release_max: Span::hours(7 * 24),
            authentication: None,
            certificate: Vec::new(),
            client_certificates: ClientCertificates::default(),
            client_ca_file: PathBuf::new(),
        }
    }
}

impl ListenerSettings {
    /// How users may log in here.
    #[must_use]
    pub fn mechanisms(&self) -> Mechanisms {
        let named = |name: &MechanismName| match name {
            MechanismName::Plain => Mechanism::Plain,
            MechanismName::Login => Mechanism::Login,
            MechanismName::ScramSha256 => Mechanism::ScramSha256,
            MechanismName::ScramSha256Plus => Mechanism::ScramSha256Plus,
            MechanismName::External => Mechanism::External,
        };
        match (self.kind, self.auth.as_slice()) {
            (Kind::Submission | Kind::Imap | Kind::Pop3, []) => {
                Mechanism::ALL.into_iter().collect()
            }
            (_, names) => names.iter().map(named).collect(),
        }
    }
}

/// What strangers may use up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Connections at once, all listeners together. Each costs about 5 KiB while it is idle; the
    /// next one is told 421.
    pub connections: u32,
    /// Connections at once from one client: an IPv4 address or an IPv6 /64. Keeps one sender from
    /// taking every connection there is. 0 means no limit.
    pub connections_per_client: u32,
    /// Prefix length that counts as one IPv4 client.
    pub client_prefix_ipv4: u8,
    /// Prefix length that counts as one IPv6 client: providers hand out /64 or shorter.
    pub client_prefix_ipv6: u8,
    /// Messages a connection (announced as MAILMAX, RFC 9422), so that load spreads over shards
    /// again now and then.
    pub messages_per_connection: u32,
    /// Recipients a message; RFC 5321 §4.5.3.1.8 asks for at least 100. Announced as RCPTMAX.
    pub recipients_per_message: u32,
    /// Wrong or refused commands before a connection is closed with 421: ends dictionary attacks.
    pub errors_per_connection: u32,
    /// Failed logins before a connection is closed with 421; guessing is also slowed and blocked over
    /// all connections, see [guessing].
    pub auth_failures_per_connection: u32,
    /// Octets of a command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512, extensions for
    /// more: RFC 3461 alone adds 500 to RCPT.
    pub command_line: Bytes,
    /// Octets of one line of a message. RFC 5321 §4.5.3.1.6 allows 1000; real mail has longer ones.
    pub text_line: Bytes,
    /// Octets of a message's header: it is scanned as a whole.
    pub header: Bytes,
    /// Octets of a message, announced with SIZE (RFC 1870).
    pub message: Bytes,
    /// Memory for messages that are on their way in, a shard. When it is spent, the next message
    /// is told 452 and comes again.
    pub memory_per_shard: Bytes,
    /// How long a client may take for a command (RFC 5321 §4.5.3.2.7: at least 5 minutes).
    pub command_timeout: Span,
    /// How long a client may pause inside a message (RFC 5321 §4.5.3.2.5: 3 minutes).
    pub data_timeout: Span,
    /// How long one message may take in all: stops a client that sends an octet a minute.
    pub message_timeout: Span,
    /// How long a connection may last in all.
    pub session_timeout: Span,
    /// How long an account that has fetched its mail by POP3 waits until it may log in again (announced
    /// as LOGIN-DELAY, RFC 2449): stops programs that ask every second. "0 s" lets them.
    pub pop3_login_delay: Span,
    /// IMAP sessions of one account at once: people have some devices, and clients open a handful each.
    /// The next one is told NO [LIMIT].
    pub sessions_per_account: u32,
    /// Commands a second that one IMAP or POP3 session may have executed in the long run, with ten seconds'
    /// worth at once after a rest; one that asks for more waits. 0 means no limit.
    pub mail_commands_per_second: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_client: 500,
            client_prefix_ipv4: 32,
            client_prefix_ipv6: 64,
            messages_per_connection: 1_000,
            recipients_per_message: 1_000,
            errors_per_connection: 20,
            auth_failures_per_connection: 3,
            command_line: Bytes(4 << 10),
            text_line: Bytes(16 << 10),
            header: Bytes(256 << 10),
            message: Bytes(50 << 20),
            memory_per_shard: Bytes(256 << 20),
            command_timeout: Span::mins(5),
            data_timeout: Span::mins(3),
            message_timeout: Span::mins(60),
            session_timeout: Span::mins(240),
            pop3_login_delay: Span::ms(0),
            sessions_per_account: 64,
            mail_commands_per_second: 1_000,
        }
    }
}

impl LimitSettings {
    /// What cannot work, in words; empty when all is well.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, text: &str| {
            if !holds {
                faults.push(text.to_owned());
            }
        };
        demand(self.connections > 0, "limits.connections must be at least 1");
        demand(
            self.messages_per_connection > 0,
            "limits.messages_per_connection must be at least 1",
        );
        demand(
            self.recipients_per_message >= 100,
            "limits.recipients_per_message must be at least 100 (RFC 5321 §4.5.3.1.8)",
        );
        demand(self.sessions_per_account > 0, "limits.sessions_per_account must be at least 1");
        demand(self.errors_per_connection > 0, "limits.errors_per_connection must be at least 1");
        demand(
            (512..=64 << 10).contains(&self.command_line.0),
            "limits.command_line must be 512 B to 64 KiB (RFC 5321 §4.5.3.1.4)",
        );
        demand(
            (1000..=16 << 20).contains(&self.text_line.0),
            "limits.text_line must be 1000 B to 16 MiB (RFC 5321 §4.5.3.1.6)",
        );
        demand(self.header.0 >= 4 << 10, "limits.header must be at least 4 KiB");
        demand(
            self.message.0 >= 64 << 10,
            "limits.message must be at least 64 KiB (RFC 5321 §4.5.3.1.7)",
        );
        demand(
            self.memory_per_shard.0 >= self.message.0,
            "limits.memory_per_shard must hold at least one message of limits.message",
        );
        demand(
            self.message.0 < 2 << 30,
            "limits.message must be under 2 GiB: a message is held in memory while it comes in",
        );
        demand(
            self.client_prefix_ipv4 <= 32 && self.client_prefix_ipv6 <= 128,
            "limits.client_prefix_ipv4 is at most 32, limits.client_prefix_ipv6 at most 128",
        );
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_fault_and_nonsense_has() {
        assert_eq!(LimitSettings::default().faults(), Vec::<String>::new());
        let few =
            LimitSettings { recipients_per_message: 10, connections: 0, ..Default::default() };
        assert_eq!(few.faults().len(), 2, "{:?}", few.faults());
        let tight = LimitSettings { memory_per_shard: Bytes(1), ..Default::default() };
        assert!(tight.faults()[0].contains("memory_per_shard"));
    }
}
