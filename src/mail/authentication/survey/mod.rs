//! What a domain publishes about its mail, looked at for people: `ringpost check spf` and `check domain`.
//!
//! `spf` follows a record from term to term and says which one decides, or what all of them cost; `domain`
//! looks everything up that a domain publishes, and judges it. Must stay true: nothing here decides about
//! mail (`checks` does); every number of questions that a record can cause is bounded; texts of strangers
//! are handed on as they came, and whoever shows them cleans them.

pub mod domain;
pub mod spf;
mod tags;
