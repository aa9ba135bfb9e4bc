//! What can be said of a source, a sink and a run: the same words on the command line and in a file.
//!
//! All is optional, so that the command line can be laid over a file; the defaults are in [`super::resolve`].

use std::{net::Ipv4Addr, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human;
use crate::{
    message::{Dkim, Spread},
    sink::{Delay, Drop, Failure, Rules, Stage},
    source::{Arrivals, ProxyHeader, Security},
};

/// What is sent, and how.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Source")]
pub struct SourceOptions {
    /// Connections at a time [default: 20]
    #[arg(long)]
    pub connections: Option<usize>,
    /// More connections that say EHLO and then nothing [default: 0]
    #[arg(long)]
    pub idle_connections: Option<usize>,
    /// Messages in all [default: 1000, or no limit with --duration]
    #[arg(long)]
    pub messages: Option<u64>,
    /// How long to send, such as '60s'
    #[arg(long, value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<Duration>,
    /// Messages a connection, before it is opened anew [default: no limit]
    #[arg(long)]
    pub messages_per_connection: Option<u64>,
    /// Open loop: messages a second, however the server keeps up [default: closed loop]
    #[arg(long)]
    pub rate: Option<f64>,
    /// How the messages of an open loop lie in time [default: poisson]
    #[arg(long)]
    pub arrivals: Option<Arrivals>,
    /// Rate (open loop) or connections (closed loop) rise evenly for so long [default: 0s]
    #[arg(long, value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub ramp: Option<Duration>,
    /// Octets a message: '5KiB'; '1KiB *80, 64KiB *20'; '1KiB..1MiB'; 'lognormal 8KiB 1.5 1MiB' [default: 5 KiB]
    #[arg(long)]
    pub size: Option<Spread>,
    /// Sends the .eml files of this folder instead
    #[arg(long)]
    pub corpus: Option<PathBuf>,
    /// Signs in the name of the senders' domain (source.test), each template once; the sink's DNS has the keys [default: off; without
    /// a value: rsa]
    #[arg(long, num_args = 0..=1, default_missing_value = "rsa")]
    pub dkim: Option<Dkim>,
    /// Recipients a message, written like --size [default: 1]
    #[arg(long)]
    pub recipients: Option<Spread>,
    /// The recipients' domain; with --domains what is behind 'siteN.' [default: sink.test]
    #[arg(long)]
    pub domain: Option<String>,
    /// Spreads recipients over so many domains, siteN.DOMAIN
    #[arg(long)]
    pub domains: Option<u32>,
    /// Spreads recipients over the domains in this file, one a line
    #[arg(long)]
    pub domain_list: Option<PathBuf>,
    /// How unequal the domains are: Zipf's exponent, about 1 for mail [default: all alike]
    #[arg(long)]
    pub zipf: Option<f64>,
    /// Sends MAIL, RCPT and DATA in one go when the server offers PIPELINING [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub pipelining: Option<bool>,
    /// Sends bodies with BDAT [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub bdat: Option<bool>,
    /// Speaks LMTP to the server [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub lmtp: Option<bool>,
    /// TLS; certificates are not judged [default: none]
    #[arg(long)]
    pub tls: Option<Security>,
    /// Resumes TLS sessions [default: true]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub tls_resume: Option<bool>,
    /// Logs in with AUTH PLAIN or LOGIN: USER:PASSWORD
    #[arg(long)]
    pub auth: Option<String>,
    /// Begins with a PROXY header that names a client of 198.18.0.0/15
    #[arg(long)]
    pub proxy: Option<ProxyHeader>,
    /// How long the server may take for a message [default: 60s]
    #[arg(long, value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub patience: Option<Duration>,
}

/// How the next hop behaves.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Sink")]
pub struct SinkOptions {
    /// Sites, each on an address of its own, reached by the sink's own DNS [default: one, without DNS]
    #[arg(long)]
    pub sites: Option<u32>,
    /// Address of the first site; the others follow it [default: 127.16.0.1]
    #[arg(long)]
    pub first_site: Option<Ipv4Addr>,
    /// Where the sink's DNS answers, with --sites [default: 127.0.0.1:5300]
    #[arg(long)]
    pub dns: Option<SocketAddr>,
    /// Share of the sites that follow the rules below, 0 to 1; the others are kind [default: 1]
    #[arg(long)]
    pub bad_share: Option<f64>,
    /// Offers STARTTLS, with a certificate made at start [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub sink_tls: Option<bool>,
    /// Speaks LMTP [default: false]
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub sink_lmtp: Option<bool>,
    /// Does not offer this EHLO keyword; may be repeated
    #[arg(long, value_name = "KEYWORD")]
    pub without: Vec<String>,
    /// Waits before it answers: STAGE:TIME[:random], such as done:200ms; may be repeated
    #[arg(long, value_name = "RULE")]
    pub delay: Vec<Delay>,
    /// Refuses: STAGE:CODE[:SHARE], such as rcpt:450:0.1; may be repeated
    #[arg(long, value_name = "RULE")]
    pub fail: Vec<Failure>,
    /// Hangs up instead of answering: STAGE[:SHARE]; may be repeated
    #[arg(long, value_name = "RULE")]
    pub drop: Vec<Drop>,
    /// Never answers from this stage on
    #[arg(long)]
    pub stall: Option<Stage>,
    /// Greylisting: defers a recipient until so long after the first try
    #[arg(long, value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub greylist: Option<Duration>,
    /// Reads no more octets a second from a connection
    #[arg(long, value_name = "OCTETS")]
    pub read_per_s: Option<u64>,
    /// Connections that an address takes at a time; more hear 421
    #[arg(long, value_name = "COUNT")]
    pub sink_connections_max: Option<u64>,
    /// Messages that a connection carries; then MAIL hears 421
    #[arg(long, value_name = "COUNT")]
    pub sink_messages_max: Option<u64>,
}

impl SinkOptions {
    /// The rules among them.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            lmtp: self.sink_lmtp.unwrap_or(false),
            without: self.without.clone(),
            delay: self.delay.clone(),
            fail: self.fail.clone(),
            drop: self.drop.clone(),
            stall: self.stall,
            greylist: self.greylist,
            read_per_s: self.read_per_s,
            connections_max: self.sink_connections_max,
            messages_max: self.sink_messages_max,
        }
    }
}

/// What must hold, or the program ends with 1.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Bounds")]
pub struct ExpectOptions {
    /// At least so many messages a second: relayed with a sink, accepted without
    #[arg(long, value_name = "PER_SECOND")]
    pub expect_rate: Option<f64>,
    /// 99 of 100 messages accepted within this time
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub expect_p99: Option<Duration>,
    /// No more than so many recipients lost; without it nothing may be lost or changed
    #[arg(long, value_name = "COUNT")]
    pub expect_lost: Option<u64>,
}

/// How the run is made.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Run")]
pub struct RunOptions {
    /// Of everything random: the same seed sends the same messages [default: 1]
    #[arg(long)]
    pub seed: Option<u64>,
    /// How long nothing may arrive before what is missing counts as lost [default: 30s]
    #[arg(long, value_parser = humantime::parse_duration)]
    #[serde(with = "human::optional_time")]
    #[schemars(with = "Option<String>")]
    pub settle: Option<Duration>,
}

/// How servers are compared.
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Comparison")]
pub struct CompareOptions {
    /// A server's recipe, a file or a name; may be repeated. The first is what the others are compared with
    #[arg(long, value_name = "RECIPE")]
    pub server: Vec<String>,
    /// Rounds, each with a fresh start of every server in turn [default: 3]
    #[arg(long)]
    pub rounds: Option<u32>,
    /// Connections that a server may open to the sink [default: 50]
    #[arg(long)]
    pub out: Option<u32>,
}
