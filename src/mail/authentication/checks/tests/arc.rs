//! ARC: chains that hold, that are broken, and whose word counts.

use mail_auth::{
    ArcOutput, AuthenticatedMessage, AuthenticationResults, DkimResult, Error, Parameters,
    arc::{ArcError, ArcSealer},
    headers::HeaderWriter as _,
};
use proto::types::AuthResult;

use super::*;
use keys::{ed25519, ed25519_record, message, rsa_record};

const REJECT: &str = "v=DMARC1; p=reject; rua=mailto:r@a.test";

fn zone() -> Zone {
    Zone::default()
        .txt("s._domainkey.list.test", &ed25519_record())
        .txt("s._domainkey.other.test", &ed25519_record())
        .txt("s._domainkey.a.test", &rsa_record())
        .txt("_dmarc.a.test", REJECT)
}

/// Seals a message as `domain`, with results as it would write them.
async fn sealed(domain: &str, results: &str, message: &[u8]) -> Vec<u8> {
    let world = World::new(zone());
    let parsed = AuthenticatedMessage::parse(message).unwrap();
    let mut keys = super::super::dkim::Handed::default();
    for name in ["list.test", "other.test"] {
        keys.add("s", name, world.inquiry().key("s", name).await.unwrap());
    }
    let known = Parameters::new(&parsed).with_cache(&keys);
    let arc: ArcOutput<'_> = world.desk.verifier.verify_arc(known).await;
    // The results go in by name, for there is no other way to write just these.
    let hostname = format!("mx.{domain}; {results}");
    let written = AuthenticationResults::new(&hostname);
    let sealer = ArcSealer::from_key(ed25519()).domain(domain).selector("s");
    let sealer = sealer.headers(["From", "To", "Subject"]);
    let set = sealer.seal(&parsed, &written, &arc).unwrap();
    [set.to_header().as_bytes(), message].concat()
}

async fn report(message: &[u8], trusted: &[&str]) -> Report {
    let server = Server::start(zone());
    let trusted_sealers = trusted.iter().map(|it| (*it).to_owned()).collect();
    let settings = Settings { trusted_sealers, ..Settings::default() };
    authenticator(&server, &settings).check(subject(address("bounce@list.test"), message)).await
}

#[test]
fn whole_chains_pass_and_broken_ones_fail() {
    run(async {
        let one = sealed("list.test", "dmarc=pass header.from=a.test", &message("me@a.test")).await;
        let two = sealed("other.test", "arc=pass", &one).await;
        for (message, length, sealer) in [(&one, 1, "list.test"), (&two, 2, "other.test")] {
            let arc = report(message, &[]).await.arc;
            assert_eq!((arc.result, arc.chain_length), (AuthResult::Pass, length), "{arc:?}");
            assert_eq!(&*arc.sealer, sealer);
        }
        let text = String::from_utf8(two).unwrap();
        for (what, with) in [
            ("A body", "B body"),
            ("Subject: hello", "Subject: hullo"),
            ("dmarc=pass", "dmarc=fail"),
            ("i=2; a", "i=3; a"),
            ("ARC-Seal: i=2", "X-Seal: i=2"),
            ("d=list.test; cv=none", "d=absent.test; cv=none"),
        ] {
            assert!(text.contains(what), "{what} in {text}");
            let broken = text.replacen(what, with, 1);
            let arc = report(broken.as_bytes(), &[]).await.arc;
            assert_eq!(arc.result, AuthResult::Fail, "{what}: {arc:?}");
        }
        assert_eq!(report(&message("me@a.test"), &[]).await.arc.result, AuthResult::None);
    });
}

#[test]
fn who_is_trusted_may_vouch() {
    run(async {
        let plain = message("me@a.test");
        let passed = sealed("list.test", "dmarc=pass (p=x) header.from=a.test", &plain).await;
        let failed = sealed("list.test", "dmarc=fail header.from=a.test", &plain).await;
        let foreign = sealed("list.test", "dmarc=pass header.from=b.test", &plain).await;
        let twice = sealed("other.test", "arc=pass; dmarc=fail header.from=a.test", &passed).await;
        // The second did not look, so what the first says may be about another message.
        let blind = sealed("other.test", "spf=none", &passed).await;
        for (message, trusted, overridden) in [
            (&passed, &["list.test"][..], true),
            (&passed, &["other.test"], false),
            (&passed, &[], false),
            (&failed, &["list.test"], false),
            (&foreign, &["list.test"], false),
            (&twice, &["list.test", "other.test"], true),
            (&twice, &["list.test"], false),
            (&twice, &["other.test"], false),
            (&blind, &["list.test", "other.test"], false),
        ] {
            let found = report(message, trusted).await;
            assert_eq!(found.arc.result, AuthResult::Pass, "{:?}", found.arc);
            assert_eq!(found.dmarc.result, AuthResult::Fail, "{:?}", found.dmarc);
            assert_eq!(found.dmarc.overridden_by_arc, overridden, "{trusted:?} {found:?}");
        }
        let text = String::from_utf8(passed).unwrap().replace("A body", "B body");
        assert!(!report(text.as_bytes(), &["list.test"]).await.dmarc.overridden_by_arc);
    });
}

#[test]
fn a_chain_has_an_end() {
    let set = |n: usize| {
        format!(
            "ARC-Seal: i={n}; a=rsa-sha256; t=1; cv=pass; d=x.test; s=s; b={b}\r\n\
             ARC-Message-Signature: i={n}; a=rsa-sha256; d=x.test; s=s; h=from; bh=AAAA; b={b}\r\n\
             ARC-Authentication-Results: i={n}; x.test; none\r\n",
            b = "A".repeat(344),
        )
    };
    let sets: String = (1..=21).rev().map(set).collect();
    let message = [sets.as_bytes(), &message("me@a.test")].concat();
    let arc = run(report(&message, &[])).arc;
    assert_eq!((arc.result, arc.chain_length), (AuthResult::Policy, 21), "{arc:?}");
    // One word for all that mail-auth calls a broken chain.
    assert_eq!(
        DkimResult::Fail(Error::Arc(ArcError::ChainTooLong)).to_string(),
        "fail; Too many ARC headers"
    );
}
