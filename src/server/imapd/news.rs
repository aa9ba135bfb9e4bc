//! What a client is told of what happened to the selected folder.
//!
//! What must stay true: this is the only place that writes EXISTS, EXPUNGE, VANISHED and the flags that
//! others have set, and what is written is what the view counts by from then on (RFC 9051 §7.5.1). It is
//! written between commands and while a client idles, never inside of another response.

use mail::mailbox::{Entry, Event, MailboxError, View};
use proto::imap::respond::{
    FetchLine, write_exists, write_expunge, write_flags_line, write_permanent_flags, write_recent,
    write_vanished,
};
use proto::imap::syntax::{Ranges, SystemFlags};

use super::flags;
use super::home::Manner;

/// How news are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Telling {
    /// Numbers may change: no FETCH, STORE or SEARCH by number is answered.
    pub expunges: bool,
    /// The client names messages by UID, and is told UIDs.
    pub by_uid: bool,
    /// What this session did to flags is told too.
    pub own: bool,
}

impl Telling {
    /// Whatever there is.
    pub const ALL: Self = Self { expunges: true, by_uid: false, own: true };
}

/// What became of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lives,
    /// It is deleted: the session ends.
    Gone,
}

/// Tells what is new.
///
/// # Errors
/// [`MailboxError::Lost`]: the session ends.
pub(super) fn tell(
    view: &mut View,
    telling: Telling,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Result<Fate, MailboxError> {
    let events = view.take(telling.expunges)?;
    if events.is_empty() {
        return Ok(Fate::Lives);
    }
    let keywords = view.keywords();
    let mut vanished = Vec::new();
    for event in events {
        match event {
            Event::Deleted => return Ok(Fate::Gone),
            Event::Keywords => write_keywords(view, &keywords, out),
            Event::Exists { messages, recent } => {
                write_exists(messages, out);
                if !manner.is_rev2() {
                    write_recent(recent, out);
                }
            }
            Event::Flags { is_own: true, .. } if !telling.own => {}
            Event::Flags { number, entry, .. } => {
                let seen = Seen { number, entry: &entry, is_recent: view.is_recent(entry.uid) };
                seen.write(telling.by_uid, manner, &keywords, out);
            }
            Event::Expunged { uid, .. } if manner.knows_vanished() => vanished.push(uid),
            Event::Expunged { number, .. } => write_expunge(number, out),
        }
    }
    write_vanished(false, &vanished.into_iter().collect::<Ranges>(), out);
    Ok(Fate::Lives)
}

/// FLAGS and PERMANENTFLAGS: what can be set here.
pub(super) fn write_keywords(view: &View, keywords: &[Box<str>], out: &mut Vec<u8>) {
    let names = || keywords.iter().map(|keyword| &**keyword);
    write_flags_line(names(), out);
    if view.is_read_only() {
        write_permanent_flags(SystemFlags::NONE, [], false, out);
    } else {
        let has_room = keywords.len() < mail::mailbox::KEYWORDS_MAX;
        write_permanent_flags(SystemFlags::ALL, names(), has_room, out);
    }
}

/// The flags of a message, as they are.
pub(super) struct Seen<'e> {
    pub number: u32,
    pub entry: &'e Entry,
    pub is_recent: bool,
}

impl Seen<'_> {
    /// `* 3 FETCH (UID 7 FLAGS (\Seen) MODSEQ (12))`; who resynchronizes is always told the UID (RFC 7162
    /// §3.2.4).
    pub fn write(&self, by_uid: bool, manner: &Manner, keywords: &[Box<str>], out: &mut Vec<u8>) {
        let entry = self.entry;
        let mut line = FetchLine::begin(self.number, out);
        if by_uid || manner.knows_vanished() {
            line.uid(entry.uid, out);
        }
        let names = flags::keywords(entry.flags, keywords);
        let is_recent = self.is_recent && !manner.is_rev2();
        line.flags(flags::told(entry.flags), names, is_recent, out);
        if manner.knows_modseq() {
            line.modseq(entry.modseq, out);
        }
        line.end(out);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::shard::Budget;
    use mail::mailbox::{EmailId, Flags, ThreadId};
    use proto::imap::Enabled;
    use proto::types::Timestamp;

    use super::super::turns::Memory;
    use super::*;

    #[test]
    fn each_client_is_told_flags_in_its_manner() {
        let entry = Entry {
            uid: 70,
            size: 1,
            id: EmailId(1),
            thread: ThreadId(1),
            modseq: 12,
            flags: Flags::SEEN.with(Flags::keyword(0)),
            internal: Timestamp(0),
            saved: Timestamp(0),
        };
        let seen = Seen { number: 3, entry: &entry, is_recent: true };
        for (enabled, by_uid, expected) in [
            (Enabled::NONE, false, "* 3 FETCH (FLAGS (\\Seen k \\Recent))\r\n"),
            (Enabled::NONE, true, "* 3 FETCH (UID 70 FLAGS (\\Seen k \\Recent))\r\n"),
            (Enabled::IMAP4REV2, false, "* 3 FETCH (FLAGS (\\Seen k))\r\n"),
            (Enabled::CONDSTORE, false, "* 3 FETCH (FLAGS (\\Seen k \\Recent) MODSEQ (12))\r\n"),
            (
                Enabled::QRESYNC,
                false,
                "* 3 FETCH (UID 70 FLAGS (\\Seen k \\Recent) MODSEQ (12))\r\n",
            ),
        ] {
            let memory = Memory::new(&Budget::new(0), &Arc::default());
            let manner = Manner { enabled, tag: Box::default(), append_bytes_max: 0, memory };
            let mut out = Vec::new();
            seen.write(by_uid, &manner, &["k".into()], &mut out);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
