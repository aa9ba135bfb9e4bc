//! Messages: how they are made, drawn and recognised again.

mod dkim;
mod label;
mod mailing;
mod spread;
mod template;

pub use dkim::{Dkim, RSA_KEY, key_record};
pub use label::{Label, between, now_us};
pub use mailing::{Domains, Letter, Mailing, SENDER_DOMAIN, index_of_recipient, number_of_sender};
pub use spread::Spread;
pub use template::{Framing, Template, bodies, corpus, labelled, synthetic};
