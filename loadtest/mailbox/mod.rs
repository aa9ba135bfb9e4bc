//! Clients of mailboxes: IMAP and POP3 sessions, and the deliveries that fill what they read.
//!
//! Every session has an account (`u0`, `u1` …) and repeats one operation until the operations or the time are used up. What must stay true: a
//! reply is counted by what it says, never by its tag alone; every message that the server said to hold is looked for at the
//! end. Preparing (accounts' first logins, folders, messages) and sessions' logins lie before the clock starts, except where they are
//! what is measured.

mod books;
mod desk;
mod idle;
mod imap;
mod lmtp;
mod order;
mod pop3;
mod prepare;
mod replies;
mod run;
mod turns;

pub use order::{MailboxOptions, Operation, Order, Servers};
pub use run::run;

use std::{future::Future, io, time::Duration};

use futures_lite::future;
use glommio::timer::Timer;

/// The folder that is read, of each account.
const FOLDER: &str = "Load";

/// What a server said that it must not say.
fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// `work`, or that the server did not answer in time.
async fn within<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = async {
        Timer::new(patience).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the server did not answer in time"))
    };
    future::or(work, late).await
}
