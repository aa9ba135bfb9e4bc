//! Threads that verify passwords, so that no shard has to.
//!
//! What must stay true: every client has its turn, one job at a time, however many jobs another has
//! waiting; a client may have a few waiting, and all together may have a bounded number. When that
//! is reached, the last job of whoever has most makes room. A job that is not done drops its
//! sender, and who waits for it hears "try again". The lock is held for a few hundred nanoseconds
//! twice a login.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use engine::telemetry::{Level, note};
use tokio::sync::oneshot;

use super::password::Scratch;

/// Whom an address stands for: an IPv4 address, or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Client {
    fn from(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

type Job = Box<dyn FnOnce(&mut Scratch) + Send>;

/// The threads and what waits for them.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    bounds: Bounds,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub all: usize,
    pub each: usize,
}

#[derive(Default)]
struct Waiting {
    /// What each client has waiting; never empty.
    jobs: HashMap<Client, VecDeque<Job>>,
    /// Clients in the order of their turns.
    turns: VecDeque<Client>,
    count: usize,
    is_closing: bool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Pool {
    pub fn start(threads: usize, bounds: Bounds) -> io::Result<Self> {
        let waiting = Mutex::default();
        let shared = Arc::new(Shared { waiting, wake: Condvar::new(), bounds });
        let mut pool = Self { shared, threads: Vec::with_capacity(threads) };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let name = format!("password-{number}");
            pool.threads.push(std::thread::Builder::new().name(name).spawn(move || work(&shared))?);
        }
        Ok(pool)
    }

    /// Has `job` done when it is `client`'s turn; `None` when there is no room, or no turn came.
    pub async fn run<T: Send + 'static>(
        &self,
        client: Client,
        job: impl FnOnce(&mut Scratch) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, receiver) = oneshot::channel();
        let job: Job = Box::new(move |scratch: &mut Scratch| {
            // Nobody waits any more: the client has gone.
            if !answer.is_closed() {
                let _ = answer.send(job(scratch));
            }
        });
        let dropped = self.shared.waiting().push(client, job, self.shared.bounds);
        // Its sender wakes another task: not under the lock.
        drop(dropped);
        self.shared.wake.notify_one();
        receiver.await.ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let left = {
            let mut waiting = self.shared.waiting();
            waiting.is_closing = true;
            std::mem::take(&mut waiting.jobs)
        };
        drop(left);
        self.shared.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A panic was noted when it came.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Takes a job; gives back the one that has to go for it, which may be itself.
    fn push(&mut self, client: Client, job: Job, bounds: Bounds) -> Option<Job> {
        let own = self.jobs.get(&client).map_or(0, VecDeque::len);
        if own >= bounds.each || self.is_closing {
            return Some(job);
        }
        let mut dropped = None;
        if self.count >= bounds.all {
            let most = self.jobs.iter().max_by_key(|(_, jobs)| jobs.len());
            // Who would then have no less than the other gets no place.
            let Some((greedy, _)) = most.filter(|(_, jobs)| jobs.len() > own + 1) else {
                return Some(job);
            };
            let greedy = *greedy;
            dropped = self.jobs.get_mut(&greedy).and_then(VecDeque::pop_back);
            self.count -= 1;
        }
        let jobs = self.jobs.entry(client).or_default();
        if jobs.is_empty() {
            self.turns.push_back(client);
        }
        jobs.push_back(job);
        self.count += 1;
        dropped
    }

    /// The job of the client whose turn it is.
    fn pop(&mut self) -> Option<Job> {
        let client = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&client)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.jobs.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.count -= usize::from(job.is_some());
        job
    }
}

fn work(shared: &Shared) {
    let mut scratch = Scratch::default();
    loop {
        let job = {
            let waiting = shared.waiting();
            let mut waiting = shared
                .wake
                .wait_while(waiting, |waiting| waiting.count == 0 && !waiting.is_closing)
                .unwrap_or_else(PoisonError::into_inner);
            if waiting.is_closing {
                return;
            }
            waiting.pop()
        };
        let Some(job) = job else { continue };
        if catch_unwind(AssertUnwindSafe(|| job(&mut scratch))).is_err() {
            note(Level::Error, "verifying a password panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn job(sender: &mpsc::Sender<u32>, number: u32) -> Job {
        let sender = sender.clone();
        Box::new(move |_| sender.send(number).unwrap())
    }

    fn order(waiting: &mut Waiting, receiver: &mpsc::Receiver<u32>) -> Vec<u32> {
        while let Some(job) = waiting.pop() {
            job(&mut Scratch::default());
        }
        assert_eq!((waiting.count, waiting.jobs.len(), waiting.turns.len()), (0, 0, 0));
        receiver.try_iter().collect()
    }

    const BOUNDS: Bounds = Bounds { all: 6, each: 5 };

    #[test]
    fn clients_take_turns() {
        let (sender, receiver) = mpsc::channel();
        let mut waiting = Waiting::default();
        for number in 0..4 {
            assert!(waiting.push(Client::V4(1), job(&sender, number), BOUNDS).is_none());
        }
        assert!(waiting.push(Client::V4(2), job(&sender, 10), BOUNDS).is_none());
        assert!(waiting.push(Client::V6(1), job(&sender, 20), BOUNDS).is_none());
        assert_eq!(order(&mut waiting, &receiver), [0, 10, 20, 1, 2, 3]);
    }

    #[test]
    fn the_greedy_make_room() {
        let (sender, receiver) = mpsc::channel();
        let mut waiting = Waiting::default();
        for number in 0..5 {
            assert!(waiting.push(Client::V4(1), job(&sender, number), BOUNDS).is_none());
        }
        // More than each may have.
        assert!(waiting.push(Client::V4(1), job(&sender, 5), BOUNDS).is_some());
        assert!(waiting.push(Client::V4(2), job(&sender, 10), BOUNDS).is_none());
        // Full: the last of the first client goes, once and again.
        assert!(waiting.push(Client::V4(3), job(&sender, 20), BOUNDS).is_some());
        assert!(waiting.push(Client::V4(2), job(&sender, 11), BOUNDS).is_some());
        assert!(waiting.push(Client::V4(3), job(&sender, 21), BOUNDS).is_some());
        // All have two; who has one already takes nothing from them.
        assert!(waiting.push(Client::V4(2), job(&sender, 12), BOUNDS).is_some());
        assert_eq!(order(&mut waiting, &receiver), [0, 10, 20, 1, 11, 21]);
    }

    #[test]
    fn a_panic_ends_one_job_only() {
        let pool = Pool::start(1, BOUNDS).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            assert_eq!(pool.run(Client::V4(1), |_| -> u32 { panic!("expected") }).await, None);
            assert_eq!(pool.run(Client::V4(1), |_| 5).await, Some(5));
        });
    }

    #[test]
    fn clients_are_prefixes() {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:0:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}
