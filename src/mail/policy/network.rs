//! Networks in CIDR form (RFC 4632, RFC 4291 §2.3).
//!
//! An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, what a dual-stack socket reports) counts as its
//! IPv4 address, on both sides.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// One network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address.
    #[error("{0:?} is not a network: write an address or \"address/bits\", e.g. \"192.0.2.0/24\"")]
    Malformed(String),
    /// More bits than the address has.
    #[error("{text:?}: the prefix is at most {max} bits")]
    Prefix {
        /// What was written.
        text: String,
        /// 32 or 128.
        max: u8,
    },
    /// Bits of the host part are set: a typing mistake that would silently allow something else.
    #[error("{text:?}: bits after the prefix are set; did you mean \"{meant}\"?")]
    HostBits {
        /// What was written.
        text: String,
        /// The network that it lies in.
        meant: Network,
    },
}

impl Network {
    /// Whether `ip` lies within.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.base, ip.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(ip)) => mask_v4(ip, self.prefix) == base,
            (IpAddr::V6(base), IpAddr::V6(ip)) => mask_v6(ip, self.prefix) == base,
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let malformed = || NetworkError::Malformed(text.to_owned());
        let (address, bits) = match text.trim().split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.trim(), None),
        };
        let address =
            address.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(address);
        let base: IpAddr = address.parse().map_err(|_| malformed())?;
        let max = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match bits {
            None => max,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| malformed())?
            }
            Some(_) => return Err(malformed()),
        };
        if prefix > max {
            return Err(NetworkError::Prefix { text: text.to_owned(), max });
        }
        let meant = Self { base: mask(base, prefix), prefix };
        if meant.base != base {
            return Err(NetworkError::HostBits { text: text.to_owned(), meant });
        }
        Ok(meant.canonical())
    }
}

impl Network {
    /// `::ffff:192.0.2.0/120` is `192.0.2.0/24`.
    fn canonical(self) -> Self {
        match (self.base.to_canonical(), self.prefix) {
            (IpAddr::V4(base), 96..) if self.base.is_ipv6() => {
                Self { base: IpAddr::V4(base), prefix: self.prefix - 96 }
            }
            _ => self,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

fn mask(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4(mask_v4(ip, prefix)),
        IpAddr::V6(ip) => IpAddr::V6(mask_v6(ip, prefix)),
    }
}

fn mask_v4(ip: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let ones = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    Ipv4Addr::from_bits(ip.to_bits() & ones)
}

fn mask_v6(ip: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let ones = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
    Ipv6Addr::from_bits(ip.to_bits() & ones)
}

/// A list of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Parses a list.
    ///
    /// # Errors
    /// The first that is no network.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, NetworkError> {
        texts.iter().map(|text| text.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// Whether any of them contains `ip`.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, ip: &str) -> bool {
        network.parse::<Network>().unwrap().contains(ip.parse().unwrap())
    }

    #[test]
    fn addresses_lie_in_networks() {
        assert!(contains("192.0.2.0/24", "192.0.2.255"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::1"));
        assert!(contains("[::1]", "::1"));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert!(contains("192.0.2.0/24", "::ffff:192.0.2.9"));
        assert!(contains("::ffff:192.0.2.0/120", "192.0.2.9"));
        assert!(!contains("::/0", "::ffff:192.0.2.9"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        assert!(error("192.0.2.1/24").contains("did you mean \"192.0.2.0/24\""));
        assert!(error("192.0.2.0/33").contains("at most 32"));
        assert!(error("::/129").contains("at most 128"));
        for text in
            ["", "example.org", "192.0.2", "192.0.2.0/", "192.0.2.0/+8", "192.0.2.0/a", "/8"]
        {
            assert!(error(text).contains("is not a network"), "{text}");
        }
    }
}
