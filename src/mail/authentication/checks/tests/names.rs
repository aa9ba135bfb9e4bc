//! iprev, and settings that change.

use proto::types::AuthResult;

use super::super::{AuthenticatorError, Policy, iprev};
use super::*;

fn check(zone: Zone, client: &str) -> (AuthResult, String) {
    run(async {
        let world = World::new(zone);
        let found = iprev::check(world.inquiry(), ip(client)).await;
        (found.result, found.name.into())
    })
}

#[test]
fn names_lead_back_or_not() {
    const ARPA: &str = "1.2.0.192.in-addr.arpa";
    let zone = || Zone::default().ptr(ARPA, "h.test");
    assert_eq!(check(zone().host("h.test", CLIENT), CLIENT), (AuthResult::Pass, "h.test".into()));
    assert_eq!(check(zone().host("h.test", "192.0.2.2"), CLIENT).0, AuthResult::Fail);
    assert_eq!(check(zone(), CLIENT).0, AuthResult::Fail);
    assert_eq!(check(zone().failing("h.test"), CLIENT).0, AuthResult::TempError);
    assert_eq!(check(Zone::default(), CLIENT), (AuthResult::PermError, String::new()));
    assert_eq!(check(Zone::default().failing(ARPA), CLIENT).0, AuthResult::TempError);
    let both = zone().ptr(ARPA, "good.test").host("good.test", CLIENT);
    assert_eq!(check(both, CLIENT), (AuthResult::Pass, "good.test".into()));
    let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
    let zone = Zone::default().ptr(six, "six.test").host("six.test", "2001:db8::1");
    assert_eq!(check(zone, "2001:db8::1"), (AuthResult::Pass, "six.test".into()));
}

#[test]
fn what_is_known_outlives_a_reload_that_asks_the_same() {
    run(async {
        let server = Server::start(Zone::default().txt("a.test", "v=spf1 +all"));
        let message = keys::message("me@a.test");
        let checks = authenticator(&server, &Settings::default());
        checks.check(subject(address("me@a.test"), &message)).await;
        let asked = server.count();
        let settings = Settings { policy: Policy::Reject, ..Settings::default() };
        checks.reload(&settings, &server.settings()).unwrap();
        checks.clone().check(subject(address("me@a.test"), &message)).await;
        assert_eq!(server.count(), asked);
        let other = Server::start(Zone::default());
        checks.reload(&settings, &other.settings()).unwrap();
        let report = checks.check(subject(address("me@a.test"), &message)).await;
        assert_eq!((server.count(), report.spf.decisive().result), (asked, AuthResult::None));
        assert!(other.count() > 0);
        let broken = Settings { trusted_sealers: vec!["-".to_owned()], ..settings };
        let error = checks.reload(&broken, &server.settings()).unwrap_err();
        assert!(matches!(error, AuthenticatorError::Rules(_)));
        let count = other.count();
        checks.check(subject(address("me@a.test"), &message)).await;
        assert_eq!((server.count(), other.count()), (asked, count));
    });
}

#[test]
fn reports_are_json_and_their_summary_says_the_best_of_signatures() {
    let zone = Zone::default().txt("a.test", "v=spf1 ip4:192.0.2.1 -all");
    let zone = zone.txt("s._domainkey.a.test", &keys::rsa_record());
    let good = keys::signed(keys::rsa(), "a.test", &keys::message("me@a.test"));
    let bad = keys::field(keys::ed25519(), "b.test", &keys::NAMES, b"From: x@b.test\r\n\r\n!\r\n");
    let report = examined(zone, "me@a.test", &[bad.as_bytes(), &good].concat());
    let summary = report.summary();
    assert_eq!((summary.spf, summary.dkim), (AuthResult::Pass, AuthResult::Pass));
    assert_eq!((summary.arc, summary.dmarc), (AuthResult::None, AuthResult::None));
    assert!(!summary.is_quarantined);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["spf"]["mail_from"]["result"], "pass");
    assert_eq!(json["dkim"][1]["result"], "fail");
    assert_eq!(json["iprev"]["client"], CLIENT);
}
