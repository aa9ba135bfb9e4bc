//! The checks against a name server on loopback, with messages signed here.

mod arc;
mod dkim;
mod dmarc;
mod fields;
mod hostile;
mod keys;
mod names;
mod outcomes;
mod rules;
mod server;
mod spf;

use std::{future::Future, net::IpAddr, rc::Rc, time::Duration};

use bytes::Bytes;
use proto::types::Address;
use tokio::time::Instant;

use super::{
    Authenticator, Report, Settings, Subject,
    desk::{Desk, Inquiry},
};
use server::{Server, Zone};

const CLIENT: &str = "192.0.2.1";
const HOSTNAME: &str = "mx.our.test";

/// Runs `body` on a runtime like a shard's.
fn run<T>(body: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, body)
}

fn address(text: &str) -> Option<Address> {
    Some(Address::parse(text).unwrap())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A server, and questions to it.
struct World {
    server: Server,
    desk: Desk,
}

impl World {
    fn new(zone: Zone) -> Self {
        let server = Server::start(zone);
        let desk = Desk::new(&server.settings(), 1000).unwrap();
        Self { server, desk }
    }

    fn inquiry(&self) -> Inquiry<'_> {
        Inquiry { desk: &self.desk, until: Instant::now() + Duration::from_secs(30) }
    }
}

fn authenticator(server: &Server, settings: &Settings) -> Authenticator {
    Authenticator::new(settings, &server.settings()).unwrap()
}

fn subject(sender: Option<Address>, message: &[u8]) -> Subject {
    Subject {
        client: ip(CLIENT),
        helo: "client.test".into(),
        sender,
        message: Bytes::copy_from_slice(message),
        hostname: Rc::from(HOSTNAME),
    }
}

/// The report for a message of a@b, by default settings.
fn examined(zone: Zone, sender: &str, message: &[u8]) -> Report {
    run(async {
        let server = Server::start(zone);
        let sender = (!sender.is_empty()).then(|| Address::parse(sender).unwrap());
        authenticator(&server, &Settings::default()).check(subject(sender, message)).await
    })
}
