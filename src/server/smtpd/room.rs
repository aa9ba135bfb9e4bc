//! Whether a mailbox has room, asked before the message is sent (RFC 5321 §4.5.3.1.10, RFC 1870).
//!
//! What must stay true: nothing is asked where nothing is limited, for the mailbox may be another shard's; an
//! address that leads to several is judged when the message has come. How it fails: 552 5.2.2, for good: as
//! Dovecot has it, the sender shall hear of a full mailbox at once and not when their queue gives up;
//! 452 and 451 when the disk is full or fails.

use mail::delivery::is_here;
use mail::directory::{Resolution, Target};
use mail::mailbox::{Limits, MailboxError};
use proto::types::{Address, Reply};

use super::session::Session;

impl Session {
    /// The mailbox of a recipient and its limits, if it has any.
    pub(super) fn limited<'a>(&self, resolution: &'a Resolution) -> Option<(&'a Address, Limits)> {
        let Resolution::Deliver(targets) = resolution else { return None };
        let [target @ Target::Mailbox { account, quota_bytes, .. }] = &targets[..] else {
            return None;
        };
        let limits = Limits::of(&self.door.stores.settings(), *quota_bytes);
        let is_limited = limits != Limits::default() && is_here(target, &self.rules.routes);
        is_limited.then_some((account, limits))
    }

    /// Whether as much as the client has announced would be taken for a recipient.
    pub(super) async fn has_room(&self, resolution: &Resolution) -> Result<(), Reply> {
        let Some((account, limits)) = self.limited(resolution) else { return Ok(()) };
        let bytes = self.machine.declared_size().unwrap_or(0);
        let has_room = self.door.stores.room(&account.to_string(), limits, bytes).await;
        has_room.map_err(|error| {
            if error == MailboxError::OverQuota {
                self.door.metrics.over_quota.inc();
            }
            error.reply()
        })
    }
}
