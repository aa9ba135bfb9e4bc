//! `STORE` (RFC 9051 §6.4.6), conditional too (RFC 7162 §3.1.3).
//!
//! What must stay true: the new flags are told when they are on stable storage, of every message that was
//! named and is there, unless the client wants to hear nothing; what others did meanwhile is told first,
//! so that what the client hears last is how it is.

use mail::mailbox::{Entry, How, Marks, View};
use proto::imap::command::{Change, Store};
use proto::imap::respond::FetchLine;
use proto::imap::syntax::Ranges;
use proto::imap::{Code, Completion};

use super::execute::some_are_gone;
use super::home::{Manner, NOTHING_SELECTED};
use super::news::{self, Fate, Seen, Telling};
use super::session::Session;
use super::{flags, trouble};

/// Messages whose flags are changed, and told, at a stretch.
const STRETCH: usize = 1000;

/// A command as it is carried out.
struct Changing<'c> {
    store: &'c Store,
    how: How,
    marks: Marks,
    manner: &'c Manner,
    /// Messages that have the flags now.
    stored: usize,
    /// Messages that were left alone.
    modified: Vec<u32>,
}

impl Session {
    /// Changes flags.
    pub(super) async fn store(&mut self, store: Store, manner: &Manner) -> Completion {
        let Some(home) = self.home.as_deref_mut() else { return NOTHING_SELECTED };
        let uids = match home.targets(&store.messages, store.uid) {
            Ok(uids) => uids,
            Err(completion) => return completion,
        };
        // Out of the session while it lasts, which sends meanwhile.
        let Some(mut view) = home.view.take() else { return NOTHING_SELECTED };
        let done = self.change(&mut view, &store, &uids, manner).await;
        if let Some(home) = self.home.as_deref_mut() {
            home.view = Some(view);
        }
        done
    }

    async fn change(
        &mut self,
        view: &mut View,
        store: &Store,
        uids: &[u32],
        manner: &Manner,
    ) -> Completion {
        if view.is_read_only() {
            return Completion::no("The mailbox is examined only").with(Code::NoPerm);
        }
        let how = match store.change {
            Change::Replace => How::Replace,
            Change::Add => How::Add,
            Change::Remove => How::Remove,
        };
        let marks = flags::marks(&store.flags);
        let mut changing = Changing { store, how, marks, manner, stored: 0, modified: Vec::new() };
        for stretch in uids.chunks(STRETCH) {
            if let Err(refusal) = changing.change(view, stretch, &mut self.out).await {
                return refusal;
            }
            if !self.send_some().await {
                // Nobody listens.
                return Completion::no("Interrupted");
            }
        }
        let is_whole = changing.stored + changing.modified.len() == uids.len();
        let done = done(view, &changing.modified, store.uid);
        if is_whole { done } else { some_are_gone(store.uid, done) }
    }
}

impl Changing<'_> {
    /// Changes and tells.
    async fn change(
        &mut self,
        view: &mut View,
        uids: &[u32],
        out: &mut Vec<u8>,
    ) -> Result<(), Completion> {
        let by_uid = self.store.uid;
        let stored = view.store(uids, self.how, &self.marks, self.store.unchanged_since).await;
        let stored = stored.map_err(|error| trouble::completion(&error))?;
        // New keywords before the flags that name them.
        let telling = Telling { expunges: false, by_uid, own: false };
        if !matches!(news::tell(view, telling, self.manner, out), Ok(Fate::Lives)) {
            return Err(Completion::no("The mailbox is gone").with(Code::Unavailable));
        }
        tell(view, &stored.entries, self.store, self.manner, out);
        self.stored += stored.entries.len();
        self.modified.extend(stored.modified);
        Ok(())
    }
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

fn tell(view: &View, entries: &[Entry], store: &Store, manner: &Manner, out: &mut Vec<u8>) {
    if store.silent && !manner.knows_modseq() {
        return;
    }
    let keywords = view.keywords();
    for entry in entries {
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
}
