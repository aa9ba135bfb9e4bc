//! What is to be sent, and how.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pace::{Limit, Plan};
use crate::message::{Domains, Framing, Mailing, Spread, synthetic};

/// How a session is protected.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not at all.
    #[default]
    None,
    /// STARTTLS (RFC 3207); a server that does not offer it is an error.
    Starttls,
    /// TLS from the first octet (RFC 8314).
    Implicit,
}

/// Which PROXY header a connection starts with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum ProxyHeader {
    /// The line of text.
    V1,
    /// The binary one.
    V2,
}

/// Who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account.
    pub user: String,
    /// Its password.
    pub password: String,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub to: SocketAddr,
    /// Connections at a time, over all executors.
    pub connections: usize,
    /// More connections that say EHLO and then nothing.
    pub idle_connections: usize,
    /// Messages a connection, before it is opened anew.
    pub per_connection: u64,
    /// When it ends.
    pub limit: Limit,
    /// An open loop; without one every connection sends as fast as it can.
    pub plan: Option<Plan>,
    /// In a closed loop connections are opened evenly over this time.
    pub ramp: Duration,
    /// The messages.
    pub mailing: Arc<Mailing>,
    /// DATA or BDAT.
    pub framing: Framing,
    /// Sends MAIL, RCPT and DATA in one go (RFC 2920).
    pub pipelining: bool,
    /// Speaks LMTP (RFC 2033).
    pub lmtp: bool,
    /// TLS.
    pub security: Security,
    /// Whether TLS sessions are resumed.
    pub resume: bool,
    /// AUTH PLAIN or LOGIN (RFC 4954).
    pub login: Option<Login>,
    /// The PROXY protocol, with client addresses of 198.18.0.0/15 (RFC 2544).
    pub proxy: Option<ProxyHeader>,
    /// How long the server may take for a reply.
    pub patience: Duration,
    /// Failed connections in a row after which a connection's place is given up.
    pub failures_max: u32,
    /// The pause after each of them.
    pub failure_pause: Duration,
}

impl Load {
    /// `messages` of `size` to `to`, over 20 connections that are kept; `run` names them.
    #[must_use]
    pub fn new(to: SocketAddr, run: &str, messages: u64, size: Spread) -> Self {
        // One domain and no exponent cannot be wrong.
        let domains =
            Domains::new(vec!["sink.test".to_owned()], None).unwrap_or_else(|_| unreachable!());
        let mailing = Mailing {
            run: run.to_owned(),
            seed: 1,
            templates: synthetic(&size, 1, Framing::Data),
            recipients: Spread::Fixed(1),
            domains,
        };
        Self {
            to,
            connections: 20,
            idle_connections: 0,
            per_connection: u64::MAX,
            limit: Limit { messages, duration: None },
            plan: None,
            ramp: Duration::ZERO,
            mailing: Arc::new(mailing),
            framing: Framing::Data,
            pipelining: true,
            lmtp: false,
            security: Security::None,
            resume: true,
            login: None,
            proxy: None,
            patience: Duration::from_secs(60),
            failures_max: 10,
            failure_pause: Duration::from_millis(100),
        }
    }
}
