//! Where an incoming message comes from: iprev, SPF, DKIM, ARC and DMARC, and what to do about it.
//!
//! What must stay true: a check never fails and never outlasts its deadline: what is not known then
//! is `temperror`. What a stranger can make grow (signatures, header fields, questions to the DNS,
//! answers kept) has a bound, and what lies beyond it counts as `policy`, never as `pass`. Nothing
//! that a stranger wrote gets into a field of ours but as a word or a quoted string. Nothing of
//! `mail-auth` leaves this room. How it fails: see [`Report`] and [`Judgement`].
//!
//! `mail-auth` reads records and signatures here and verifies DKIM and ARC, but asks the DNS
//! nothing: questions go through [`engine::dns::Upstream`], and their answers are kept apart by what
//! they are for, since one cache of parsed TXT records would let an SPF record that includes
//! `_dmarc.victim.example` plant "no DMARC record" there. SPF is evaluated here, for void look-ups,
//! several records of a name and `exists` (A only) are to be as RFC 7208 has them.
//!
//! RFC 8601 (results), 7208 (SPF), 6376, 8301 and 8463 (DKIM), 8617 (ARC), 9989 (DMARC), 7372
//! (replies).

mod arc;
mod aside;
mod authenticator;
mod desk;
mod dkim;
mod dmarc;
mod examiner;
mod fields;
mod forged;

mod iprev;
mod kept;
mod outcomes;
mod report;
mod rules;
mod scan;
mod settings;
mod spf;
#[cfg(test)]
mod tests;

pub use authenticator::{Authenticator, AuthenticatorError, Subject};
pub use forged::forged_fields;
pub use outcomes::{Day, Disposition, Outcomes, Policies, Row, Tally};
pub use report::{Arc, Dkim, Dmarc, DomainWish, Iprev, Published, Report, Spf, SpfResult};
pub use rules::{Judgement, Rules, RulesError};
pub use settings::{DomainPolicy, Policy, Settings};
