//! The resolver against a tiny name server on loopback, on both of a shard's runtimes.

use std::{
    future::Future,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{
            A, AAAA, CNAME, MX, SOA, TLSA, TXT,
            tlsa::{CertUsage, Matching, Selector},
        },
    },
};

use super::{DnsError, Dnssec, Mx, Resolver, Security, Settings, Tlsa, Upstream};
use crate::{
    settings::Span,
    shard::{Backend, IoKind, Shard, probe, start},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));

/// A name server and how often it was asked.
#[derive(Clone)]
struct Server {
    addr: SocketAddr,
    asked: Arc<AtomicU32>,
}

impl Server {
    fn start() -> Self {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(addr).unwrap();
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok((len, from)) = udp.recv_from(&mut buf) {
                count.fetch_add(1, SeqCst);
                if let Some(answer) = answer(&buf[..len], false) {
                    udp.send_to(&answer, from).unwrap();
                }
            }
        });
        thread::spawn(move || {
            for stream in tcp.incoming() {
                let mut stream = stream.unwrap();
                let mut len = [0; 2];
                while stream.read_exact(&mut len).is_ok() {
                    let mut question = vec![0; usize::from(u16::from_be_bytes(len))];
                    stream.read_exact(&mut question).unwrap();
                    let Some(answer) = answer(&question, true) else { continue };
                    let len = u16::try_from(answer.len()).unwrap().to_be_bytes();
                    stream.write_all(&[&len[..], &answer].concat()).unwrap();
                }
            }
        });
        Self { addr, asked }
    }

    fn settings(&self) -> Settings {
        let timeout = Span::ms(300);
        Settings { nameservers: vec![self.addr], timeout, attempts: 1, ..Settings::default() }
    }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

fn answer(question: &[u8], tcp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut reply = Message::new(question.id, MessageType::Response, question.op_code);
    reply.add_query(query.clone());
    let asks_for_security = question.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
    let asked = query.name().to_ascii().to_ascii_lowercase();
    // Only who asks is told (RFC 6840 §5.7).
    reply.metadata.authentic_data = asks_for_security && asked.contains("secure.");
    let record = |data| Record::from_rdata(query.name().clone(), 300, data);
    let soa = || {
        let soa = SOA::new(name("ns.test"), name("hostmaster.test"), 1, 60, 60, 60, 60);
        Record::from_rdata(name("test"), 60, RData::SOA(soa))
    };
    let mx = |preference, host: &str| record(RData::MX(MX::new(preference, name(host))));
    match (asked.as_str(), query.query_type()) {
        ("good.test.", RecordType::MX) => {
            reply.add_answers([mx(20, "B.Good.test"), mx(10, "a.good.test")]);
        }
        ("null.test.", RecordType::MX) => {
            reply.add_answer(record(RData::MX(MX::new(0, Name::root()))));
        }
        ("alias.test.", _) => {
            reply.add_answer(record(RData::CNAME(CNAME(name("good.test")))));
        }
        ("dangling.test.", _) => {
            reply.add_answer(record(RData::CNAME(CNAME(name("nowhere.test")))));
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
        ("large.test.", RecordType::MX) if tcp => {
            reply.add_answers((0..200).map(|n| mx(n, &format!("host-number-{n}.large.test"))));
        }
        ("large.test.", RecordType::MX) => reply.metadata.truncation = true,
        ("both.test." | "lame6.test.", RecordType::A) => {
            reply.add_answer(record(RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))));
        }
        ("both.test.", RecordType::AAAA) => {
            let IpAddr::V6(ip) = V6 else { unreachable!() };
            reply.add_answer(record(RData::AAAA(AAAA(ip))));
        }
        ("mx.secure.test." | "mx.plain.test.", RecordType::A) => {
            reply.add_answer(record(RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))));
        }
        ("secure.test.", RecordType::MX) => {
            reply.add_answer(mx(10, "mx.secure.test"));
        }
        // The alias is signed, what it leads to is not.
        ("half.test.", RecordType::CNAME) => {
            reply.metadata.authentic_data = asks_for_security;
            reply.add_answer(record(RData::CNAME(CNAME(name("mx.plain.test")))));
        }
        ("half.test.", RecordType::A) | ("whole.secure.test.", RecordType::A) => {
            let target = if asked.starts_with("half") { "mx.plain.test" } else { "mx.secure.test" };
            let a = RData::A(A(Ipv4Addr::new(192, 0, 2, 1)));
            reply.add_answers([
                record(RData::CNAME(CNAME(name(target)))),
                Record::from_rdata(name(target), 300, a),
            ]);
        }
        ("_25._tcp.mx.secure.test." | "_25._tcp.mx.plain.test.", RecordType::TLSA) => {
            let data = vec![7; 32];
            let tlsa = TLSA::new(CertUsage::from(3), Selector::from(1), Matching::from(1), data);
            reply.add_answer(record(RData::TLSA(tlsa)));
        }
        ("texts.test.", RecordType::TXT) => {
            reply.add_answer(record(RData::TXT(TXT::new(vec!["v=a;".into(), " b".into()]))));
        }
        ("_25._tcp.broken.secure.test.", _)
        | ("servfail.test.", _)
        | ("lame6.test." | "broken6.test.", RecordType::AAAA) => {
            reply.metadata.response_code = ResponseCode::ServFail;
        }
        ("refused.test.", _) => reply.metadata.response_code = ResponseCode::Refused,
        ("silent.test.", _) => return None,
        ("good.test." | "both.test." | "empty.test." | "broken6.test.", _) => {
            reply.add_authority(soa());
        }
        _ => {
            reply.metadata.response_code = ResponseCode::NXDomain;
            reply.add_authority(soa());
        }
    }
    Some(reply.to_vec().unwrap())
}

/// Runs `body` with a fresh server and resolver on a shard of each backend.
fn run<F, Fut>(body: F)
where
    F: Fn(Shard, Server, Resolver) -> Fut + Send + Sync + Clone + 'static,
    Fut: Future<Output = ()> + 'static,
{
    for backend in [Backend::Epoll, probe(IoKind::Auto).unwrap()] {
        let (body, server) = (body.clone(), Server::start());
        let main = move |shard: Shard| {
            let resolver = Resolver::new(&server.settings()).unwrap();
            body(shard, server.clone(), resolver)
        };
        start(1, backend, main).unwrap().join().unwrap();
    }
}

fn exchanger(preference: u16, host: &str) -> Mx {
    Mx { preference, host: host.into() }
}

#[test]
fn exchangers_come_by_preference_in_lower_case_and_are_cached() {
    run(|_, server, resolver| async move {
        let expected = Ok(vec![exchanger(10, "a.good.test"), exchanger(20, "b.good.test")]);
        assert_eq!(resolver.mx("good.test").await, expected);
        assert_eq!(server.asked.load(SeqCst), 1);
        assert_eq!(resolver.clone().mx("GOOD.test").await, expected);
        assert_eq!(server.asked.load(SeqCst), 1);
        assert_eq!(resolver.mx("alias.test").await, expected);
    });
}

#[test]
fn a_null_mx_passes_through() {
    run(|_, _, resolver| async move {
        assert_eq!(resolver.mx("null.test").await, Ok(vec![exchanger(0, ".")]));
    });
}

#[test]
fn no_name_no_records_and_nobody_knows_are_three_things() {
    run(|_, server, resolver| async move {
        assert_eq!(resolver.mx("absent.test").await, Err(DnsError::NoName));
        assert_eq!(resolver.mx("dangling.test").await, Err(DnsError::NoName));
        assert_eq!(resolver.mx("empty.test").await, Err(DnsError::NoRecords));
        let asked = server.asked.load(SeqCst);
        assert_eq!(resolver.mx("absent.test").await, Err(DnsError::NoName));
        assert_eq!(resolver.mx("empty.test").await, Err(DnsError::NoRecords));
        assert_eq!(server.asked.load(SeqCst), asked, "negative answers are cached");
        for name in ["servfail.test", "refused.test"] {
            let error = resolver.mx(name).await.unwrap_err();
            assert!(matches!(&error, DnsError::Temporary(text) if text.contains(name)), "{error}");
        }
        let too_long = "x".repeat(64) + ".test";
        assert_eq!(resolver.mx(&too_long).await, Err(DnsError::NoName));
    });
}

#[test]
fn silence_ends_in_time_and_disturbs_nobody() {
    run(|shard, _, resolver| async move {
        let begun = Instant::now();
        let waiting = std::rc::Rc::new(());
        for n in 0..50 {
            let (resolver, waiting) = (resolver.clone(), std::rc::Rc::clone(&waiting));
            shard.spawn(async move {
                let host = if n % 2 == 0 { "silent.test" } else { "SILENT.test" };
                let answer = resolver.addresses(host, true, true).await;
                assert!(matches!(answer, Err(DnsError::Temporary(_))), "{answer:?}");
                drop(waiting);
            });
        }
        assert!(resolver.mx("good.test").await.is_ok());
        assert!(begun.elapsed() < Duration::from_millis(250));
        while std::rc::Rc::strong_count(&waiting) > 1 {
            crate::shard::sleep(10).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(shard.panics(), 0);
    });
}

#[test]
fn addresses_come_from_whichever_kind_answers() {
    run(|_, _, resolver| async move {
        assert_eq!(resolver.addresses("both.test", true, true).await, Ok(vec![V6, V4]));
        assert_eq!(resolver.addresses("both.test", true, false).await, Ok(vec![V4]));
        assert_eq!(resolver.addresses("both.test", false, true).await, Ok(vec![V6]));
        assert_eq!(resolver.addresses("both.test", false, false).await, Err(DnsError::NoRecords));
        assert_eq!(resolver.addresses("lame6.test", true, true).await, Ok(vec![V4]));
        let half = resolver.addresses("broken6.test", true, true).await;
        assert!(matches!(half, Err(DnsError::Temporary(_))), "{half:?}");
        assert_eq!(resolver.addresses("good.test", true, true).await, Err(DnsError::NoRecords));
        assert_eq!(resolver.addresses("absent.test", true, true).await, Err(DnsError::NoName));
    });
}

#[test]
fn a_truncated_answer_is_fetched_over_tcp() {
    run(|_, _, resolver| async move {
        let all = resolver.mx("large.test").await.unwrap();
        assert_eq!(all.len(), 200);
        assert_eq!(all[199], exchanger(199, "host-number-199.large.test"));
    });
}

#[test]
fn nothing_is_taken_from_search_lists_or_the_hosts_file() {
    run(|_, server, resolver| async move {
        assert_eq!(resolver.addresses("good", true, false).await, Err(DnsError::NoName));
        assert_eq!(server.asked.load(SeqCst), 1);
        let hostname = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        if !hostname.trim().is_empty() {
            let own = resolver.addresses(hostname.trim(), true, false).await;
            assert!(own.is_err() || hostname.trim() == "localhost", "{own:?}");
        }
    });
}

#[test]
fn settings_that_make_no_resolver_are_refused() {
    let settings = Settings { queries_max: 0, ..Server::start().settings() };
    assert!(matches!(Resolver::new(&settings), Err(DnsError::Settings(_))));
}

/// A resolver that believes the server's AD bit.
fn trusting(server: &Server) -> Resolver {
    Resolver::new(&Settings { dnssec: Dnssec::TrustAd, ..server.settings() }).unwrap()
}

#[test]
fn an_answer_is_as_secure_as_the_resolver_says() {
    run(|_, server, off| async move {
        let resolver = trusting(&server);
        assert!(resolver.is_secured() && !off.is_secured());
        for (resolver, security) in [(&resolver, Security::Secure), (&off, Security::Insecure)] {
            let found = resolver.exchangers("secure.test").await.unwrap();
            assert_eq!(found, (vec![exchanger(10, "mx.secure.test")], security));
        }
        assert_eq!(resolver.exchangers("good.test").await.unwrap().1, Security::Insecure);
        assert_eq!(resolver.exchangers("absent.test").await, Err(DnsError::NoName));
        assert_eq!(resolver.exchangers("empty.test").await, Err(DnsError::NoRecords));
        let error = resolver.exchangers("servfail.test").await.unwrap_err();
        assert!(matches!(error, DnsError::Temporary(_)), "{error}");
        let asked = server.asked.load(SeqCst);
        assert!(resolver.exchangers("secure.test").await.is_ok());
        assert_eq!(resolver.exchangers("absent.test").await, Err(DnsError::NoName));
        assert_eq!(server.asked.load(SeqCst), asked, "answers are cached");
    });
}

#[test]
fn aliases_are_told_with_their_security() {
    run(|_, server, _| async move {
        let resolver = trusting(&server);
        let whole = resolver.host("whole.secure.test", true, true).await.unwrap();
        assert_eq!(whole.security, Security::Secure);
        assert_eq!(whole.alias_of.as_deref(), Some("mx.secure.test"));
        let half = resolver.host("half.test", true, false).await.unwrap();
        assert_eq!((half.addresses, half.security), (vec![V4], Security::Insecure));
        assert_eq!(half.alias_of.as_deref(), Some("mx.plain.test"));
        assert_eq!(resolver.is_secure_alias("half.test").await, Ok(true));
        assert_eq!(resolver.is_secure_alias("mx.plain.test").await, Ok(false));
        let none = resolver.host("mx.secure.test", true, false).await.unwrap();
        assert_eq!((none.security, none.alias_of), (Security::Secure, None));
    });
}

#[test]
fn only_secure_tlsa_records_count_and_silence_is_no_absence() {
    run(|_, server, off| async move {
        let resolver = trusting(&server);
        let record = Tlsa { usage: 3, selector: 1, matching: 1, data: [7; 32].into() };
        assert_eq!(resolver.tlsa("mx.secure.test", 25).await, Ok(vec![record.clone()]));
        assert_eq!(record.to_string(), format!("3 1 1 {}", "07".repeat(32)));
        assert_eq!(resolver.tlsa("mx.plain.test", 25).await, Ok(Vec::new()));
        assert_eq!(resolver.tlsa("mx.secure.test", 26).await, Ok(Vec::new()));
        assert_eq!(off.tlsa("mx.secure.test", 25).await, Ok(Vec::new()));
        let broken = resolver.tlsa("broken.secure.test", 25).await;
        assert!(matches!(broken, Err(DnsError::Temporary(_))), "{broken:?}");
    });
}

#[test]
fn the_strings_of_a_text_are_joined() {
    run(|_, server, off| async move {
        for resolver in [off, trusting(&server)] {
            assert_eq!(resolver.txt("texts.test").await, Ok(vec!["v=a; b".into()]));
            assert_eq!(resolver.txt("good.test").await, Err(DnsError::NoRecords));
        }
    });
}

#[test]
fn trust_needs_somebody_to_trust() {
    let mut settings = Settings { dnssec: Dnssec::TrustAd, ..Settings::default() };
    assert!(settings.faults()[0].contains("dns.nameservers"));
    settings.nameservers = vec![([127, 0, 0, 1], 53).into()];
    assert!(settings.faults().is_empty() && settings.warnings().is_empty());
    settings.nameservers.push(([192, 0, 2, 1], 53).into());
    assert!(settings.warnings()[0].contains("192.0.2.1"));
    settings.trust_anchor = "/etc/anchor".into();
    assert!(settings.faults()[0].contains("trust_anchor"));
}

#[test]
fn an_upstream_keeps_nothing_and_says_how_long_others_may() {
    run(|_, server, _| async move {
        let upstream = Upstream::new(&server.settings()).unwrap();
        let seconds = Duration::from_secs;
        for asked in [1, 2] {
            let fresh = upstream.exchangers("good.test").await;
            let expected = vec![exchanger(10, "a.good.test"), exchanger(20, "b.good.test")];
            assert_eq!(fresh.answer, Ok(expected));
            assert!(fresh.keep > seconds(290) && fresh.keep <= seconds(300), "{:?}", fresh.keep);
            assert_eq!(server.asked.load(SeqCst), asked);
        }
        assert_eq!(upstream.texts("texts.test").await.answer, Ok(vec![b"v=a; b".to_vec()]));
        assert_eq!(upstream.v4("both.test").await.answer, Ok(vec![Ipv4Addr::new(192, 0, 2, 1)]));
        assert_eq!(upstream.v6("both.test").await.answer.map(|list| list.len()), Ok(1));
        for (name, error) in
            [("absent.test", DnsError::NoName), ("empty.test", DnsError::NoRecords)]
        {
            let fresh = upstream.texts(name).await;
            assert_eq!((fresh.answer, fresh.keep), (Err(error), seconds(60)), "{name}");
        }
        assert_eq!(upstream.names(V4).await.answer, Err(DnsError::NoName));
        for name in ["servfail.test", "silent.test"] {
            let fresh = upstream.texts(name).await;
            assert!(matches!(fresh.answer, Err(DnsError::Temporary(_))), "{fresh:?}");
            assert_eq!(fresh.keep, Duration::ZERO);
        }
        let short = Settings { ttl_max: Span::secs(7), ..server.settings() };
        let short = Settings { negative_ttl_max: Span::secs(3), ..short };
        let upstream = Upstream::new(&short).unwrap();
        assert!(upstream.v4("both.test").await.keep <= seconds(7));
        assert_eq!(upstream.v4("absent.test").await.keep, seconds(3));
    });
}
