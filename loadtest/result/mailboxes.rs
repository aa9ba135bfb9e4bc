//! What clients of mailboxes did in a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One operation, again and again, over IMAP, POP3 or LMTP.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Mailboxes {
    /// Which: `login`, `headers`, `bodies`, `append`, `idle`, `pop3`, `deliver`.
    pub operation: String,
    /// Sessions at a time.
    pub sessions: u64,
    /// Operations that were finished; of `bodies` messages, of `idle` notifications.
    pub operations: u64,
    /// Of them a second, from the start of the clock to the end of the last.
    pub operations_per_s: f64,
    /// Operations that were begun and not finished.
    pub unfinished: u64,
    /// Octets of messages or header fields, without what frames them.
    pub octets: u64,
    /// Of them a second.
    pub octets_per_s: Option<f64>,
    /// Connections made.
    pub connections: u64,
    /// Connections that failed to open or broke, and commands that were refused.
    pub connections_failed: u64,
    /// How, with how often.
    pub failures: BTreeMap<String, u64>,
    /// Of `idle`: the server's memory (Pss) with all sessions, less that without any, for each.
    pub memory_per_session_kib: Option<f64>,
}
