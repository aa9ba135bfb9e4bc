//! From facts to advice: what large receivers refuse or punish, and what to publish instead. Pure: no
//! look-up, no clock. Must stay true: what is unknown brings no advice but that it is unknown; whatever
//! must be done names a reason, and a record where there is one to publish.
//!
//! Google's and Yahoo's rules for senders (February 2024) ask SPF or DKIM of all, and of who sends many
//! messages (Google: 5000 a day) SPF and DKIM, a DMARC policy, alignment, names of addresses that lead
//! back (PTR), TLS, one-click unsubscription (RFC 8058). Microsoft's (May 2025) ask SPF, DKIM and DMARC
//! of who sends 5000 a day, and refuse with 550 5.7.515.

mod hosts;
mod policies;
mod senders;

use super::advice::{Advice, Publish, Receiver, Severity, Topic};
use super::facts::{Facts, TextFacts};

/// What is to be said of a domain, what must be done first.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Advice> {
    if !facts.exists {
        let text = format!("the DNS does not know {}", facts.domain);
        let reason = "Mail from a domain that does not exist is refused everywhere, and mail to it \
                      cannot go anywhere.";
        return vec![must(Topic::Mx, text, reason).by(&Receiver::ALL)];
    }
    let mut advice = senders::spf(facts);
    advice.extend(senders::dkim(facts));
    advice.extend(policies::dmarc(facts));
    advice.extend(hosts::mx(facts));
    advice.extend(hosts::ptr(facts));
    advice.extend(hosts::dane(facts));
    advice.extend(transport(facts));
    if senders::sends(facts) {
        advice.push(bulk());
    }
    // Stable: topics stay in their order.
    advice.sort_by_key(|it| it.severity);
    advice
}

fn transport(facts: &Facts) -> Vec<Advice> {
    if facts.mx.hosts.is_empty() {
        return Vec::new();
    }
    let domain = &facts.domain;
    let sts = Publish::txt(&format!("_mta-sts.{domain}"), "v=STSv1; id=1");
    let rua = format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}");
    let rpt = Publish::txt(&format!("_smtp._tls.{domain}"), &rua);
    let sts_need = "it is optional, and keeps who listens on the wire from switching TLS off; a policy \
                    at https://mta-sts. belongs to it (RFC 8461)";
    let rpt_need = "it is optional, and brings reports of senders that cannot use TLS (RFC 8460)";
    vec![
        single(&facts.mta_sts, Topic::MtaSts, sts_need, sts),
        single(&facts.tls_rpt, Topic::TlsRpt, rpt_need, rpt),
    ]
}

/// A record that may be there once.
fn single(facts: &TextFacts, topic: Topic, need: &str, proposed: Option<Publish>) -> Advice {
    let word = topic.word();
    if let Some(why) = &facts.unknown {
        return unknown(topic, why);
    }
    match (&facts.fault, facts.records.first()) {
        (Some(fault), _) => {
            let reason = "Senders do as if it were not there.";
            should(topic, format!("the {word} record is wrong: {fault}"), reason).publish(proposed)
        }
        (None, None) => fine(topic, format!("there is no {word} record: {need}")).publish(proposed),
        (None, Some(record)) => fine(topic, format!("{word} is announced: {record}")),
    }
}

/// What the DNS cannot show.
fn bulk() -> Advice {
    let text = "not to be seen in the DNS, but asked of who sends 5000 messages a day: the From \
                domain aligned with SPF or DKIM (ringpost check message shows it), one-click \
                unsubscription in mail to lists (List-Unsubscribe-Post, RFC 8058), TLS, and few \
                complaints (below 0.3 %)";
    fine(Topic::Bulk, text.to_owned()).by(&Receiver::ALL)
}

fn unknown(topic: Topic, why: &str) -> Advice {
    let reason =
        "Receivers that cannot look it up either put mail off or do as if it were not there.";
    should(topic, format!("{} could not be looked up: {why}", topic.word()), reason)
}

fn must(topic: Topic, text: String, reason: &str) -> Advice {
    advice(Severity::Must, topic, text, reason)
}

fn should(topic: Topic, text: String, reason: &str) -> Advice {
    advice(Severity::Should, topic, text, reason)
}

fn fine(topic: Topic, text: String) -> Advice {
    advice(Severity::Fine, topic, text, "")
}

fn advice(severity: Severity, topic: Topic, text: String, reason: &str) -> Advice {
    let reason = reason.to_owned();
    Advice { severity, topic, receivers: Vec::new(), text, reason, publish: None }
}

impl Advice {
    fn by(mut self, receivers: &[Receiver]) -> Self {
        self.receivers = receivers.to_vec();
        self
    }

    fn publish(mut self, record: Option<Publish>) -> Self {
        self.publish = record;
        self
    }
}
