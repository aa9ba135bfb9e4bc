//! Rules as a table (a fact that is changed in a perfect domain, and the advice that follows), and the
//! records that facts are read from.

use super::facts::*;
use super::{Advice, Severity, Topic, dmarc, judge, keys};
use crate::authentication::survey::spf::{All, Cost, Visited};

const RSA_2048: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA";

fn rsa(bits: usize) -> keys::Key {
    keys::Key {
        kind: keys::KeyKind::Rsa,
        bits,
        is_revoked: false,
        is_testing: false,
        is_sha1_only: false,
        is_for_others: false,
    }
}

fn found(selector: &str, origin: Origin, key: keys::Key) -> KeyFacts {
    let record = Some("v=DKIM1; t=y; p=abc".to_owned());
    KeyFacts { selector: selector.to_owned(), origin, record, key: Some(key), fault: None }
}

fn dmarc_facts(domain: &str, records: &[(&str, &str)]) -> DmarcFacts {
    let records = records.iter().map(|(at, text)| dmarc::parse(at, text)).collect();
    let mut facts = DmarcFacts { records, ..DmarcFacts::default() };
    dmarc::apply(domain, true, &mut facts);
    facts
}

fn text(record: &str) -> TextFacts {
    TextFacts { records: vec![record.to_owned()], ..TextFacts::default() }
}

/// Nothing is to be done about it.
fn perfect() -> Facts {
    let record = "v=spf1 mx -all".to_owned();
    let visited = Visited { domain: "x.test".into(), record: record.clone(), by: None };
    let address = AddressFacts {
        address: "192.0.2.1".parse().unwrap(),
        names: vec!["mail.x.test".into()],
        is_confirmed: true,
        unknown: None,
    };
    let host = ExchangerFacts {
        host: "mail.x.test".into(),
        preference: 10,
        addresses: vec![address],
        tlsa: vec!["3 1 1 00".into()],
        tlsa_secure: Some(true),
        ..ExchangerFacts::default()
    };
    let all = Some(All::Fail);
    let cost = Cost { records: vec![visited], all, lookups: 1, ..Cost::default() };
    Facts {
        domain: "x.test".into(),
        exists: true,
        mx: MxFacts { hosts: vec![host], ..MxFacts::default() },
        spf: SpfFacts { records: vec![record], cost: Some(cost), unknown: None },
        dkim: DkimFacts { keys: vec![found("s1", Origin::Own, rsa(2048))], ..DkimFacts::default() },
        dmarc: dmarc_facts("x.test", &[("x.test", "v=DMARC1; p=reject; rua=mailto:d@x.test")]),
        mta_sts: text("v=STSv1; id=1"),
        tls_rpt: text("v=TLSRPTv1; rua=mailto:t@x.test"),
    }
}

fn cost(facts: &mut Facts) -> &mut Cost {
    facts.spf.cost.as_mut().unwrap()
}

fn key(facts: &mut Facts) -> &mut KeyFacts {
    &mut facts.dkim.keys[0]
}

fn set_spf(facts: &mut Facts, records: &[&str], all: Option<All>) {
    facts.spf.records = records.iter().map(|it| (*it).to_owned()).collect();
    facts.spf.cost = (records.len() == 1).then(|| Cost { all, lookups: 1, ..Cost::default() });
}

fn set_dmarc(facts: &mut Facts, records: &[(&str, &str)]) {
    facts.dmarc = dmarc_facts("x.test", records);
}

/// What is to be done, without what is fine.
fn to_do(facts: &Facts) -> Vec<Advice> {
    judge(facts).into_iter().filter(|advice| advice.severity != Severity::Fine).collect()
}

#[test]
fn a_perfect_domain_has_nothing_to_do() {
    let advice = judge(&perfect());
    assert!(advice.iter().all(|it| it.severity == Severity::Fine), "{advice:#?}");
    let topics = [Topic::Spf, Topic::Dkim, Topic::Dmarc, Topic::Mx, Topic::Ptr, Topic::Dane];
    for topic in topics.into_iter().chain([Topic::MtaSts, Topic::TlsRpt, Topic::Bulk]) {
        assert!(advice.iter().any(|it| it.topic == topic), "{topic:?}");
    }
}

/// A fault: what it is, its severity and topic, words of the text, and the record that mends it.
type Fault = (fn(&mut Facts), Severity, Topic, &'static str, &'static str);

const FAULTS: &[Fault] = &[
    (
        |it| set_spf(it, &[], None),
        Severity::Must,
        Topic::Spf,
        "no SPF record",
        "x.test. TXT \"v=spf1 mx -all\"",
    ),
    (
        |it| set_spf(it, &["v=spf1 mx -all", "v=spf1 a mx ?all"], None),
        Severity::Must,
        Topic::Spf,
        "2 SPF records",
        "x.test. TXT \"v=spf1 mx a ~all\"",
    ),
    (
        |it| set_spf(it, &["v=spf1 mx +all"], Some(All::Pass)),
        Severity::Must,
        Topic::Spf,
        "everybody may send",
        "x.test. TXT \"v=spf1 mx ~all\"",
    ),
    (
        |it| set_spf(it, &["v=spf1 mx ?all"], Some(All::Neutral)),
        Severity::Should,
        Topic::Spf,
        "?all",
        "x.test. TXT \"v=spf1 mx ~all\"",
    ),
    (
        |it| set_spf(it, &["v=spf1 mx"], None),
        Severity::Should,
        Topic::Spf,
        "does not end",
        "x.test. TXT \"v=spf1 mx ~all\"",
    ),
    (|it| cost(it).lookups = 11, Severity::Must, Topic::Spf, "11 look-ups", ""),
    (|it| cost(it).lookups = 8, Severity::Should, Topic::Spf, "8 of the 10", ""),
    (
        |it| cost(it).void_lookups = ["a", "b", "c"].map(String::from).to_vec(),
        Severity::Must,
        Topic::Spf,
        "a, b, c",
        "",
    ),
    (
        |it| cost(it).void_lookups = vec!["gone.test".into()],
        Severity::Should,
        Topic::Spf,
        "gone.test",
        "",
    ),
    (|it| cost(it).faults = vec!["wrong".into()], Severity::Must, Topic::Spf, "wrong", ""),
    (|it| cost(it).uses_ptr = true, Severity::Should, Topic::Spf, "ptr", ""),
    (|it| it.spf.unknown = Some("late".into()), Severity::Should, Topic::Spf, "late", ""),
    (
        |it| it.dkim.keys.clear(),
        Severity::Must,
        Topic::Dkim,
        "no DKIM key",
        "<selector>._domainkey.x.test. TXT \"v=DKIM1; k=rsa; p=<public key, base64>\"",
    ),
    (
        |it| {
            let key = key(it);
            (key.record, key.key) = (None, None);
        },
        Severity::Must,
        Topic::Dkim,
        "there is no record s1._domainkey.x.test",
        "s1._domainkey.x.test. TXT \"v=DKIM1; k=<rsa or ed25519>; p=<public key, base64>\"",
    ),
    (
        |it| {
            let key = key(it);
            (key.key, key.fault) = (None, Some("no base64".into()));
        },
        Severity::Must,
        Topic::Dkim,
        "no base64",
        "",
    ),
    (|it| key(it).key = Some(rsa(1024)), Severity::Should, Topic::Dkim, "1024 bits", ""),
    (|it| key(it).key = Some(rsa(768)), Severity::Must, Topic::Dkim, "768 bits", ""),
    (
        |it| key(it).key.as_mut().unwrap().is_testing = true,
        Severity::Should,
        Topic::Dkim,
        "t=y",
        "s1._domainkey.x.test. TXT \"v=DKIM1; p=abc\"",
    ),
    (
        |it| key(it).key.as_mut().unwrap().is_sha1_only = true,
        Severity::Must,
        Topic::Dkim,
        "SHA-256",
        "",
    ),
    (
        |it| key(it).key.as_mut().unwrap().is_revoked = true,
        Severity::Must,
        Topic::Dkim,
        "withdrawn",
        "",
    ),
    (
        |it| {
            let key = key(it);
            key.origin = Origin::Usual;
            key.key.as_mut().unwrap().kind = keys::KeyKind::Ed25519;
        },
        Severity::Must,
        Topic::Dkim,
        "no RSA key",
        "<selector>._domainkey.x.test. TXT \"v=DKIM1; k=rsa; p=<public key, base64>\"",
    ),
    (
        |it| set_dmarc(it, &[]),
        Severity::Must,
        Topic::Dmarc,
        "no DMARC record",
        "_dmarc.x.test. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@x.test\"",
    ),
    (
        |it| set_dmarc(it, &[("x.test", "v=DMARC1; p=maybe; rua=mailto:d@x.test")]),
        Severity::Must,
        Topic::Dmarc,
        "p=maybe",
        "_dmarc.x.test. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@x.test\"",
    ),
    (
        |it| {
            it.dmarc = DmarcFacts { several: vec!["x.test".into()], ..DmarcFacts::default() };
        },
        Severity::Must,
        Topic::Dmarc,
        "more than one",
        "_dmarc.x.test. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@x.test\"",
    ),
    (
        |it| set_dmarc(it, &[("x.test", "v=DMARC1; p=none; rua=mailto:d@x.test")]),
        Severity::Should,
        Topic::Dmarc,
        "p=none",
        "_dmarc.x.test. TXT \"v=DMARC1; p=quarantine; rua=mailto:d@x.test\"",
    ),
    (
        |it| set_dmarc(it, &[("test", "v=DMARC1; p=reject; sp=none; rua=mailto:d@test")]),
        Severity::Should,
        Topic::Dmarc,
        "sp=none",
        "_dmarc.test. TXT \"v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@test\"",
    ),
    (
        |it| set_dmarc(it, &[("x.test", "v=DMARC1; p=reject")]),
        Severity::Should,
        Topic::Dmarc,
        "no reports",
        "_dmarc.x.test. TXT \"v=DMARC1; p=reject; rua=mailto:postmaster@x.test\"",
    ),
    (
        |it| set_dmarc(it, &[("x.test", "v=DMARC1; p=reject; t=y; rua=mailto:d@x.test")]),
        Severity::Should,
        Topic::Dmarc,
        "test",
        "_dmarc.x.test. TXT \"v=DMARC1; p=reject; t=n; rua=mailto:d@x.test\"",
    ),
    (
        |it| {
            let address = "d@else.test".to_owned();
            it.dmarc.reports = vec![ReportFacts { address, is_authorized: Some(false) }];
        },
        Severity::Should,
        Topic::Dmarc,
        "d@else.test",
        "x.test._report._dmarc.else.test. TXT \"v=DMARC1\"",
    ),
    (
        |it| it.mx.hosts.clear(),
        Severity::Must,
        Topic::Mx,
        "no MX record, and no address",
        "x.test. MX 10 mail.x.test.",
    ),
    (
        |it| {
            it.mx.hosts.clear();
            it.mx.is_null = true;
        },
        Severity::Should,
        Topic::Mx,
        "null MX",
        "x.test. MX 10 mail.x.test.",
    ),
    (
        |it| it.mx.is_implicit = true,
        Severity::Should,
        Topic::Mx,
        "own address",
        "x.test. MX 10 x.test.",
    ),
    (
        |it| it.mx.hosts[0].addresses.clear(),
        Severity::Must,
        Topic::Mx,
        "mail.x.test has no address",
        "mail.x.test. A <address of your server>",
    ),
    (
        |it| it.mx.hosts[0].alias_of = Some("y.test".into()),
        Severity::Should,
        Topic::Mx,
        "alias",
        "",
    ),
    (
        |it| it.mx.hosts[0].addresses[0].is_confirmed = false,
        Severity::Must,
        Topic::Ptr,
        "does not lead back",
        "1.2.0.192.in-addr.arpa. PTR mail.x.test.",
    ),
    (
        |it| {
            let address = &mut it.mx.hosts[0].addresses[0];
            (address.names, address.is_confirmed) = (Vec::new(), false);
            address.address = "2001:db8::12".parse().unwrap();
        },
        Severity::Must,
        Topic::Ptr,
        "leads to no name",
        "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR mail.x.test.",
    ),
    (
        |it| it.mx.hosts[0].tlsa_secure = Some(false),
        Severity::Should,
        Topic::Dane,
        "not signed",
        "",
    ),
    (
        |it| it.mx.hosts[0].tlsa = vec!["1 1 1 00".into()],
        Severity::Should,
        Topic::Dane,
        "can be used",
        "",
    ),
    (
        |it| it.mta_sts.fault = Some("id=".into()),
        Severity::Should,
        Topic::MtaSts,
        "id=",
        "_mta-sts.x.test. TXT \"v=STSv1; id=1\"",
    ),
    (
        |it| it.tls_rpt.fault = Some("rua=".into()),
        Severity::Should,
        Topic::TlsRpt,
        "rua=",
        "_smtp._tls.x.test. TXT \"v=TLSRPTv1; rua=mailto:postmaster@x.test\"",
    ),
    (|it| it.exists = false, Severity::Must, Topic::Mx, "does not know", ""),
];

#[test]
fn each_fault_brings_its_advice_and_no_other() {
    for (change, severity, topic, words, publish) in FAULTS {
        let mut facts = perfect();
        change(&mut facts);
        let advice = to_do(&facts);
        assert_eq!(advice.len(), 1, "{words}: {advice:#?}");
        let advice = &advice[0];
        assert_eq!((advice.severity, advice.topic), (*severity, *topic), "{words}: {advice:#?}");
        assert!(advice.text.contains(words), "{words}: {}", advice.text);
        assert!(!advice.reason.is_empty(), "{words}");
        let record = advice.publish.as_ref();
        let record = record.map(|it| format!("{} {} {}", it.name, it.kind, it.value));
        assert_eq!(record.unwrap_or_default(), *publish, "{words}");
    }
}

#[test]
fn a_domain_that_sends_nothing_needs_little() {
    let mut facts = perfect();
    set_spf(&mut facts, &["v=spf1 -all"], Some(All::Fail));
    facts.dkim.keys.clear();
    (facts.mx.hosts, facts.mx.is_null) = (Vec::new(), true);
    assert_eq!(to_do(&facts), []);
    assert!(judge(&facts).iter().all(|advice| advice.topic != Topic::Bulk));
}

#[test]
fn optional_records_are_proposed() {
    let mut facts = perfect();
    facts.mta_sts = TextFacts::default();
    facts.mx.hosts[0].tlsa.clear();
    assert_eq!(to_do(&facts), []);
    let advice = judge(&facts);
    let sts = advice.iter().find(|advice| advice.topic == Topic::MtaSts).unwrap();
    assert_eq!(sts.publish.as_ref().unwrap().name, "_mta-sts.x.test.");
}

#[test]
fn key_records() {
    let key = |text: &str| keys::parse(text);
    // 2048 bits: a modulus of 257 octets, the first of them zero.
    let mut modulus = vec![0, 0xff];
    modulus.resize(257, 1);
    let der = data_encoding::BASE64.decode(RSA_2048.as_bytes()).unwrap();
    let head = &der[..der.len() - 1];
    let whole = [head, &modulus, &[2, 3, 1, 0, 1]].concat();
    let text = data_encoding::BASE64.encode(&whole);
    let parsed =
        key(&format!("v=DKIM1; k=rsa; t=y:s; p={}\n {}", &text[..40], &text[40..])).unwrap();
    assert_eq!((parsed.bits, parsed.is_testing, parsed.is_revoked), (2048, true, false));
    let ed = data_encoding::BASE64.encode(&[7; 32]);
    assert_eq!(key(&format!("k=ed25519;p={ed}")).unwrap().bits, 256);
    assert!(key("v=DKIM1; p=").unwrap().is_revoked);
    assert!(key("p=; h=sha1").unwrap().is_sha1_only && key("p=; s=other").unwrap().is_for_others);
    for wrong in [
        "k=rsa",
        "p=!",
        "v=DKIM2; p=",
        "k=dsa; p=",
        "p=; v=DKIM1",
        "k=rsa; p=AAAA",
        "no tags",
        "k=ed25519; p=AAAA",
        "p=;p=",
    ] {
        assert!(key(wrong).is_err(), "{wrong}");
    }
    for cut in 0..whole.len() - 5 {
        let text = data_encoding::BASE64.encode(&whole[..cut]);
        assert!(cut == 0 || key(&format!("p={text}")).is_err(), "{cut}");
    }
    assert!(
        keys::is_key("p=x") && !keys::is_key("v=spf1 -all") && !keys::is_key("v=DMARC1; p=none")
    );
}

#[test]
fn dmarc_names_and_what_applies() {
    assert_eq!(dmarc::walk("a.b.test"), ["a.b.test", "b.test", "test"]);
    let long = dmarc::walk("a.b.c.d.e.f.g.h.i.test");
    let rest = ["d.e.f.g.h.i.test", "e.f.g.h.i.test", "f.g.h.i.test", "g.h.i.test", "h.i.test"];
    assert_eq!(long[0], "a.b.c.d.e.f.g.h.i.test");
    assert_eq!((&long[1..6], &long[6..]), (&rest[..], &["i.test", "test"][..]));
    let applied = |domain: &str, exists, records: &[(&str, &str)]| {
        let records = records.iter().map(|(at, text)| dmarc::parse(at, text)).collect();
        let mut facts = DmarcFacts { records, ..DmarcFacts::default() };
        dmarc::apply(domain, exists, &mut facts);
        let word = facts.policy.map_or("", Policy::word);
        format!(
            "{} {} {word}",
            facts.applies.unwrap_or_default(),
            facts.organizational.unwrap_or_default()
        )
    };
    let below = [("a.x.test", "v=DMARC1; p=none"), ("x.test", "v=DMARC1; p=reject")];
    assert_eq!(applied("a.x.test", true, &below), "a.x.test x.test none");
    let sp = [("x.test", "v=DMARC1; p=reject; sp=quarantine; np=none")];
    assert_eq!(applied("a.x.test", true, &sp), "x.test x.test quarantine");
    assert_eq!(applied("a.x.test", false, &sp), "x.test x.test none");
    let psd = [("x.test", "v=DMARC1; p=reject; t=y"), ("test", "v=DMARC1; p=none; psd=y")];
    assert_eq!(applied("x.test", true, &psd), "x.test x.test quarantine");
    assert_eq!(applied("a.x.test", true, &psd[1..]), "test x.test none");
    let no = [("a.x.test", "v=DMARC1; p=none; psd=n")];
    assert_eq!(applied("b.a.x.test", true, &no), "a.x.test a.x.test none");
    assert_eq!(applied("x.test", true, &[("x.test", "v=DMARC1; p=x")]), "  ");
    assert_eq!(
        applied("x.test", true, &[("x.test", "v=DMARC1; rua=mailto:a@x.test")]),
        "x.test x.test none"
    );
    assert_eq!(dmarc::mailbox("mailto:a@b.test!10m"), Some(("a@b.test", "b.test")));
    assert_eq!(dmarc::mailbox("https://b.test/"), None);
}
