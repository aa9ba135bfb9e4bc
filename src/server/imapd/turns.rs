//! Turns and memory: work that looks at a lot lets others go on in between, ends when it has taken too
//! long, and holds what the shard has memory for.
//!
//! What must stay true: whoever searches, sorts or threads spends here what they look at, so that no
//! command of one client holds the shard, however it is made; what cannot be cut into pieces and is much
//! is done aside. How it fails: with a [`Halt`], of which the client hears `NO [LIMIT]`.

use std::sync::Arc;

use engine::shard::{Budget, Permit, beside, now_ms};
use mail::mailbox::MailboxError;
use proto::imap::{Code, Completion};

use super::metrics::Metrics;
use super::trouble::completion;

/// Octets behind which others have their turn.
const TURN_OCTETS: usize = 64 << 10;
/// How long one command may take.
const WORK_MS_MAX: u64 = 60_000;
/// Octets that are held for one message without asking for memory.
const SMALL_BYTES: usize = 64 << 10;
/// Messages that are put in order at once; more take longer than others should wait.
const AT_ONCE_MAX: usize = 5_000;

/// The memory that a shard has for messages in flight, as commands ask for it.
#[derive(Clone)]
pub(super) struct Memory {
    budget: Budget,
    /// Count who gets none.
    metrics: Arc<Metrics>,
}

/// The turns of one command.
pub(super) struct Turns {
    /// Octets since others last had theirs.
    spent: usize,
    /// On the clock of [`now_ms`].
    until_ms: u64,
    /// What the command may hold.
    pub memory: Memory,
}

/// Why work ends early.
#[derive(Debug)]
pub(super) enum Halt {
    TooLong,
    NoMemory,
    Store(MailboxError),
}

impl Memory {
    pub fn new(budget: &Budget, metrics: &Arc<Metrics>) -> Self {
        Self { budget: budget.clone(), metrics: Arc::clone(metrics) }
    }

    /// For what is held of a message while it is told or looked into; for little, nothing is taken. What
    /// is more than there is for all is let in when nobody else holds anything.
    ///
    /// # Errors
    /// [`Halt::NoMemory`].
    pub fn for_message(&self, octets: usize) -> Result<Option<Permit>, Halt> {
        if octets <= SMALL_BYTES {
            return Ok(None);
        }
        let permit = self.budget.try_take(octets.min(self.budget.max()));
        permit.map(Some).ok_or_else(|| self.refusal())
    }

    /// For something that grows.
    ///
    /// # Errors
    /// [`Halt::NoMemory`].
    pub fn begin(&self) -> Result<Permit, Halt> {
        self.budget.try_take(0).ok_or_else(|| self.refusal())
    }

    /// So many octets more.
    ///
    /// # Errors
    /// [`Halt::NoMemory`]; what was taken stays.
    pub fn grow(&self, permit: &mut Permit, octets: usize) -> Result<(), Halt> {
        if permit.grow(octets) { Ok(()) } else { Err(self.refusal()) }
    }

    fn refusal(&self) -> Halt {
        self.metrics.memory_spent.inc();
        Halt::NoMemory
    }
}

impl Turns {
    pub fn begin(memory: &Memory) -> Self {
        let until_ms = now_ms().saturating_add(WORK_MS_MAX);
        Self { spent: 0, until_ms, memory: memory.clone() }
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

/// Does work that cannot be cut into pieces: for many messages on a thread of its own, while the shard
/// goes on.
///
/// # Errors
/// The work panicked.
pub(super) async fn aside<T: Send + 'static>(
    messages: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Halt> {
    if messages <= AT_ONCE_MAX {
        return Ok(work());
    }
    let done = beside(work).await;
    done.map_err(|error| MailboxError::Failing(error.to_string().into()).into())
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
            Halt::NoMemory => Self::no("Too busy, try later").with(Code::Limit),
            Halt::Store(error) => completion(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn turns(until_ms: u64) -> Turns {
        let memory = Memory::new(&Budget::new(0), &Arc::default());
        Turns { spent: 0, until_ms, memory }
    }

    #[tokio::test]
    async fn work_ends_when_its_time_is_over() {
        let mut late = turns(0);
        assert!(late.spend(TURN_OCTETS - 1).await.is_ok(), "nobody waits for it yet");
        let halt = late.spend(1).await.unwrap_err();
        assert_eq!(Completion::from(halt).code, Some(Code::Limit));
        let mut early = turns(u64::MAX);
        assert!(early.spend(usize::MAX).await.is_ok());
        assert_eq!(early.spent, 0);
    }

    #[tokio::test]
    async fn much_work_is_done_aside() {
        let here = thread::current().id();
        let place = || thread::current().id();
        assert_eq!(aside(AT_ONCE_MAX, place).await.unwrap(), here);
        assert_ne!(aside(AT_ONCE_MAX + 1, place).await.unwrap(), here);
        let halt = aside(usize::MAX, || panic!("on purpose")).await.unwrap_err();
        assert_eq!(Completion::from(halt).code, Some(Code::Unavailable));
    }

    #[test]
    fn memory_is_taken_for_what_is_large_and_given_back() {
        let (budget, metrics) = (Budget::new(100_000), Arc::<Metrics>::default());
        let memory = Memory::new(&budget, &metrics);
        assert!(memory.for_message(SMALL_BYTES).unwrap().is_none());
        let whole = memory.for_message(1 << 20).unwrap();
        assert_eq!(budget.used(), 100_000, "alone, what is too large is let in");
        let halt = memory.for_message(SMALL_BYTES + 1).unwrap_err();
        assert_eq!(Completion::from(halt).code, Some(Code::Limit));
        assert!(memory.for_message(SMALL_BYTES).is_ok());
        drop(whole);
        let mut growing = memory.begin().unwrap();
        memory.grow(&mut growing, 60_000).unwrap();
        assert!(memory.grow(&mut growing, 60_000).is_err());
        assert_eq!((budget.used(), metrics.memory_spent.get()), (60_000, 2));
        drop(growing);
        assert_eq!(budget.used(), 0);
    }
}
