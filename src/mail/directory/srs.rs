//! Forwarded mail leaves with a sender of our own domain, so that SPF holds and bounces find back
//! (the Sender Rewriting Scheme).
//!
//! `joe@x.org` forwarded by us becomes `SRS0=hash=tt=x.org=joe@ours`; what another forwarder made
//! already becomes `SRS1=hash=theirs==…@ours`, which leads back to them. `tt` is the day, modulo
//! 1024, in base 32; the hash is an HMAC-SHA-256 of the rest, cut to 30 bits and compared without
//! case, since hosts on the way may change it. What must stay true: only addresses that we made
//! ourselves, within [`DAYS_MAX`] days, are reversed, so that we are nobody's open relay.
//!
//! How it fails: a local part has 64 octets at most (RFC 5321 §4.5.3.1.1); a sender that does not
//! fit stays as it is.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use proto::types::{Address, Domain, Host};

/// Bounces come back within so many days, or not at all.
const DAYS_MAX: u64 = 21;
const DAY_MS: u64 = 86_400_000;
const DAYS_CYCLE: u64 = 1024;
const HASH_CHARS: usize = 6;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Rewrites senders, and finds them again.
pub struct Srs {
    key: hmac::Key,
    /// The domain that all rewritten senders have; `None`: that of the address which forwards.
    domain: Option<Domain>,
}

/// Why a rewritten sender is not reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrsError {
    /// We did not make it.
    #[error("not made here")]
    Forged,
    /// It is too old.
    #[error("too old")]
    Old,
}

impl fmt::Debug for Srs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srs").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Srs {
    /// With a secret that outlives restarts, since bounces take days.
    #[must_use]
    pub fn new(secret: &[u8], domain: Option<Domain>) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret), domain }
    }

    /// Whether a folded local part looks like one of ours.
    #[must_use]
    pub fn is_rewritten(local: &str) -> bool {
        parts_of(local, "srs0").or_else(|| parts_of(local, "srs1")).is_some()
    }

    /// Whether all rewritten senders have this domain, which need not be one of ours otherwise.
    #[must_use]
    pub fn is_domain(&self, domain: &Domain) -> bool {
        self.domain.as_ref() == Some(domain)
    }

    /// The sender that mail from `sender` has when `by` forwards it. The null sender has none, and
    /// senders of `by` itself need none.
    #[must_use]
    pub fn forward(&self, sender: &Address, by: &Domain, now_ms: u64) -> Address {
        let by = self.domain.as_ref().unwrap_or(by);
        let Some(domain) = sender.domain().filter(|domain| *domain != by) else {
            return sender.clone();
        };
        let local = sender.local();
        let made = if let Some(rest) = parts_of(local, "srs0") {
            // The first forwarder can reverse its own.
            self.again(domain.as_str(), rest)
        } else if let Some((_, forwarder, rest)) = parts_of(local, "srs1").and_then(split_again) {
            self.again(forwarder, rest)
        } else {
            let day = day_text(now_ms / DAY_MS);
            let hash = self.hash(&["0", &day, domain.as_str(), local]);
            format!("SRS0={hash}={day}={domain}={local}")
        };
        Address::new(&made, Host::Name(by.clone())).unwrap_or_else(|_| sender.clone())
    }

    /// `rest` is what follows the tag and its separator at `forwarder`.
    fn again(&self, forwarder: &str, rest: &str) -> String {
        let hash = self.hash(&["1", forwarder, rest]);
        format!("SRS1={hash}={forwarder}=={rest}")
    }

    /// Where a bounce to `address` goes; `None` when that is no rewritten sender of ours.
    #[must_use]
    pub fn reverse(&self, address: &Address, now_ms: u64) -> Option<Result<Address, SrsError>> {
        let local = address.local();
        if let Some(rest) = parts_of(local, "srs0") {
            return Some(self.reverse_first(rest, now_ms));
        }
        let rest = parts_of(local, "srs1")?;
        Some(self.reverse_again(rest))
    }

    fn reverse_first(&self, rest: &str, now_ms: u64) -> Result<Address, SrsError> {
        let mut parts = rest.splitn(4, '=');
        let (Some(hash), Some(day), Some(domain), Some(local)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SrsError::Forged);
        };
        self.judge(hash, &["0", day, domain, local])?;
        let made = day_of(day).ok_or(SrsError::Forged)?;
        let age = (now_ms / DAY_MS % DAYS_CYCLE + DAYS_CYCLE - made) % DAYS_CYCLE;
        if age > DAYS_MAX {
            return Err(SrsError::Old);
        }
        address_of(local, domain)
    }

    fn reverse_again(&self, rest: &str) -> Result<Address, SrsError> {
        let (hash, forwarder, rest) = split_again(rest).ok_or(SrsError::Forged)?;
        self.judge(hash, &["1", forwarder, rest])?;
        address_of(&format!("SRS0={rest}"), forwarder)
    }

    fn judge(&self, hash: &str, parts: &[&str]) -> Result<(), SrsError> {
        let made = self.hash(parts);
        let given = hash.to_ascii_lowercase();
        verify_slices_are_equal(made.as_bytes(), given.as_bytes()).map_err(|_| SrsError::Forged)
    }

    fn hash(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(part.to_lowercase().as_bytes());
            context.update(&[0]);
        }
        let tag = context.sign();
        let letter = |octet: &u8| char::from(ALPHABET[usize::from(octet & 31)]);
        tag.as_ref().iter().take(HASH_CHARS).map(letter).collect()
    }
}

/// What follows the tag and its separator, which some write as `-` or `+`.
fn parts_of<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (head, rest) = local.split_at_checked(tag.len())?;
    let rest = rest.strip_prefix(['=', '-', '+'])?;
    head.eq_ignore_ascii_case(tag).then_some(rest)
}

/// Hash, first forwarder, and what it wrote behind its own `SRS0=`.
fn split_again(rest: &str) -> Option<(&str, &str, &str)> {
    let (hash, rest) = rest.split_once('=')?;
    let (forwarder, rest) = rest.split_once("==")?;
    Some((hash, forwarder, rest))
}

fn address_of(local: &str, domain: &str) -> Result<Address, SrsError> {
    let domain = Domain::parse(domain).map_err(|_| SrsError::Forged)?;
    Address::new(local, Host::Name(domain)).map_err(|_| SrsError::Forged)
}

fn day_text(day: u64) -> String {
    let letter = |value: u64| char::from(ALPHABET[(value % 32) as usize]);
    [letter(day / 32), letter(day)].into_iter().collect()
}

fn day_of(text: &str) -> Option<u64> {
    let value = |octet: u8| {
        ALPHABET.iter().position(|letter| *letter == octet.to_ascii_lowercase()).map(|at| at as u64)
    };
    match text.as_bytes() {
        [high, low] => Some(value(*high)? * 32 + value(*low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 20_000 * DAY_MS + 5;

    fn srs(secret: u8) -> Srs {
        Srs::new(&[secret; 32], None)
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn a_bounce_finds_back_through_two_forwarders() {
        let (first, second) = (srs(1), srs(2));
        let sender = address("Joe.Q+x@Origin.example");
        let once = first.forward(&sender, &domain("one.example"), NOW);
        assert!(once.to_string().starts_with("SRS0="), "{once}");
        assert_eq!(once.domain(), Some(&domain("one.example")));
        let twice = second.forward(&once, &domain("two.example"), NOW);
        assert!(twice.to_string().starts_with("SRS1="), "{twice}");
        // A third forwarder skips the second.
        let thrice = srs(3).forward(&twice, &domain("three.example"), NOW);
        assert_eq!(srs(3).reverse(&thrice, NOW), Some(Ok(once.clone())));
        assert_eq!(second.reverse(&twice, NOW), Some(Ok(once.clone())));
        assert_eq!(first.reverse(&once, NOW), Some(Ok(sender.clone())));
        // Hosts on the way may fold case.
        let lower = address(&once.to_string().to_lowercase());
        let back = first.reverse(&lower, NOW).unwrap().unwrap();
        assert_eq!(back.to_string(), sender.to_string().to_lowercase());
    }

    #[test]
    fn strangers_and_old_bounces_are_refused() {
        let sender = address("joe@origin.example");
        let made = srs(1).forward(&sender, &domain("one.example"), NOW);
        assert_eq!(srs(2).reverse(&made, NOW), Some(Err(SrsError::Forged)));
        assert_eq!(srs(1).reverse(&made, NOW + DAYS_MAX * DAY_MS), Some(Ok(sender.clone())));
        let late = NOW + (DAYS_MAX + 1) * DAY_MS;
        assert_eq!(srs(1).reverse(&made, late), Some(Err(SrsError::Old)));
        assert_eq!(srs(1).reverse(&made, NOW - 2 * DAY_MS), Some(Err(SrsError::Old)));
        let text = made.to_string();
        for (from, to) in [("joe", "jim"), ("origin", "orjgin"), ("=", "-")] {
            let forged = address(&text.replacen(from, to, 2));
            assert_ne!(srs(1).reverse(&forged, NOW), Some(Ok(sender.clone())), "{forged}");
        }
        for text in
            ["SRS0=@x.example", "SRS0=a=b=c@x.example", "SRS1=a=b=c@x.example", "srs0+a@x.example"]
        {
            assert_eq!(srs(1).reverse(&address(text), NOW), Some(Err(SrsError::Forged)), "{text}");
        }
        assert_eq!(srs(1).reverse(&sender, NOW), None);
        assert_eq!(srs(1).reverse(&address("srs@x.example"), NOW), None);
    }

    #[test]
    fn what_needs_no_rewriting_stays() {
        let by = domain("one.example");
        for text in ["joe@one.example", "joe@[192.0.2.1]"] {
            assert_eq!(srs(1).forward(&address(text), &by, NOW), address(text));
        }
        let long = address(&format!("{}@origin.example", "x".repeat(60)));
        assert_eq!(srs(1).forward(&long, &by, NOW), long);
        let fixed = Srs::new(&[1; 32], Some(domain("srs.example")));
        let made = fixed.forward(&address("joe@origin.example"), &by, NOW);
        assert_eq!(made.domain(), Some(&domain("srs.example")));
    }

    proptest! {
        #[test]
        fn what_is_made_is_reversed(local in "[a-z0-9=+._-]{1,20}", day in 0_u64..30_000) {
            prop_assume!(!local.starts_with('.') && !local.ends_with('.') && !local.contains(".."));
            let sender = address(&format!("{local}@origin.example"));
            let made = srs(1).forward(&sender, &domain("one.example"), day * DAY_MS);
            prop_assert_eq!(srs(1).reverse(&made, day * DAY_MS), Some(Ok(sender)));
        }
    }
}
