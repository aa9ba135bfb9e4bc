//! `EXPUNGE`, `UID EXPUNGE` (RFC 4315), `CLOSE` and `UNSELECT` (RFC 9051 §6.4.1 - §6.4.3).
//!
//! What must stay true: what is gone is told by `news`, behind the command; `CLOSE` tells nothing.

use proto::imap::syntax::Messages;
use proto::imap::{Code, Completion};

use super::home::{Home, Manner, NOTHING_SELECTED};
use super::trouble;

/// Removes what is `\Deleted`: all of it, or what is named by UID.
pub(super) async fn expunge(home: &Home, among: Option<&Messages>, manner: &Manner) -> Completion {
    let uids = match among.map(|messages| home.targets(messages, true)).transpose() {
        Ok(uids) => uids,
        Err(completion) => return completion,
    };
    let Some(view) = home.view.as_deref() else {
        return NOTHING_SELECTED;
    };
    if view.is_read_only() {
        return Completion::no("The mailbox is examined only").with(Code::NoPerm);
    }
    match view.expunge(uids.as_deref()).await {
        // RFC 7162 §3.2.7.
        Ok(expunged) => match expunged.modseq.filter(|_| manner.knows_modseq()) {
            Some(modseq) => Completion::ok("Expunged").with(Code::HighestModSeq(modseq)),
            None => Completion::ok("Expunged"),
        },
        Err(error) => trouble::completion(&error),
    }
}

/// Removes what is `\Deleted`, unless the folder was only examined, and leaves it.
pub(super) async fn close(home: &mut Home) -> Completion {
    if let Some(view) = home.view.as_deref().filter(|view| !view.is_read_only())
        && let Err(error) = view.expunge(None).await
    {
        return trouble::completion(&error);
    }
    unselect(home)
}

/// Leaves the folder as it is (RFC 3691).
pub(super) fn unselect(home: &mut Home) -> Completion {
    home.view = None;
    home.saved.clear();
    Completion::ok("Closed")
}
