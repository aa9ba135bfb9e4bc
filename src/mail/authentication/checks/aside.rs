//! The one thread of the process that checks big messages.
//!
//! What must stay true: a shard never computes for long for one message. What waits here is bounded;
//! beyond it the asker waits, and its deadline counts. How it fails: no thread, a panic in a check,
//! or a deadline: the asker hears nothing, and its report says `temperror`.
//!
//! Figures of where the line is drawn: see [`super::authenticator`].

use std::{
    rc::Rc,
    sync::{Arc, OnceLock},
    thread,
};

use engine::{
    shard::unpin_thread,
    telemetry::{Level, note},
};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::LocalSet,
};

use super::{
    Report,
    desk::Desk,
    examiner::{Case, Setup, examine},
};

/// Messages that wait for the thread to look at them.
const WAITING_MAX: usize = 16;
/// Messages that it looks at at once; most of that time they wait for the DNS.
const UNDER_WAY_MAX: usize = 256;

struct Job {
    setup: Arc<Setup>,
    case: Case,
    reply: oneshot::Sender<Report>,
}

/// None when there can be no thread.
static DOOR: OnceLock<Option<mpsc::Sender<Job>>> = OnceLock::new();

/// Has the thread examine a message; none when it cannot. To be bounded by the asker.
pub(super) async fn examine_aside(setup: Arc<Setup>, case: Case) -> Option<Report> {
    let door = DOOR.get_or_init(open).as_ref()?;
    let (reply, report) = oneshot::channel();
    door.send(Job { setup, case, reply }).await.ok()?;
    report.await.ok()
}

fn open() -> Option<mpsc::Sender<Job>> {
    let (door, jobs) = mpsc::channel(WAITING_MAX);
    let started = thread::Builder::new().name("checks".to_owned()).spawn(move || run(jobs));
    match started {
        Ok(_) => Some(door),
        Err(error) => {
            note(Level::Error, format_args!("big messages cannot be checked: no thread: {error}"));
            None
        }
    }
}

fn run(jobs: mpsc::Receiver<Job>) {
    unpin_thread();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => LocalSet::new().block_on(&runtime, work(jobs)),
        Err(error) => {
            note(Level::Error, format_args!("big messages cannot be checked: {error}"));
        }
    }
}

async fn work(mut jobs: mpsc::Receiver<Job>) {
    let slots = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    let mut current: Option<(Arc<Setup>, Rc<Desk>)> = None;
    while let Some(job) = jobs.recv().await {
        let Some(desk) = desk(&mut current, &job.setup) else { continue };
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        tokio::task::spawn_local(async move {
            let _slot = slot;
            let report = examine(&desk, &job.setup, &job.case).await;
            // Whoever asked may have given up.
            let _ = job.reply.send(report);
        });
    }
}

/// The desk for these settings: a new one when they have changed.
fn desk(current: &mut Option<(Arc<Setup>, Rc<Desk>)>, setup: &Arc<Setup>) -> Option<Rc<Desk>> {
    if let Some((known, desk)) = current
        && known.is_same(setup)
    {
        return Some(Rc::clone(desk));
    }
    match Desk::new(&setup.dns, setup.settings.cache_entries_max) {
        Ok(desk) => {
            let desk = Rc::new(desk);
            *current = Some((Arc::clone(setup), Rc::clone(&desk)));
            Some(desk)
        }
        Err(error) => {
            note(Level::Error, format_args!("big messages cannot be checked: {error}"));
            None
        }
    }
}
