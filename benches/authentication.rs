//! What do the checks of an incoming message cost a core, once the DNS has been asked? iprev, SPF of HELO and MAIL FROM
//! (two includes) and DMARC alone, and with signatures of RSA-2048, of Ed25519 and of both, for small and large messages.
//!
//! Messages and DNS are the load test's. Messages above what a shard looks at itself go through the helper thread here, too.
#![allow(missing_docs, clippy::unwrap_used)] // criterion's macros make public items

use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::dns;
use loadtest::{
    cores::Cores,
    message::{Dkim, Spread, bodies},
    scenario::{self, SinkOptions},
    sink::{Delivery, Inbox, Sink},
};
use mail::authentication::checks::{Authenticator, Report, Settings, Subject};
use proto::types::{Address, AuthResult};
use tokio::runtime::{Builder, Runtime};

const SIZES: [(&str, u64); 2] = [("5 KiB", 5 << 10), ("1 MiB", 1 << 20)];
const SIGNATURES: [(&str, Dkim); 4] = [
    ("no signature", Dkim::Off),
    ("RSA-2048", Dkim::Rsa),
    ("Ed25519", Dkim::Ed25519),
    ("both", Dkim::Both),
];

/// The load test's DNS, and a runtime as a shard's.
struct World {
    runtime: Runtime,
    authenticator: Authenticator,
    _sink: Sink,
}

fn world() -> World {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let dns_at = UdpSocket::bind(local(0)).unwrap().local_addr().unwrap();
    let options = SinkOptions {
        sites: Some(1),
        first_site: Some(Ipv4Addr::LOCALHOST),
        dns: Some(dns_at),
        ..Default::default()
    };
    let inbox: Arc<dyn Inbox> = Arc::new(|_: &Delivery<'_>| {});
    let hop = scenario::hop(&options, local(0), None, inbox, 1).unwrap();
    let sink = Sink::start(hop, &Cores::Free(1)).unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let asks = dns::Settings { nameservers: vec![dns_at], ..Default::default() };
    let entered = runtime.enter();
    let authenticator = Authenticator::new(&Settings::default(), &asks).unwrap();
    drop(entered);
    World { runtime, authenticator, _sink: sink }
}

impl World {
    fn check(&self, subject: &Subject) -> Report {
        self.runtime.block_on(self.authenticator.check(subject.clone()))
    }
}

fn subject(octets: u64, dkim: Dkim) -> Subject {
    let body = bodies(&Spread::Fixed(octets), 1).next().unwrap();
    Subject {
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        helo: "source.test".into(),
        sender: Some(Address::parse("s1-t@source.test").unwrap()),
        message: Bytes::from(dkim.sign(body).unwrap()),
        hostname: Rc::from("mx.test"),
    }
}

fn assert_passes(report: &Report, dkim: Dkim) {
    let signatures = match dkim {
        Dkim::Off => 0,
        Dkim::Rsa | Dkim::Ed25519 => 1,
        Dkim::Both => 2,
    };
    let passed = report.dkim.iter().filter(|one| one.result == AuthResult::Pass).count();
    assert_eq!(passed, signatures, "{report:?}");
    let sender = report.spf.mail_from.as_ref().unwrap();
    for result in [report.iprev.result, report.spf.helo.result, sender.result, report.dmarc.result]
    {
        assert_eq!(result, AuthResult::Pass, "{report:?}");
    }
}

fn checks(criterion: &mut Criterion) {
    let world = world();
    for (size, octets) in SIZES {
        let mut group = criterion.benchmark_group(format!("authentication, {size}"));
        group.throughput(Throughput::Elements(1));
        for (name, dkim) in SIGNATURES {
            let subject = subject(octets, dkim);
            // Warms the cache, and proves that what is measured is all that it should be.
            assert_passes(&world.check(&subject), dkim);
            group.bench_function(name, |bencher| {
                bencher.iter(|| black_box(world.check(&subject)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, checks);
criterion_main!(benches);
