//! Status responses and their codes (RFC 9051 §7.1, RFC 5530).

use std::borrow::Cow;

use super::{push_number, text::write_text};
use crate::imap::syntax::Ranges;

/// What a status response says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Done; untagged: by the way.
    Ok,
    /// Not done; untagged: a warning.
    No,
    /// Not understood.
    Bad,
    /// Good bye; untagged only.
    Bye,
}

/// What stands in brackets, for programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A mailbox of that name is there.
    AlreadyExists,
    /// The UIDs that messages got (RFC 4315), in order.
    AppendUid {
        /// UIDVALIDITY of the mailbox.
        uid_validity: u32,
        /// Their UIDs.
        uids: Ranges,
    },
    /// Wrong name or password.
    AuthenticationFailed,
    /// May not act for whom they want to.
    AuthorizationFailed,
    /// Charsets that `SEARCH` reads.
    BadCharset,
    /// It can never be.
    Cannot,
    /// The client should have known better.
    ClientBug,
    /// What follows is of the other mailbox (RFC 7162 §3.2.11).
    Closed,
    /// Compression is on already (RFC 4978).
    CompressionActive,
    /// Ask your administrator.
    ContactAdmin,
    /// UIDs of the messages copied, and of the copies, both in order (RFC 4315).
    CopyUid {
        /// UIDVALIDITY of the mailbox they went to.
        uid_validity: u32,
        /// UIDs they had.
        from: Ranges,
        /// UIDs they got.
        to: Ranges,
    },
    /// Data are damaged.
    Corruption,
    /// The password has expired.
    Expired,
    /// Someone has expunged some of these messages.
    ExpungeIssued,
    /// It has mailboxes below it (RFC 9051 §7.1).
    HasChildren,
    /// The greatest mod-sequence (RFC 7162).
    HighestModSeq(u64),
    /// Someone holds it.
    InUse,
    /// A limit of ours.
    Limit,
    /// The identity of a mailbox (RFC 8474).
    MailboxId(Box<str>),
    /// Messages that had changed (RFC 7162 §3.1.3): UIDs of `UID STORE`, else sequence numbers.
    Modified(Ranges),
    /// There is no such mailbox.
    NonExistent,
    /// Not allowed.
    NoPerm,
    /// `$` is empty (RFC 5182).
    NotSaved,
    /// Over quota (RFC 9208).
    OverQuota,
    /// Only under TLS.
    PrivacyRequired,
    /// Nothing here can be changed.
    ReadOnly,
    /// Things here can be changed.
    ReadWrite,
    /// A bug of ours.
    ServerBug,
    /// Larger than can be (RFC 7889, RFC 7888).
    TooBig,
    /// Create the mailbox first.
    TryCreate,
    /// The next UID.
    UidNext(u32),
    /// UIDVALIDITY
    UidValidity(u32),
    /// Try later.
    Unavailable,
    /// The part's transfer encoding cannot be undone (RFC 3516).
    UnknownCte,
    /// The first message without `\Seen` (RFC 3501).
    Unseen(u32),
    /// A special use that cannot be (RFC 6154).
    UseAttr,
}

impl Code {
    /// Appends the code without brackets.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        match self {
            Self::AppendUid { uid_validity, uids } => {
                numbered(u64::from(*uid_validity), out);
                set(uids, out);
            }
            Self::CopyUid { uid_validity, from, to } => {
                numbered(u64::from(*uid_validity), out);
                set(from, out);
                set(to, out);
            }
            Self::HighestModSeq(number) => numbered(*number, out),
            Self::UidNext(number) | Self::UidValidity(number) | Self::Unseen(number) => {
                numbered(u64::from(*number), out);
            }
            Self::Modified(numbers) => set(numbers, out),
            Self::MailboxId(id) => {
                out.extend_from_slice(b" (");
                write_text(id, out);
                out.push(b')');
            }
            Self::BadCharset => out.extend_from_slice(b" (US-ASCII UTF-8)"),
            _ => {}
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AppendUid { .. } => "APPENDUID",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset => "BADCHARSET",
            Self::Cannot => "CANNOT",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::CopyUid { .. } => "COPYUID",
            Self::Corruption => "CORRUPTION",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::HighestModSeq(_) => "HIGHESTMODSEQ",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::MailboxId(_) => "MAILBOXID",
            Self::Modified(_) => "MODIFIED",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::NotSaved => "NOTSAVED",
            Self::OverQuota => "OVERQUOTA",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TryCreate => "TRYCREATE",
            Self::UidNext(_) => "UIDNEXT",
            Self::UidValidity(_) => "UIDVALIDITY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::Unseen(_) => "UNSEEN",
            Self::UseAttr => "USEATTR",
        }
    }
}

fn numbered(number: u64, out: &mut Vec<u8>) {
    out.push(b' ');
    push_number(number, out);
}

fn set(numbers: &Ranges, out: &mut Vec<u8>) {
    out.push(b' ');
    numbers.write(out);
}

/// How a command came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Done, not done, not understood.
    pub condition: Condition,
    /// For programs.
    pub code: Option<Code>,
    /// For people.
    pub text: Cow<'static, str>,
}

impl Completion {
    /// Done.
    #[must_use]
    pub const fn ok(text: &'static str) -> Self {
        Self { condition: Condition::Ok, code: None, text: Cow::Borrowed(text) }
    }

    /// Not done.
    #[must_use]
    pub const fn no(text: &'static str) -> Self {
        Self { condition: Condition::No, code: None, text: Cow::Borrowed(text) }
    }

    /// Not understood, or at the wrong time.
    #[must_use]
    pub const fn bad(text: &'static str) -> Self {
        Self { condition: Condition::Bad, code: None, text: Cow::Borrowed(text) }
    }

    /// The same with a code.
    #[must_use]
    pub fn with(self, code: Code) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Appends it as the response to the command with this tag.
    pub(in crate::imap) fn write(&self, tag: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(tag);
        out.push(b' ');
        out.extend_from_slice(match self.condition {
            Condition::Ok => b"OK ",
            Condition::No => b"NO ",
            Condition::Bad => b"BAD ",
            Condition::Bye => b"BYE ",
        });
        if let Some(code) = &self.code {
            out.push(b'[');
            code.write(out);
            out.extend_from_slice(b"] ");
        }
        // The grammar wants one octet at least.
        write_text(if self.text.is_empty() { "-" } else { &self.text }, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends an untagged status response, such as `* OK [UIDNEXT 7] Predicted next UID`.
pub fn write_untagged(completion: &Completion, out: &mut Vec<u8>) {
    completion.write(b"*", out);
}
