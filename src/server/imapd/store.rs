//! `STORE` (RFC 9051 §6.4.6), conditional too (RFC 7162 §3.1.3).
//!
//! What must stay true: the new flags are told when they are on stable storage, of every message that was
//! named and is there, unless the client wants to hear nothing; what others did meanwhile is told first,
//! so that what the client hears last is how it is.

use mail::mailbox::{Entry, How, View};
use proto::imap::command::{Change, Store};
use proto::imap::respond::FetchLine;
use proto::imap::syntax::Ranges;
use proto::imap::{Code, Completion};

use super::execute::some_are_gone;
use super::home::{Home, Manner};
use super::news::{self, Fate, Seen, Telling};
use super::{flags, trouble};

/// Changes flags.
pub(super) async fn store(
    home: &mut Home,
    store: Store,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    let uids = match home.targets(&store.messages, store.uid) {
        Ok(uids) => uids,
        Err(completion) => return completion,
    };
    let Some(view) = home.view.as_deref_mut() else {
        return Completion::bad("Select a mailbox first");
    };
    if view.is_read_only() {
        return Completion::no("The mailbox is examined only").with(Code::NoPerm);
    }
    let how = match store.change {
        Change::Replace => How::Replace,
        Change::Add => How::Add,
        Change::Remove => How::Remove,
    };
    let marks = flags::marks(&store.flags);
    let stored = match view.store(&uids, how, &marks, store.unchanged_since).await {
        Ok(stored) => stored,
        Err(error) => return trouble::completion(&error),
    };
    // New keywords before the flags that name them.
    let telling = Telling { expunges: false, by_uid: store.uid, own: false };
    if !matches!(news::tell(view, telling, manner, out), Ok(Fate::Lives)) {
        return Completion::no("The mailbox is gone").with(Code::Unavailable);
    }
    tell(view, &stored.entries, &store, manner, out).await;
    let is_whole = stored.entries.len() + stored.modified.len() == uids.len();
    let done = done(view, &stored.modified, store.uid);
    if is_whole { done } else { some_are_gone(store.uid, done) }
}

/// The completion, with those that were left alone (RFC 7162 §3.1.3, `MODIFIED`).
fn done(view: &View, modified: &[u32], by_uid: bool) -> Completion {
    if modified.is_empty() {
        return Completion::ok("Stored");
    }
    let named = |uid: &u32| if by_uid { Some(*uid) } else { view.number(*uid) };
    let numbers: Ranges = modified.iter().filter_map(named).collect();
    Completion::ok("Some have changed").with(Code::Modified(numbers))
}

async fn tell(view: &View, entries: &[Entry], store: &Store, manner: &Manner, out: &mut Vec<u8>) {
    if store.silent && !manner.knows_modseq() {
        return;
    }
    let keywords = view.keywords();
    for stretch in entries.chunks(256) {
        for entry in stretch {
            let Some(number) = view.number(entry.uid) else { continue };
            if store.silent {
                let mut line = FetchLine::begin(number, out);
                if store.uid || manner.knows_vanished() {
                    line.uid(entry.uid, out);
                }
                line.modseq(entry.modseq, out);
                line.end(out);
            } else {
                let is_recent = view.is_recent(entry.uid);
                Seen { number, entry, is_recent }.write(store.uid, manner, &keywords, out);
            }
        }
        tokio::task::yield_now().await;
    }
}
