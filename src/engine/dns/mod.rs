//! Owns: questions to the DNS, through hickory (this is its only door). Must stay true: names are
//! complete (no search list, no hosts file); "there is no such thing" is never confused with
//! "nobody could tell"; nothing is called secure that DNSSEC does not vouch for, and what it
//! contradicts is an error; questions under way and cached answers are bounded. Fails:
//! [`DnsError`]. RFC 1035, 2308 (negative answers), 4035 §4.3 (security of answers), 5321 §5 and
//! 7505 (what mail makes of them), 6698 (TLSA).

mod resolver;
mod secured;
mod settings;
#[cfg(test)]
mod tests;
mod tlsa;
mod upstream;

pub use resolver::{DnsError, HostAnswer, Mx, Resolver, Security};
pub use settings::{Dnssec, Settings};
pub use tlsa::Tlsa;
pub use upstream::{Fresh, Upstream};
