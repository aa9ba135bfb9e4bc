//! Those who guess passwords: slowed, then blocked, without locking anyone else out.
//!
//! | counted for | what it does |
//! |---|---|
//! | account and client | slows after a few, then blocks this client from this account |
//! | client | blocks it from accounts that do not know it |
//! | account | slows clients that it does not know; never blocks |
//!
//! A client that logged in to an account lately is *known* to it: attacks on the account or from
//! the client's network (many sit behind one address) do not touch it. What must stay true: memory
//! is bounded ([`SETS`] times [`WAYS`] places of 32 octets, twice); of those that share a set the
//! one goes that matters least; names are kept as keyed hashes only, so unknown accounts are
//! treated as known ones. Locks are held for a look at one set.

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;

use super::pool::Client;
use super::settings::GuessSettings;

const SETS: usize = 8192;
const WAYS: usize = 8;
/// What the first delay is; it doubles.
const DELAY_FIRST_MS: u64 = 1000;

/// What may be tried now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// After so many milliseconds; 0 is at once.
    After(u64),
    /// Not at all.
    Blocked,
}

/// Whom an attempt is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pair: u64,
    client: u64,
    account: u64,
}

pub(super) struct Guesses {
    hasher: RandomState,
    failures: Mutex<Table>,
    known: Mutex<Table>,
}

/// A set-associative table of fixed size.
struct Table(Box<[[Slot; WAYS]]>);

#[derive(Clone, Copy, Default)]
struct Slot {
    /// 0: free.
    key: u64,
    /// Forgotten at this moment.
    until_ms: u64,
    /// Blocked until then.
    blocked_ms: u64,
    count: u32,
    /// Of the last wrong password.
    fingerprint: u32,
}

impl std::fmt::Debug for Guesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guesses")
    }
}

impl Default for Guesses {
    fn default() -> Self {
        let table = || Mutex::new(Table(vec![[Slot::default(); WAYS]; SETS].into_boxed_slice()));
        Self { hasher: RandomState::default(), failures: table(), known: table() }
    }
}

impl Guesses {
    /// An attempt of `client` to log in as `login` (folded).
    pub fn attempt(&self, login: &str, client: Client) -> Attempt {
        let key = |hash: u64| hash.max(1);
        Attempt {
            pair: key(self.hasher.hash_one((1_u8, login, client))),
            client: key(self.hasher.hash_one((2_u8, client))),
            account: key(self.hasher.hash_one((3_u8, login))),
        }
    }

    /// Whether and when it may be made.
    pub fn leave(&self, attempt: Attempt, settings: &GuessSettings, now_ms: u64) -> Leave {
        let is_known = lock(&self.known).find(attempt.pair, now_ms).is_some();
        let failures = lock(&self.failures);
        let pair = failures.find(attempt.pair, now_ms).unwrap_or_default();
        let client = failures.find(attempt.client, now_ms).unwrap_or_default();
        let account = failures.find(attempt.account, now_ms).unwrap_or_default();
        drop(failures);
        if pair.blocked_ms > now_ms || (client.blocked_ms > now_ms && !is_known) {
            return Leave::Blocked;
        }
        let max_ms = settings.delay_max.as_ms();
        let own_ms = delay(pair.count, settings.free, max_ms);
        let account_ms = delay(account.count, settings.slow_after, max_ms);
        Leave::After(if is_known { own_ms } else { own_ms.max(account_ms) })
    }

    /// Counts a wrong password; the same one again from the same client for the same account is
    /// not counted again. Whether this was the one that blocks.
    pub fn failed(
        &self,
        attempt: Attempt,
        fingerprint: u32,
        settings: &GuessSettings,
        now_ms: u64,
    ) -> bool {
        let mut failures = lock(&self.failures);
        let pair = failures.place(attempt.pair, now_ms);
        if pair.count > 0 && pair.fingerprint == fingerprint {
            let until_ms = now_ms.saturating_add(settings.window.as_ms());
            pair.until_ms = pair.until_ms.max(until_ms);
            return false;
        }
        pair.fingerprint = fingerprint;
        failures.count(attempt, settings, now_ms)
    }

    /// Counts a failure whose password is not known.
    pub fn failed_anew(&self, attempt: Attempt, settings: &GuessSettings, now_ms: u64) -> bool {
        lock(&self.failures).count(attempt, settings, now_ms)
    }

    /// The password was right: the client is known to the account, and its mistakes are forgotten.
    pub fn succeeded(&self, attempt: Attempt, settings: &GuessSettings, now_ms: u64) {
        let mut known = lock(&self.known);
        let slot = known.place(attempt.pair, now_ms);
        slot.until_ms = now_ms.saturating_add(settings.known.as_ms());
        drop(known);
        lock(&self.failures).forget(attempt.pair);
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// 0 up to `free` failures, then a second, doubling up to `max_ms`.
fn delay(count: u32, free: u32, max_ms: u64) -> u64 {
    let over = count.saturating_sub(free);
    if count < free || count == 0 {
        return 0;
    }
    DELAY_FIRST_MS.saturating_mul(1 << over.min(16)).min(max_ms)
}

impl Slot {
    /// One more; whether it begins a block.
    fn count(&mut self, limit: Option<u32>, settings: &GuessSettings, now_ms: u64) -> bool {
        self.count = self.count.saturating_add(1);
        let is_blocked = limit.is_some_and(|limit| self.count >= limit);
        if is_blocked {
            self.blocked_ms = now_ms.saturating_add(settings.block.as_ms());
        }
        // After a block, one more mistake within the window blocks again.
        let from_ms = self.blocked_ms.max(now_ms);
        self.until_ms = from_ms.saturating_add(settings.window.as_ms());
        is_blocked
    }
}

impl Table {
    /// One more failure of all three; whether it begins a block.
    fn count(&mut self, attempt: Attempt, settings: &GuessSettings, now_ms: u64) -> bool {
        let (pair_max, client_max) = (settings.account_failures, settings.client_failures);
        let pair = self.place(attempt.pair, now_ms).count(Some(pair_max), settings, now_ms);
        let client = self.place(attempt.client, now_ms).count(Some(client_max), settings, now_ms);
        self.place(attempt.account, now_ms).count(None, settings, now_ms);
        pair || client
    }

    fn set(key: u64) -> usize {
        key as usize % SETS
    }

    fn find(&self, key: u64, now_ms: u64) -> Option<Slot> {
        let set = &self.0[Self::set(key)];
        set.iter().find(|slot| slot.key == key && slot.until_ms > now_ms).copied()
    }

    /// The place of `key`, if need be that of the one that matters least: those that are over, then
    /// those with few mistakes, then those that end soonest.
    fn place(&mut self, key: u64, now_ms: u64) -> &mut Slot {
        let set = &mut self.0[Self::set(key)];
        let weight = |slot: &Slot| {
            let is_live = slot.key != 0 && slot.until_ms > now_ms;
            (is_live, slot.count, slot.until_ms)
        };
        let own = set.iter().position(|slot| slot.key == key);
        let index = own.unwrap_or_else(|| {
            let least = set.iter().enumerate().min_by_key(|(_, slot)| weight(slot));
            least.map_or(0, |(index, _)| index)
        });
        let slot = &mut set[index];
        if slot.key != key || slot.until_ms <= now_ms {
            *slot = Slot { key, ..Slot::default() };
        }
        slot
    }

    fn forget(&mut self, key: u64) {
        for slot in &mut self.0[Self::set(key)] {
            if slot.key == key {
                *slot = Slot::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        guesses: Guesses,
        settings: GuessSettings,
        now_ms: u64,
        guess: u32,
    }

    impl Scene {
        fn new() -> Self {
            let settings = GuessSettings::default();
            Self { guesses: Guesses::default(), settings, now_ms: 1, guess: 0 }
        }

        fn leave(&self, login: &str, client: u32) -> Leave {
            let attempt = self.guesses.attempt(login, Client::V4(client));
            self.guesses.leave(attempt, &self.settings, self.now_ms)
        }

        /// Another wrong password each time.
        fn fail(&mut self, login: &str, client: u32) -> bool {
            self.guess += 1;
            let attempt = self.guesses.attempt(login, Client::V4(client));
            self.guesses.failed(attempt, self.guess, &self.settings, self.now_ms)
        }

        fn succeed(&self, login: &str, client: u32) {
            let attempt = self.guesses.attempt(login, Client::V4(client));
            self.guesses.succeeded(attempt, &self.settings, self.now_ms);
        }
    }

    #[test]
    fn a_guesser_is_slowed_then_blocked_then_forgotten() {
        let mut scene = Scene::new();
        let mut delays = Vec::new();
        for number in 1..=10 {
            let Leave::After(ms) = scene.leave("joe", 1) else { panic!("{number}") };
            delays.push(ms);
            assert_eq!(scene.fail("joe", 1), number == 10);
        }
        assert_eq!(delays, [0, 0, 0, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
        assert_eq!(scene.leave("joe", 1), Leave::Blocked);
        // Blocked from this account only.
        assert_eq!(scene.leave("jim", 1), Leave::After(0));
        scene.now_ms += scene.settings.block.as_ms();
        assert!(matches!(scene.leave("joe", 1), Leave::After(10_000)));
        assert!(scene.fail("joe", 1), "one more mistake blocks again");
        scene.now_ms += scene.settings.block.as_ms() + scene.settings.window.as_ms();
        assert_eq!(scene.leave("joe", 1), Leave::After(0));
    }

    #[test]
    fn nobody_locks_others_out() {
        let mut scene = Scene::new();
        scene.succeed("joe", 7);
        for client in 100..1000 {
            scene.fail("joe", client);
        }
        // Strangers wait, those who are known do not, and nobody is blocked.
        assert_eq!(scene.leave("joe", 8), Leave::After(10_000));
        assert_eq!(scene.leave("joe", 7), Leave::After(0));
        // A neighbour behind the same address tries every account.
        for number in 0..200 {
            scene.fail(&format!("user{number}"), 7);
        }
        assert_eq!(scene.leave("jim", 7), Leave::Blocked);
        assert_eq!(scene.leave("joe", 7), Leave::After(0));
        // Even the known are blocked when they guess themselves.
        for _ in 0..10 {
            scene.fail("joe", 7);
        }
        assert_eq!(scene.leave("joe", 7), Leave::Blocked);
    }

    #[test]
    fn an_old_password_in_a_program_counts_once() {
        let scene = Scene::new();
        let attempt = scene.guesses.attempt("joe", Client::V4(1));
        for _ in 0..1000 {
            assert!(!scene.guesses.failed(attempt, 42, &scene.settings, scene.now_ms));
        }
        assert_eq!(scene.leave("joe", 1), Leave::After(0));
        assert_eq!(scene.leave("jim", 1), Leave::After(0));
    }

    #[test]
    fn success_forgets_own_mistakes() {
        let mut scene = Scene::new();
        for _ in 0..9 {
            scene.fail("joe", 1);
        }
        scene.succeed("joe", 1);
        assert_eq!(scene.leave("joe", 1), Leave::After(0));
    }

    #[test]
    fn a_flood_does_not_push_out_those_who_matter() {
        let mut scene = Scene::new();
        for _ in 0..10 {
            scene.fail("joe", 1);
        }
        scene.succeed("jim", 2);
        for number in 0..200_000 {
            scene.fail(&format!("nobody{number}"), 1000 + number);
        }
        assert_eq!(scene.leave("joe", 1), Leave::Blocked);
        for client in 100..1000 {
            scene.fail("jim", client);
        }
        assert_eq!(scene.leave("jim", 2), Leave::After(0));
    }
}
