//! `SELECT` and `EXAMINE` (RFC 9051 §6.3.2), with CONDSTORE and QRESYNC (RFC 7162 §3.1.2, §3.2.5).

use mail::mailbox::{self, FolderInfo, MailboxError, View};
use proto::imap::command::{Resync, Select};
use proto::imap::respond::{
    Attribute, Listed, write_exists, write_recent, write_untagged, write_vanished,
};
use proto::imap::syntax::Ranges;
use proto::imap::{Code, Completion};

use super::home::{Home, Manner};
use super::session::Session;
use super::{news, trouble};

/// Messages that are told of at a stretch.
const STRETCH: usize = 256;

/// A folder that was opened, and the messages of it that have changed since the client was here.
pub(super) struct Opened {
    pub view: View,
    changed: Vec<u32>,
}

impl Session {
    /// Opens a folder; whatever was open is not any more, even if this fails.
    pub(super) async fn select(&mut self, wanted: Select, manner: &Manner) -> Completion {
        let Some(home) = self.home.as_deref_mut() else { return Completion::no("Log in first") };
        home.view = None;
        home.saved.clear();
        let Opened { view, changed } = match open(home, &wanted, manner, &mut self.out).await {
            Ok(opened) => opened,
            Err(error) => return trouble::completion(&error),
        };
        for stretch in changed.chunks(STRETCH) {
            tell_changes(&view, stretch, manner, &mut self.out);
            if !self.send_some().await {
                // Nobody listens.
                return Completion::no("Interrupted");
            }
            tokio::task::yield_now().await;
        }
        if let Some(home) = self.home.as_deref_mut() {
            home.view = Some(Box::new(view));
        }
        if wanted.read_only {
            Completion::ok("Examined").with(Code::ReadOnly)
        } else {
            Completion::ok("Selected").with(Code::ReadWrite)
        }
    }
}

pub(super) async fn open(
    home: &Home,
    select: &Select,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Result<Opened, MailboxError> {
    let name = select.mailbox.as_str();
    let folder = home.mailbox.folder(name)?;
    let view = home.mailbox.open(name, select.read_only).await?;
    // What it takes from the disk comes first: a select that fails tells nothing.
    let resync = select.resync.as_ref().filter(|resync| resync.uid_validity == view.validity());
    let vanished = match resync {
        Some(resync) => Some(vanished(&view, resync).await?),
        None => None,
    };
    describe(&view, &folder, manner, out);
    let mut changed = Vec::new();
    if let (Some(resync), Some(vanished)) = (resync, vanished) {
        write_vanished(true, &vanished, out);
        changed = changes(&view, resync);
    }
    Ok(Opened { view, changed })
}

/// What a client is told of every folder that it opens.
fn describe(view: &View, folder: &FolderInfo, manner: &Manner, out: &mut Vec<u8>) {
    let keywords = view.keywords();
    news::write_keywords(view, &keywords, out);
    write_exists(view.len() as u32, out);
    let mut say = |text, code| write_untagged(&Completion::ok(text).with(code), out);
    if !manner.is_rev2()
        && let Some(number) = view.first_unseen()
    {
        say("First unseen", Code::Unseen(number));
    }
    let counts = view.counts();
    say("UIDs are valid", Code::UidValidity(view.validity()));
    say("Predicted next UID", Code::UidNext(counts.uid_next));
    say("Highest", Code::HighestModSeq(counts.modseq.max(1)));
    say("Its name for good", Code::MailboxId(folder.id.clone()));
    if manner.is_rev2() {
        let children =
            if folder.has_children { Attribute::HasChildren } else { Attribute::HasNoChildren };
        let listed =
            Listed { name: &folder.name, attributes: &[children], child_info: &[], old_name: None };
        listed.write(manner.enabled, out);
    } else {
        write_recent(view.recent(), out);
    }
}

/// What is gone of that which the client knows.
async fn vanished(view: &View, resync: &Resync) -> Result<Ranges, MailboxError> {
    let within = resync.known_uids.as_ref().map(stored);
    Ok(told(view.vanished(resync.modseq, within.as_deref()).await?))
}

/// UIDs of what has changed of that which the client knows.
fn changes(view: &View, resync: &Resync) -> Vec<u32> {
    let known = |uid: u32| resync.known_uids.as_ref().is_none_or(|known| known.contains(uid));
    let mut changed = Vec::new();
    view.each(|entry| {
        if entry.modseq > resync.modseq && known(entry.uid) {
            changed.push(entry.uid);
        }
    });
    changed
}

fn tell_changes(view: &View, uids: &[u32], manner: &Manner, out: &mut Vec<u8>) {
    let keywords = view.keywords();
    for uid in uids {
        let (Some(number), Some(entry)) = (view.number(*uid), view.entry(*uid)) else { continue };
        let is_recent = view.is_recent(*uid);
        news::Seen { number, entry: &entry, is_recent }.write(true, manner, &keywords, out);
    }
}

/// A set of UIDs as the store has it.
pub(super) fn stored(set: &Ranges) -> mailbox::Ranges {
    set.ranges().map(|range| (*range.start(), *range.end())).collect()
}

/// A set of UIDs of the store.
pub(super) fn told(set: mailbox::Ranges) -> Ranges {
    let mut ranges = Ranges::default();
    set.into_iter().for_each(|(from, to)| ranges.push_range(from, to));
    ranges
}
