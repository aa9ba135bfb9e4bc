//! SPF records as text that people wrote (RFC 7208): which term is which, and what is wrong with one.
//!
//! The meaning of a term is mail-auth's, so that it is the one by which mail is judged; what RFC 7208 §12
//! forbids and mail-auth lets pass is refused here, for other receivers refuse it. Fails: in words, with
//! the term.

mod questions;
mod terms;
#[cfg(test)]
mod tests;
mod walk;

pub(super) use terms::is_spf;
pub use terms::{All, fault};
pub use walk::{Asking, Cost, Decided, Trace, Visited, cost, trace};

/// Terms that ask the DNS, in one check (RFC 7208 §4.6.4).
pub const LOOKUPS_MAX: u32 = 10;
/// Of these, how many may find nothing.
pub const VOID_LOOKUPS_MAX: usize = 2;
