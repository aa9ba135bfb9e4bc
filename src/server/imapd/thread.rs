//! `THREAD` (RFC 5256): what was found, by who answers whom.
//!
//! What must stay true: of a digest only what threading looks at is kept, in memory that the shard has for
//! it and for what is built of it; many messages are threaded aside. How it fails: `NO [LIMIT]`.

use engine::shard::Permit;
use mail::mailbox::{Entry, View};
use proto::imap::command::{Thread, ThreadAlgorithm};
use proto::imap::{Code, Completion};
use proto::mime::thread::{Message, ordered_subject, references, work_octets};
use proto::mime::{Digest, MessageId, References};
use proto::types::Timestamp;

use super::home::{Home, Manner};
use super::search::find;
use super::sort::{MESSAGES_MAX, TOGETHER, TOO_MANY};
use super::turns::{Halt, Turns, aside};

/// What is kept of a message.
struct Known {
    /// What the answer calls it.
    number: u32,
    is_reply: bool,
    sent: Timestamp,
    ids: References,
    base_subject: Box<str>,
}

/// `THREAD`
pub(super) async fn thread(
    home: &mut Home,
    thread: Thread,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    match threads(home, &thread, manner).await {
        Ok(threads) => {
            out.extend_from_slice(b"* THREAD");
            if !threads.is_empty() {
                out.push(b' ');
                out.extend_from_slice(&threads);
            }
            out.extend_from_slice(b"\r\n");
            Completion::ok("Threaded")
        }
        Err(refusal) => refusal,
    }
}

/// The threads, written.
async fn threads(home: &Home, thread: &Thread, manner: &Manner) -> Result<Vec<u8>, Completion> {
    let mut turns = Turns::begin(&manner.memory);
    let found = find(home, &thread.search, &mut turns).await?;
    if found.uids.len() > MESSAGES_MAX {
        return Err(TOO_MANY.with(Code::Limit));
    }
    let Some(view) = home.view.as_deref() else { return Ok(Vec::new()) };
    let mut permit = turns.memory.begin()?;
    let mut all = Vec::with_capacity(found.uids.len());
    for some in found.uids.chunks(TOGETHER) {
        let some = known(view, some, thread.search.uid, &mut turns).await?;
        turns.memory.grow(&mut permit, some.iter().map(Known::octets).sum())?;
        all.extend(some);
    }
    take_work(&all, &turns, &mut permit)?;
    let algorithm = thread.algorithm;
    Ok(aside(all.len(), move || written(&all, algorithm)).await?)
}

async fn known(
    view: &View,
    uids: &[u32],
    by_uid: bool,
    turns: &mut Turns,
) -> Result<Vec<Known>, Halt> {
    turns.give().await?;
    let digests = view.digests(uids).await?;
    let known = uids.iter().zip(digests).filter_map(|(uid, digest)| {
        let number = if by_uid { Some(*uid) } else { view.number(*uid) };
        Some(Known::of(number?, &view.entry(*uid)?, &*digest?))
    });
    Ok(known.collect())
}

/// Memory for what threading builds.
fn take_work(all: &[Known], turns: &Turns, permit: &mut Permit) -> Result<(), Halt> {
    let ancestors = all.iter().map(|one| one.ids.ancestors.len()).sum();
    turns.memory.grow(permit, work_octets(all.len(), ancestors))
}

fn written(all: &[Known], algorithm: ThreadAlgorithm) -> Vec<u8> {
    let messages: Vec<Message<'_>> = all.iter().map(Known::message).collect();
    let threads = match algorithm {
        ThreadAlgorithm::OrderedSubject => ordered_subject(&messages),
        ThreadAlgorithm::References => references(&messages),
    };
    let mut out = Vec::new();
    threads.write(&mut out);
    out
}

impl Known {
    fn of(number: u32, entry: &Entry, digest: &Digest) -> Self {
        Self {
            number,
            is_reply: digest.is_reply,
            sent: digest.sent.unwrap_or(entry.internal),
            ids: digest.ids.clone(),
            base_subject: digest.base_subject.clone(),
        }
    }

    /// What it takes in memory.
    fn octets(&self) -> usize {
        let ids = self.ids.ancestors.capacity() * size_of::<MessageId>();
        size_of::<Self>() + ids + self.base_subject.len()
    }

    fn message(&self) -> Message<'_> {
        Message {
            number: self.number,
            ids: &self.ids,
            base_subject: &self.base_subject,
            is_reply: self.is_reply,
            sent: self.sent,
        }
    }
}
