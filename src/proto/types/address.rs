//! Mailbox addresses (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! The local part is kept as it is meant, without quotes, and quoted again only where the grammar
//! asks for it: `"joe"@x.org` and `joe@x.org` are one address (RFC 5321 §4.1.2, last paragraph).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use super::{Domain, DomainError};

/// The right side of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Host {
    /// A domain name.
    Name(Domain),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
    Literal(IpAddr),
}

/// One mailbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    local: Box<str>,
    host: Host,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@` outside quotes.
    #[error("address has no domain")]
    NoDomain,
    /// The local part breaks the grammar.
    #[error("malformed local part")]
    Local,
    /// The local part is over 64 octets (RFC 5321 §4.5.3.1.1).
    #[error("local part too long")]
    LocalLong,
    /// The address literal is not one we know.
    #[error("malformed address literal")]
    Literal,
    /// The domain.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

const LOCAL_OCTETS_MAX: usize = 64;

impl Address {
    /// Makes an address of a local part as it is meant (unquoted) and a host.
    ///
    /// # Errors
    /// When the local part is empty, too long, or holds control characters.
    pub fn new(local: &str, host: Host) -> Result<Self, AddressError> {
        if local.len() > LOCAL_OCTETS_MAX {
            return Err(AddressError::LocalLong);
        }
        if local.chars().any(char::is_control) {
            return Err(AddressError::Local);
        }
        Ok(Self { local: local.into(), host })
    }

    /// Parses `local@domain`, without angle brackets and source route.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, rest) = split_local(text)?;
        Self::new(&local, parse_host(rest)?)
    }

    /// The local part as it is meant: unquoted, case kept.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The right side.
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The domain, unless it is an address literal.
    pub const fn domain(&self) -> Option<&Domain> {
        match &self.host {
            Host::Name(domain) => Some(domain),
            Host::Literal(_) => None,
        }
    }

    /// Whether the next hop needs SMTPUTF8 to be told this address (RFC 6531 §3.4).
    pub fn needs_utf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        write!(f, "@{}", self.host)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(domain) => domain.fmt(f),
            Self::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Self::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

impl Host {
    /// Parses a domain or an address literal.
    ///
    /// # Errors
    /// See [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        parse_host(text)
    }
}

/// The local part, unquoted, and what stands behind its `@`.
fn split_local(text: &str) -> Result<(String, &str), AddressError> {
    if let Some(quoted) = text.strip_prefix('"') {
        return split_quoted(quoted);
    }
    let at = text.find('@').ok_or(AddressError::NoDomain)?;
    let (local, rest) = (&text[..at], &text[at + 1..]);
    if !is_dot_string(local) {
        return Err(AddressError::Local);
    }
    Ok((local.to_owned(), rest))
}

fn split_quoted(text: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let rest = text[at + 1..].strip_prefix('@').ok_or(AddressError::NoDomain)?;
                return Ok((local, rest));
            }
            '\\' => match chars.next() {
                Some((_, escaped)) if !escaped.is_control() => local.push(escaped),
                _ => return Err(AddressError::Local),
            },
            c if c.is_control() => return Err(AddressError::Local),
            c => local.push(c),
        }
    }
    Err(AddressError::Local)
}

fn parse_host(text: &str) -> Result<Host, AddressError> {
    let Some(literal) = text.strip_prefix('[') else {
        return Ok(Host::Name(Domain::parse(text)?));
    };
    let literal = literal.strip_suffix(']').ok_or(AddressError::Literal)?;
    let ip = match literal.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => {
            literal[5..].parse::<Ipv6Addr>().map(IpAddr::V6)
        }
        _ => literal.parse::<Ipv4Addr>().map(IpAddr::V4),
    };
    ip.map(Host::Literal).map_err(|_| AddressError::Literal)
}

/// `Dot-string = Atom *("." Atom)`, with the UTF-8 of RFC 6531.
fn is_dot_string(local: &str) -> bool {
    let atext = |c: char| {
        c.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(c)
            || (!c.is_ascii() && !c.is_control())
    };
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        Address::parse(text).unwrap().to_string()
    }

    #[test]
    fn quotes_stay_only_where_the_grammar_asks() {
        assert_eq!(round("Joe.Q@Example.ORG"), "Joe.Q@example.org");
        assert_eq!(round("\"joe\"@x.org"), "joe@x.org");
        assert_eq!(round("\"a b\"@x.org"), "\"a b\"@x.org");
        assert_eq!(round("\"a\\\"@\\\\b\"@x.org"), "\"a\\\"@\\\\b\"@x.org");
        assert_eq!(round("\"\"@x.org"), "\"\"@x.org");
    }

    #[test]
    fn literals_and_utf8() {
        assert_eq!(round("a@[192.0.2.1]"), "a@[192.0.2.1]");
        assert_eq!(round("a@[ipv6:2001:DB8::1]"), "a@[IPv6:2001:db8::1]");
        let address = Address::parse("用户@例子.公司").unwrap();
        assert!(address.needs_utf8());
        assert_eq!(address.to_string(), "用户@xn--fsqu00a.xn--55qx5d");
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "a",
            "@x.org",
            ".a@x.org",
            "a.@x.org",
            "a..b@x.org",
            "a b@x.org",
            "a@",
            "a@b@c",
            "\"a@x.org",
            "\"a\"b@x.org",
            "\"a\n\"@x.org",
            "a@[300.1.1.1]",
            "a@[1.2.3.4",
            "a<b@x.org",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        let long = format!("{}@x.org", "a".repeat(65));
        assert_eq!(Address::parse(&long), Err(AddressError::LocalLong));
    }
}
