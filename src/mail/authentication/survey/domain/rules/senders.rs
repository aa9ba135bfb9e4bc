//! SPF and DKIM: who may send, and with which keys.

use super::super::advice::{Advice, Publish, Receiver, Severity, Topic};
use super::super::facts::{Facts, KeyFacts, Origin};
use super::super::keys::{Key, KeyKind};
use super::{fine, must, should, unknown};
use crate::authentication::survey::spf::{All, Cost, LOOKUPS_MAX, VOID_LOOKUPS_MAX};

/// Shorter RSA keys do not count (RFC 8301 §3.2), and Google says so.
const RSA_BITS_MIN: usize = 1024;
/// Shorter ones are weak.
const RSA_BITS_GOOD: usize = 2048;
/// From here on there is little room for another include.
const LOOKUPS_MANY: u32 = 8;

/// Whether the domain sends mail at all: `v=spf1 -all` alone says that it does not.
pub(super) fn sends(facts: &Facts) -> bool {
    let says_no = |record: &String| {
        let mut terms = record.split(' ').skip(1).filter(|term| !term.is_empty());
        terms.next().is_some_and(|term| term.eq_ignore_ascii_case("-all")) && terms.next().is_none()
    };
    !(facts.spf.records.len() == 1 && facts.spf.records.iter().all(says_no))
}

pub(super) fn spf(facts: &Facts) -> Vec<Advice> {
    let domain = &facts.domain;
    if let Some(why) = &facts.spf.unknown {
        return vec![unknown(Topic::Spf, why)];
    }
    match (facts.spf.records.as_slice(), &facts.spf.cost) {
        ([], _) => {
            let hosts =
                if facts.mx.hosts.is_empty() { "ip4:<address of your server>" } else { "mx" };
            let reason = "Google and Yahoo ask SPF or DKIM of every sender (550 5.7.26), and with \
                          Microsoft (550 5.7.515) both of who sends many messages.";
            let record = Publish::txt(domain, &format!("v=spf1 {hosts} -all"));
            let text = "there is no SPF record".to_owned();
            vec![must(Topic::Spf, text, reason).by(&Receiver::ALL).publish(record)]
        }
        ([record], Some(cost)) => of_one(domain, record, cost),
        (records, _) => {
            let reason = "Then none counts: every check ends with permerror (RFC 7208 §4.5).";
            let text = format!("there are {} SPF records", records.len());
            let record = Publish::txt(domain, &merged(records));
            vec![must(Topic::Spf, text, reason).by(&Receiver::ALL).publish(record)]
        }
    }
}

fn of_one(domain: &str, record: &str, cost: &Cost) -> Vec<Advice> {
    let broken = |text: String| {
        let reason = "Every check that comes to it ends with permerror, which counts as no SPF.";
        must(Topic::Spf, text, reason).by(&Receiver::ALL)
    };
    let mut advice: Vec<Advice> = cost.faults.iter().map(|fault| broken(fault.clone())).collect();
    advice.extend(cost.unknown.iter().map(|why| unknown(Topic::Spf, why)));
    let lookups = cost.lookups;
    if lookups > LOOKUPS_MAX {
        let text = format!("SPF needs {lookups} look-ups, and {LOOKUPS_MAX} are allowed");
        advice.push(broken(text));
    } else if lookups >= LOOKUPS_MANY {
        let reason = "One more include, also one of theirs, and every check ends with permerror.";
        let text = format!("SPF needs {lookups} of the {LOOKUPS_MAX} look-ups that are allowed");
        advice.push(should(Topic::Spf, text, reason));
    }
    if !cost.void_lookups.is_empty() {
        let names = cost.void_lookups.join(", ");
        let text = format!("SPF names what is not there: {names}");
        let reason = "Terms that find nothing allow nobody, and with more than two of them every \
                      check ends with permerror (RFC 7208 §4.6.4).";
        advice.push(match cost.void_lookups.len() > VOID_LOOKUPS_MAX {
            true => must(Topic::Spf, text, reason).by(&Receiver::ALL),
            false => should(Topic::Spf, text, reason),
        });
    }
    if cost.uses_ptr {
        let text = "SPF uses \"ptr\"".to_owned();
        let reason = "It is slow, and many receivers pass over it (RFC 7208 §5.5); name addresses.";
        advice.push(should(Topic::Spf, text, reason));
    }
    advice.extend(of_all(domain, record, cost));
    if advice.is_empty() {
        let text = format!("{record} ({lookups} of {LOOKUPS_MAX} look-ups)");
        advice.push(fine(Topic::Spf, text));
    }
    advice
}

/// What the record says of everybody else.
fn of_all(domain: &str, record: &str, cost: &Cost) -> Option<Advice> {
    let closed = || {
        let terms = record.split(' ').filter(|term| !term.is_empty());
        let is_open =
            |term: &str| ["all", "+all", "?all"].iter().any(|open| open.eq_ignore_ascii_case(term));
        let kept: Vec<&str> = terms.filter(|term| !is_open(term)).collect();
        Publish::txt(domain, &format!("{} ~all", kept.join(" ")))
    };
    match cost.all {
        Some(All::Fail | All::SoftFail) => None,
        Some(All::Pass) => {
            let text = "SPF ends in \"+all\": everybody may send in this domain's name".to_owned();
            let reason = "Who forges the domain passes SPF, and so DMARC; receivers take such a \
                          domain for a spammer's.";
            Some(must(Topic::Spf, text, reason).by(&Receiver::ALL).publish(closed()))
        }
        Some(All::Neutral) => {
            let text = "SPF ends in \"?all\"".to_owned();
            let reason = "It says nothing of who forges the domain.";
            Some(should(Topic::Spf, text, reason).publish(closed()))
        }
        // Why there is none may be what is wrong with it.
        None if !cost.faults.is_empty() || !cost.unknown.is_empty() => None,
        None => {
            let text = "SPF does not end in \"-all\" or \"~all\"".to_owned();
            let reason =
                "What matches no term is neutral: nothing is said of who forges the domain.";
            Some(should(Topic::Spf, text, reason).publish(closed()))
        }
    }
}

/// One record for several.
fn merged(records: &[String]) -> String {
    let mut terms: Vec<&str> = Vec::new();
    let all = |term: &str| {
        let bare = term.trim_start_matches(['+', '-', '~', '?']);
        bare.eq_ignore_ascii_case("all")
    };
    for term in records.iter().flat_map(|record| record.split(' ').skip(1)) {
        if !term.is_empty() && !all(term) && !terms.contains(&term) {
            terms.push(term);
        }
    }
    ["v=spf1"].into_iter().chain(terms).chain(["~all"]).collect::<Vec<_>>().join(" ")
}

pub(super) fn dkim(facts: &Facts) -> Vec<Advice> {
    if !sends(facts) {
        return vec![fine(Topic::Dkim, "not needed: SPF says that nothing is sent".to_owned())];
    }
    let domain = &facts.domain;
    let mut advice = Vec::new();
    if let Some(why) = &facts.dkim.unknown {
        advice.push(unknown(Topic::Dkim, why));
    }
    let mut good: Vec<(&str, &Key)> = Vec::new();
    for found in &facts.dkim.keys {
        match of_key(domain, found) {
            Some(judged) => advice.push(judged),
            None => {
                let key = found.key.as_ref();
                good.extend(
                    key.filter(|key| counts(key)).map(|key| (found.selector.as_str(), key)),
                );
            }
        }
    }
    let has_rsa = facts.dkim.keys.iter().filter_map(|found| found.key.as_ref());
    let has_rsa = has_rsa.clone().any(|key| key.kind == KeyKind::Rsa && counts(key));
    // What must be done about a key that is meant to be there comes first.
    let is_told = advice.iter().any(|it| it.severity == Severity::Must);
    if !has_rsa && facts.dkim.unknown.is_none() && !is_told {
        advice.push(no_rsa(facts));
    }
    for (selector, key) in good {
        let (kind, bits) = (key.kind.word(), key.bits);
        advice.push(fine(Topic::Dkim, format!("key {selector}: {kind}, {bits} bits")));
    }
    advice
}

/// Whether signatures by it are accepted.
fn counts(key: &Key) -> bool {
    let is_long = key.kind != KeyKind::Rsa || key.bits >= RSA_BITS_MIN;
    !key.is_revoked && !key.is_sha1_only && !key.is_for_others && is_long
}

fn no_rsa(facts: &Facts) -> Advice {
    let domain = &facts.domain;
    let reason = "Google, Yahoo and Microsoft (550 5.7.515) ask DKIM of who sends many messages, \
                  and Microsoft does not know Ed25519. ringpost dkim generate makes keys, and \
                  ringpost dkim dns shows their records.";
    let value = "v=DKIM1; k=rsa; p=<public key, base64>";
    let text = match facts.dkim.keys.iter().any(|found| found.key.is_some()) {
        true => "no RSA key was found that counts".to_owned(),
        false => format!(
            "no DKIM key was found by {} usual names (if yours has another: --selector NAME)",
            facts.dkim.tried
        ),
    };
    let record = Publish::txt(&format!("<selector>._domainkey.{domain}"), value);
    must(Topic::Dkim, text, reason).by(&Receiver::ALL).publish(record)
}

/// What is wrong with one.
fn of_key(domain: &str, found: &KeyFacts) -> Option<Advice> {
    let selector = &found.selector;
    let name = format!("{selector}._domainkey.{domain}");
    let show = format!("ringpost dkim dns {domain} shows what belongs there.");
    // By names that somebody used once, much may be found that matters no more.
    let at_worst = |text: String, reason: &str| match found.origin {
        Origin::Usual => should(Topic::Dkim, text, reason),
        Origin::Own | Origin::Asked => must(Topic::Dkim, text, reason).by(&Receiver::ALL),
    };
    let Some(record) = &found.record else {
        let text = format!("key {selector}: there is no record {name}");
        let reason = format!("What is signed with it fails DKIM. {show}");
        let value = "v=DKIM1; k=<rsa or ed25519>; p=<public key, base64>";
        return Some(at_worst(text, &reason).publish(Publish::txt(&name, value)));
    };
    if let Some(fault) = &found.fault {
        let text = format!("key {selector}: the record is wrong: {fault}");
        return Some(at_worst(text, &format!("What is signed with it fails DKIM. {show}")));
    }
    let key = found.key.as_ref()?;
    if key.is_revoked {
        let text = format!("key {selector}: it is withdrawn (p= is empty)");
        return match found.origin {
            Origin::Usual => Some(fine(Topic::Dkim, text)),
            Origin::Own | Origin::Asked => {
                Some(at_worst(text, "What is signed with it fails DKIM."))
            }
        };
    }
    if key.is_sha1_only || key.is_for_others {
        let text = format!("key {selector}: it is not for mail signed with SHA-256 (h=, s=)");
        return Some(at_worst(text, "What is signed with it fails DKIM (RFC 8301)."));
    }
    if key.kind == KeyKind::Rsa && key.bits < RSA_BITS_GOOD {
        let text = format!("key {selector}: RSA with {} bits", key.bits);
        if key.bits < RSA_BITS_MIN {
            let reason = "Keys below 1024 bits do not count (RFC 8301 §3.2). ringpost dkim generate \
                          makes one of 2048.";
            return Some(at_worst(text, reason));
        }
        let reason = "2048 bits are asked for everywhere; ringpost dkim rotate changes keys.";
        return Some(should(Topic::Dkim, text, reason));
    }
    if key.is_testing {
        let text = format!("key {selector}: it is marked as a test (t=y)");
        let reason = "Receivers may treat what it signs as if it were not signed.";
        let without = record.split(';').map(str::trim).filter(|tag| {
            !tag.is_empty() && tag.split('=').next().is_none_or(|name| name.trim() != "t")
        });
        let without = without.collect::<Vec<_>>().join("; ");
        return Some(should(Topic::Dkim, text, reason).publish(Publish::txt(&name, &without)));
    }
    None
}
