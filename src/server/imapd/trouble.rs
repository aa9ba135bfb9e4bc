//! What a client hears of a mailbox that cannot do what it was asked (RFC 5530).

use mail::mailbox::MailboxError;
use proto::imap::{Code, Completion};

/// The answer to a command that failed.
pub(super) fn completion(error: &MailboxError) -> Completion {
    match error {
        MailboxError::NoFolder => Completion::no("No such mailbox").with(Code::NonExistent),
        MailboxError::Exists => Completion::no("Mailbox exists").with(Code::AlreadyExists),
        MailboxError::BadName(text) => Completion::no(text).with(Code::Cannot),
        MailboxError::Inbox => Completion::no("INBOX is always there").with(Code::Cannot),
        MailboxError::OverQuota => Completion::no("Over quota").with(Code::OverQuota),
        MailboxError::TooMany(_) => Completion::no("Over a limit").with(Code::Limit),
        MailboxError::Gone => Completion::no("The message is gone").with(Code::ExpungeIssued),
        MailboxError::Unreadable(_) => Completion::no("It cannot be read").with(Code::Corruption),
        _ => Completion::no("Try again later").with(Code::Unavailable),
    }
}

/// The same where a client names a folder to put messages into, and may make it.
pub(super) fn target(error: &MailboxError) -> Completion {
    match error {
        MailboxError::NoFolder => Completion::no("No such mailbox").with(Code::TryCreate),
        _ => completion(error),
    }
}
