//! Mail exchangers, names of addresses, DANE.

use std::net::IpAddr;

use super::super::advice::{Advice, Publish, Receiver, Topic};
use super::super::facts::{AddressFacts, ExchangerFacts, Facts};
use super::{fine, must, senders, should, unknown};

pub(super) fn mx(facts: &Facts) -> Vec<Advice> {
    let (domain, mx) = (&facts.domain, &facts.mx);
    let record = |value: String| Some(Publish { name: format!("{domain}."), kind: "MX", value });
    if let Some(why) = &mx.unknown {
        return vec![unknown(Topic::Mx, why)];
    }
    if mx.is_null {
        let text = "the domain says that it takes no mail (null MX)".to_owned();
        if !senders::sends(facts) {
            return vec![fine(Topic::Mx, text)];
        }
        let reason = "If it sends mail, receivers may refuse it: no reply and no bounce can come \
                      back (RFC 7505 §4.2).";
        return vec![should(Topic::Mx, text, reason).publish(record(format!("10 mail.{domain}.")))];
    }
    if mx.hosts.is_empty() {
        let text = "there is no MX record, and no address".to_owned();
        if !senders::sends(facts) {
            let text = format!("{text}; a null MX would say that this is meant (RFC 7505)");
            return vec![fine(Topic::Mx, text).publish(record("0 .".to_owned()))];
        }
        let reason = "Mail to the domain cannot go anywhere, and many receivers refuse mail from a \
                      domain that no bounce can be sent to.";
        return vec![must(Topic::Mx, text, reason).publish(record(format!("10 mail.{domain}.")))];
    }
    if mx.is_implicit {
        let text = "there is no MX record: mail goes to the domain's own address".to_owned();
        let reason = "It works (RFC 5321 §5.1), but receivers trust such domains less.";
        let record = record(format!("10 {domain}."));
        return vec![should(Topic::Mx, text, reason).publish(record)];
    }
    let mut advice: Vec<Advice> = mx.hosts.iter().filter_map(of_host).collect();
    if advice.is_empty() {
        let hosts: Vec<&str> = mx.hosts.iter().map(|host| host.host.as_str()).collect();
        advice.push(fine(Topic::Mx, hosts.join(", ")));
    }
    advice
}

fn of_host(host: &ExchangerFacts) -> Option<Advice> {
    let name = &host.host;
    if let Some(why) = &host.unknown {
        return Some(unknown(Topic::Mx, &format!("{name}: {why}")));
    }
    if host.addresses.is_empty() {
        let record = Publish {
            name: format!("{name}."),
            kind: "A",
            value: "<address of your server>".to_owned(),
        };
        let reason = "Mail cannot go there, and tries cost time.";
        let text = format!("the mail exchanger {name} has no address");
        return Some(must(Topic::Mx, text, reason).publish(Some(record)));
    }
    let alias_of = host.alias_of.as_ref()?;
    let text = format!("the mail exchanger {name} is an alias (CNAME) of {alias_of}");
    let reason =
        "An MX must name a host itself (RFC 2181 §10.3); some senders do not follow aliases.";
    Some(should(Topic::Mx, text, reason))
}

/// Names that lead back are asked of addresses that send; those of the MX hosts are the ones known.
pub(super) fn ptr(facts: &Facts) -> Vec<Advice> {
    if !senders::sends(facts) {
        return Vec::new();
    }
    let mut seen: Vec<IpAddr> = Vec::new();
    let mut advice = Vec::new();
    for host in &facts.mx.hosts {
        for address in &host.addresses {
            if !seen.contains(&address.address) {
                seen.push(address.address);
                advice.push(of_address(&host.host, address));
            }
        }
    }
    advice
}

fn of_address(host: &str, facts: &AddressFacts) -> Advice {
    let address = facts.address;
    if let Some(why) = &facts.unknown {
        return unknown(Topic::Ptr, why);
    }
    let names = facts.names.join(", ");
    if facts.is_confirmed {
        return fine(Topic::Ptr, format!("{address} leads to {names}, and back"));
    }
    let reason = "If mail leaves from this address: Google refuses it (550 5.7.25), and Yahoo and \
                  others do so, too, or take it for spam. Who owns the network sets PTR records.";
    let record = Publish { name: reverse_name(address), kind: "PTR", value: format!("{host}.") };
    let text = match facts.names.is_empty() {
        true => format!("{address} ({host}) leads to no name"),
        false => format!("{address} ({host}) leads to {names}, which does not lead back"),
    };
    let receivers = [Receiver::Google, Receiver::Yahoo];
    must(Topic::Ptr, text, reason).by(&receivers).publish(Some(record))
}

/// The owner of an address's PTR record (RFC 1035 §3.5, RFC 3596 §2.5).
pub(super) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa.")
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            let digits =
                octets.iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            digits.collect::<String>() + "ip6.arpa."
        }
    }
}

pub(super) fn dane(facts: &Facts) -> Vec<Advice> {
    let mut advice = Vec::new();
    for host in facts.mx.hosts.iter().filter(|host| !host.tlsa.is_empty()) {
        let name = &host.host;
        let is_usable = |record: &String| record.starts_with("2 ") || record.starts_with("3 ");
        if host.tlsa_secure == Some(false) {
            let reason = "Without DNSSEC TLSA records count for nothing (RFC 7672 §2.1.1): sign the \
                          zone, or remove them.";
            let text = format!("the TLSA records of {name} are not signed");
            advice.push(should(Topic::Dane, text, reason));
        } else if !host.tlsa.iter().any(is_usable) {
            let reason = "Only usage 2 (DANE-TA) and 3 (DANE-EE) count for mail (RFC 7672 §3.1.3).";
            let text = format!("no TLSA record of {name} can be used");
            advice.push(should(Topic::Dane, text, reason));
        } else if host.tlsa_secure.is_none() {
            let text = format!(
                "{name} has TLSA records; whether they are signed is not checked (dns.dnssec)"
            );
            advice.push(fine(Topic::Dane, text));
        } else {
            advice.push(fine(Topic::Dane, format!("{name} has signed TLSA records")));
        }
    }
    advice
}
