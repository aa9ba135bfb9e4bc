//! Owns: what time it is. Must stay true: [`now_ms`] never goes back, costs a few nanoseconds, and
//! is never more than a scheduler tick (about 4 ms) behind. Fails: never.

use std::sync::OnceLock;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds on a monotonic clock that starts with the process (with the first call, to be
/// exact). Any thread may ask.
#[must_use]
pub fn now_ms() -> u64 {
    static ORIGIN: OnceLock<u64> = OnceLock::new();
    let now = coarse_ms(ClockId::MonotonicCoarse);
    now.saturating_sub(*ORIGIN.get_or_init(|| now))
}

/// Milliseconds since 1970-01-01T00:00:00Z. Any thread may ask; it jumps when the clock is set.
#[must_use]
pub fn wall_ms() -> u64 {
    coarse_ms(ClockId::RealtimeCoarse)
}

/// Waits on the shard's own timer; the precision is a millisecond.
pub async fn sleep(ms: u64) {
    tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
}

fn coarse_ms(clock: ClockId) -> u64 {
    // The coarse clocks are read without a system call and without the cycle counter.
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let ms = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(ms)
}
