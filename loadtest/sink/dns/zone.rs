//! What the sink's DNS knows: the sites, the senders' domain, and the names of clients.
//!
//! `siteN.DOMAIN` has `MX 10 mx.siteN.DOMAIN`, and `mx.siteN.DOMAIN` the site's address. The senders' domain has the records
//! with which all that the source sends passes SPF (after two includes), DKIM and DMARC, and takes bounces at the first site.
//! A client of 127.0.0.0/8 or 198.18.0.0/15 (loads with a PROXY header) has a name that leads back to its address.

use std::net::Ipv4Addr;

use hickory_proto::rr::{
    Name, RData,
    rdata::{A, MX, PTR, TXT},
};

use crate::message::{SENDER_DOMAIN, key_record};

/// Octets of one string of a TXT record (RFC 1035 §3.3).
const STRING_MAX: usize = 255;
/// What is below it are addresses, backwards (RFC 1035 §3.5).
const REVERSE: &str = "in-addr.arpa";

/// Sites and where they are.
#[derive(Clone, Debug)]
pub struct Zone {
    /// What is behind `siteN.`.
    pub domain: String,
    /// How many there are, from 0.
    pub sites: u32,
    /// Address of the first; the others follow it.
    pub first: Ipv4Addr,
}

impl Default for Zone {
    fn default() -> Self {
        Self { domain: "sites.test".to_owned(), sites: 0, first: Ipv4Addr::new(127, 16, 0, 1) }
    }
}

impl Zone {
    /// The domain of a site.
    #[must_use]
    pub fn name(&self, site: u32) -> String {
        format!("site{site}.{}", self.domain)
    }

    /// The address of a site; none ends in 0 or 255, which some stacks take for networks.
    #[must_use]
    pub fn address(&self, site: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.first) + (site / 250) * 256 + site % 250)
    }

    /// All records of a name, whatever their types; none of a name that only has others below it. `None`: there is no such name.
    pub(super) fn records(&self, name: &str) -> Option<Vec<RData>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some((site, is_exchange)) = self.find(&name) {
            return Some(if is_exchange {
                vec![RData::A(A(self.address(site)))]
            } else {
                vec![self.exchange(site)?]
            });
        }
        if let Some(reversed) = below(&name, REVERSE) {
            return client_names(reversed);
        }
        let sender = below(&name, SENDER_DOMAIN).and_then(|label| self.sender_records(label));
        let known = [&*self.domain, SENDER_DOMAIN, REVERSE];
        let holds_others = || known.iter().any(|domain| is_above(&name, domain));
        sender.or_else(|| holds_others().then(Vec::new))
    }

    /// Which site a name means, and whether it is its exchange.
    fn find(&self, name: &str) -> Option<(u32, bool)> {
        let (inner, is_exchange) =
            name.strip_prefix("mx.").map_or((name, false), |inner| (inner, true));
        let (site, domain) = inner.strip_prefix("site")?.split_once('.')?;
        let site = site.parse().ok().filter(|site| *site < self.sites)?;
        domain.eq_ignore_ascii_case(&self.domain).then_some((site, is_exchange))
    }

    fn exchange(&self, site: u32) -> Option<RData> {
        let exchange = Name::from_ascii(format!("mx.{}.", self.name(site))).ok()?;
        Some(RData::MX(MX::new(10, exchange)))
    }

    /// Of the senders' domain: `label` is what stands before it.
    fn sender_records(&self, label: &str) -> Option<Vec<RData>> {
        let domain = SENDER_DOMAIN;
        let records = match label {
            "" => {
                let spf = format!(
                    "v=spf1 ip4:192.0.2.0/24 include:_spf1.{domain} include:_spf2.{domain} -all"
                );
                let bounces = (self.sites > 0).then(|| self.exchange(0)).flatten();
                let address = RData::A(A(Ipv4Addr::LOCALHOST));
                bounces.into_iter().chain([address, text(&spf)]).collect()
            }
            "_spf1" => vec![text("v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 -all")],
            "_spf2" => vec![text("v=spf1 ip4:127.0.0.0/8 ip4:198.18.0.0/15 -all")],
            "_dmarc" => vec![text("v=DMARC1; p=reject")],
            "_domainkey" => Vec::new(),
            _ => match label.strip_suffix("._domainkey") {
                Some(selector) => vec![text(&key_record(selector)?)],
                None => vec![RData::A(A(client_address(label)?))],
            },
        };
        Some(records)
    }
}

fn text(text: &str) -> RData {
    let strings = text.as_bytes().chunks(STRING_MAX);
    RData::TXT(TXT::from_bytes(strings.collect()))
}

/// What stands before `domain` in `name`, without the dot between them.
fn below<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    let label = name.strip_suffix(domain)?;
    if label.is_empty() { Some(label) } else { label.strip_suffix('.') }
}

/// Whether `domain` is `name` or below it; all is below the root.
fn is_above(name: &str, domain: &str) -> bool {
    name.is_empty() || below(&domain.to_ascii_lowercase(), name).is_some()
}

/// Whether clients of the load test come from there.
fn is_client(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 127 || (first == 198 && matches!(second, 18 | 19))
}

/// `client-127-0-0-1` is 127.0.0.1.
fn client_address(label: &str) -> Option<Ipv4Addr> {
    let address = label.strip_prefix("client-")?.replace('-', ".").parse().ok()?;
    is_client(address).then_some(address)
}

/// The PTR record of `1.0.0.127`; nothing for what is only the start of an address.
fn client_names(reversed: &str) -> Option<Vec<RData>> {
    let labels: Vec<&str> = reversed.rsplit('.').filter(|label| !label.is_empty()).collect();
    if labels.len() < 4 {
        return Some(Vec::new());
    }
    let address: Ipv4Addr = labels.join(".").parse().ok().filter(|address| is_client(*address))?;
    let [a, b, c, d] = address.octets();
    let name = Name::from_ascii(format!("client-{a}-{b}-{c}-{d}.{SENDER_DOMAIN}.")).ok()?;
    Some(vec![RData::PTR(PTR(name))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_site_has_an_address_of_its_own() {
        let zone = Zone { sites: 5000, ..Zone::default() };
        let mut addresses: Vec<Ipv4Addr> = (0..zone.sites).map(|site| zone.address(site)).collect();
        assert!(addresses.iter().all(|address| !matches!(address.octets()[3], 0 | 255)));
        addresses.dedup();
        assert_eq!(addresses.len(), 5000);
    }

    #[test]
    fn a_clients_name_leads_back_and_others_have_none() {
        let zone = Zone::default();
        for (reversed, name) in
            [("1.0.0.127", "client-127-0-0-1"), ("3.2.19.198", "client-198-19-2-3")]
        {
            let found = zone.records(&format!("{reversed}.in-addr.arpa.")).unwrap();
            assert_eq!(found[0].to_string(), format!("{name}.source.test."));
            let mut octets: Vec<&str> = reversed.split('.').collect();
            octets.reverse();
            let address = zone.records(&format!("{name}.source.test")).unwrap();
            assert_eq!(address[0].to_string(), octets.join("."));
        }
        for missing in
            ["1.2.0.192.in-addr.arpa", "client-192-0-2-1.source.test", "client.source.test"]
        {
            assert_eq!(zone.records(missing), None, "{missing}");
        }
        assert_eq!(zone.records("0.127.in-addr.arpa"), Some(Vec::new()));
    }

    #[test]
    fn the_senders_domain_says_who_may_send_for_it() {
        let zone = Zone { sites: 1, ..Zone::default() };
        let said = |name: &str| -> Vec<String> {
            zone.records(name).unwrap().iter().map(ToString::to_string).collect()
        };
        let apex = said("Source.Test.");
        assert_eq!(apex[0], "10 mx.site0.sites.test.");
        assert!(apex[2].contains("include:_spf2.source.test -all"), "{apex:?}");
        assert!(said("_spf2.source.test")[0].contains("ip4:127.0.0.0/8"));
        assert_eq!(said("_dmarc.source.test"), ["v=DMARC1; p=reject"]);
        assert!(said("rsa._domainkey.source.test")[0].contains("p=MIIBIj"));
        assert_eq!(said("relay._domainkey.source.test"), said("rsa._domainkey.source.test"));
        assert!(said("ed25519._domainkey.source.test")[0].contains("k=ed25519"));
        assert_eq!(zone.records("other._domainkey.source.test"), None);
        assert_eq!(zone.records("_domainkey.source.test"), Some(Vec::new()));
    }
}
