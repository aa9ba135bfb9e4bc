//! The load test's source inside a test: what was acknowledged, what was refused, and how.

use std::time::Duration;

use loadtest::{
    message::Spread,
    result,
    source::{Load, Source},
};

/// What became of a load.
pub struct Outcome {
    /// Numbers that got their 250.
    pub acknowledged: Vec<u64>,
    /// Everything else.
    pub source: result::Source,
}

/// `messages` of `octets`; a connection that breaks is not opened again.
pub fn load(to: std::net::SocketAddr, run: &str, messages: u64, octets: u64) -> Load {
    Load {
        failures_max: 1,
        failure_pause: Duration::ZERO,
        ..Load::new(to, run, messages, Spread::Fixed(octets))
    }
}

/// Sends it to its end.
pub fn send(load: Load) -> Outcome {
    let (source, ledger) = Source::run(load).expect("io_uring for the load test");
    Outcome { acknowledged: ledger.acknowledged(), source }
}
