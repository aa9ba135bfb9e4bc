//! Owns: questions to the DNS, through hickory (this is its only door). Must stay true: names are
//! complete (no search list, no hosts file); "there is no such thing" is never confused with
//! "nobody could tell"; questions under way and cached answers are bounded. Fails: [`DnsError`].
//! RFC 1035, 2308 (negative answers), 5321 §5 and 7505 (what mail makes of them).

mod resolver;
mod settings;
#[cfg(test)]
mod tests;

pub use resolver::{DnsError, Mx, Resolver};
pub use settings::Settings;
