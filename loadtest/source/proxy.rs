//! The header with which a proxy says whose connection it passes on.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use ppp::{v1, v2};

use super::load::ProxyHeader;

/// A header that names a client of 198.18.0.0/15, which RFC 2544 sets aside for benchmarks; `salt` picks it.
pub fn header(kind: ProxyHeader, to: SocketAddr, salt: u64) -> io::Result<Vec<u8>> {
    let host = (salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 47) as u32;
    let client = Ipv4Addr::from((u32::from(Ipv4Addr::new(198, 18, 0, 0))) | host);
    let port = 1024 + (salt % 60_000) as u16;
    let server = match to.ip() {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
    };
    match kind {
        ProxyHeader::V1 => {
            let addresses = v1::Addresses::new_tcp4(client, server, port, to.port());
            Ok(addresses.to_string().into_bytes())
        }
        ProxyHeader::V2 => v2::Builder::with_addresses(
            v2::Version::Two | v2::Command::Proxy,
            v2::Protocol::Stream,
            v2::IPv4::new(client, server, port, to.port()),
        )
        .build(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_read_back() {
        let to = "127.0.0.1:25".parse().unwrap();
        for salt in [0, 1, u64::MAX] {
            let text = header(ProxyHeader::V1, to, salt).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.starts_with("PROXY TCP4 198.1") && text.ends_with("\r\n"), "{text}");
            let binary = header(ProxyHeader::V2, to, salt).unwrap();
            let read = v2::Header::try_from(&binary[..]).unwrap();
            let v2::Addresses::IPv4(addresses) = read.addresses else { panic!("{read:?}") };
            assert_eq!(addresses.destination_port, 25);
            assert_eq!(addresses.source_address.octets()[..1], [198]);
        }
    }
}
