//! From MX records to the order in which hosts are tried (RFC 5321 §5.1).
//!
//! Pure. What must stay true: preferences are respected, hosts of equal preference are tried in random
//! order; a host that is ourselves cuts itself and everything that is not better, so that mail never
//! circles; an MX that is an address and no name is passed over (RFC 5321 §5.1: MX data is a name);
//! null MX (RFC 7505) is final.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use engine::dns::Mx;
use proto::types::Domain;

use super::settings::Family;
use crate::random::Random;

/// A host of a site, with its rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// MX preference: lower is tried first.
    pub preference: u16,
    /// Lower case, no final dot.
    pub host: Rc<str>,
}

/// Why a domain's MX records lead nowhere; all are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MxRefusal {
    /// `MX 0 .`: the domain takes no mail (RFC 7505).
    Null,
    /// The best hosts are ourselves.
    Loop,
    /// No record names a host.
    NoHost,
}

/// Who we are, for recognising ourselves among a domain's hosts.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Our host names, lower case.
    pub names: Vec<Box<str>>,
    /// Where we listen for SMTP; an unspecified address stands for all of the host's.
    pub listeners: Vec<SocketAddr>,
}

impl Own {
    /// Whether `host` is one of our names.
    pub fn is_name(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// Whether connecting to `peer` reaches ourselves. `local` is our end of the connection, once
    /// there is one: on a connection to oneself both ends have the same address.
    pub fn is_address(&self, peer: SocketAddr, local: Option<IpAddr>) -> bool {
        self.listeners.iter().filter(|own| own.port() == peer.port()).any(|own| {
            own.ip() == peer.ip() || (own.ip().is_unspecified() && local == Some(peer.ip()))
        })
    }
}

/// The hosts of a domain, best first; equals in the order of their names. Never empty.
///
/// # Errors
/// See [`MxRefusal`].
pub fn usable(records: &[Mx], own: &Own) -> Result<Vec<Ranked>, MxRefusal> {
    let is_null = |mx: &Mx| mx.host.is_empty() || mx.host == ".";
    if !records.is_empty() && records.iter().all(is_null) {
        return Err(MxRefusal::Null);
    }
    let mut hosts: Vec<Ranked> = Vec::with_capacity(records.len());
    for mx in records.iter().filter(|mx| !is_null(mx) && is_host_name(&mx.host)) {
        let Ok(host) = Domain::parse(&mx.host) else { continue };
        match hosts.iter_mut().find(|known| &*known.host == host.as_str()) {
            Some(known) => known.preference = known.preference.min(mx.preference),
            None => hosts.push(Ranked { preference: mx.preference, host: host.as_str().into() }),
        }
    }
    if hosts.is_empty() {
        return Err(MxRefusal::NoHost);
    }
    let worst = hosts.iter().filter(|it| own.is_name(&it.host)).map(|it| it.preference).min();
    if let Some(worst) = worst {
        hosts.retain(|it| it.preference < worst);
        if hosts.is_empty() {
            return Err(MxRefusal::Loop);
        }
    }
    hosts.sort_by(|a, b| (a.preference, &a.host).cmp(&(b.preference, &b.host)));
    Ok(hosts)
}

/// `192.0.2.1` parses as a domain name, but is an address in the wrong place.
fn is_host_name(text: &str) -> bool {
    text.trim_end_matches('.').parse::<IpAddr>().is_err()
}

/// Indexes of `preferences` (ascending) in the order of one attempt: equals shuffled.
pub fn order(preferences: &[u16], random: &Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..preferences.len()).collect();
    for equals in order.chunk_by_mut(|a, b| preferences[*a] == preferences[*b]) {
        random.shuffle(equals);
    }
    order
}

/// Addresses of one host in the order of one attempt: shuffled, then IPv4 and IPv6 in turn, the
/// preferred one first, so that a host whose one family is unreachable costs one try and not all.
pub fn order_addresses(mut addresses: Vec<IpAddr>, family: Family, random: &Random) -> Vec<IpAddr> {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.retain(|ip| if ip.is_ipv4() { family.has_v4() } else { family.has_v6() });
    random.shuffle(&mut addresses);
    let v6_first = matches!(family, Family::Ipv6First | Family::Ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|ip| ip.is_ipv6() == v6_first);
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = (first.next(), second.next());
        ordered.extend(pair.0.into_iter().chain(pair.1));
        if pair == (None, None) {
            return ordered;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(list: &[(u16, &str)]) -> Vec<Mx> {
        list.iter()
            .map(|(preference, host)| Mx { preference: *preference, host: (*host).to_owned() })
            .collect()
    }

    fn own() -> Own {
        Own {
            names: vec!["mail.us.example".into()],
            listeners: vec!["0.0.0.0:25".parse().unwrap(), "127.0.0.1:2525".parse().unwrap()],
        }
    }

    fn hosts(list: &[(u16, &str)]) -> Result<Vec<String>, MxRefusal> {
        usable(&records(list), &own())
            .map(|hosts| hosts.iter().map(|it| format!("{} {}", it.preference, it.host)).collect())
    }

    #[test]
    fn hosts_are_ranked_and_made_unique() {
        let found =
            hosts(&[(20, "B.example."), (10, "c.example"), (30, "a.example"), (5, "b.example")]);
        assert_eq!(found.unwrap(), ["5 b.example", "10 c.example", "30 a.example"]);
    }

    #[test]
    fn ourselves_and_what_is_not_better_is_cut() {
        let found =
            hosts(&[(10, "a.example"), (20, "Mail.US.example."), (20, "b.example"), (30, "c")]);
        assert_eq!(found.unwrap(), ["10 a.example"]);
        assert_eq!(hosts(&[(10, "mail.us.example"), (10, "b.example")]), Err(MxRefusal::Loop));
    }

    #[test]
    fn null_mx_and_nonsense() {
        assert_eq!(hosts(&[(0, ".")]), Err(MxRefusal::Null));
        assert_eq!(hosts(&[(0, "")]), Err(MxRefusal::Null));
        // RFC 7505 §3: a null MX beside others is a mistake and says nothing.
        assert_eq!(hosts(&[(0, "."), (10, "a.example")]).unwrap(), ["10 a.example"]);
        assert_eq!(hosts(&[(10, "192.0.2.1"), (20, "2001:db8::1")]), Err(MxRefusal::NoHost));
        assert_eq!(hosts(&[(10, "192.0.2.1"), (20, "a.example")]).unwrap(), ["20 a.example"]);
        assert_eq!(hosts(&[(10, "a b.example")]), Err(MxRefusal::NoHost));
    }

    #[test]
    fn equals_are_shuffled_and_ranks_kept() {
        let random = Random::seeded(3);
        let mut firsts = [0; 2];
        for _ in 0..100 {
            let order = order(&[10, 10, 20], &random);
            assert_eq!(order[2], 2);
            firsts[order[0]] += 1;
        }
        assert!(firsts.iter().all(|count| *count > 20), "{firsts:?}");
    }

    #[test]
    fn families_take_turns() {
        let random = Random::seeded(3);
        let all: Vec<IpAddr> = ["192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1"]
            .iter()
            .map(|text| text.parse().unwrap())
            .collect();
        let v6 = |family| -> Vec<bool> {
            order_addresses(all.clone(), family, &random).iter().map(IpAddr::is_ipv6).collect()
        };
        assert_eq!(v6(Family::Ipv4First), [false, true, false]);
        assert_eq!(v6(Family::Ipv6First), [true, false, false]);
        assert_eq!(v6(Family::Ipv4), [false, false]);
        assert_eq!(v6(Family::Ipv6), [true]);
        assert!(order_addresses(Vec::new(), Family::Ipv6, &random).is_empty());
    }

    #[test]
    fn our_own_addresses() {
        let own = own();
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        assert!(own.is_address(address("127.0.0.1:2525"), None));
        assert!(!own.is_address(address("127.0.0.1:2526"), None));
        assert!(own.is_address(address("192.0.2.7:25"), ip("192.0.2.7")));
        assert!(!own.is_address(address("192.0.2.7:25"), ip("192.0.2.8")));
        assert!(!own.is_address(address("192.0.2.7:2525"), ip("192.0.2.7")));
    }
}
