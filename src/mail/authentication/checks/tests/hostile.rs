//! Hostile DNS and hostile messages: bounded time and memory, and others go on.

use std::time::Instant;

use proto::types::AuthResult;

use super::*;
use engine::settings::Span;
use keys::{ed25519, ed25519_record, field, message, signed};

/// Far more than any of this takes on a machine under load.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn who_never_answers_ends_at_the_deadline_and_others_go_on() {
    run(async {
        let zone = Zone::default().silent("lame.test").txt("good.test", "v=spf1 +all");
        let zone = zone.txt("s._domainkey.good.test", &ed25519_record());
        let server = Server::start(zone.txt("_dmarc.good.test", "v=DMARC1; p=reject"));
        let settings = Settings { deadline: Span::secs(4), ..Settings::default() };
        let checks = authenticator(&server, &settings);
        let plain = message("me@lame.test");
        let lame = signed(ed25519(), "lame.test", &plain);
        let begun = Instant::now();
        let mut hanging: Vec<_> = (0..50)
            .map(|_| {
                let (checks, lame) = (checks.clone(), lame.clone());
                tokio::task::spawn_local(async move {
                    checks.check(subject(address("me@lame.test"), &lame)).await
                })
            })
            .collect();
        let good = signed(ed25519(), "good.test", &message("me@good.test"));
        let report = checks.check(subject(address("me@good.test"), &good)).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!(report.dmarc.result, AuthResult::Pass, "{report:?}");
        for task in hanging.drain(..) {
            let report = task.await.unwrap();
            assert_eq!(report.dmarc.result, AuthResult::TempError, "{report:?}");
            assert_eq!(report.spf.decisive().result, AuthResult::TempError);
            assert_eq!(report.dkim[0].result, AuthResult::TempError);
        }
        assert!(begun.elapsed() < Duration::from_secs(4) + PATIENCE, "{:?}", begun.elapsed());
    });
}

/// A signature of the author that passes is worth a pass, even if the flood never ends.
#[test]
fn lame_signatures_do_not_take_the_authors_time() {
    run(async {
        let zone =
            Zone::default().silent("lame.test").txt("s._domainkey.good.test", &ed25519_record());
        let server = Server::start(zone.txt("_dmarc.good.test", "v=DMARC1; p=reject"));
        let settings = Settings { deadline: Span::secs(2), ..Settings::default() };
        let plain = message("me@good.test");
        let good = signed(ed25519(), "good.test", &plain);
        let lame: String = (0..7)
            .map(|n| field(ed25519(), &format!("d{n}.lame.test"), &keys::NAMES, &plain))
            .collect();
        let all = [lame.as_bytes(), &good].concat();
        let report =
            authenticator(&server, &settings).check(subject(address("x@lame.test"), &all)).await;
        assert_eq!(report.dkim[0].result, AuthResult::Pass, "{report:?}");
        assert_eq!(report.dkim[1].result, AuthResult::TempError, "{report:?}");
        assert_eq!(report.dmarc.result, AuthResult::Pass, "{report:?}");
    });
}

#[test]
fn ten_thousand_signatures_take_no_time() {
    let plain = message("me@good.test");
    let good = signed(ed25519(), "good.test", &plain);
    let bad = field(ed25519(), "bad.test", &keys::NAMES, &plain);
    let zone = Zone::default().txt("s._domainkey.good.test", &ed25519_record());
    let flood = [bad.repeat(10_000).as_bytes(), &good].concat();
    let begun = Instant::now();
    let report = examined(zone.clone(), "x@y.test", &flood);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert_eq!(report.dkim.len(), 1);
    assert_eq!(report.dkim[0].result, AuthResult::Policy);
    assert!(report.dkim[0].reason.starts_with("10001 not looked at"), "{report:?}");
    // As many as are still looked at.
    let flood = [bad.repeat(1500).as_bytes(), &good].concat();
    let report = examined(zone, "x@y.test", &flood);
    assert_eq!(report.dkim.len(), 9);
    assert_eq!(report.dkim[0].result, AuthResult::Pass);
}

#[test]
fn huge_headers_take_no_time_and_the_author_is_still_seen() {
    let zone = Zone::default().txt("_dmarc.good.test", "v=DMARC1; p=reject");
    let names = "a:".repeat(5_000_000);
    for head in [
        "X: y\r\n".repeat(1_700_000),
        format!("X: {}\r\n", "y".repeat(10_000_000)),
        " \n".repeat(5_000_000),
        format!("DKIM-Signature: v=1; h={names}\r\n"),
        format!("Authentication-Results: {}\r\n", "(".repeat(10_000_000)),
    ] {
        let message = [head.as_bytes(), &message("me@good.test")].concat();
        let begun = Instant::now();
        let report = examined(zone.clone(), "x@y.test", &message);
        assert!(super::super::forged_fields(&message, HOSTNAME).is_empty());
        assert!(begun.elapsed() < PATIENCE, "{:?} {:?}", &head[..20], begun.elapsed());
        assert_eq!(report.dmarc.result, AuthResult::Fail, "{:?} {report:?}", &head[..20]);
    }
}

#[test]
fn many_signed_names_among_many_fields_are_not_compared() {
    let names: Vec<String> = (0..1000).map(|n| format!("x{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["From"]).collect();
    let plain = ["X: y\r\n".repeat(1000).as_bytes(), &message("me@good.test")].concat();
    let signature = field(ed25519(), "good.test", &names, &plain);
    let zone = Zone::default().txt("s._domainkey.good.test", &ed25519_record());
    let report = examined(zone, "x@y.test", &[signature.as_bytes(), &plain].concat());
    assert_eq!(
        (report.dkim[0].result, &*report.dkim[0].reason),
        (AuthResult::Policy, "too many signed fields")
    );
}

#[test]
fn aliases_in_a_circle_end() {
    let mut zone = Zone::default().txt("me.test", "v=spf1 a:loop.test exists:self.test +all");
    zone = zone.alias("loop.test", "pool.test").alias("pool.test", "loop.test");
    zone = zone.alias("self.test", "self.test").alias("_dmarc.me.test", "_dmarc.me.test");
    let begun = Instant::now();
    let report = examined(zone, "x@me.test", &message("me@me.test"));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    let spf = report.spf.decisive().result;
    assert!(matches!(spf, AuthResult::TempError | AuthResult::Pass), "{report:?}");
}

#[test]
fn big_messages_are_checked_elsewhere_and_the_same() {
    let mut big = message("me@good.test");
    big.extend_from_slice(&b"0123456789012345678901234567890123456789\r\n".repeat(50_000));
    let zone = Zone::default()
        .txt("s._domainkey.good.test", &ed25519_record())
        .txt("_dmarc.good.test", "v=DMARC1; p=reject");
    let good = signed(ed25519(), "good.test", &big);
    let report = examined(zone.clone(), "x@y.test", &good);
    assert_eq!(report.dmarc.result, AuthResult::Pass, "{report:?}");
    let last = good.len() - 3;
    let broken = [&good[..last], b"!\r\n"].concat();
    let report = examined(zone, "x@y.test", &broken);
    assert_eq!((report.dkim[0].result, report.dmarc.result), (AuthResult::Fail, AuthResult::Fail));
}

#[test]
fn questions_that_wait_for_a_place_end_in_time() {
    run(async {
        let server =
            Server::start(Zone::default().silent("lame.test").txt("good.test", "v=spf1 +all"));
        let dns = engine::dns::Settings { queries_max: 2, ..server.settings() };
        let settings = Settings { deadline: Span::secs(2), ..Settings::default() };
        let checks = Authenticator::new(&settings, &dns).unwrap();
        let tasks: Vec<_> = (0..20)
            .map(|n| {
                let checks = checks.clone();
                let sender = format!("me@d{n}.lame.test");
                tokio::task::spawn_local(async move {
                    checks.check(subject(address(&sender), &message("me@x.lame.test"))).await
                })
            })
            .collect();
        let begun = Instant::now();
        for task in tasks {
            assert_eq!(task.await.unwrap().spf.decisive().result, AuthResult::TempError);
        }
        assert!(begun.elapsed() < Duration::from_secs(2) + PATIENCE);
        assert!(server.count() <= 40, "{}", server.count());
    });
}

#[test]
fn strange_fields_take_no_time() {
    for piece in ["(", "\"", "<", ",", "=?utf-8?q?", "a@b.test,", ":", ";", "\\", "@", "a b "] {
        for name in ["From", "DKIM-Signature", "ARC-Seal", "ARC-Authentication-Results"] {
            let field = format!("{name}: {}\r\n", piece.repeat(60_000 / piece.len()));
            let message = [field.as_bytes(), &message("me@good.test")].concat();
            let begun = Instant::now();
            examined(Zone::default(), "x@y.test", &message);
            assert!(begun.elapsed() < PATIENCE, "{name} {piece:?} {:?}", begun.elapsed());
        }
    }
    let signature =
        |tags: &str| format!("DKIM-Signature: v=1; a=rsa-sha256; d=a.test; s=s; {tags}\r\n");
    for tags in [
        format!("bh=AAAA; b={}; h=from{}", "A".repeat(344), ":a".repeat(200_000)),
        format!("bh=AAAA; h=from; b={}", "A".repeat(400_000)),
        format!("bh=AAAA; h=from; b={}; z={}", "A".repeat(344), "a:b|".repeat(100_000)),
    ] {
        let message = [signature(&tags).as_bytes(), &message("me@a.test")].concat();
        let begun = Instant::now();
        let report = examined(Zone::default(), "x@y.test", &message);
        assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
        assert_ne!(report.dkim[0].result, AuthResult::Pass);
    }
}
