//! Where mail comes from: SPF, DKIM, DMARC and ARC, the only room that knows `mail-auth`.
//!
//! `checks` looks at what comes in and says what it found; `signing` keeps the private keys of our
//! domains and signs what goes out; `survey` looks at what a domain publishes, for people.

pub mod checks;
pub mod signing;
pub mod survey;
