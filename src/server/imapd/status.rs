//! `STATUS` (RFC 9051 §6.3.11, RFC 8438, RFC 7162, RFC 7889, RFC 8474, RFC 9208),
//! alone and behind `LIST`.

use mail::mailbox::{Flags, FolderInfo, Mailbox, MailboxError};
use proto::imap::command::StatusItems;
use proto::imap::respond::{Completion, StatusLine};
use proto::imap::syntax::MailboxName;

use super::home::{Home, Manner};
use super::trouble::completion;

/// `STATUS`: counts are rows that are kept, so it costs the same for any folder, but for DELETED-STORAGE.
pub(super) async fn status(
    home: &mut Home,
    name: MailboxName,
    items: StatusItems,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    let told = match home.mailbox.folder(name.as_str()) {
        Ok(folder) => tell(&home.mailbox, &folder, items, manner, out).await,
        Err(error) => Err(error),
    };
    match told {
        Ok(()) => Completion::ok("Status told"),
        Err(error) => completion(&error),
    }
}

/// One line.
///
/// # Errors
/// Nothing is told then: the folder is gone, or the disk's.
pub(super) async fn tell(
    mailbox: &Mailbox,
    folder: &FolderInfo,
    items: StatusItems,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Result<(), MailboxError> {
    let deleted_bytes = match items.contains(StatusItems::DELETED_STORAGE) {
        true => deleted_bytes(mailbox, folder).await?,
        false => 0,
    };
    let counts = folder.counts;
    let mut line = StatusLine::begin(&folder.name, items, manner.enabled, out);
    line.number(StatusItems::MESSAGES, counts.messages.into(), out);
    line.number(StatusItems::RECENT, folder.recent.into(), out);
    line.number(StatusItems::UID_NEXT, counts.uid_next.into(), out);
    line.number(StatusItems::UID_VALIDITY, folder.validity.into(), out);
    line.number(StatusItems::UNSEEN, counts.unseen.into(), out);
    line.number(StatusItems::DELETED, counts.deleted.into(), out);
    line.number(StatusItems::SIZE, counts.bytes, out);
    line.number(StatusItems::DELETED_STORAGE, deleted_bytes, out);
    // 0 would say that there are none (RFC 7162 §3.1.2.2).
    line.number(StatusItems::HIGHEST_MODSEQ, counts.modseq.max(1), out);
    line.append_limit(Some(manner.append_bytes_max), out);
    line.mailbox_id(&folder.id, out);
    line.end(out);
    Ok(())
}

/// Octets of what has `\Deleted` (RFC 9208 §4.1.4); not a row that is kept, so the folder is looked at.
async fn deleted_bytes(mailbox: &Mailbox, folder: &FolderInfo) -> Result<u64, MailboxError> {
    if folder.counts.deleted == 0 {
        return Ok(0);
    }
    let view = mailbox.open(&folder.name, true).await?;
    let mut bytes = 0;
    view.each(|entry| {
        if entry.flags.contains(Flags::DELETED) {
            bytes += u64::from(entry.size);
        }
    });
    Ok(bytes)
}
