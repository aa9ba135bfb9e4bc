//! SPF: every result, its limits, its terms.

use proto::types::{AuthResult, Domain};

use super::super::{SpfResult, spf};
use super::*;

fn check_from(zone: Zone, client: &str, domain: &str) -> SpfResult {
    run(async {
        let world = World::new(zone);
        check_in(&world, client, domain).await
    })
}

async fn check_in(world: &World, client: &str, domain: &str) -> SpfResult {
    let party = spf::Party { client: ip(client), helo: "client.test", hostname: HOSTNAME };
    let sender = format!("joe@{domain}");
    let domain = Domain::parse(domain).unwrap();
    spf::check_host(world.inquiry(), party, &domain, &sender).await
}

fn result(zone: Zone, domain: &str) -> AuthResult {
    check_from(zone, CLIENT, domain).result
}

fn record(text: &str) -> AuthResult {
    result(Zone::default().txt("a.test", text), "a.test")
}

#[test]
fn every_result_has_its_word() {
    assert_eq!(record("v=spf1 ip4:192.0.2.0/24 -all"), AuthResult::Pass);
    assert_eq!(record("v=spf1 ip4:192.0.3.0/24 -all"), AuthResult::Fail);
    assert_eq!(record("v=spf1 ip4:192.0.3.0/24 ~all"), AuthResult::SoftFail);
    assert_eq!(record("v=spf1 ?all"), AuthResult::Neutral);
    assert_eq!(record("v=spf1"), AuthResult::Neutral);
    assert_eq!(record("v=spf10 -all"), AuthResult::None);
    assert_eq!(record("v=spf1 ip4:nonsense -all"), AuthResult::PermError);
    assert_eq!(result(Zone::default(), "a.test"), AuthResult::None);
    assert_eq!(result(Zone::default().empty("a.test"), "a.test"), AuthResult::None);
    assert_eq!(result(Zone::default().failing("a.test"), "a.test"), AuthResult::TempError);
}

/// The client would pass by what is left of these.
#[test]
fn a_term_that_makes_no_sense_spoils_the_record() {
    for term in
        ["ipv4:192.0.2.1", "ip4:192.0.2.300", "ip4:192.0.2.1/33", "a/24/64", "all:x", "\u{e9}"]
    {
        let text = format!("v=spf1 ip4:192.0.2.0/24 {term} -all");
        assert_eq!(record(&text), AuthResult::PermError, "{term}");
    }
    for term in ["a/24//64", "mx/24", "new=modifier", "ip6:2001:db8::/32", "exists:%{i}.b.test"] {
        let text = format!("v=spf1 ip4:192.0.2.0/24 {term} -all");
        assert_eq!(record(&text), AuthResult::Pass, "{term}");
    }
}

#[test]
fn one_record_counts_whatever_else_is_there() {
    let zone = Zone::default().txt("a.test", "other").txt("a.test", "v=spf1 -all");
    assert_eq!(result(zone.txt("a.test", "x=y"), "a.test"), AuthResult::Fail);
    let zone = Zone::default().txt("a.test", "v=spf1 +all").txt("a.test", "v=spf1 -all");
    let found = check_from(zone, CLIENT, "a.test");
    assert_eq!((found.result, &*found.reason), (AuthResult::PermError, "several SPF records"));
    // A broken one is not hidden by another text.
    let zone = Zone::default().txt("a.test", "v=spf1 ip4:x").txt("a.test", "other");
    assert_eq!(result(zone, "a.test"), AuthResult::PermError);
}

#[test]
fn addresses_exchangers_and_names_of_the_client_match() {
    let base = || {
        Zone::default()
            .host("h.test", CLIENT)
            .host("h.test", "2001:db8::1")
            .mx("m.test", "h.test")
            .ptr("1.2.0.192.in-addr.arpa", "h.sub.test")
            .host("h.sub.test", CLIENT)
    };
    for text in [
        "v=spf1 a:h.test -all",
        "v=spf1 a:h.test/24 -all",
        "v=spf1 mx:m.test -all",
        "v=spf1 ptr:sub.test -all",
        "v=spf1 exists:h.test -all",
        "v=spf1 exists:%{l}.%{d2}.%{p} exists:h.test -all",
    ] {
        let found = check_from(base().txt("a.test", text), CLIENT, "a.test");
        assert_eq!(found.result, AuthResult::Pass, "{text}: {found:?}");
    }
    assert_eq!(
        result(base().txt("a.test", "v=spf1 ptr:other.test -all"), "a.test"),
        AuthResult::Fail
    );
    let six = |text: &str| check_from(base().txt("a.test", text), "2001:db8::1", "a.test").result;
    assert_eq!(six("v=spf1 a:h.test -all"), AuthResult::Pass);
    assert_eq!(six("v=spf1 ip6:2001:db8::/32 -all"), AuthResult::Pass);
    assert_eq!(six("v=spf1 ip4:0.0.0.0/0 -all"), AuthResult::Fail);
    // `exists` asks for A, whatever the client is (RFC 7208 §5.7).
    let only_six = Zone::default().host("six.test", "2001:db8::1");
    let found =
        check_from(only_six.txt("a.test", "v=spf1 exists:six.test -all"), "2001:db8::1", "a.test");
    assert_eq!(found.result, AuthResult::Fail);
}

#[test]
fn includes_match_when_they_pass_and_redirects_take_over() {
    let zone = || Zone::default().txt("pass.test", "v=spf1 +all").txt("fail.test", "v=spf1 -all");
    let of = |text: &str| result(zone().txt("a.test", text), "a.test");
    assert_eq!(of("v=spf1 include:pass.test -all"), AuthResult::Pass);
    assert_eq!(of("v=spf1 ~include:pass.test -all"), AuthResult::SoftFail);
    assert_eq!(of("v=spf1 include:fail.test ?all"), AuthResult::Neutral);
    assert_eq!(of("v=spf1 include:absent.test ?all"), AuthResult::PermError);
    assert_eq!(of("v=spf1 redirect=fail.test"), AuthResult::Fail);
    assert_eq!(of("v=spf1 redirect=absent.test"), AuthResult::PermError);
    assert_eq!(of("v=spf1 +all redirect=absent.test"), AuthResult::Pass);
}

#[test]
fn macros_are_expanded() {
    let zone = Zone::default()
        .txt("a.test", "v=spf1 exists:%{ir}.%{v}.%{l1r-}.%{o}.%{h2}.x.test -all")
        .host("1.2.0.192.in-addr.joe.a.test.client.test.x.test", "127.0.0.2");
    assert_eq!(result(zone, "a.test"), AuthResult::Pass);
}

#[test]
fn the_domain_explains_itself() {
    let zone = || {
        Zone::default()
            .txt("a.test", "v=spf1 include:b.test redirect=c.test exp=no.a.test")
            .txt("b.test", "v=spf1 -all exp=no.b.test")
            .txt("no.b.test", "not this")
            .txt("c.test", "v=spf1 -all exp=why.%{d}")
    };
    let found = check_from(zone().txt("why.c.test", "%{i} is not ours at %{r}"), CLIENT, "a.test");
    assert_eq!(&*found.explanation, "192.0.2.1 is not ours at mx.our.test");
    let found = check_from(zone(), CLIENT, "a.test");
    assert_eq!((found.result, &*found.explanation), (AuthResult::Fail, ""));
}

#[test]
fn ten_terms_ask_the_dns_and_no_more() {
    let chain = |count: usize| {
        let mut zone = Zone::default().txt(&format!("s{count}.test"), "v=spf1 +all");
        for n in 0..count {
            let text = format!("v=spf1 include:s{}.test -all", n + 1);
            zone = zone.txt(&format!("s{n}.test"), &text);
        }
        check_from(zone, CLIENT, "s0.test")
    };
    assert_eq!(chain(10).result, AuthResult::Pass);
    let found = chain(11);
    assert_eq!(found.result, AuthResult::PermError);
    assert!(found.reason.contains("10 terms"), "{found:?}");
    let circle = Zone::default().txt("a.test", "v=spf1 include:a.test -all");
    assert_eq!(result(circle, "a.test"), AuthResult::PermError);
    let circle = Zone::default().txt("a.test", "v=spf1 redirect=a.test");
    assert_eq!(result(circle, "a.test"), AuthResult::PermError);
}

#[test]
fn two_look_ups_may_come_back_with_nothing() {
    let with = |void: &str| {
        let zone = Zone::default().empty("n3.test");
        check_from(zone.txt("a.test", &format!("v=spf1 {void} +all")), CLIENT, "a.test")
    };
    assert_eq!(with("a:n1.test mx:n2.test").result, AuthResult::Pass);
    let found = with("a:n1.test exists:n2.test a:n3.test");
    assert_eq!(
        (found.result, &*found.reason),
        (AuthResult::PermError, "more than 2 void look-ups")
    );
}

#[test]
fn ten_exchangers_are_looked_at() {
    let many = |count: usize| {
        let mut zone = Zone::default().txt("a.test", "v=spf1 mx ~all");
        for n in 0..count {
            let host = format!("h{n:02}.test");
            zone = zone.mx("a.test", &host).host(&host, "192.0.2.200");
        }
        result(zone, "a.test")
    };
    assert_eq!(many(10), AuthResult::SoftFail);
    assert_eq!(many(11), AuthResult::PermError);
}

#[test]
fn answers_are_kept_the_negative_ones_too() {
    run(async {
        let text = "v=spf1 a:none.test mx:m.test include:b.test -all";
        let zone = Zone::default().txt("a.test", text).txt("b.test", "v=spf1 +all");
        let world = World::new(zone.mx("m.test", "h.test").host("h.test", "192.0.2.9"));
        let first = check_in(&world, CLIENT, "a.test").await;
        let asked = world.server.count();
        assert_eq!(asked, 5, "{:?}", world.server.asked);
        assert_eq!(check_in(&world, CLIENT, "a.test").await, first);
        assert_eq!(check_in(&world, CLIENT, "absent.test").await.result, AuthResult::None);
        assert_eq!(check_in(&world, CLIENT, "absent.test").await.result, AuthResult::None);
        assert_eq!(world.server.count(), asked + 1);
    });
}

#[test]
fn a_helo_that_is_no_domain_is_not_looked_up() {
    run(async {
        let world = World::new(Zone::default().txt("good.test", "v=spf1 +all"));
        for (helo, expected) in [
            ("[192.0.2.1]", AuthResult::None),
            ("192.0.2.1", AuthResult::None),
            ("localhost", AuthResult::None),
            ("a b\r\nc", AuthResult::None),
        ] {
            let party = spf::Party { client: ip(CLIENT), helo, hostname: HOSTNAME };
            assert_eq!(spf::check_helo(world.inquiry(), party).await.result, expected, "{helo:?}");
        }
        assert_eq!(world.server.count(), 0);
        let party = spf::Party { client: ip(CLIENT), helo: "Good.test", hostname: HOSTNAME };
        assert_eq!(spf::check_helo(world.inquiry(), party).await.result, AuthResult::Pass);
    });
}
