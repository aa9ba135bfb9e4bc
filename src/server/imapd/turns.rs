//! Turns: work that looks at a lot lets others go on in between, and ends when it has taken too long.
//!
//! What must stay true: whoever searches, sorts or threads spends here what they look at, so that no
//! command of one client holds the shard, however it is made.

use engine::shard::now_ms;
use mail::mailbox::MailboxError;
use proto::imap::{Code, Completion};

use super::trouble::completion;

/// Octets behind which others have their turn.
const TURN_OCTETS: usize = 64 << 10;
/// How long one command may take.
const WORK_MS_MAX: u64 = 60_000;

/// The turns of one command.
pub(super) struct Turns {
    /// Octets since others last had theirs.
    spent: usize,
    /// On the clock of [`now_ms`].
    until_ms: u64,
}

/// Why work ends early.
#[derive(Debug)]
pub(super) enum Halt {
    TooLong,
    Store(MailboxError),
}

impl Turns {
    pub fn begin() -> Self {
        Self { spent: 0, until_ms: now_ms().saturating_add(WORK_MS_MAX) }
    }

    /// So many octets were looked at, or as much work was done.
    ///
    /// # Errors
    /// [`Halt::TooLong`].
    pub async fn spend(&mut self, octets: usize) -> Result<(), Halt> {
        self.spent = self.spent.saturating_add(octets);
        if self.spent < TURN_OCTETS { Ok(()) } else { self.give().await }
    }

    /// Others have their turn now.
    ///
    /// # Errors
    /// [`Halt::TooLong`].
    pub async fn give(&mut self) -> Result<(), Halt> {
        self.spent = 0;
        tokio::task::yield_now().await;
        if now_ms() < self.until_ms { Ok(()) } else { Err(Halt::TooLong) }
    }
}

impl From<MailboxError> for Halt {
    fn from(error: MailboxError) -> Self {
        Self::Store(error)
    }
}

impl From<Halt> for Completion {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::TooLong => Self::no("This takes too long, ask for less").with(Code::Limit),
            Halt::Store(error) => completion(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_ends_when_its_time_is_over() {
        let mut turns = Turns { spent: 0, until_ms: 0 };
        assert!(turns.spend(TURN_OCTETS - 1).await.is_ok(), "nobody waits for it yet");
        let halt = turns.spend(1).await.unwrap_err();
        assert_eq!(Completion::from(halt).code, Some(Code::Limit));
        let mut turns = Turns { spent: 0, until_ms: u64::MAX };
        assert!(turns.spend(usize::MAX).await.is_ok());
        assert_eq!(turns.spent, 0);
    }
}
