//! Message text: header scanning, trace fields, dates, dot stuffing (RFC 5322, RFC 5321 §4.4).
//!
//! Everything here is a pure function over bytes, one pass each, and never fails: a message that
//! breaks RFC 5322 is still mail, and gives the facts that can be seen in it.

mod date;
mod dots;
mod header;
mod trace;

pub use date::write_date;
pub use dots::stuff_dots;
pub use header::{HeaderFacts, body_is_8bit, scan_header};
pub use trace::{Trace, write_received};
