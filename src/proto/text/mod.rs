//! Message text: header scanning and mending, trace fields, dates, dot stuffing (RFC 5322, RFC 5321
//! §4.4, RFC 6409 §8).
//!
//! Everything here is a pure function over bytes, one pass each, and never fails: a message that
//! breaks RFC 5322 is still mail, and gives the facts that can be seen in it.

mod date;
mod date_time;
mod dots;
mod header;
mod mailboxes;
mod submission;
mod trace;

pub use date::write_date;
pub(crate) use date_time::days_from_civil;
pub use date_time::{parse_date_time, write_date_time};
pub use dots::stuff_dots;
pub use header::{HeaderFacts, body_is_8bit, scan_header};
pub use mailboxes::Mailboxes;
pub use submission::{Mending, Missing, mend_header};
pub use trace::{Trace, write_received};
