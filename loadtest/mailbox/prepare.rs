//! Before and after the clock: first logins, folders and their messages, and how many messages there are.

use std::{io, sync::Arc, time::Duration};

use glommio::LocalExecutorBuilder;
use rustls::ClientConfig;

use super::{
    FOLDER,
    imap::Imap,
    malformed,
    order::{Operation, Order},
    within,
};
use crate::{
    source::Security,
    wire::{client_config, plain},
};

/// Accounts that are worked on at the same time.
const AT_A_TIME: usize = 16;
/// How long an account may take.
const ACCOUNT_MAX: Duration = Duration::from_secs(300);
/// Octets of APPENDs that are on their way together.
const TOGETHER_MAX: u64 = 256 << 10;

/// What is done to an account.
#[derive(Clone, Copy, Debug)]
enum Task {
    Fill,
    Count,
}

/// Logs in to every account and makes what the operation reads.
///
/// # Errors
/// What the server refused, or that its mailboxes are not as they must be.
pub fn prepare(order: &Arc<Order>) -> io::Result<()> {
    each(order, Task::Fill).map(|_| ())
}

/// Messages in INBOX, all accounts together.
///
/// # Errors
/// What the server refused.
pub fn count(order: &Arc<Order>) -> io::Result<u64> {
    each(order, Task::Count)
}

/// Does it to all accounts on an executor of its own; the sum of what it yields.
fn each(order: &Arc<Order>, task: Task) -> io::Result<u64> {
    let order = Arc::clone(order);
    let executor = LocalExecutorBuilder::default()
        .name("prepare")
        .spawn(move || all(order, task))
        .map_err(plain)?;
    executor.join().map_err(plain)?
}

async fn all(order: Arc<Order>, task: Task) -> io::Result<u64> {
    let tls = match order.security {
        Security::None => None,
        _ => client_config(order.resume).ok(),
    };
    let workers: Vec<_> = (0..AT_A_TIME.min(order.accounts))
        .map(|first| glommio::spawn_local(share(Arc::clone(&order), tls.clone(), task, first)))
        .collect();
    let mut sum = 0;
    for worker in workers {
        sum += worker.await?;
    }
    Ok(sum)
}

/// One worker's accounts.
async fn share(
    order: Arc<Order>,
    tls: Option<Arc<ClientConfig>>,
    task: Task,
    first: usize,
) -> io::Result<u64> {
    let mut sum = 0;
    for account in (first..order.accounts).step_by(AT_A_TIME) {
        let work = async {
            let mut imap = Imap::open(&order, tls.as_ref(), account).await?;
            let found = match task {
                Task::Fill => fill(&order, &mut imap).await?,
                Task::Count => imap.count("INBOX").await?,
            };
            imap.log_out().await?;
            Ok(found)
        };
        sum += within(ACCOUNT_MAX, work).await?;
    }
    Ok(sum)
}

async fn fill(order: &Order, imap: &mut Imap) -> io::Result<u64> {
    match order.operation {
        Operation::Headers | Operation::Bodies => {
            // What an earlier run left; there may be nothing.
            let _ = imap.run(format!("DELETE {FOLDER}").as_bytes(), |_| {}).await;
            imap.run(format!("CREATE {FOLDER}").as_bytes(), |_| {}).await?;
            append(order, imap, FOLDER).await
        }
        Operation::Pop3 => match imap.count("INBOX").await? {
            0 => append(order, imap, "INBOX").await,
            count if count == u64::from(order.messages) => Ok(count),
            count => Err(malformed(format!(
                "INBOX has {count} messages: POP3 wants accounts whose INBOX is empty"
            ))),
        },
        Operation::Login | Operation::Append | Operation::Idle | Operation::Deliver => {
            imap.count("INBOX").await
        }
    }
}

async fn append(order: &Order, imap: &mut Imap, folder: &str) -> io::Result<u64> {
    let largest = order.bodies.iter().map(Vec::len).max().unwrap_or(1).max(1) as u64;
    let together = (TOGETHER_MAX / largest).clamp(1, 32);
    let messages = u64::from(order.messages);
    let mut next = 0;
    while next < messages {
        let end = messages.min(next + together);
        imap.append(folder, (next..end).map(|number| order.body(number))).await?;
        next = end;
    }
    imap.count(folder).await
}
