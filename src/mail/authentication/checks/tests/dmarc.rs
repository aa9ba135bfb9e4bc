//! DMARC: who speaks for the author, and what the author wants.

use proto::types::AuthResult;

use super::super::{Dmarc, DomainWish};
use super::*;
use keys::{message, rsa, rsa_record, signed};

const REJECT: &str = "v=DMARC1; p=reject";

fn dmarc(zone: Zone, sender: &str, message: &[u8]) -> Dmarc {
    examined(zone, sender, message).dmarc
}

fn verdict(found: &Dmarc) -> (AuthResult, DomainWish) {
    (found.result, found.policy)
}

/// A domain whose SPF lets the client send.
fn open(zone: Zone, domain: &str) -> Zone {
    zone.txt(domain, "v=spf1 ip4:192.0.2.1 -all")
}

#[test]
fn spf_or_a_signature_is_enough() {
    let zone = || Zone::default().txt("_dmarc.a.test", REJECT);
    let plain = message("me@a.test");
    let found = dmarc(open(zone(), "a.test"), "bounce@a.test", &plain);
    assert_eq!(found.result, AuthResult::Pass);
    assert!(found.spf_aligned && !found.dkim_aligned);
    assert_eq!((&*found.author_domain, &*found.organizational_domain), ("a.test", "a.test"));
    let with_key = zone().txt("s._domainkey.a.test", &rsa_record());
    let found = dmarc(with_key, "x@elsewhere.test", &signed(rsa(), "a.test", &plain));
    assert_eq!(found.result, AuthResult::Pass);
    assert!(found.dkim_aligned && !found.spf_aligned);
    let found = dmarc(open(zone(), "b.test"), "x@b.test", &plain);
    assert_eq!(verdict(&found), (AuthResult::Fail, DomainWish::Reject));
    // A bounce: the HELO name speaks.
    let found = dmarc(open(zone(), "client.test"), "", &message("me@client.test"));
    assert_eq!(found.result, AuthResult::None);
    let zone = open(Zone::default().txt("_dmarc.client.test", REJECT), "client.test");
    assert_eq!(dmarc(zone, "", &message("me@client.test")).result, AuthResult::Pass);
}

#[test]
fn the_record_says_what_is_wanted() {
    let fails = |record: &str, author: &str| {
        let zone = Zone::default().txt("_dmarc.org.test", record).host("sub.org.test", CLIENT);
        verdict(&dmarc(zone, "x@y.test", &message(author)))
    };
    let (own, below, absent) = ("a@org.test", "a@sub.org.test", "a@no.org.test");
    for (record, of_own, of_below, of_absent) in [
        ("v=DMARC1; p=none", DomainWish::None, DomainWish::None, DomainWish::None),
        ("v=DMARC1; p=reject", DomainWish::Reject, DomainWish::Reject, DomainWish::Reject),
        (
            "v=DMARC1; p=none; sp=quarantine; np=reject",
            DomainWish::None,
            DomainWish::Quarantine,
            DomainWish::Reject,
        ),
        (
            "v=DMARC1; p=reject; t=y",
            DomainWish::Quarantine,
            DomainWish::Quarantine,
            DomainWish::Quarantine,
        ),
        ("v=DMARC1; p=quarantine; t=y", DomainWish::None, DomainWish::None, DomainWish::None),
        ("v=DMARC1; rua=mailto:a@b.test", DomainWish::None, DomainWish::None, DomainWish::None),
    ] {
        assert_eq!(fails(record, own), (AuthResult::Fail, of_own), "{record}");
        assert_eq!(fails(record, below), (AuthResult::Fail, of_below), "{record}");
        assert_eq!(fails(record, absent), (AuthResult::Fail, of_absent), "{record}");
    }
    assert_eq!(fails("v=DMARC1", own).0, AuthResult::None);
    assert_eq!(fails("v=DMARC2; p=reject", own).0, AuthResult::None);
}

#[test]
fn of_several_records_none_counts_and_one_that_fails_is_not_known() {
    let twice = Zone::default().txt("_dmarc.a.test", REJECT).txt("_dmarc.a.test", REJECT);
    assert_eq!(dmarc(twice, "x@y.test", &message("me@a.test")).result, AuthResult::None);
    let mixed = Zone::default().txt("_dmarc.a.test", "other").txt("_dmarc.a.test", REJECT);
    assert_eq!(dmarc(mixed, "x@y.test", &message("me@a.test")).result, AuthResult::Fail);
    let failing = Zone::default().failing("_dmarc.a.test");
    assert_eq!(dmarc(failing, "x@y.test", &message("me@a.test")).result, AuthResult::TempError);
    // SPF is not known, and might have passed.
    let unsure = Zone::default().txt("_dmarc.a.test", REJECT).failing("a.test");
    assert_eq!(dmarc(unsure, "x@a.test", &message("me@a.test")).result, AuthResult::TempError);
}

#[test]
fn the_tree_is_walked() {
    let plain = message("me@x.y.org.test");
    // Relaxed: a sister below the same organization speaks; strict: it does not.
    let zone = |record: &str| open(Zone::default().txt("_dmarc.org.test", record), "z.org.test");
    let found = dmarc(zone(REJECT), "b@z.org.test", &plain);
    assert_eq!((found.result, &*found.organizational_domain), (AuthResult::Pass, "org.test"));
    assert_eq!(found.published.as_ref().map(|it| &*it.domain), Some("org.test"));
    let found = dmarc(zone("v=DMARC1; p=reject; aspf=s"), "b@z.org.test", &plain);
    assert_eq!(found.result, AuthResult::Fail);
    // psd=n makes an organization of its own in the middle.
    let split = zone(REJECT).txt("_dmarc.y.org.test", "v=DMARC1; p=quarantine; psd=n");
    let found = dmarc(split, "b@z.org.test", &plain);
    assert_eq!(verdict(&found), (AuthResult::Fail, DomainWish::Quarantine));
    assert_eq!(&*found.organizational_domain, "y.org.test");
    // A public suffix: organizations begin below it.
    let suffix =
        open(Zone::default().txt("_dmarc.test", "v=DMARC1; p=reject; psd=y"), "other.test");
    let found = dmarc(suffix, "b@other.test", &plain);
    assert_eq!(verdict(&found), (AuthResult::Fail, DomainWish::Reject));
    assert_eq!(&*found.organizational_domain, "org.test");
}

#[test]
fn a_walk_asks_eight_times_at_most() {
    run(async {
        let server = Server::start(Zone::default());
        let author = format!("me@{}test", "a.".repeat(30));
        let checks = authenticator(&server, &Settings::default());
        checks.check(subject(address("x@y.test"), &message(&author))).await;
        let walked = |log: &[String]| log.iter().filter(|it| it.starts_with("_dmarc.")).count();
        assert_eq!(walked(&server.asked.lock().unwrap()), 8);
    });
}

#[test]
fn a_second_author_hides_nothing() {
    let zone = || open(Zone::default().txt("_dmarc.bank.test", REJECT), "evil.test");
    let zone = || zone().txt("_dmarc.evil.test", REJECT);
    for from in [
        "From: ceo@bank.test, me@evil.test\r\n",
        "From: me@evil.test, ceo@bank.test\r\n",
        "From: me@evil.test\r\nFrom: ceo@bank.test\r\n",
        "From: me@evil.test\r\nFrom : ceo@bank.test\r\n",
        "From :\r\n\tceo@bank.test\r\n",
        "FROM: \"me@evil.test\" <ceo@BANK.test>\r\n",
    ] {
        let message = format!("{from}Subject: x\r\n\r\nbody\r\n");
        let found = dmarc(zone(), "me@evil.test", message.as_bytes());
        assert_eq!(verdict(&found), (AuthResult::Fail, DomainWish::Reject), "{from:?} {found:?}");
        assert_eq!(&*found.author_domain, "bank.test", "{from:?}");
    }
    let many: String = (0..9).map(|n| format!("From: a@d{n}.test\r\n")).collect();
    let found = dmarc(zone(), "me@evil.test", format!("{many}\r\nbody\r\n").as_bytes());
    assert_eq!(found.result, AuthResult::PermError);
    for (from, expected) in
        [("From: nobody\r\n", AuthResult::PermError), ("To: a@b.test\r\n", AuthResult::None)]
    {
        let found = dmarc(zone(), "me@evil.test", format!("{from}\r\nbody\r\n").as_bytes());
        assert_eq!(found.result, expected, "{from}");
    }
}

#[test]
fn spf_cannot_plant_records_for_others() {
    run(async {
        let zone = Zone::default()
            .txt("_dmarc.bank.test", REJECT)
            .txt("evil.test", "v=spf1 include:_dmarc.bank.test exp=_dmarc.bank.test -all");
        let server = Server::start(zone);
        let checks = authenticator(&server, &Settings::default());
        checks.check(subject(address("me@evil.test"), &message("me@evil.test"))).await;
        let found = checks.check(subject(address("x@y.test"), &message("ceo@bank.test"))).await;
        assert_eq!(verdict(&found.dmarc), (AuthResult::Fail, DomainWish::Reject));
    });
}
