//! DKIM: good signatures, broken ones, weak ones, and floods of them.

use proto::types::AuthResult;

use super::super::Dkim;
use super::*;
use keys::{ed25519, ed25519_record, field, message, rsa, rsa_record, signed, simple};

fn zone() -> Zone {
    Zone::default()
        .txt("s._domainkey.a.test", &rsa_record())
        .txt("s._domainkey.ed.test", &ed25519_record())
}

fn checked(message: &[u8]) -> Vec<Dkim> {
    examined(zone(), "", message).dkim
}

fn result(message: &[u8]) -> AuthResult {
    let found = checked(message);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].result
}

#[test]
fn good_ones_pass() {
    let plain = message("me@a.test");
    for (message, algorithm) in [
        (signed(rsa(), "a.test", &plain), "rsa-sha256"),
        (simple(rsa(), "a.test", &plain), "rsa-sha256"),
        (signed(ed25519(), "ed.test", &plain), "ed25519-sha256"),
    ] {
        let found = checked(&message);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].result, found[0].algorithm), (AuthResult::Pass, algorithm));
        assert_eq!((&*found[0].selector, found[0].signature.len()), ("s", 8));
    }
    assert!(checked(&plain).is_empty());
}

#[test]
fn broken_ones_fail() {
    let good = signed(rsa(), "a.test", &message("me@a.test"));
    let text = String::from_utf8(good).unwrap();
    assert_eq!(result(text.replace("A body", "B body").as_bytes()), AuthResult::Fail);
    assert_eq!(
        result(text.replace("Subject: hello", "Subject: hullo").as_bytes()),
        AuthResult::Fail
    );
    assert_eq!(result(text.replace("d=a.test", "d=absent.test").as_bytes()), AuthResult::PermError);
    assert_eq!(result(text.replace("v=1;", "v=2;").as_bytes()), AuthResult::Neutral);
    assert_eq!(result(text.replace("d=a.test;", "").as_bytes()), AuthResult::Neutral);
    let failing = zone().failing("s._domainkey.x.test");
    let found = examined(failing, "", text.replace("d=a.test", "d=x.test").as_bytes());
    assert_eq!(found.dkim[0].result, AuthResult::TempError);
}

#[test]
fn a_wrong_body_costs_no_question() {
    run(async {
        let server = Server::start(zone());
        let text = String::from_utf8(signed(rsa(), "a.test", &message("me@a.test"))).unwrap();
        let checks = authenticator(&server, &Settings::default());
        for (text, asked) in [(text.replace("A body", "B body"), false), (text, true)] {
            checks.check(subject(None, text.as_bytes())).await;
            let log = server.asked.lock().unwrap().join("\n");
            assert_eq!(log.contains("_domainkey"), asked, "{log}");
        }
    });
}

#[test]
fn weak_ones_never_pass() {
    let plain = message("me@a.test");
    let text = String::from_utf8(signed(rsa(), "a.test", &plain)).unwrap();
    assert_eq!(result(text.replace("rsa-sha256", "rsa-sha1").as_bytes()), AuthResult::Policy);
    // A signature is as long as its key: this one is of 512 bits.
    let (front, rest) = text.split_once(" b=").unwrap();
    let end = rest.find(';').unwrap();
    let short = format!("{front} b={}{}", "A".repeat(86) + "==", &rest[end..]);
    let found = checked(short.as_bytes());
    assert_eq!(found[0].result, AuthResult::Policy);
    assert!(found[0].reason.contains("1024 bits"), "{found:?}");
    assert_eq!(result(text.replace(" d=a.test", " l=3; d=a.test").as_bytes()), AuthResult::Policy);
    let unsigned = field(rsa(), "a.test", &["Subject"], &plain);
    let found = checked(&[unsigned.as_bytes(), &plain].concat());
    assert_eq!((found[0].result, &*found[0].reason), (AuthResult::PermError, "From is not signed"));
}

#[test]
fn a_flood_does_not_hide_the_authors() {
    let plain = message("me@a.test");
    let good = String::from_utf8(signed(rsa(), "a.test", &plain)).unwrap();
    let bad = field(ed25519(), "ed.test", &keys::NAMES, b"From: x@y.test\r\n\r\nother\r\n");
    let flood = bad.repeat(200) + &good;
    let found = checked(flood.as_bytes());
    assert_eq!((found[0].result, &*found[0].domain), (AuthResult::Pass, "a.test"));
    assert_eq!(found.len(), 9);
    assert_eq!(found[7].result, AuthResult::Fail);
    assert_eq!(found[8].result, AuthResult::Policy);
    assert!(found[8].reason.starts_with("193 not looked at"), "{:?}", found[8]);
    let two = String::from_utf8(signed(ed25519(), "ed.test", good.as_bytes())).unwrap();
    let results: Vec<AuthResult> = checked(two.as_bytes()).iter().map(|it| it.result).collect();
    assert_eq!(results, [AuthResult::Pass; 2]);
}
