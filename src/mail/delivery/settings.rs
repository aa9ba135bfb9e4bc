//! What an administrator says about sending mail on.
//!
//! Every doc comment below becomes the text of `config/reference.toml`, so each gives its reason.

use std::net::IpAddr;

use engine::settings::Span;
use proto::smtp::client::Timeouts;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::encrypt::TlsLevel;

/// Which IP versions are used, and which is tried first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Both, IPv4 first.
    #[default]
    Ipv4First,
    /// Both, IPv6 first.
    Ipv6First,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
}

impl Family {
    /// Whether IPv4 addresses are looked up.
    pub const fn has_v4(self) -> bool {
        !matches!(self, Self::Ipv6)
    }

    /// Whether IPv6 addresses are looked up.
    pub const fn has_v6(self) -> bool {
        !matches!(self, Self::Ipv4)
    }
}

/// The language the next hop speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HopProtocol {
    /// SMTP, RFC 5321.
    #[default]
    Smtp,
    /// LMTP, RFC 2033: a mailbox server that answers for each recipient after the message.
    Lmtp,
}

/// How mail leaves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The name said in EHLO; empty for the host name. Receivers compare it with the DNS name of the
    /// address that mail comes from, so set it when they differ.
    pub helo: String,
    /// The port of next hops that name none: of MX hosts (always 25 on the Internet; another one
    /// only makes sense in tests) and of routes.
    pub port: u16,
    /// Which IP versions to use: "ipv4-first", "ipv6-first", "ipv4" or "ipv6" (only that one). Many
    /// receivers ask more of IPv6 senders (reverse names, signatures), hence the default.
    pub family: Family,
    /// How connections are protected where no route says otherwise: "opportunistic" (with TLS where the
    /// host offers it, else without), "none", "require" (with TLS or not at all, whoever the host is)
    /// or "verify" (the host must also prove its name). Much of the world's mail would not leave with
    /// the last two.
    pub tls: TlsLevel,
    /// Heed the TLSA records of hosts (DANE, RFC 7672): where they are published, TLS is demanded and the
    /// host must prove itself by them. Needs secure answers: see `dns.dnssec`.
    pub dane: bool,
    /// Heed the policies of recipient domains (MTA-STS, RFC 8461).
    pub mta_sts: StsSettings,
    /// Local addresses to send from: at most one IPv4 and one IPv6 address. Empty lets the kernel
    /// choose. Set it when only one of several addresses has a reverse name and a reputation.
    pub source_addresses: Vec<IpAddr>,
    /// Connections at once, a shard. Each costs about 10 KiB and a file descriptor. Half of them are
    /// kept for sites that are known to answer, so that dead ones cannot use them up.
    pub connections_max: u32,
    /// Connections at once to one site (all domains with the same MX hosts are one), all shards
    /// together. More than 20 look like abuse to many receivers.
    pub connections_per_site_max: u32,
    /// Messages over one connection before it is closed, so that load spreads over a receiver's hosts
    /// again; several receivers close by themselves after 50 to 1000.
    pub messages_per_connection_max: u32,
    /// Messages in delivery at once, a shard: being looked up, waiting for a connection, or
    /// on their way. The rest wait in the queue. One site holds at most half of what is free, so
    /// that a slow one cannot keep the others from their turn.
    pub messages_active_max: u32,
    /// How long a connection with nothing to do is kept for the next message. Longer saves
    /// handshakes, but holds a slot at the receiver.
    pub idle: Span,
    /// Hosts of a site tried in one attempt, in order of preference; RFC 5321 §5.1 asks for two at
    /// least.
    pub hosts_max: u32,
    /// Addresses tried in one attempt, all hosts together.
    pub addresses_max: u32,
    /// After every host of a site has failed, the whole site is left alone this long; nothing is
    /// tried for its messages meanwhile. Doubles with each failure in a row.
    pub site_backoff_first: Span,
    /// The longest that a site is left alone. Shorter finds out sooner that it is back; longer saves
    /// connection attempts.
    pub site_backoff_max: Span,
    /// How long to wait for a next hop, by stage.
    pub timeouts: TimeoutSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            helo: String::new(),
            port: 25,
            family: Family::default(),
            tls: TlsLevel::default(),
            dane: true,
            mta_sts: StsSettings::default(),
            source_addresses: Vec::new(),
            connections_max: 1000,
            connections_per_site_max: 20,
            messages_per_connection_max: 1000,
            messages_active_max: 10_000,
            idle: Span::secs(5),
            hosts_max: 5,
            addresses_max: 8,
            site_backoff_first: Span::mins(1),
            site_backoff_max: Span::mins(30),
            timeouts: TimeoutSettings::default(),
        }
    }
}

/// How policies of recipient domains are had. They are fetched over HTTPS from `mta-sts.DOMAIN` when a
/// domain announces one, verified with the authorities of `tls.ca_file`, and kept in the data directory
/// until they expire.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StsSettings {
    /// Whether they are heeded.
    pub enabled: bool,
    /// Where policies are served; another port than 443 only makes sense in tests.
    pub port: u16,
    /// How long a policy may take to come. Mail for the domain waits meanwhile; when it does not
    /// come, the mail goes as if there were none, unless an older one still holds.
    pub timeout: Span,
}

impl Default for StsSettings {
    fn default() -> Self {
        Self { enabled: true, port: 443, timeout: Span::secs(20) }
    }
}

/// Patience, by stage. The defaults are the minima of RFC 5321 §4.5.3.2 where it names one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeoutSettings {
    /// For the connection itself.
    pub connect: Span,
    /// For the 220 that greets us (§4.5.3.2.1: 5 min).
    pub greeting: Span,
    /// For the answer to EHLO, HELO or LHLO.
    pub helo: Span,
    /// For the answer to MAIL (§4.5.3.2.2: 5 min).
    pub mail: Span,
    /// For the answer to each RCPT (§4.5.3.2.3: 5 min).
    pub rcpt: Span,
    /// For the 354 after DATA (§4.5.3.2.4: 2 min).
    pub data_init: Span,
    /// For a block of the message to leave (§4.5.3.2.5: 3 min).
    pub data_block: Span,
    /// For the answer after the message (§4.5.3.2.6: 10 min). Giving up sooner than the receiver
    /// does means duplicates (RFC 1047).
    pub data_done: Span,
    /// For the answer to QUIT, which nothing depends on.
    pub quit: Span,
}

impl Default for TimeoutSettings {
    fn default() -> Self {
        Self {
            connect: Span::secs(30),
            greeting: Span::mins(5),
            helo: Span::mins(5),
            mail: Span::mins(5),
            rcpt: Span::mins(5),
            data_init: Span::mins(2),
            data_block: Span::mins(3),
            data_done: Span::mins(10),
            quit: Span::secs(5),
        }
    }
}

impl TimeoutSettings {
    /// As the client machine takes them.
    pub fn to_timeouts(&self) -> Timeouts {
        Timeouts {
            connect: self.connect.get(),
            greeting: self.greeting.get(),
            helo: self.helo.get(),
            mail: self.mail.get(),
            rcpt: self.rcpt.get(),
            data_init: self.data_init.get(),
            data_block: self.data_block.get(),
            data_done: self.data_done.get(),
            quit: self.quit.get(),
        }
    }
}

/// A way that some mail takes instead of the MX of its domain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// Recipient domains: "example.org" (that domain only), "*.example.org" (every domain below it,
    /// not itself) or "*" (all that no other route matches: a smarthost). The closest match wins.
    /// Address literals such as `user@[192.0.2.1]` are always delivered directly. Mail for accounts
    /// of the directory goes this way, too, instead of into their mailboxes here.
    pub r#match: String,
    /// Hosts to hand the mail to, tried in this order: "host", "host:port", "192.0.2.1:25",
    /// "[2001:db8::1]:25". Empty means the domain's own MX, or the mailboxes here for domains of the
    /// directory, as an exception from a wider route: name those domains so beside a smarthost.
    #[serde(default)]
    pub via: Vec<String>,
    /// Look up the MX of the (one) host in `via` instead of its addresses.
    #[serde(default)]
    pub mx: bool,
    /// What these hosts speak: "smtp" or "lmtp".
    #[serde(default)]
    pub protocol: HopProtocol,
    /// How connections to these hosts are protected: "none", "opportunistic", "require" or "verify";
    /// without it, as `delivery.tls` says.
    #[serde(default)]
    pub tls: Option<TlsLevel>,
    /// Connections at once to these hosts, all shards together; 0 for the general limit.
    #[serde(default)]
    pub connections_max: u32,
    /// Messages over one connection to these hosts; 0 for the general limit.
    #[serde(default)]
    pub messages_per_connection_max: u32,
}
