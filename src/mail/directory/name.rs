//! Names as the directory compares them: keys in order, local parts folded.
//!
//! What must stay true: an address of one of our domains has one key however it is written (case,
//! composed or decomposed UTF-8, U-labels or A-labels; RFC 5321 §2.4 lets the owner of a domain
//! decide, RFC 6532 §3.1 asks for NFC); the addresses of a domain follow the domain itself in the
//! order of keys, and nothing else comes between.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use proto::types::{Address, AddressError, Domain, Host};
use smallvec::SmallVec;

/// Stands between domain and local part: in neither, and before everything that is.
const SEPARATOR: u8 = 0;

/// A key, on the stack for every address of usual length.
pub(super) type Key = SmallVec<[u8; 96]>;

/// The key of a domain's own record.
pub(super) fn domain_key(domain: &Domain) -> Key {
    Key::from_slice(domain.as_str().as_bytes())
}

/// The key of an address whose local part is folded.
pub(super) fn address_key(domain: &Domain, folded: &str) -> Key {
    let mut key = domain_key(domain);
    key.push(SEPARATOR);
    key.extend_from_slice(folded.as_bytes());
    key
}

/// Where the addresses of a domain begin.
pub(super) fn addresses_of(domain: &Domain) -> Key {
    address_key(domain, "")
}

/// The first key behind a domain and all its addresses.
pub(super) fn behind(domain: &str) -> Key {
    let mut key = Key::from_slice(domain.as_bytes());
    key.push(SEPARATOR + 1);
    key
}

/// Domain and folded local part of a key; the local part is `None` for a domain's own.
pub(super) fn split(key: &[u8]) -> Option<(&str, Option<&str>)> {
    let text = std::str::from_utf8(key).ok()?;
    Some(match text.split_once(char::from(SEPARATOR)) {
        Some((domain, local)) => (domain, Some(local)),
        None => (text, None),
    })
}

/// A local part as it is compared: lower case, NFC.
pub fn fold(local: &str) -> Cow<'_, str> {
    if !local.is_ascii() {
        let lower = local.to_lowercase();
        return Cow::Owned(ComposingNormalizerBorrowed::new_nfc().normalize(&lower).into_owned());
    }
    if local.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(local.to_ascii_lowercase());
    }
    Cow::Borrowed(local)
}

/// The address with its local part folded: how an address of our own is written.
///
/// # Errors
/// When the folded local part is too long.
pub fn folded(address: &Address) -> Result<Address, AddressError> {
    Address::new(&fold(address.local()), address.host().clone())
}

/// Parses an address that must have a domain name, and folds it.
pub(super) fn parse_own(text: &str) -> Result<(Address, Domain), String> {
    let address = Address::parse(text.trim())
        .and_then(|address| folded(&address))
        .map_err(|error| format!("{text:?} is no address: {error}"))?;
    match address.host() {
        Host::Name(domain) => {
            let domain = domain.clone();
            Ok((address, domain))
        }
        Host::Literal(_) => Err(format!("{text:?}: an address here has a domain name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        let (address, domain) = parse_own(text).unwrap();
        address_key(&domain, address.local())
    }

    #[test]
    fn one_address_has_one_key() {
        assert_eq!(key("Joe.Q@Example.ORG"), key("\"joe.q\"@example.org."));
        assert_eq!(key("BÜCHER@bücher.example"), key("bu\u{308}cher@xn--bcher-kva.example"));
        assert_ne!(key("joe@example.org"), key("joe@example.net"));
        assert!(parse_own("joe@[192.0.2.1]").is_err() && parse_own("joe").is_err());
    }

    #[test]
    fn addresses_follow_their_domain() {
        let domain = Domain::parse("x.example").unwrap();
        let mut keys = [
            behind("x.example"),
            key("a@x.example-b.test"),
            key("é@x.example"),
            key("a@x.example"),
            domain_key(&domain),
            key("a@x.examplf"),
        ];
        keys.sort();
        assert_eq!(keys[0], domain_key(&domain));
        assert_eq!(keys[1], key("a@x.example"));
        assert_eq!(keys[2], key("é@x.example"));
        assert_eq!(keys[3], behind("x.example"));
        assert!(addresses_of(&domain) < keys[1] && addresses_of(&domain) > keys[0]);
        assert_eq!(split(&keys[1]), Some(("x.example", Some("a"))));
        assert_eq!(split(&keys[0]), Some(("x.example", None)));
    }
}
