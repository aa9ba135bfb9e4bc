//! What an admin can set about the queue.

use engine::settings::{Bytes, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long mail is kept and when it is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Wait before the second attempt.
    pub retry_first: Span,
    /// Longest wait between attempts.
    pub retry_max: Span,
    /// Each wait is the one before it times this.
    pub retry_factor: f64,
    /// Waits are stretched or shortened at random by up to this share (0.0 to 0.9), so that mail
    /// that failed together does not come back together.
    pub retry_jitter: f64,
    /// Mail older than this is returned to its sender at the next failed attempt (RFC 5321
    /// section 4.5.4.1 asks for 4 to 5 days at least).
    pub expiry: Span,
    /// The sender is told once when mail has waited this long; "0 s" never tells.
    pub delay_warning: Span,
    /// Bounces return at most this much of the original message.
    pub bounce_original_bytes_max: Bytes,
    /// Bodies of new mail kept in memory, per shard, so that the first attempt reads nothing from
    /// disk.
    pub fresh_bytes_max: Bytes,
    /// Messages handed out for delivery at one time, per shard.
    pub leases_max: u32,
    /// Messages queued at most, per shard; beyond it clients hear 452. A queued message takes
    /// about 80 bytes of memory.
    pub messages_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retry_first: Span::mins(5),
            retry_max: Span::hours(4),
            retry_factor: 2.0,
            retry_jitter: 0.2,
            expiry: Span::days(5),
            delay_warning: Span::hours(4),
            bounce_original_bytes_max: Bytes::kib(64),
            fresh_bytes_max: Bytes::mib(64),
            leases_max: 16_384,
            messages_max: 5_000_000,
        }
    }
}

impl Settings {
    /// What cannot work, in words; empty when all is well.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, text: &str| {
            if !holds {
                faults.push(text.to_owned());
            }
        };
        demand(self.retry_first.as_ms() > 0, "queue.retry_first must be more than nothing");
        demand(
            self.retry_max.get() >= self.retry_first.get(),
            "queue.retry_max is under retry_first",
        );
        demand(
            (1.0..=100.0).contains(&self.retry_factor),
            "queue.retry_factor must be 1.0 to 100.0",
        );
        demand((0.0..=0.9).contains(&self.retry_jitter), "queue.retry_jitter must be 0.0 to 0.9");
        demand(self.leases_max > 0, "queue.leases_max must be at least 1");
        demand(self.messages_max > 0, "queue.messages_max must be at least 1");
        faults
    }
}
