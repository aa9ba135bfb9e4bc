//! The sink's own small DNS: every site has an MX record, every exchange an address.
//!
//! `siteN.DOMAIN` has `MX 10 mx.siteN.DOMAIN`, and `mx.siteN.DOMAIN` the site's address; all other names do not exist.
//! What is no question gets no answer; what it cannot read, neither.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use glommio::net::UdpSocket;
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, MX},
    },
};

use crate::wire::plain;

/// Seconds that an answer may be kept.
const TTL_S: u32 = 300;

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

    /// Which site a name means, and whether it is its exchange.
    fn find(&self, name: &str) -> Option<(u32, bool)> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let (inner, is_exchange) =
            name.strip_prefix("mx.").map_or((&*name, false), |inner| (inner, true));
        let (site, domain) = inner.strip_prefix("site")?.split_once('.')?;
        let site = site.parse().ok().filter(|site| *site < self.sites)?;
        domain.eq_ignore_ascii_case(&self.domain).then_some((site, is_exchange))
    }

    fn reply(&self, question: &[u8]) -> Option<Vec<u8>> {
        let question = Message::from_vec(question).ok()?;
        let query = question
            .queries
            .first()
            .filter(|_| question.metadata.message_type == MessageType::Query)?;
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = question.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        match self.find(&query.name().to_utf8()) {
            None => answer.metadata.response_code = ResponseCode::NXDomain,
            Some((site, is_exchange)) => {
                if let Some(data) = self.data(site, is_exchange, query) {
                    answer.add_answer(Record::from_rdata(query.name().clone(), TTL_S, data));
                }
            }
        }
        answer.to_vec().ok()
    }

    /// `None`: the name has no such record.
    fn data(&self, site: u32, is_exchange: bool, query: &Query) -> Option<RData> {
        match (query.query_type(), is_exchange) {
            (RecordType::MX, false) => {
                let exchange = Name::from_ascii(format!("mx.{}.", self.name(site))).ok()?;
                Some(RData::MX(MX::new(10, exchange)))
            }
            (RecordType::A, true) => Some(RData::A(A(self.address(site)))),
            _ => None,
        }
    }
}

/// Opens the socket.
///
/// # Errors
/// The address is in use.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    // glommio shares ports: ask first whether somebody else has it.
    drop(std::net::UdpSocket::bind(address)?);
    UdpSocket::bind(address).map_err(plain)
}

/// Answers until it is dropped.
pub async fn answer(socket: UdpSocket, zone: Zone) {
    let mut question = [0; 1500];
    loop {
        let Ok((size, from)) = socket.recv_from(&mut question).await else { continue };
        if let Some(reply) = zone.reply(&question[..size]) {
            // Who asked and is gone does not need it.
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { domain: "sites.test".to_owned(), sites: 0, first: Ipv4Addr::new(127, 16, 0, 1) }
    }
}

/// Where site `site` listens.
#[must_use]
pub fn listen_address(zone: &Zone, site: u32, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(zone.address(site)), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Message {
        let mut question = Message::query();
        question.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        Message::from_vec(&zone.reply(&question.to_vec().unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn sites_have_exchanges_and_these_have_addresses() {
        let zone = Zone { sites: 1000, ..Zone::default() };
        let answer = ask(&zone, "site999.sites.test.", RecordType::MX);
        assert!(
            answer.answers[0].to_string().ends_with("MX 10 mx.site999.sites.test."),
            "{answer}"
        );
        let answer = ask(&zone, "MX.site999.sites.test.", RecordType::A);
        assert!(answer.answers[0].to_string().ends_with("A 127.16.3.250"), "{answer}");
        assert!(ask(&zone, "site1.sites.test.", RecordType::A).answers.is_empty());
        for missing in
            ["site1000.sites.test.", "sites.test.", "site1.other.test.", "sitex.sites.test."]
        {
            let answer = ask(&zone, missing, RecordType::MX);
            assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        }
        assert_eq!(zone.reply(b"no question"), None);
    }

    #[test]
    fn every_site_has_an_address_of_its_own() {
        let zone = Zone { sites: 5000, ..Zone::default() };
        let mut addresses: Vec<Ipv4Addr> = (0..zone.sites).map(|site| zone.address(site)).collect();
        assert!(addresses.iter().all(|address| !matches!(address.octets()[3], 0 | 255)));
        addresses.dedup();
        assert_eq!(addresses.len(), 5000);
    }
}
