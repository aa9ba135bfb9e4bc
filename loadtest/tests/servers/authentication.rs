//! Authenticated mail: what the source signs passes all checks by the sink's DNS, and servers check and sign it.
//!
//! The judge is mail-auth with a resolver of its own; in front of a server it sees what came out of it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use loadtest::{
    cores::Cores,
    ledger::Ledger,
    message::Dkim,
    scenario::{self, SinkOptions, SourceOptions},
    sink::{Delivery, Inbox, Sink},
    source::Source,
};
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, IprevResult, MessageAuthenticator,
    SpfResult,
    dmarc::verify::DmarcParameters,
    hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    spf::verify::SpfParameters,
};

use crate::mail::{alone, left_in, place, recipe, skips, until};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const MESSAGES: u64 = 300;

/// Keeps what arrives.
#[derive(Default)]
struct Keep(Mutex<Vec<Vec<u8>>>);

impl Keep {
    fn messages(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().clone()
    }
}

impl Inbox for Keep {
    fn deliver(&self, delivery: &Delivery<'_>) {
        assert!(delivery.label().is_some_and(|(_, same)| same), "a message is not what was sent");
        self.0.lock().unwrap().push(delivery.message().into_owned());
    }
}

/// One site on the loopback, with the sink's DNS beside it.
fn sink(port: u16, dns_port: u16, kept: &Arc<Keep>) -> Sink {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let options = SinkOptions {
        sites: Some(1),
        first_site: Some(Ipv4Addr::LOCALHOST),
        dns: Some(local(dns_port)),
        ..Default::default()
    };
    let inbox = Arc::clone(kept) as Arc<dyn Inbox>;
    let hop = scenario::hop(&options, local(port), None, inbox, 1).unwrap();
    Sink::start(hop, &Cores::Free(1)).unwrap()
}

fn send(port: u16, dkim: Dkim, messages: u64) {
    let options = SourceOptions {
        connections: Some(10),
        messages: Some(messages),
        domain: Some("sites.test".to_owned()),
        domains: Some(1),
        dkim: Some(dkim),
        ..Default::default()
    };
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let load = scenario::load(&options, to, "t", 1).unwrap();
    let source = Source::start(load, Arc::new(Ledger::new(1)), &Cores::Free(1)).unwrap().finish();
    assert_eq!(source.messages_accepted, messages, "{source:?}");
}

/// A stranger who asks the sink's DNS; `udp` is false where only TCP may be used.
fn judge(dns_port: u16, udp: bool) -> MessageAuthenticator {
    let mut connections = vec![ConnectionConfig::tcp()];
    if udp {
        connections.insert(0, ConnectionConfig::udp());
    }
    for connection in &mut connections {
        connection.port = dns_port;
    }
    let server = NameServerConfig::new(CLIENT, true, connections);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    MessageAuthenticator::new(config, ResolverOpts::default()).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Selectors and results of all signatures.
fn signatures(outputs: &[DkimOutput<'_>]) -> Vec<(String, bool)> {
    let selector = |output: &DkimOutput<'_>| output.signature().map(|one| one.s.clone());
    outputs
        .iter()
        .map(|one| (selector(one).unwrap_or_default(), *one.result() == DkimResult::Pass))
        .collect()
}

/// The whole of it by a stranger: client's name, SPF, DKIM of these selectors, DMARC.
async fn passes(judge: &MessageAuthenticator, octets: &[u8], selectors: &[&str]) {
    let message = AuthenticatedMessage::parse(octets).unwrap();
    let dkim = judge.verify_dkim(&message).await;
    let expected: Vec<_> = selectors.iter().map(|one| ((*one).to_owned(), true)).collect();
    assert_eq!(signatures(&dkim), expected, "{dkim:?}");
    assert_eq!(judge.verify_iprev(CLIENT).await.result(), &IprevResult::Pass);
    let helo = SpfParameters::helo(CLIENT, "source.test", "bench.test");
    assert_eq!(judge.verify_spf(helo).await.result(), SpfResult::Pass);
    let sender = "s1-t@source.test";
    let mail = SpfParameters::mail_from(CLIENT, "source.test", "bench.test", sender);
    let spf = judge.verify_spf(mail).await;
    assert_eq!(spf.result(), SpfResult::Pass);
    let asked = DmarcParameters::new(&message, &dkim, "source.test", &spf);
    let dmarc = judge.verify_dmarc(asked).await;
    assert_eq!(dmarc.dkim_result(), &DmarcResult::Pass);
    assert_eq!(dmarc.spf_result(), &DmarcResult::Pass);
}

#[test]
fn what_the_source_signs_passes_by_the_sinks_dns() {
    let _alone = alone();
    let (place, kept) = (place(), Arc::<Keep>::default());
    let dns_port = place.port;
    let sink = sink(place.sink_port, dns_port, &kept);
    for (dkim, selectors) in [
        (Dkim::Off, &[][..]),
        (Dkim::Rsa, &["rsa"][..]),
        (Dkim::Ed25519, &["ed25519"][..]),
        (Dkim::Both, &["rsa", "ed25519"][..]),
    ] {
        kept.0.lock().unwrap().clear();
        send(place.sink_port, dkim, 8);
        until("8 messages", || kept.messages().len() == 8);
        for udp in [true, false] {
            let judge = judge(dns_port, udp);
            let messages = kept.messages();
            block_on(async {
                if dkim == Dkim::Off {
                    let message = AuthenticatedMessage::parse(&messages[0]).unwrap();
                    let found = judge.verify_dkim(&message).await;
                    assert!(found.iter().all(|one| *one.result() != DkimResult::Pass), "{found:?}");
                    return;
                }
                for octets in &messages {
                    passes(&judge, octets, selectors).await;
                }
                // The body is covered.
                let mut changed = messages[0].clone();
                let at = changed.len() - 3;
                changed[at] ^= 1;
                let message = AuthenticatedMessage::parse(&changed).unwrap();
                let found = judge.verify_dkim(&message).await;
                assert!(signatures(&found).iter().all(|(_, passes)| !passes), "{found:?}");
            });
        }
    }
    drop(sink);
}

/// The value of every Authentication-Results field of `bench.test`, unfolded.
fn results(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    let header =
        text.split("\r\n\r\n").next().unwrap().replace("\r\n\t", " ").replace("\r\n ", " ");
    let fields =
        header.split("\r\n").filter_map(|line| line.strip_prefix("Authentication-Results:"));
    fields.filter(|field| field.trim_start().starts_with("bench.test")).collect()
}

fn relays(name: &str, checks: &[&str]) {
    let _alone = alone();
    let recipe = recipe(name);
    let mut place = place();
    if skips(&recipe, &place) {
        return;
    }
    place.dns_port = crate::mail::place().port;
    let kept = Arc::<Keep>::default();
    let _sink = sink(place.sink_port, place.dns_port, &kept);
    let running = recipe.start(&place).unwrap();
    let folder = running.folder().to_owned();
    send(place.port, Dkim::Rsa, MESSAGES);
    until("all messages", || kept.messages().len() as u64 >= MESSAGES);
    running.stop().unwrap();
    assert_eq!(left_in(&folder), Vec::<String>::new());

    let messages = kept.messages();
    assert_eq!(messages.len() as u64, MESSAGES, "more arrived than was sent");
    let judge = judge(place.dns_port, true);
    block_on(async {
        for octets in &messages {
            let results = results(octets);
            for check in checks {
                assert!(results.contains(check), "no {check} in {results}");
            }
            passes(&judge, octets, &["relay", "rsa"]).await;
        }
    });
}

#[test]
fn postfix_with_opendkim_and_policyd_spf_checks_and_signs() {
    relays("postfix-auth", &["spf=pass", "dkim=pass"]);
}

#[test]
fn ringpost_checks_and_signs() {
    relays("ringpost-auth", &["iprev=pass", "spf=pass", "dkim=pass", "dmarc=pass"]);
}
