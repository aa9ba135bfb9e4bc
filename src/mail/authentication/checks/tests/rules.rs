//! What is done about it.

use proto::types::{AuthResult, Enhanced};

use super::super::{
    Arc, Dmarc, DomainPolicy, DomainWish, Iprev, Judgement, Policy, Rules, RulesError, Spf,
    SpfResult,
};
use super::*;

fn report(dmarc: AuthResult, wish: DomainWish, spf: AuthResult) -> Report {
    let name = |result| SpfResult { result, domain: "a.test".into(), ..SpfResult::default() };
    Report {
        iprev: Iprev { result: AuthResult::None, client: ip(CLIENT), name: "".into() },
        spf: Spf {
            helo: name(AuthResult::None),
            mail_from: Some(name(spf)),
            sender: "x@a.test".into(),
        },
        dkim: Vec::new(),
        arc: Arc::default(),
        dmarc: Dmarc {
            result: dmarc,
            policy: wish,
            author_domain: "a.test".into(),
            ..Dmarc::default()
        },
    }
}

fn judge(settings: &Settings, listener: Policy, report: &Report) -> Judgement {
    let to = address("you@our.test");
    Rules::new(settings, &[]).unwrap().judge(listener, report, to.iter())
}

fn failed(wish: DomainWish) -> Report {
    report(AuthResult::Fail, wish, AuthResult::None)
}

fn code(judgement: &Judgement) -> Option<(u16, Enhanced)> {
    match judgement {
        Judgement::Refuse(reply) => Some((reply.code, reply.enhanced.unwrap())),
        _ => None,
    }
}

#[test]
fn the_listener_and_the_domain_agree_on_what_is_done() {
    use Policy::{None, Quarantine, Reject, Tag};
    let settings = Settings::default();
    let refused = judge(&settings, Reject, &failed(DomainWish::Reject));
    assert_eq!(code(&refused), Some((550, Enhanced(5, 7, 26))));
    let Judgement::Refuse(reply) = refused else { unreachable!() };
    assert!(reply.text.contains("a.test"), "{reply}");
    for (listener, wish, expected) in [
        (Reject, DomainWish::Quarantine, Judgement::Quarantine),
        (Reject, DomainWish::None, Judgement::Accept),
        (Quarantine, DomainWish::Reject, Judgement::Quarantine),
        (Quarantine, DomainWish::Quarantine, Judgement::Quarantine),
        (Quarantine, DomainWish::None, Judgement::Accept),
        (Tag, DomainWish::Reject, Judgement::Accept),
        (None, DomainWish::Reject, Judgement::Accept),
    ] {
        assert_eq!(judge(&settings, listener, &failed(wish)), expected, "{listener:?} {wish:?}");
    }
    let mut overridden = failed(DomainWish::Reject);
    overridden.dmarc.overridden_by_arc = true;
    assert_eq!(judge(&settings, Reject, &overridden), Judgement::Accept);
    let passed = report(AuthResult::Pass, DomainWish::Reject, AuthResult::Fail);
    assert_eq!(judge(&settings, Reject, &passed), Judgement::Accept);
}

#[test]
fn spf_decides_where_dmarc_says_nothing() {
    let with = |spf_fail, listener, result| {
        let settings = Settings { spf_fail, ..Settings::default() };
        judge(&settings, listener, &report(AuthResult::None, DomainWish::None, result))
    };
    use Policy::{Quarantine, Reject, Tag};
    assert_eq!(code(&with(Reject, Reject, AuthResult::Fail)), Some((550, Enhanced(5, 7, 23))));
    assert_eq!(with(Reject, Quarantine, AuthResult::Fail), Judgement::Quarantine);
    assert_eq!(with(Quarantine, Reject, AuthResult::Fail), Judgement::Quarantine);
    assert_eq!(with(Reject, Tag, AuthResult::Fail), Judgement::Accept);
    assert_eq!(with(Tag, Reject, AuthResult::Fail), Judgement::Accept);
    assert_eq!(with(Reject, Reject, AuthResult::SoftFail), Judgement::Accept);
    assert_eq!(with(Reject, Reject, AuthResult::TempError), Judgement::Accept);
    let settings = Settings { spf_fail: Reject, ..Settings::default() };
    let none = report(AuthResult::Fail, DomainWish::None, AuthResult::Fail);
    assert_eq!(judge(&settings, Reject, &none), Judgement::Accept, "p=none is a word");
    let mut explained = report(AuthResult::None, DomainWish::None, AuthResult::Fail);
    explained.spf.mail_from.as_mut().unwrap().explanation = "go\r\n250 away\u{e9}".into();
    let Judgement::Refuse(reply) = judge(&settings, Reject, &explained) else { unreachable!() };
    let mut wire = Vec::new();
    reply.write_to(&mut wire);
    assert!(wire.ends_with(b"\r\n550 5.7.23 It says: go??250 away?\r\n"), "{reply}");
}

#[test]
fn temporary_errors_defer_where_it_is_wanted() {
    use Policy::{Quarantine, Reject, Tag};
    let unknown = |spf| report(AuthResult::TempError, DomainWish::None, spf);
    let on = Settings { defer_on_temporary: true, spf_fail: Reject, ..Settings::default() };
    let defer = |listener, report: &Report| code(&judge(&on, listener, report));
    let (of_spf, of_key) = (Some((451, Enhanced(4, 7, 24))), Some((451, Enhanced(4, 7, 5))));
    assert_eq!(defer(Reject, &unknown(AuthResult::TempError)), of_spf);
    assert_eq!(defer(Quarantine, &unknown(AuthResult::None)), of_key);
    assert_eq!(defer(Tag, &unknown(AuthResult::None)), None);
    let only_spf = report(AuthResult::None, DomainWish::None, AuthResult::TempError);
    assert_eq!(defer(Reject, &only_spf), of_spf);
    let off = Settings { spf_fail: Reject, ..Settings::default() };
    assert_eq!(judge(&off, Reject, &unknown(AuthResult::TempError)), Judgement::Accept);
    assert_eq!(judge(&off, Reject, &only_spf), Judgement::Accept);
}

fn entry(author: Option<&str>, recipient: Option<&str>, policy: Policy) -> DomainPolicy {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    DomainPolicy { author: owned(author), recipient: owned(recipient), policy }
}

#[test]
fn domains_have_policies_of_their_own() {
    let with = |domain: Vec<DomainPolicy>, author: &str, to: &[&str]| {
        let settings = Settings { domain, ..Settings::default() };
        let mut failed = failed(DomainWish::Reject);
        failed.dmarc.author_domain = author.into();
        let to: Vec<Address> = to.iter().map(|it| Address::parse(it).unwrap()).collect();
        let judged = Rules::new(&settings, &[]).unwrap().judge(Policy::Quarantine, &failed, &to);
        match judged {
            Judgement::Refuse(_) => Policy::Reject,
            Judgement::Quarantine => Policy::Quarantine,
            Judgement::Accept => Policy::Tag,
        }
    };
    let both = || {
        vec![
            entry(Some("a.test"), None, Policy::Reject),
            entry(Some(".a.test"), None, Policy::Tag),
            entry(None, Some("strict.test"), Policy::Reject),
            entry(None, Some("mild.test"), Policy::Tag),
        ]
    };
    assert_eq!(with(both(), "a.test", &["x@mild.test"]), Policy::Reject);
    assert_eq!(with(both(), "sub.a.test", &["x@strict.test"]), Policy::Tag);
    assert_eq!(with(both(), "b.test", &["x@strict.test"]), Policy::Reject);
    assert_eq!(with(both(), "b.test", &["x@strict.test", "x@mild.test"]), Policy::Tag);
    assert_eq!(with(both(), "b.test", &["x@strict.test", "x@any.test"]), Policy::Quarantine);
    assert_eq!(with(both(), "b.test", &["x@any.test"]), Policy::Quarantine);
}

#[test]
fn mistakes_are_named_and_the_trusted_are_let_alone() {
    let fault = |settings: Settings| settings.faults().join("\n");
    assert_eq!(fault(Settings::default()), "");
    let domain = vec![entry(Some("a.test"), Some("b.test"), Policy::Tag)];
    assert!(fault(Settings { domain, ..Settings::default() }).contains("either"));
    let domain = vec![entry(Some("a b"), None, Policy::Tag)];
    assert!(fault(Settings { domain, ..Settings::default() }).contains("\"a b\""));
    let trusted = Some(vec!["10.0.0.1/8".to_owned()]);
    let settings = Settings { trusted, signatures_max: 0, ..Settings::default() };
    assert!(
        fault(settings.clone()).contains("10.0.0.0/8")
            && fault(settings).contains("signatures_max")
    );
    let trusted_sealers = vec!["-".to_owned()];
    let settings = Settings { trusted_sealers, ..Settings::default() };
    assert_eq!(Rules::new(&settings, &[]).unwrap_err(), RulesError::Sealer("-".into()));
    let ours = vec!["192.0.2.0/24".to_owned()];
    let wants = |settings: &Settings, listener, client: &str| {
        Rules::new(settings, &ours).unwrap().wants_checks(listener, ip(client))
    };
    let all = Settings::default();
    assert!(wants(&all, Policy::Tag, "203.0.113.1") && !wants(&all, Policy::None, "203.0.113.1"));
    assert!(!wants(&all, Policy::Reject, "::ffff:192.0.2.1"));
    let none = Settings { trusted: Some(Vec::new()), ..Settings::default() };
    assert!(wants(&none, Policy::Tag, "192.0.2.1"));
    let domain = vec![entry(Some("a.test"), None, Policy::Reject)];
    assert!(wants(&Settings { domain, ..Settings::default() }, Policy::None, "203.0.113.1"));
}
