//! `THREAD` (RFC 5256): what was found, by who answers whom.

use std::sync::Arc;

use mail::mailbox::Entry;
use proto::imap::command::{Thread, ThreadAlgorithm};
use proto::imap::{Code, Completion};
use proto::mime::Digest;
use proto::mime::thread::{Message, ordered_subject, references};

use super::home::{Home, Manner};
use super::search::find;
use super::sort::{MESSAGES_MAX, TOGETHER, TOO_MANY};
use super::trouble::completion;
use super::turns::Turns;

/// `THREAD`
pub(super) async fn thread(
    home: &mut Home,
    thread: Thread,
    _: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    let mut turns = Turns::begin();
    let found = match find(home, &thread.search, &mut turns).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if found.uids.len() > MESSAGES_MAX {
        return TOO_MANY.with(Code::Limit);
    }
    let Some(view) = home.view.as_deref() else { return Completion::ok("Threaded") };
    let mut known: Vec<(u32, Entry, Arc<Digest>)> = Vec::with_capacity(found.uids.len());
    for some in found.uids.chunks(TOGETHER) {
        if let Err(halt) = turns.give().await {
            return halt.into();
        }
        let digests = match view.digests(some).await {
            Ok(digests) => digests,
            Err(error) => return completion(&error),
        };
        for (uid, digest) in some.iter().zip(digests) {
            let number = if thread.search.uid { Some(*uid) } else { view.number(*uid) };
            if let (Some(number), Some(entry), Some(digest)) = (number, view.entry(*uid), digest) {
                known.push((number, entry, digest));
            }
        }
    }
    let messages: Vec<Message<'_>> = known.iter().map(message).collect();
    let threads = match thread.algorithm {
        ThreadAlgorithm::OrderedSubject => ordered_subject(&messages),
        ThreadAlgorithm::References => references(&messages),
    };
    out.extend_from_slice(b"* THREAD");
    if !threads.is_empty() {
        out.push(b' ');
        threads.write(out);
    }
    out.extend_from_slice(b"\r\n");
    Completion::ok("Threaded")
}

fn message((number, entry, digest): &(u32, Entry, Arc<Digest>)) -> Message<'_> {
    Message {
        number: *number,
        ids: &digest.ids,
        base_subject: &digest.base_subject,
        is_reply: digest.is_reply,
        sent: digest.sent.unwrap_or(entry.internal),
    }
}
