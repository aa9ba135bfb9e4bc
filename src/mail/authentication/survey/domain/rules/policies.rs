//! DMARC (RFC 9989).

use super::super::advice::{Advice, Publish, Receiver, Topic};
use super::super::facts::{DmarcRecord, Facts, Policy};
use super::{fine, must, should, unknown};

pub(super) fn dmarc(facts: &Facts) -> Vec<Advice> {
    let domain = &facts.domain;
    if let Some(why) = &facts.dmarc.unknown {
        return vec![unknown(Topic::Dmarc, why)];
    }
    let proposed = || {
        let value = format!("v=DMARC1; p=none; rua=mailto:postmaster@{domain}");
        Publish::txt(&format!("_dmarc.{domain}"), &value)
    };
    let needed = "Google, Yahoo and Microsoft (550 5.7.515) ask a DMARC policy, p=none at least, of \
                  who sends many messages.";
    let lost =
        |text: String| must(Topic::Dmarc, text, needed).by(&Receiver::ALL).publish(proposed());
    let mut advice = Vec::new();
    if facts.dmarc.several.contains(domain) {
        advice.push(lost("there is more than one DMARC record, so none counts".to_owned()));
    }
    let own = facts.dmarc.records.iter().find(|record| record.domain == *domain);
    if let Some(fault) = own.and_then(|record| record.fault.as_ref()) {
        advice.push(lost(format!("the DMARC record is wrong: {fault}")));
    }
    let applies = facts.dmarc.applies.as_ref();
    let record = facts.dmarc.records.iter().find(|it| Some(&it.domain) == applies);
    match (record, facts.dmarc.policy) {
        (Some(record), Some(policy)) => advice.extend(of_record(facts, record, policy)),
        _ if advice.is_empty() => advice.push(lost("there is no DMARC record".to_owned())),
        _ => {}
    }
    advice
}

/// What the record that applies leaves to wish.
fn of_record(facts: &Facts, record: &DmarcRecord, policy: Policy) -> Vec<Advice> {
    let owner = format!("_dmarc.{}", record.domain);
    let changed =
        |name: &str, value: &str| Publish::txt(&owner, &with(&record.record, name, value));
    let mut advice = Vec::new();
    if record.is_testing {
        let reason = "The policy counts one step less: reject as quarantine, quarantine as none.";
        let text = "DMARC is only a test (t=y)".to_owned();
        advice.push(should(Topic::Dmarc, text, reason).publish(changed("t", "n")));
    }
    let is_own = record.domain == facts.domain;
    let wish = if is_own { record.p } else { record.sp.or(record.p) };
    if wish.is_none_or(|wish| wish == Policy::None) {
        let reason = "That is enough for large receivers, but stops nobody who forges the domain. \
                      Once reports show that your own mail passes, ask for quarantine, then reject.";
        let name = if !is_own && record.sp.is_some() { "sp" } else { "p" };
        let text = format!("DMARC asks for nothing ({name}=none)");
        advice.push(should(Topic::Dmarc, text, reason).publish(changed(name, "quarantine")));
    }
    if record.rua.is_empty() {
        let reason = "Without reports nobody tells you whose mail fails.";
        let value = format!("mailto:postmaster@{}", record.domain);
        let text = "DMARC asks for no reports (rua=)".to_owned();
        advice.push(should(Topic::Dmarc, text, reason).publish(changed("rua", &value)));
    }
    for report in facts.dmarc.reports.iter().filter(|it| it.is_authorized == Some(false)) {
        let text = format!("DMARC reports to {} are not sent", report.address);
        let reason = "The address is no mailto: address, or its domain does not say that it takes \
                      reports for this one (RFC 9990 §4).";
        let at = report.address.rsplit_once('@').map(|(_, at)| at);
        let name = at.map(|at| format!("{}._report._dmarc.{at}", record.domain));
        let publish = name.and_then(|name| Publish::txt(&name, "v=DMARC1"));
        advice.push(should(Topic::Dmarc, text, reason).publish(publish));
    }
    if advice.is_empty() {
        let whose = if is_own { String::new() } else { format!(", by {}", record.domain) };
        advice.push(fine(Topic::Dmarc, format!("failing mail: {}{whose}", policy.word())));
    }
    advice
}

/// The record with one tag changed, or added.
fn with(record: &str, name: &str, value: &str) -> String {
    let new = format!("{name}={value}");
    let is_it = |tag: &str| {
        tag.split('=').next().is_some_and(|known| known.trim().eq_ignore_ascii_case(name))
    };
    let tags = record.split(';').map(str::trim).filter(|tag| !tag.is_empty());
    let mut is_there = false;
    let mut all: Vec<&str> = Vec::new();
    for tag in tags {
        let changes = is_it(tag);
        is_there |= changes;
        all.push(if changes { &new } else { tag });
    }
    if !is_there {
        all.push(&new);
    }
    all.join("; ")
}
