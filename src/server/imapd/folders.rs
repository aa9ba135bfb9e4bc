//! `CREATE`, `DELETE`, `RENAME`, `SUBSCRIBE` and `UNSUBSCRIBE` (RFC 9051 §6.3.4 to §6.3.8).

use mail::mailbox::{MailboxError, SpecialUse, folder_name};
use proto::imap::command::{self, Create};
use proto::imap::respond::{Code, Completion, Listed};
use proto::imap::syntax::MailboxName;

use super::home::{Home, Manner};
use super::trouble::completion;

/// `CREATE`, with a special use if one was named (RFC 6154 §3), and its MAILBOXID (RFC 8474 §4.1).
pub(super) async fn create(
    home: &mut Home,
    create: Create,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    let special_use = match create.special_use.map(kept_use) {
        Some(None) => {
            return Completion::no("No mailbox here is for that").with(Code::UseAttr);
        }
        Some(special_use) => special_use,
        None => None,
    };
    let name = create.mailbox.as_str();
    if let Err(error) = home.mailbox.create(name, special_use).await {
        return completion(&error);
    }
    tell_kept_name(name, manner, out);
    match home.mailbox.folder(name) {
        Ok(folder) => Completion::ok("Created").with(Code::MailboxId(folder.id)),
        Err(_) => Completion::ok("Created"),
    }
}

/// `DELETE`: what has others beneath it can go, and they stay (RFC 9051 §6.3.5).
pub(super) async fn delete(
    home: &mut Home,
    name: MailboxName,
    _: &Manner,
    _: &mut Vec<u8>,
) -> Completion {
    match home.mailbox.delete(name.as_str()).await {
        Ok(()) => Completion::ok("Deleted"),
        Err(error) => completion(&error),
    }
}

/// `RENAME`
pub(super) async fn rename(
    home: &mut Home,
    from: MailboxName,
    to: MailboxName,
    manner: &Manner,
    out: &mut Vec<u8>,
) -> Completion {
    if let Err(error) = home.mailbox.rename(from.as_str(), to.as_str()).await {
        return completion(&error);
    }
    tell_kept_name(to.as_str(), manner, out);
    Completion::ok("Renamed")
}

/// The name was normalized (RFC 9051 §5.1), and the client knows another: OLDNAME (§6.3.9.7).
fn tell_kept_name(named: &str, manner: &Manner, out: &mut Vec<u8>) {
    if let Ok(kept) = folder_name(named)
        && kept != named
        && manner.is_rev2()
    {
        let old_name = Some(named);
        let listed = Listed { name: &kept, attributes: &[], child_info: &[], old_name };
        listed.write(manner.enabled, out);
    }
}

/// `SUBSCRIBE`; names are remembered whether there are such folders or not.
pub(super) async fn subscribe(
    home: &mut Home,
    name: MailboxName,
    _: &Manner,
    _: &mut Vec<u8>,
) -> Completion {
    match home.mailbox.subscribe(name.as_str(), true).await {
        Ok(()) => Completion::ok("Subscribed"),
        Err(error) => completion(&error),
    }
}

/// `UNSUBSCRIBE`
pub(super) async fn unsubscribe(
    home: &mut Home,
    name: MailboxName,
    _: &Manner,
    _: &mut Vec<u8>,
) -> Completion {
    match home.mailbox.subscribe(name.as_str(), false).await {
        Ok(()) => Completion::ok("Unsubscribed"),
        Err(MailboxError::BadName(_)) => Completion::ok("It was not subscribed"),
        Err(error) => completion(&error),
    }
}

/// A use that folders of ours can have.
const fn kept_use(wanted: command::SpecialUse) -> Option<SpecialUse> {
    Some(match wanted {
        command::SpecialUse::Archive => SpecialUse::Archive,
        command::SpecialUse::Drafts => SpecialUse::Drafts,
        command::SpecialUse::Junk => SpecialUse::Junk,
        command::SpecialUse::Sent => SpecialUse::Sent,
        command::SpecialUse::Trash => SpecialUse::Trash,
        command::SpecialUse::All | command::SpecialUse::Flagged => return None,
    })
}

/// As `LIST` tells it.
pub(super) const fn told_use(kept: SpecialUse) -> command::SpecialUse {
    match kept {
        SpecialUse::Archive => command::SpecialUse::Archive,
        SpecialUse::Drafts => command::SpecialUse::Drafts,
        SpecialUse::Junk => command::SpecialUse::Junk,
        SpecialUse::Sent => command::SpecialUse::Sent,
        SpecialUse::Trash => command::SpecialUse::Trash,
    }
}
