//! What an administrator says about listeners and their limits.
//!
//! Every doc comment below becomes the text of `config/reference.toml`, so each gives its reason.

use std::net::SocketAddr;

use engine::settings::{Bytes, Span};
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
    /// "smtp", or "lmtp" (RFC 2033) for a front end that wants one reply a recipient.
    pub protocol: Protocol,
    /// Networks of load balancers that speak the PROXY protocol (v1 or v2) to this listener. When
    /// any is listed, every connection must come from one of them and begin with a PROXY header;
    /// from elsewhere a header could lie about the client's address.
    pub proxy_from: Vec<String>,
    /// What to do with a bare CR or LF: "refuse", or "fix" for old clients that send them. Either
    /// way only CRLF.CRLF ends a message, which is what stops SMTP smuggling.
    pub line_endings: LineEndings,
}

impl Default for ListenerSettings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 2525)),
            protocol: Protocol::default(),
            proxy_from: Vec::new(),
            line_endings: LineEndings::default(),
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
            command_line: Bytes(4 << 10),
            text_line: Bytes(16 << 10),
            header: Bytes(256 << 10),
            message: Bytes(50 << 20),
            memory_per_shard: Bytes(256 << 20),
            command_timeout: Span::mins(5),
            data_timeout: Span::mins(3),
            message_timeout: Span::mins(60),
            session_timeout: Span::mins(240),
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
