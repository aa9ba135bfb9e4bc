//! The admin door: a Unix socket that takes one JSON object a line and answers with one.
//!
//! What it owns: the socket, its thread (plain tokio, no shard), the translation of requests into
//! `mail::queue` commands, and the merging of what the shards answer. What it knows of the running
//! server is the trait [`Hub`], which boot implements: posting a command to a shard, reading its
//! numbers, changing the directory, reload and stop.
//!
//! What must stay true: whoever can open the socket may do everything (its mode is 0660: owner and
//! group); a request is at most [`REQUEST_BYTES_MAX`], connections at most [`CONNECTIONS_MAX`]; a
//! shard that does not answer within [`SHARD_PATIENCE`] is reported, not waited for; hold and delete
//! refuse to mean "all messages" unless told `"all": true`, and unknown keys are errors, so that a
//! mistyped filter never widens.
//!
//! | request | answer |
//! |---|---|
//! | `{"admin":"status"}` | `{"ok":true, "version":…, "shards":[…], "total":{…}}` ([`Status`]) |
//! | `{"admin":"reload"}` | `{"ok":true, "applied":["queue.retry"], "restart":["listener"]}` ([`Reloaded`]) |
//! | `{"admin":"stop"}` | `{"ok":true}`; the server drains and ends |
//! | `{"queue":"list", "filter":{"domain":"x.example"}, "limit":100, "after":"01K…"}` | `{"ok":true, "rows":[…], "next":"01K…"}` ([`List`]) |
//! | `{"queue":"show", "id":"01K…"}` | `{"ok":true, "row":…, "recipients":[…]}` ([`mail::queue::Detail`]) |
//! | `{"queue":"flush" \| "hold" \| "release" \| "delete", "filter":{…}, "all":false}` | `{"ok":true, "count":3}` ([`Done`]) |
//! | `{"directory":"add", "record":{"kind":"alias", …}}` and the like ([`mail::directory::Command`]) | `{"ok":true, "answer":"done", "count":1}` ([`mail::directory::Answer`]) |
//! | `{"dkim":"generate", "domain":"x.example"}` and the like ([`mail::authentication::signing::Command`]) | `{"ok":true, "keys":[…]}` ([`mail::authentication::signing::Answer`]) |
//! | anything wrong | `{"ok":false, "error":"…"}` |

mod answer;
mod gather;
mod request;
mod socket;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod user;

use std::time::Duration;

use engine::telemetry::Sheet;
use mail::authentication::signing;
use mail::directory;
use mail::queue::{Answer, Command, QueueError, Snapshot};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use request::{AdminRequest, AdminVerb, Done, List, QueueRequest, QueueVerb, Refused};
pub use socket::{Admin, start};
pub use status::{About, Numbers, ShardStatus, Status};
pub use user::described;

/// Bytes of a request line at most: a group with all its members, or a piece of an import.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Connections at a time at most; the next hears an error and is closed.
pub const CONNECTIONS_MAX: usize = 16;
/// How long a shard may take to answer.
pub const SHARD_PATIENCE: Duration = Duration::from_secs(10);
/// How long the directory may take: an import may wait for a snapshot of a million accounts.
pub const DIRECTORY_PATIENCE: Duration = Duration::from_secs(50);

/// How long a command about keys may take: large ones are made in seconds.
pub const KEYS_PATIENCE: Duration = Duration::from_secs(50);

/// What the admin door needs from the running server. Boot implements it.
///
/// Every method is called on the admin thread and must return at once; work is posted to the shard
/// and its result sent through the oneshot. A sender that is dropped means "does not answer" (the
/// shard has ended or its queue of posts is full).
pub trait Hub: Send + Sync + 'static {
    /// How many shards there are.
    fn shards(&self) -> usize;

    /// Runs `command` on every queue that the shard keeps: its own and those it adopted. One result
    /// a queue.
    fn queue(
        &self,
        shard: usize,
        command: Command,
    ) -> oneshot::Receiver<Vec<Result<Answer, QueueError>>>;

    /// The state of every queue that the shard keeps.
    fn snapshots(&self, shard: usize) -> oneshot::Receiver<Vec<Snapshot>>;

    /// The shard's numbers: let every room's `Measured` report on one sheet. Read on this thread.
    fn sheet(&self, shard: usize) -> Sheet;

    /// What does not change while the server runs, and its age.
    fn about(&self) -> About;

    /// Has the directory carry out `command` for `who`.
    fn directory(
        &self,
        who: String,
        command: directory::Command,
    ) -> oneshot::Receiver<Result<directory::Answer, directory::StoreError>>;

    /// Has a command about the keys of DKIM carried out for `who`.
    fn dkim(
        &self,
        who: String,
        command: signing::Command,
    ) -> oneshot::Receiver<Result<signing::Answer, signing::KeyError>>;

    /// Reads the settings again and applies what can be applied, as SIGHUP does. The error is the
    /// text that the administrator shall see.
    fn reload(&self) -> oneshot::Receiver<Result<Reloaded, String>>;

    /// Begins to drain and stop, as SIGTERM does.
    fn stop(&self);
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Paths of settings that changed and hold from now on.
    pub applied: Vec<String>,
    /// Paths of settings that changed in the file but need a restart.
    pub restart: Vec<String>,
}
