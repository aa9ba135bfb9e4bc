//! `STATUS` (RFC 9051 §6.3.11, RFC 8438, RFC 7162, RFC 7889, RFC 8474), alone and behind `LIST`.

use mail::mailbox::FolderInfo;
use proto::imap::command::StatusItems;
use proto::imap::respond::{Completion, StatusLine};
use proto::imap::syntax::MailboxName;

use super::home::{Home, Manner};
use super::trouble::completion;

/// `STATUS`: counts are rows that are kept, so it costs the same for any folder.
pub(super) async fn status(
    home: &mut Home,
    name: MailboxName,
    items: StatusItems,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    match home.mailbox.folder(name.as_str()) {
        Ok(folder) => {
            write(&folder, items, manner, out);
            Completion::ok("Status told")
        }
        Err(error) => completion(&error),
    }
}

/// One line.
pub(super) fn write(folder: &FolderInfo, items: StatusItems, manner: &Manner, out: &mut Vec<u8>) {
    let counts = folder.counts;
    let mut line = StatusLine::begin(&folder.name, items, manner.enabled, out);
    line.number(StatusItems::MESSAGES, counts.messages.into(), out);
    line.number(StatusItems::RECENT, folder.recent.into(), out);
    line.number(StatusItems::UID_NEXT, counts.uid_next.into(), out);
    line.number(StatusItems::UID_VALIDITY, folder.validity.into(), out);
    line.number(StatusItems::UNSEEN, counts.unseen.into(), out);
    line.number(StatusItems::DELETED, counts.deleted.into(), out);
    line.number(StatusItems::SIZE, counts.bytes, out);
    line.number(StatusItems::HIGHEST_MODSEQ, counts.modseq, out);
    line.append_limit(Some(manner.append_bytes_max), out);
    line.mailbox_id(&folder.id, out);
    line.end(out);
}
