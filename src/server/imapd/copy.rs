//! `COPY` and `MOVE` (RFC 9051 §6.4.7, §6.4.8, RFC 6851), with COPYUID (RFC 4315).
//!
//! A copy is done whole or not at all: by number, what others have expunged and this client not heard of
//! fails it (RFC 2180 §4.4.1); by UID, what is not there is passed over (RFC 9051 §6.4.9). What a move takes away is told by the session's news, behind the
//! untagged COPYUID.

use mail::mailbox::{Copied, MailboxError, View};
use proto::imap::command::Copy;
use proto::imap::respond::{Code, Completion, write_untagged};
use proto::imap::syntax::Ranges;

use super::home::{Home, Manner};
use super::trouble::{completion, target};

/// `COPY`
pub(super) async fn copy(home: &mut Home, copy: Copy, _: &Manner, _: &mut Vec<u8>) -> Completion {
    let uids = match home.targets(&copy.messages, copy.uid) {
        Ok(uids) => uids,
        Err(refusal) => return refusal,
    };
    let Some(view) = home.view.as_deref() else { return Completion::ok("Nothing to copy") };
    if !copy.uid && some_are_gone(view, &uids) {
        return completion(&MailboxError::Gone);
    }
    match view.copy(&uids, copy.mailbox.as_str(), home.limits).await {
        Ok(copied) => match copy_uid(&copied) {
            Some(code) => Completion::ok("Copied").with(code),
            None => Completion::ok("Nothing to copy"),
        },
        Err(error) => target(&error),
    }
}

/// `MOVE`
pub(super) async fn move_to(
    home: &mut Home,
    copy: Copy,
    _: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    let uids = match home.targets(&copy.messages, copy.uid) {
        Ok(uids) => uids,
        Err(refusal) => return refusal,
    };
    let Some(view) = home.view.as_deref() else { return Completion::ok("Nothing to move") };
    if view.is_read_only() {
        return Completion::no("The mailbox was opened to be read").with(Code::NoPerm);
    }
    if !copy.uid && some_are_gone(view, &uids) {
        return completion(&MailboxError::Gone);
    }
    let mut moved = Copied::default();
    let done = view.move_to(&uids, copy.mailbox.as_str(), &mut moved).await;
    // What has moved is told even when not all has (RFC 6851 §4.3).
    if let Some(code) = copy_uid(&moved) {
        write_untagged(&Completion::ok("Moved").with(code), out);
    }
    match done {
        Ok(()) => Completion::ok("Moved"),
        Err(error) => target(&error),
    }
}

fn some_are_gone(view: &View, uids: &[u32]) -> bool {
    uids.iter().any(|uid| view.entry(*uid).is_none())
}

/// Where what went; nothing when nothing did.
fn copy_uid(copied: &Copied) -> Option<Code> {
    (!copied.from.is_empty()).then(|| Code::CopyUid {
        uid_validity: copied.validity,
        from: ranges(&copied.from),
        to: ranges(&copied.to),
    })
}

fn ranges(uids: &[u32]) -> Ranges {
    let mut ranges = Ranges::default();
    uids.iter().for_each(|uid| ranges.push(*uid));
    ranges
}
