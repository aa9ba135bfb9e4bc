//! Everything that a domain publishes about its mail, and what is to be done about it.
//!
//! `lookup` asks the DNS and makes [`Facts`]; `rules` makes [`Advice`] of facts, without asking anybody;
//! `keys` and `dmarc` read single records. Must stay true: what could not be looked up is said to be
//! unknown, and never counts as missing.

mod advice;
mod dmarc;
mod facts;
mod keys;
mod lookup;
mod rules;
#[cfg(test)]
mod tests;

pub use advice::{Advice, Publish, Receiver, Severity, Topic};
pub use facts::{
    AddressFacts, DkimFacts, DmarcFacts, DmarcRecord, ExchangerFacts, Facts, KeyFacts, MxFacts,
    Origin, Policy, ReportFacts, SpfFacts, TextFacts,
};
pub use keys::{Key, KeyKind};
pub use lookup::{Part, Request, look_up};
pub use rules::judge;
