//! What a server says (RFC 9051 §7): every response a driver needs, appended to its buffer.
//!
//! Nothing can fail, nothing but `THREAD` allocates, and whatever stands in a name or a text comes out as one
//! well-formed response: as a quoted string when that can hold it, else as a literal. Octets of a
//! message are not written here: [`FetchLine`] announces them, and the driver sends them from where
//! they are.
//!
//! Files: `text` has strings and numbers, `code` the tagged and untagged status responses, `fetch`
//! `FETCH`, `folder` what is said of a mailbox, `found` search results, `quota` quotas.

mod code;
mod fetch;
mod folder;
mod found;
mod quota;
#[cfg(test)]
mod tests;
mod text;

pub use code::{Code, Completion, Condition, write_untagged};
pub use fetch::FetchLine;
pub use folder::{
    Attribute, Listed, StatusLine, write_exists, write_expunge, write_flags_line, write_lsub,
    write_namespace, write_permanent_flags, write_recent, write_vanished,
};
pub use found::{EsearchLine, write_search, write_sort, write_threads};
pub use quota::{write_quota, write_quota_root};
pub use text::{push_number, write_astring, write_mailbox, write_nstring, write_string};
