//! The PROXY protocol (HAProxy's specification, versions 1 and 2): who the client really is.
//!
//! What must stay true: a header is believed only when it comes from a listed network, and there it
//! is required, so that no client can claim another's address; it is read before anything is said,
//! bounded in octets and in time. How it fails: the connection is closed without a greeting.

use std::net::IpAddr;

use engine::shard::{Stream, now_ms};
use ppp::{PartialResult, v1, v2};

/// Octets of a version 1 line at most.
const LINE_BYTES_MAX: usize = 107;
/// Version 2 may carry type-length-values beside addresses.
const HEADER_BYTES_MAX: usize = 4096;
/// A balancer sends its header at once.
const PATIENCE_MS: u64 = 10_000;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Parsed {
    /// More is to come.
    Incomplete,
    /// The client's address, or none for a connection of the balancer's own (a health check), and
    /// the octets of the header.
    Header(Option<IpAddr>, usize),
    /// No header.
    Wrong,
}

/// Reads the header into `input` and removes it there; what the client has sent behind it stays.
/// `None`: no valid header came in time.
pub(crate) async fn client(stream: &mut Stream, input: &mut Vec<u8>) -> Option<IpAddr> {
    stream.deadline().set(now_ms().saturating_add(PATIENCE_MS));
    loop {
        match parse(input) {
            Parsed::Header(client, octets) => {
                input.drain(..octets);
                return Some(client.unwrap_or_else(|| stream.peer_addr().ip()));
            }
            Parsed::Wrong => return None,
            Parsed::Incomplete if input.len() >= HEADER_BYTES_MAX => return None,
            Parsed::Incomplete => {}
        }
        if input.len() == input.capacity() {
            input.reserve_exact(HEADER_BYTES_MAX - input.len());
        }
        let (read, buffer) = stream.recv(std::mem::take(input)).await;
        *input = buffer;
        if !matches!(read, Ok(1..)) {
            return None;
        }
    }
}

fn parse(input: &[u8]) -> Parsed {
    if input.first() == v2::PROTOCOL_PREFIX.first() {
        parse_binary(input)
    } else {
        parse_line(input)
    }
}

/// Version 1: a line. The crate takes a whole line that lacks a part for one that is yet to come.
fn parse_line(input: &[u8]) -> Parsed {
    let prefix = v1::PROTOCOL_PREFIX.as_bytes();
    let start = &input[..input.len().min(prefix.len())];
    let line = input.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n');
    let Some(end) = line else {
        let may_come = prefix.starts_with(start) && input.len() < LINE_BYTES_MAX;
        return if may_come { Parsed::Incomplete } else { Parsed::Wrong };
    };
    let Ok(header) = v1::Header::try_from(&input[..=end]) else { return Parsed::Wrong };
    let client = match header.addresses {
        v1::Addresses::Tcp4(pair) => Some(IpAddr::V4(pair.source_address)),
        v1::Addresses::Tcp6(pair) => Some(IpAddr::V6(pair.source_address)),
        v1::Addresses::Unknown => None,
    };
    Parsed::Header(client, header.header.len())
}

/// Version 2: binary, with its length in it.
fn parse_binary(input: &[u8]) -> Parsed {
    match v2::Header::try_from(input) {
        Ok(header) => {
            let client = match (header.command, header.addresses) {
                (v2::Command::Local, _) => None,
                (_, v2::Addresses::IPv4(pair)) => Some(IpAddr::V4(pair.source_address)),
                (_, v2::Addresses::IPv6(pair)) => Some(IpAddr::V6(pair.source_address)),
                (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
            };
            Parsed::Header(client, header.header.len())
        }
        Err(error) if error.is_incomplete() => Parsed::Incomplete,
        Err(_) => Parsed::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cut of a header is incomplete, and what follows it is left alone.
    #[test]
    fn headers_of_both_versions() {
        let ip = |text: &str| text.parse::<IpAddr>().ok();
        let mut v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        v2.extend_from_slice(&[203, 0, 113, 9, 192, 0, 2, 1, 0x10, 0x92, 0, 25]);
        let mut local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\x05".to_vec();
        local.extend_from_slice(&[4, 0, 2, 1, 2]);
        for (header, client) in [
            (&b"PROXY TCP4 203.0.113.7 192.0.2.1 4242 25\r\n"[..], ip("203.0.113.7")),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 4242 25\r\n", ip("2001:db8::7")),
            (b"PROXY UNKNOWN\r\n", None),
            (&v2, ip("203.0.113.9")),
            (&local, None),
        ] {
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Parsed::Incomplete, "{cut} of {header:?}");
            }
            let followed = [header, b"EHLO \xffx\r\nQUIT\r\n"].concat();
            assert_eq!(parse(&followed), Parsed::Header(client, header.len()), "{header:?}");
        }
    }

    #[test]
    fn nonsense_is_wrong_at_once() {
        let long = [&b"PROXY TCP6 "[..], &[b'1'; 200], b"\r\n"].concat();
        let texts = [&b"EHLO"[..], b"EHLO client.test\r\n", b"PROXY TCP4 nonsense\r\n", b"\r\nxx"];
        for nonsense in texts.into_iter().chain([&[b'P'; 4000][..], &long, &long[..120]]) {
            assert_eq!(parse(nonsense), Parsed::Wrong, "{nonsense:?}");
        }
    }
}
